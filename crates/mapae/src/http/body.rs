//! JSON bodies, read field by field, so that one answer names every field that cannot be taken.

use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use mapae_verify::Scopes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{ApiError, ErrorCode, FieldProblem};
use crate::domain::SecretText;

/// A JSON object of known fields. Others are refused: a misspelled or forbidden field must not pass silently.
pub(super) struct JsonBody<T>(pub(super) T);

/// Reads itself from the fields of a JSON object.
pub(super) trait FromFields: Sized {
    fn read(fields: &mut Fields) -> Self;
}

/// The fields of a body that nobody has read yet, and what was wrong with those read.
pub(super) struct Fields {
    left: Map<String, Value>,
    problems: Vec<FieldProblem>,
}

impl Fields {
    /// A text that must be there.
    pub(super) fn string(&mut self, name: &str) -> String {
        match self.left.remove(name) {
            Some(Value::String(text)) => text,
            Some(_) => self.not_a_string(name),
            None => {
                self.problems.push(FieldProblem::missing(name));
                String::new()
            }
        }
    }

    /// A text that may be absent or null.
    pub(super) fn optional_string(&mut self, name: &str) -> Option<String> {
        self.nullable_string(name).flatten()
    }

    /// A text that may be absent (`None`) or null (`Some(None)`).
    pub(super) fn nullable_string(&mut self, name: &str) -> Option<Option<String>> {
        match self.left.remove(name) {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => Some(Some(self.not_a_string(name))),
        }
    }

    /// A secret that must be there.
    pub(super) fn secret(&mut self, name: &str) -> SecretText {
        SecretText::new(self.string(name))
    }

    /// A secret that may be absent.
    pub(super) fn optional_secret(&mut self, name: &str) -> Option<SecretText> {
        self.optional_string(name).map(SecretText::new)
    }

    /// `true` or `false`, or absent.
    pub(super) fn optional_bool(&mut self, name: &str) -> Option<bool> {
        match self.left.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(value)) => Some(value),
            Some(_) => {
                self.problems.push(FieldProblem::body(name, "bool_type", "Input should be true or false"));
                None
            }
        }
    }

    /// A whole number, or absent.
    pub(super) fn optional_number(&mut self, name: &str) -> Option<u32> {
        match self.left.remove(name)? {
            Value::Null => None,
            value => value.as_u64().and_then(|number| u32::try_from(number).ok()).or_else(|| {
                self.problems.push(FieldProblem::body(name, "int_type", "Input should be a whole number"));
                None
            }),
        }
    }

    /// Several texts; absent means none.
    pub(super) fn strings(&mut self, name: &str) -> Vec<String> {
        let texts = match self.left.remove(name) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        texts.unwrap_or_else(|| {
            self.problems.push(FieldProblem::body(name, "list_type", "Input should be a list of strings"));
            Vec::new()
        })
    }

    /// Scopes, as one space separated text; absent means none.
    pub(super) fn scopes(&mut self, name: &str) -> Scopes {
        let text = self.optional_string(name).unwrap_or_default();
        Scopes::parse(&text).unwrap_or_else(|error| {
            self.problems.push(FieldProblem::body(name, "invalid_scope", error.to_string()));
            Scopes::default()
        })
    }

    fn not_a_string(&mut self, name: &str) -> String {
        self.problems.push(FieldProblem::body(name, "string_type", "Input should be a valid string"));
        String::new()
    }

    fn finish(mut self) -> Result<(), ApiError> {
        for name in self.left.keys().take(20) {
            let name: String = name.chars().take(64).collect();
            self.problems.push(FieldProblem::body(&name, "extra_forbidden", "There is no such field"));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::validation(self.problems)) }
    }
}

impl<T: FromFields, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                "Send JSON, with Content-Type: application/json.",
            ));
        }
        let body = read_bytes(request, state).await?;
        let Object(left) = serde_json::from_slice(&body).map_err(|error| {
            let detail = if error.is_data() {
                "The body must be a JSON object with each field once.".to_owned()
            } else {
                // Such a message names line and column, and no part of the body.
                format!("The body is not JSON: {error}.")
            };
            ApiError::new(ErrorCode::MalformedBody, detail)
        })?;
        let mut fields = Fields { left, problems: Vec::new() };
        let read = T::read(&mut fields);
        fields.finish()?;
        Ok(Self(read))
    }
}

/// A JSON object without repeated names: of two values, a program before this one may have looked at the other.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = members.next_entry()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field comes twice"));
                    }
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// The whole body, within the limit.
pub(super) async fn read_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| match &rejection {
        BytesRejection::FailedToBufferBody(_) if rejection.status() == ErrorCode::BodyTooLarge.status() => {
            ApiError::new(ErrorCode::BodyTooLarge, "The body is larger than this service takes.")
        }
        _ => ApiError::new(ErrorCode::MalformedBody, "The body broke off."),
    })
}

/// The media type of a request, lower case and without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether a request says that its body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| {
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    })
}

/// As axum's `Json`, of what was written before. It does not say what it is in the OpenAPI document.
pub(super) fn written_json(body: serde_json::Result<Bytes>) -> Response {
    match body {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            ApiError::new(ErrorCode::Internal, "Something went wrong on the server.").into_response()
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use schemars::JsonSchema;

    use super::*;

    /// Fails when the fields that `T` reads are not those that its schema documents.
    pub(crate) fn assert_documented<T: FromFields + JsonSchema>() {
        let schema = schemars::schema_for!(T).to_value();
        let documented = schema["properties"].as_object().expect("a schema of an object");
        for (name, property) in documented {
            let sample = if property.to_string().contains("boolean") { Value::Bool(true) } else { "me".into() };
            let mut fields = Fields { left: Map::from_iter([(name.clone(), sample)]), problems: Vec::new() };
            T::read(&mut fields);
            assert!(fields.left.is_empty(), "{name} is documented but not read");
        }
        let mut fields = Fields { left: Map::new(), problems: Vec::new() };
        T::read(&mut fields);
        for problem in fields.problems {
            let name = problem.loc.last().unwrap();
            assert!(documented.contains_key(name), "{name} is required but not documented");
        }
    }
}
