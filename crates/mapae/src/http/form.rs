//! The OAuth2 password form (RFC 6749 §4.3.2) as FastAPI's tutorial reads it.

use axum::extract::{FromRequest, Multipart, Request};
use mapae_verify::Scopes;
use serde_json::json;

use super::body::{media_type, read_bytes};
use super::error::{ApiError, ErrorCode, FieldProblem};
use crate::domain::SecretText;

/// The fields of the form. `grant_type` may be absent, but must be `password` if it is sent, as FastAPI's
/// `OAuth2PasswordRequestForm` has it; see [`StrictPasswordRequestForm`].
#[derive(Debug)]
pub struct PasswordRequestForm {
    /// `password`, if it was sent.
    pub grant_type: Option<String>,
    /// A user name or an e-mail address.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// The scopes asked for; none means all but explicit ones.
    pub scope: Scopes,
    /// The client, if it names itself.
    pub client_id: Option<String>,
    /// The client's secret, if it sends one.
    pub client_secret: Option<SecretText>,
}

/// The same form where `grant_type` must be sent, as RFC 6749 §4.3.2 wants it and FastAPI's
/// `OAuth2PasswordRequestFormStrict` has it.
#[derive(Debug)]
pub struct StrictPasswordRequestForm(pub PasswordRequestForm);

impl std::ops::Deref for StrictPasswordRequestForm {
    type Target = PasswordRequestForm;

    fn deref(&self) -> &PasswordRequestForm {
        &self.0
    }
}

/// The form for the document, which wants a type for each of its variants.
#[cfg(feature = "openapi")]
macro_rules! documented {
    ($name:ident, $title:literal, $grant_type:ty) => {
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        #[schemars(rename = $title)]
        #[expect(dead_code, reason = "it only stands for the form in the OpenAPI document")]
        pub(super) struct $name {
            /// Must be `password` if it is sent.
            #[schemars(regex(pattern = "^password$"))]
            grant_type: $grant_type,
            /// A user name or an e-mail address.
            username: String,
            /// The password.
            #[schemars(extend("format" = "password"))]
            password: String,
            /// Scopes, separated by spaces.
            scope: Option<String>,
            /// The client, if it names itself.
            client_id: Option<String>,
            /// The client's secret, if it sends one.
            #[schemars(extend("format" = "password"))]
            client_secret: Option<String>,
        }
    };
}

#[cfg(feature = "openapi")]
documented!(Documented, "PasswordRequestForm", Option<String>);
#[cfg(feature = "openapi")]
documented!(StrictlyDocumented, "StrictPasswordRequestForm", String);

/// FastAPI's body of a 422.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "HTTPValidationError")]
#[expect(dead_code, reason = "it only stands for the body in the OpenAPI document")]
pub(super) struct ValidationProblem {
    /// Each field that cannot be taken.
    detail: Vec<FieldProblem>,
}

impl<S: Send + Sync> FromRequest<S> for PasswordRequestForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read(fields(request, state).await?, GrantType::Optional)
    }
}

impl<S: Send + Sync> FromRequest<S> for StrictPasswordRequestForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read(fields(request, state).await?, GrantType::Required).map(Self)
    }
}

/// Whether `grant_type` must be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GrantType {
    Optional,
    Required,
}

async fn fields<S: Send + Sync>(request: Request, state: &S) -> Result<Vec<(String, String)>, ApiError> {
    match media_type(request.headers()).as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let body = read_bytes(request, state).await?;
            Ok(url::form_urlencoded::parse(&body).into_owned().collect())
        }
        Some("multipart/form-data") => multipart(request, state).await,
        // As FastAPI does: another body holds none of the form's fields.
        _ => Ok(Vec::new()),
    }
}

async fn multipart<S: Send + Sync>(request: Request, state: &S) -> Result<Vec<(String, String)>, ApiError> {
    let broken = |status| {
        if status == ErrorCode::BodyTooLarge.status() {
            ApiError::new(ErrorCode::BodyTooLarge, "The body is larger than this service takes.")
        } else {
            ApiError::new(ErrorCode::MalformedBody, "There was an error parsing the body")
        }
    };
    let mut form = Multipart::from_request(request, state).await.map_err(|error| broken(error.status()))?;
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| broken(error.status()))? {
        let name = field.name().unwrap_or_default().to_owned();
        fields.push((name, field.text().await.map_err(|error| broken(error.status()))?));
    }
    Ok(fields)
}

fn read(fields: Vec<(String, String)>, wanted: GrantType) -> Result<PasswordRequestForm, ApiError> {
    // The last of several wins, and an empty one counts as missing, as in FastAPI.
    let take = |name: &str| {
        fields
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    let mut problems = Vec::new();
    let grant_type = take("grant_type");
    match &grant_type {
        Some(grant_type) if grant_type != "password" => problems.push(FieldProblem {
            input: json!(grant_type.chars().take(64).collect::<String>()),
            ctx: Some(json!({ "pattern": "^password$" })),
            ..FieldProblem::body("grant_type", "string_pattern_mismatch", "String should match pattern '^password$'")
        }),
        None if wanted == GrantType::Required => problems.push(FieldProblem::missing("grant_type")),
        Some(_) | None => {}
    }
    let mut required = |name| {
        take(name).unwrap_or_else(|| {
            problems.push(FieldProblem::missing(name));
            String::new()
        })
    };
    let username = required("username");
    let password = SecretText::new(required("password"));
    let scope = Scopes::parse(&take("scope").unwrap_or_default()).unwrap_or_else(|error| {
        problems.push(FieldProblem::body("scope", "invalid_scope", error.to_string()));
        Scopes::default()
    });
    if problems.is_empty() {
        let (client_id, client_secret) = (take("client_id"), take("client_secret").map(SecretText::new));
        Ok(PasswordRequestForm { grant_type, username, password, scope, client_id, client_secret })
    } else {
        Err(ApiError::validation(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)], wanted: GrantType) -> Result<PasswordRequestForm, ApiError> {
        read(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), wanted)
    }

    #[test]
    fn every_field_is_handed_on() {
        let fields = [
            ("grant_type", "password"),
            ("username", "johndoe"),
            ("password", "secret"),
            ("scope", "me items"),
            ("client_id", "web"),
            ("client_secret", "hush"),
        ];
        let read = form(&fields, GrantType::Required).unwrap();
        assert_eq!((read.grant_type.as_deref(), read.client_id.as_deref()), (Some("password"), Some("web")));
        assert_eq!(read.client_secret.as_ref().unwrap().expose(), "hush");
        assert!(!format!("{read:?}").contains("hush") && !format!("{read:?}").contains("secret\""));
    }

    #[test]
    fn only_the_strict_form_wants_a_grant_type() {
        let fields = [("username", "johndoe"), ("password", "secret")];
        assert_eq!(form(&fields, GrantType::Optional).unwrap().grant_type, None);
        assert_eq!(form(&fields, GrantType::Required).unwrap_err().fields(), [FieldProblem::missing("grant_type")]);
        for wanted in [GrantType::Optional, GrantType::Required] {
            let other = form(&[fields[0], fields[1], ("grant_type", "code")], wanted).unwrap_err();
            assert_eq!(other.fields()[0].kind, "string_pattern_mismatch");
        }
    }
}
