//! The id of a minted token in the path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::ApiError;
use super::minted::no_such_token;

#[derive(Deserialize, JsonSchema)]
pub(super) struct MintedPath {
    /// The token's id, which is not the token itself.
    token: String,
}

/// What cannot be an id is the id of none.
pub(super) struct MintedId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for MintedId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<MintedPath>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|_| no_such_token())?.0.token))
    }
}
