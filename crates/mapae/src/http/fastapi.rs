//! Answering exactly as a FastAPI application does, so that clients of the tutorials need no change.

use std::sync::Arc;

use aide::OperationInput;
use aide::axum::ApiRouter;
use aide::generate::GenContext;
use aide::openapi::{OpenApi, Operation};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use mapae_verify::axum::finish_openapi;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use super::body::{is_json, read_bytes};
use super::error::{self, ApiError, ErrorCode, FieldProblem};
use super::form::PasswordRequestForm;
use super::style::{ErrorStyle, on_error};
use super::{docs, openapi, sent_from};
use crate::domain::ScopeSet;
use crate::service::user_store::StoredUser;
use crate::service::{Mapae, TokenResponse};

/// The largest body that is taken, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// What an application answers instead of the usual status and `detail`.
pub type ErrorTexts = fn(&ApiError) -> Option<(StatusCode, &'static str)>;

/// An application that answers as one made with FastAPI: its error bodies, its 422, its redirects for the trailing
/// slash, `/docs`, `/redoc` and `/openapi.json`.
#[derive(Debug)]
pub struct FastApi<S> {
    title: String,
    routes: ApiRouter<S>,
    scopes: Vec<(&'static str, &'static str)>,
    token_url: &'static str,
    texts: ErrorTexts,
    answers: Vec<(ErrorCode, StatusCode, &'static str)>,
}

impl<S: Clone + Send + Sync + 'static> FastApi<S> {
    /// An application of these routes.
    pub fn new(title: &str, routes: ApiRouter<S>) -> Self {
        let title = title.to_owned();
        Self { title, routes, scopes: Vec::new(), token_url: "token", texts: |_| None, answers: Vec::new() }
    }

    /// Lists these scopes with their descriptions in the security scheme, for *Authorize*.
    #[must_use]
    pub fn scopes<Set: ScopeSet>(mut self) -> Self {
        Set::for_each(&mut |name, description| self.scopes.push((name, description)));
        self
    }

    /// Where *Authorize* signs in, relative to the documentation page; `token` unless set.
    #[must_use]
    pub fn token_url(mut self, url: &'static str) -> Self {
        self.token_url = url;
        self
    }

    /// Answers every error of this code with another status and `detail`.
    #[must_use]
    pub fn error(mut self, code: ErrorCode, status: StatusCode, detail: &'static str) -> Self {
        self.answers.push((code, status, detail));
        self
    }

    /// Answers some errors with another status and `detail`, where their code alone does not decide.
    #[must_use]
    pub fn errors(mut self, texts: ErrorTexts) -> Self {
        self.texts = texts;
        self
    }

    /// The application, ready to be served.
    pub fn finish(self, state: S) -> Router {
        let (texts, answers) = (self.texts, self.answers);
        let text = move |error: &ApiError| {
            let of_code = || answers.iter().find(|(code, ..)| *code == error.code());
            texts(error).or_else(|| of_code().map(|(_, status, detail)| (*status, *detail)))
        };
        let text = Arc::new(text);
        let mut document = openapi::with_password_flow(&self.title, self.token_url, None, &self.scopes);
        let mut router = self.routes.finish_api(&mut document);
        finish_openapi(&mut document, self.token_url);
        let mut known: Vec<String> = ["/docs", "/redoc", "/openapi.json"].map(str::to_owned).into();
        known.extend(document.paths.iter().flat_map(|paths| paths.paths.keys().cloned()));
        for path in &known {
            let other = other_slash(path);
            if !other.is_empty() && !known.contains(&other) {
                router = router.route(&other, any(redirect));
            }
        }
        router
            .merge(docs::router(&as_answered(&document)))
            .fallback(error::not_found)
            .method_not_allowed_fallback(error::method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(CatchPanicLayer::custom(error::panicked))
            .layer(on_error(move |error| error.clone().with_text(text(error)).render(ErrorStyle::Detail)))
            .with_state(state)
    }
}

/// The document with the refusals as this style answers them: a missing scope is 401 too, and the body is `detail`.
fn as_answered(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for responses in operations.filter_map(|operation| operation.get_mut("responses")?.as_object_mut()) {
        responses.remove("403");
        if let Some(refused) = responses.get_mut("401") {
            refused["description"] = json!("No token, one that is not valid, or one that lacks a scope.");
            refused["content"] = json!({ "application/json": {
                "schema": { "type": "object", "properties": { "detail": { "type": "string" } } },
                "example": { "detail": "Not authenticated" },
            }});
        }
    }
    document
}

/// The path with its trailing slash toggled; empty for the root.
fn other_slash(path: &str) -> String {
    match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    }
}

/// 307 keeps method and body, and a relative address keeps the client's `Authorization` header and any proxy's prefix.
async fn redirect(uri: Uri) -> Response {
    let location = relative(&uri);
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response(),
        Err(_) => error::not_found().await.into_response(),
    }
}

fn relative(uri: &Uri) -> String {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = uri.path();
    match path.strip_suffix('/') {
        Some(without) => format!("../{}{query}", without.rsplit('/').next().unwrap_or_default()),
        None => format!("{}/{query}", path.rsplit('/').next().unwrap_or_default()),
    }
}

