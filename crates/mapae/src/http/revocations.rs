//! `/.well-known/revocations`: the signed feed that verifiers elsewhere poll.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::api::{ApiRouter, answers_as, get_with};
use super::error::ApiError;
use crate::Service;
use crate::service::{FeedFailure, SignedFeed};

/// A compact JWS; its own header says what kind.
const MEDIA_TYPE: &str = "application/jwt";
/// Kept, but asked about each time.
const CACHE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/.well-known/revocations",
        get_with(feed, |op| {
            let op = op
                .id("revocations")
                .tag("keys")
                .summary("What ended before its tokens expire, signed")
                .description("For verifiers elsewhere, which poll it with `If-None-Match`.");
            answers_as::<200, String>(op, MEDIA_TYPE)
        }),
    )
}

async fn feed(State(service): State<Service>, headers: HeaderMap) -> Result<Response, ApiError> {
    let feed = service.revocation_feed().await?;
    let tag = format!("\"{}\"", feed.etag);
    let validators = [CACHE, (ETAG, HeaderValue::try_from(&tag).unwrap_or(HeaderValue::from_static("\"\"")))];
    if matches(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, validators).into_response());
    }
    Ok((validators, [(CONTENT_TYPE, MEDIA_TYPE)], Body::from(Bytes::from_owner(Text(feed)))).into_response())
}

/// Shared by all answers: it may be a megabyte.
struct Text(Arc<SignedFeed>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.text.as_bytes()
    }
}

/// `If-None-Match` (RFC 9110 §13.1.2), where weak and strong tags are the same.
fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

impl From<FeedFailure> for ApiError {
    fn from(error: FeedFailure) -> Self {
        match error {
            FeedFailure::Store(error) => error.into(),
            FeedFailure::NoKey | FeedFailure::Sign(_) => Self::internal(&error),
        }
    }
}
