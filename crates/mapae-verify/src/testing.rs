//! For tests: whether an OpenAPI document says of every route what the route asks for (feature `testing`).
//!
//! Works on the document as JSON, whoever made it: utoipa, aide, or a person.

mod operation;

use std::fmt;

use axum_core::body::Body;
use axum_core::response::IntoResponse;
use http::header::WWW_AUTHENTICATE;
use http::{Request, StatusCode};
use serde_json::Value;
use tower::{Service, ServiceExt};

use self::operation::{Operation, operations};

/// Calls every operation of the document without a token, in the same process and without a network, and compares the
/// answers with the documented `security`:
///
/// - where a token is required, the answer must be 401 with a `Bearer` challenge in `WWW-Authenticate`;
/// - where none is, the answer must be anything but 401;
/// - every scheme that is named must be declared.
///
/// Parameters in paths are filled with their `example`, or with something that fits their type. Returns how many
/// operations were called. Open operations are really carried out, so do this where nothing can be lost. A route that
/// is not in the document is not seen.
///
/// ```
/// use axum::{Router, routing::get};
/// use mapae_verify::axum::{Bearer, TokenVerifier};
/// use mapae_verify::testing::check_security;
/// use serde_json::json;
///
/// # async fn test(verifier: TokenVerifier) -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().route("/items/{id}", get(async |_: Bearer| "an item")).with_state(verifier);
/// let document = json!({
///     "openapi": "3.1.0",
///     "paths": { "/items/{id}": { "get": { "security": [{ "OAuth2PasswordBearer": [] }] } } },
///     "components": { "securitySchemes": { "OAuth2PasswordBearer": { "type": "oauth2", "flows": {} } } },
/// });
/// assert_eq!(check_security(router, &document).await?, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// All differences at once, one line for each.
pub async fn check_security<Router>(router: Router, document: &Value) -> Result<usize, SecurityMismatch>
where
    Router: Service<Request<Body>> + Clone,
    Router::Response: IntoResponse,
    Router::Error: fmt::Debug,
{
    let operations = operations(document);
    let mut differences = Vec::new();
    if operations.is_empty() {
        differences.push("the document has no operations".to_owned());
    }
    for operation in &operations {
        let name = format!("{} {}", operation.method, operation.path);
        for scheme in operation.undeclared(document) {
            differences.push(format!("{name}: names the security scheme `{scheme}`, which is not declared"));
        }
        let Ok(request) = operation.request() else {
            differences.push(format!("{name}: cannot be called, the path is not one"));
            continue;
        };
        let response = match router.clone().oneshot(request).await {
            Ok(response) => response.into_response(),
            Err(error) => {
                differences.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let is_challenged = challenges.filter_map(|value| value.to_str().ok()).any(is_bearer);
        differences.extend(
            difference(operation, document, response.status(), is_challenged).map(|text| format!("{name}: {text}")),
        );
    }
    if differences.is_empty() { Ok(operations.len()) } else { Err(SecurityMismatch { differences }) }
}

/// What is wrong with an answer to a request without a token.
fn difference(operation: &Operation<'_>, document: &Value, status: StatusCode, is_challenged: bool) -> Option<String> {
    let unauthorized = status == StatusCode::UNAUTHORIZED;
    if !operation.needs_credentials() {
        return unauthorized.then(|| "documented as open, but asks for a token (401)".to_owned());
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        return Some("documented, but there is no such route (405)".to_owned());
    }
    if !unauthorized {
        return Some(format!("documented as protected, but answers {} without a token", status.as_u16()));
    }
    let is_missing = operation.wants_bearer(document) && !is_challenged;
    is_missing.then(|| "answers 401 without a `Bearer` challenge in WWW-Authenticate".to_owned())
}

/// Whether a challenge is one for bearer tokens (RFC 6750 §3).
fn is_bearer(challenge: &str) -> bool {
    challenge.split([' ', ',']).any(|word| word.eq_ignore_ascii_case("bearer"))
}

/// The differences that [`check_security`] found. Prints them one to a line, also with `Debug`, so that `unwrap` shows
/// them readably.
#[derive(Clone, PartialEq, Eq)]
pub struct SecurityMismatch {
    differences: Vec<String>,
}

impl SecurityMismatch {
    /// The differences, in the order of the document.
    #[must_use]
    pub fn differences(&self) -> &[String] {
        &self.differences
    }
}

impl fmt::Display for SecurityMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the document does not say what the routes do:")?;
        self.differences.iter().try_for_each(|difference| write!(f, "\n- {difference}"))
    }
}

impl fmt::Debug for SecurityMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SecurityMismatch {}
