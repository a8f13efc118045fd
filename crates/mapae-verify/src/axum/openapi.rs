//! The extractor documents what it asks for (feature `openapi`).
//!
//! aide lets an extractor write into its operation, but never tells it that it stands in an `Option`; it only makes
//! the parameters that the extractor wrote optional. So each extractor also writes a parameter, which
//! [`finish_openapi`] reads and takes away.

use aide::OperationInput;
use aide::axum::ApiRouter;
use aide::generate::{GenContext, in_context};
use aide::openapi::{
    Components, HeaderStyle, MediaType, OAuth2Flow, OAuth2Flows, OpenApi, Operation, Parameter, ParameterData,
    ParameterSchemaOrContent, ReferenceOr, Response, SchemaObject, SecurityScheme, StatusCode,
};
use aide::util::iter_operations_mut;
use http::header::AUTHORIZATION;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::Problem;
use super::{
    Bearer, BearerError, ErrorStyle, PasswordFlow, SECURITY_SCHEME, ScopedClaims, Subject, TokenVerifier,
    require as layer,
};
use crate::{ScopeSet, SubjectSet, VerifyError};

/// The member of a parameter that holds its [`Note`].
const NOTE: &str = "x-mapae-bearer";

/// What an extractor leaves for [`finish_openapi`].
#[derive(Serialize, Deserialize)]
struct Note {
    /// Names and descriptions of the scopes that the route asks for.
    scopes: Vec<(String, String)>,
    /// The answers to those who may not pass, by status; aide asks no extractor in an `Option` for them.
    refusals: Vec<(u16, Response)>,
}

impl<S: ScopeSet, C> OperationInput for Bearer<S, C> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document::<S>(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Vec<(Option<StatusCode>, Response)> {
        refusals::<S>(ctx).into_iter().map(|(status, response)| (Some(StatusCode::Code(status)), response)).collect()
    }
}

impl<K: SubjectSet, S: ScopeSet, E> OperationInput for Subject<K, S, E> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document::<S>(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Vec<(Option<StatusCode>, Response)> {
        let mut refusals = refusals::<S>(ctx);
        // The one answer for two reasons: a missing scope comes after the wrong subject.
        refusals.truncate(1);
        let (scopes, wanted) = (S::names(), K::names());
        let mut description = format!("The token does not speak for: {wanted}.");
        if !scopes.is_empty() {
            description.push_str(&format!(" Or it lacks a scope: {scopes}."));
        }
        let error = BearerError::WrongSubject { wanted, shown: "thing".to_owned() };
        refusals.push(refusal(ctx, &error, description));
        refusals.into_iter().map(|(status, response)| (Some(StatusCode::Code(status)), response)).collect()
    }
}

/// Protects the routes that the router has so far by the layer [`require`](super::require), and documents them so: each
/// asks for the scopes `S` beside its own. What is in the router but not in the document, such as a fallback or files,
/// is protected as well.
///
/// ```
/// use aide::axum::{ApiRouter, routing::get};
/// use mapae_verify::axum::{TokenVerifier, protect};
/// # use mapae_verify::DeclaredScope;
/// # struct Admin;
/// # impl DeclaredScope for Admin {
/// #     const NAME: &'static str = "admin";
/// #     const DESCRIPTION: &'static str = "";
/// # }
///
/// fn routes(verifier: &TokenVerifier) -> ApiRouter {
///     let admin = ApiRouter::new().api_route("/users", get(async || "users"));
///     ApiRouter::new().nest("/admin", protect::<Admin, _, _>(admin, verifier.clone()))
/// }
/// ```
pub fn protect<S, C, State>(router: ApiRouter<State>, verifier: impl Into<TokenVerifier<C>>) -> ApiRouter<State>
where
    S: ScopeSet,
    C: ScopedClaims,
    State: Clone + Send + Sync + 'static,
{
    document_required::<S, State>(router).layer(layer::<S, C>(verifier))
}

/// Documents that each route that the router has so far asks for the scopes `S` beside its own: for a layer of another
/// kind than [`require`](super::require) that asks for them.
pub fn document_required<S, State>(router: ApiRouter<State>) -> ApiRouter<State>
where
    S: ScopeSet,
    State: Clone + Send + Sync + 'static,
{
    router.with_path_items(|mut item| {
        in_context(|ctx| {
            for (_, operation) in iter_operations_mut(item.inner_mut()) {
                document::<S>(ctx, operation);
            }
        });
        item
    })
}

/// Writes down that the operation asks for the scopes `S` beside what it asks for already.
fn document<S: ScopeSet>(ctx: &mut GenContext, operation: &mut Operation) {
    require::<S>(operation);
    let mut scopes = Vec::new();
    S::for_each(&mut |name, description| scopes.push((name.to_owned(), description.to_owned())));
    let note = Note { scopes, refusals: refusals::<S>(ctx) };
    operation.parameters.push(ReferenceOr::Item(parameter::<S>(&note)));
}

/// Adds the scopes `S` to what the operation asks for: each of its alternatives together with each of these.
fn require<S: ScopeSet>(operation: &mut Operation) {
    let mut so_far = std::mem::take(&mut operation.security);
    if so_far.is_empty() {
        so_far.push(IndexMap::new());
    }
    for requirement in &so_far {
        for alternative in S::alternatives() {
            let mut both = requirement.clone();
            let scopes: &mut Vec<String> = both.entry(SECURITY_SCHEME.to_owned()).or_default();
            for name in alternative {
                if !scopes.iter().any(|scope| scope == name) {
                    scopes.push(name.to_owned());
                }
            }
            operation.security.push(both);
        }
    }
}