/// What the tutorials' `/token` answers.
#[derive(Serialize, JsonSchema)]
pub struct Token {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The tutorials' `/token`, ready to be mounted: `post(login::<User>)`. It takes the OAuth2 password form.
/// Serve with `into_make_service_with_connect_info::<SocketAddr>()`, or nobody is known by the network he comes from.
///
/// # Errors
/// [`ErrorCode::IncorrectCredentials`] above all.
pub async fn login<U: StoredUser>(
    State(mapae): State<Mapae<U>>,
    parts: Parts,
    form: PasswordRequestForm,
) -> Result<Json<Token>, ApiError> {
    let sender = sent_from::sender_on_any_route(&parts, mapae.service());
    Ok(Json(mapae.sign_in_from(&form.username, &form.password, &form.scope, &sender).await?.into()))
}

impl From<TokenResponse> for Token {
    fn from(response: TokenResponse) -> Self {
        Self { access_token: response.access_token.expose().to_owned(), token_type: "bearer" }
    }
}

/// A JSON body, refused as FastAPI refuses one: 422 naming every field that is missing or of another
/// type.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned + JsonSchema,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = read_bytes(request, state).await?;
        if !is_json || body.is_empty() {
            return Err(ApiError::validation(vec![whole("missing", "Field required")]));
        }
        serde_json::from_slice(&body).map(Self).map_err(|_| ApiError::validation(explain::<T>(&body)))
    }
}

/// What is wrong with a body that does not fit its type. Never repeats the body: passwords may be in it.
fn explain<T: JsonSchema>(body: &[u8]) -> Vec<FieldProblem> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return vec![whole("json_invalid", "JSON decode error")];
    };
    let Value::Object(given) = value else {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        return vec![whole("model_attributes_type", msg)];
    };
    let schema = schemars::schema_for!(T);
    let required: Vec<&str> = array(schema.get("required")).filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let optional = properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str);
    // Missing fields are told in the order of their declaration, which only `required` keeps.
    let names = required.iter().copied().chain(optional.filter(|name| !required.contains(name)));
    let problems: Vec<_> = names
        .filter_map(|name| match given.get(name) {
            None => required.contains(&name).then(|| FieldProblem::missing(name)),
            Some(value) => {
                wrong_type(value, properties?.get(name)?).map(|(kind, msg)| FieldProblem::body(name, kind, msg))
            }
        })
        .collect();
    if problems.is_empty() { vec![whole("value_error", "Input does not fit the documented form")] } else { problems }
}

/// A problem of the body as a whole.
fn whole(kind: &str, msg: &str) -> FieldProblem {
    FieldProblem { loc: vec!["body".to_owned()], ..FieldProblem::body("", kind, msg) }
}

/// FastAPI's words for a value of another type than its schema says, an element of a list included.
fn wrong_type(value: &Value, schema: &Value) -> Option<(&'static str, &'static str)> {
    match schema.get("type")?.as_str()? {
        "string" if !value.is_string() => Some(("string_type", "Input should be a valid string")),
        "boolean" if !value.is_boolean() => Some(("bool_type", "Input should be a valid boolean")),
        "integer" if !(value.is_i64() || value.is_u64()) => Some(("int_type", "Input should be a valid integer")),
        "number" if !value.is_number() => Some(("float_type", "Input should be a valid number")),
        "array" if !value.is_array() => Some(("list_type", "Input should be a valid list")),
        "array" => array(Some(value)).find_map(|element| wrong_type(element, schema.get("items")?)),
        _ => None,
    }
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <axum::Json<T> as OperationInput>::operation_input(ctx, operation);
    }
}

/// Says why somebody is not let in, for handlers of their own.
pub fn refuse(status: StatusCode, detail: &'static str) -> ApiError {
    let code = if status == StatusCode::CONFLICT { ErrorCode::Conflict } else { ErrorCode::InvalidRequest };
    ApiError::new(code, detail).with_text(Some((status, detail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_promises_what_is_answered() {
        let text = r#"{
            "openapi": "3.1.0",
            "info": { "title": "t", "version": "1" },
            "paths": { "/": { "get": { "responses": {
                "200": { "description": "ok" },
                "401": { "description": "no", "content": { "application/problem+json": {} } },
                "403": { "description": "no" }
            }}}}
        }"#;
        let document: OpenApi = serde_json::from_str(text).unwrap();
        let responses = as_answered(&document)["paths"]["/"]["get"]["responses"].clone();
        assert_eq!(responses.as_object().unwrap().keys().collect::<Vec<_>>(), ["200", "401"]);
        assert_eq!(responses["401"]["content"]["application/json"]["example"]["detail"], "Not authenticated");
        assert_eq!(responses["401"]["content"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn redirects_are_relative_and_keep_the_query() {
        let to = |uri: &'static str| relative(&Uri::from_static(uri));
        assert_eq!(to("/users/me"), "me/");
        assert_eq!(to("/users/me?a=b"), "me/?a=b");
        assert_eq!(to("/token/"), "../token");
        assert_eq!(to("/users/me/items/?q"), "../items?q");
    }
}
