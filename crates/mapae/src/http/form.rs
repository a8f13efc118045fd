//! The OAuth2 password form (RFC 6749 §4.3.2) as FastAPI's tutorial reads it.

use axum::extract::{FromRequest, Multipart, Request};
use mapae_verify::Scopes;
use serde_json::json;

use super::body::{media_type, read_bytes};
use super::error::{ApiError, ErrorCode, FieldProblem};
use crate::domain::SecretText;

/// The fields of the form. `client_id` and `client_secret` are taken and ignored, as the tutorials do.
#[derive(Debug)]
pub struct PasswordRequestForm {
    /// A user name or an e-mail address.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// The scopes asked for; none means all but explicit ones.
    pub scope: Scopes,
}

/// The OAuth2 password form (RFC 6749 §4.3.2).
#[cfg(feature = "openapi")]
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PasswordRequestForm")]
#[expect(dead_code, reason = "it only stands for the form in the OpenAPI document")]
pub(super) struct Documented {
    /// Must be `password` if it is sent.
    #[schemars(regex(pattern = "^password$"))]
    grant_type: Option<String>,
    /// A user name or an e-mail address.
    username: String,
    /// The password.
    #[schemars(extend("format" = "password"))]
    password: String,
    /// Scopes, separated by spaces.
    scope: Option<String>,
    /// Taken and ignored here.
    client_id: Option<String>,
    /// Taken and ignored here.
    #[schemars(extend("format" = "password"))]
    client_secret: Option<String>,
}

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
        let fields = match media_type(request.headers()).as_deref() {
            Some("application/x-www-form-urlencoded") => {
                let body = read_bytes(request, state).await?;
                url::form_urlencoded::parse(&body).into_owned().collect()
            }
            Some("multipart/form-data") => multipart(request, state).await?,
            // As FastAPI does: another body holds none of the form's fields.
            _ => Vec::new(),
        };
        read(fields)
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

fn read(fields: Vec<(String, String)>) -> Result<PasswordRequestForm, ApiError> {
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
    if let Some(grant_type) = take("grant_type").filter(|grant_type| grant_type != "password") {
        problems.push(FieldProblem {
            input: json!(grant_type.chars().take(64).collect::<String>()),
            ctx: Some(json!({ "pattern": "^password$" })),
            ..FieldProblem::body("grant_type", "string_pattern_mismatch", "String should match pattern '^password$'")
        });
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
        Ok(PasswordRequestForm { username, password, scope })
    } else {
        Err(ApiError::validation(problems))
    }
}