fn refusals<S: ScopeSet>(ctx: &mut GenContext) -> Vec<(u16, Response)> {
    let scopes = S::names();
    let invalid = BearerError::InvalidToken { reason: VerifyError::Expired { ago: 1 }, scopes: scopes.clone() };
    let mut refusals = vec![refusal(ctx, &invalid, "No token, or one that is not valid.".to_owned())];
    if !scopes.is_empty() {
        let description = format!("The token lacks a scope: {scopes}.");
        refusals.push(refusal(ctx, &BearerError::InsufficientScope { scopes }, description));
    }
    refusals
}

/// A documented error with itself as the example.
fn refusal(ctx: &mut GenContext, error: &BearerError, description: String) -> (u16, Response) {
    let status = error.status(ErrorStyle::Problem).as_u16();
    let detail = error.to_string();
    let (title, code) = (error.title(), error.code());
    let media_type = MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<Problem<'static>>(),
            external_docs: None,
            example: None,
        }),
        example: Some(json!(Problem { kind: "about:blank", title, status, detail: &detail, code })),
        ..MediaType::default()
    };
    let content = IndexMap::from_iter([("application/problem+json".to_owned(), media_type)]);
    (status, Response { description, content, ..Response::default() })
}

/// OpenAPI has readers ignore a header parameter of this name. The scopes keep apart those of several extractors.
fn parameter<S: ScopeSet>(note: &Note) -> Parameter {
    let note = serde_json::to_value(note).expect("texts and OpenAPI responses can be written as JSON");
    let schema =
        SchemaObject { json_schema: schemars::json_schema!({ "type": "string" }), external_docs: None, example: None };
    Parameter::Header {
        parameter_data: ParameterData {
            name: format!("{AUTHORIZATION} {}", S::names()).trim_end().to_owned(),
            description: None,
            required: true,
            deprecated: None,
            format: ParameterSchemaOrContent::Schema(schema),
            example: None,
            examples: IndexMap::new(),
            explode: None,
            extensions: IndexMap::from_iter([(NOTE.to_owned(), note)]),
        },
        style: HeaderStyle::Simple,
    }
}

/// Completes a document once all routes are in it. Routes with `Option<Bearer<S>>` are documented as open to
/// strangers too. The security scheme [`SECURITY_SCHEME`] gets every scope that a route asks for, with its
/// description; if the document has none of that name, it is added, with the password flow at a `tokenUrl` or as
/// [`PasswordFlow`] says.
///
/// ```
/// # use aide::{axum::ApiRouter, openapi::OpenApi};
/// # fn document(router: ApiRouter) {
/// let mut api = OpenApi::default();
/// let router = router.finish_api(&mut api);
/// mapae_verify::axum::finish_openapi(&mut api, "https://auth.example/token");
/// # let _ = router;
/// # }
/// ```
pub fn finish_openapi<'a>(api: &mut OpenApi, flow: impl Into<PasswordFlow<'a>>) {
    let mut declared = IndexMap::new();
    let paths = api.paths.iter_mut().flat_map(|paths| paths.paths.values_mut()).filter_map(ReferenceOr::as_item_mut);
    for (_, operation) in paths.flat_map(iter_operations_mut) {
        let mut notes = Vec::new();
        operation.parameters.retain_mut(|parameter| match take_note(parameter) {
            Some(note) => {
                notes.push(note);
                false
            }
            None => true,
        });
        let welcomes_strangers = !notes.is_empty() && notes.iter().all(|(_, required)| !required);
        if welcomes_strangers {
            operation.security.push(IndexMap::new());
        }
        for (note, _) in notes {
            declared.extend(note.scopes);
            let responses = &mut operation.responses.get_or_insert_default().responses;
            for (status, response) in note.refusals {
                responses.entry(StatusCode::Code(status)).or_insert(ReferenceOr::Item(response));
            }
        }
    }
    declare(api, flow.into(), declared);
}

/// The note in a parameter, and whether the parameter is required.
fn take_note(parameter: &mut ReferenceOr<Parameter>) -> Option<(Note, bool)> {
    let ReferenceOr::Item(Parameter::Header { parameter_data, .. }) = parameter else { return None };
    let note: Value = parameter_data.extensions.shift_remove(NOTE)?;
    Some((serde_json::from_value(note).ok()?, parameter_data.required))
}

fn declare(api: &mut OpenApi, flow: PasswordFlow<'_>, scopes: IndexMap<String, String>) {
    let schemes = &mut api.components.get_or_insert_with(Components::default).security_schemes;
    let scheme = schemes.entry(SECURITY_SCHEME.to_owned()).or_insert_with(|| {
        let refresh_url = flow.refresh_url.map(str::to_owned);
        let flow = OAuth2Flow::Password { token_url: flow.token_url.to_owned(), refresh_url, scopes: IndexMap::new() };
        ReferenceOr::Item(SecurityScheme::OAuth2 {
            flows: OAuth2Flows { password: Some(flow), ..OAuth2Flows::default() },
            description: None,
            extensions: IndexMap::new(),
        })
    });
    if let ReferenceOr::Item(SecurityScheme::OAuth2 { flows, .. }) = scheme
        && let Some(OAuth2Flow::Password { scopes: known, .. }) = &mut flows.password
    {
        for (name, description) in scopes {
            known.entry(name).or_insert(description);
        }
    }
}
