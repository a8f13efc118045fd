//! Parameters of the query.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64_simd::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use super::error::{ApiError, FieldProblem};

/// Query parameters whose rejection is an error of ours.
pub(super) struct Params<Q>(pub(super) Q);

impl<Q: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<Q> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await.map_err(|error: QueryRejection| {
            ApiError::validation(vec![FieldProblem::query("query", "invalid", error.body_text())])
        })?;
        Ok(Self(query.0))
    }
}

/// How many rows a page has: 1 to `most`.
pub(super) fn limit(given: Option<u64>, default: u64, most: u64, problems: &mut Vec<FieldProblem>) -> u64 {
    let limit = given.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        problems.push(FieldProblem::query("limit", "out_of_range", format!("Input should be from 1 to {most}")));
    }
    limit
}

/// Where the next page begins, as clients give it back.
pub(super) fn cursor(id: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(id)
}

/// The id in a cursor that `read` takes for one.
pub(super) fn decode_cursor<T>(
    cursor: Option<&str>,
    read: impl FnOnce(String) -> Option<T>,
    problems: &mut Vec<FieldProblem>,
) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(cursor?).ok();
    let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(read);
    if id.is_none() {
        problems.push(FieldProblem::query("cursor", "invalid_cursor", "Use next_cursor of the page before"));
    }
    id
}
