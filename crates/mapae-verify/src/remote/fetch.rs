//! One fetch.

use std::error::Error;
use std::time::Duration;

use http::header::{ACCEPT, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Client, Url};

use super::schedule::max_age;
use crate::revocations::FeedError;
use crate::{JwkSet, KeyError, KeySet, SkippedKey};

/// Why keys, or a feed of revocations, could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer: no connection, no trusted certificate, not in time, or broken off.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer with another status than 200. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer is not a JWK Set.
    #[error("the answer is not a JWK Set")]
    NotAJwkSet,
    /// The set holds no key that can be used here.
    #[error("the set holds no usable key")]
    NoUsableKey,
    /// The answer is not a feed of revocations, or not one to be believed.
    #[error("the answer is not a feed to be believed: {0}")]
    Feed(#[from] FeedError),
    /// The background task has ended together with the runtime that it was started in.
    #[error("nothing is fetched any more")]
    Stopped,
}

/// Which keys a fetch brought.
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) skipped: Vec<SkippedKey>,
    pub(super) max_age: Option<Duration>,
}

pub(super) struct Fetcher {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) max_bytes: usize,
}

pub(super) enum Answer {
    Content {
        headers: HeaderMap,
        body: Vec<u8>,
    },
    /// What has this entity tag is still what would be answered.
    NotModified,
}

impl Fetcher {
    pub(super) async fn get(
        &self,
        media_types: &'static str,
        entity_tag: Option<&HeaderValue>,
    ) -> Result<Answer, FetchError> {
        let mut request = self.client.get(self.url.clone()).header(ACCEPT, media_types);
        if let Some(entity_tag) = entity_tag {
            request = request.header(IF_NONE_MATCH, entity_tag);
        }
        let mut response = request.send().await.map_err(no_answer)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if entity_tag.is_some() => return Ok(Answer::NotModified),
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if chunk.len() > self.max_bytes - body.len() {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Content { headers, body })
    }

    pub(super) async fn fetch_keys(&self) -> Result<Fetched, FetchError> {
        match self.get("application/jwk-set+json, application/json", None).await? {
            Answer::Content { headers, body } => {
                let (keys, skipped) = read(&body)?;
                Ok(Fetched { keys, skipped, max_age: max_age(&headers) })
            }
            Answer::NotModified => Err(FetchError::Status(StatusCode::NOT_MODIFIED.as_u16())),
        }
    }

    /// The address for the log, without the query, which can hold a credential.
    pub(super) fn shown_url(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }
}

/// The usable keys of a set, and the others.
fn read(body: &[u8]) -> Result<(KeySet, Vec<SkippedKey>), FetchError> {
    let set: JwkSet = serde_json::from_slice(body).map_err(|_| FetchError::NotAJwkSet)?;
    // Whoever can read a shared secret here can make tokens with it.
    let (secret, public): (Vec<_>, Vec<_>) = set.keys.into_iter().partition(|jwk| jwk.kty == "oct");
    let (keys, mut skipped) = KeySet::from_jwks(&JwkSet { keys: public });
    skipped.extend(secret.into_iter().map(|jwk| SkippedKey { kid: jwk.kid, reason: KeyError::MixedSet }));
    if keys.is_empty() { Err(FetchError::NoUsableKey) } else { Ok((keys, skipped)) }
}

/// An error of the client with its causes, without the URL, which the log names already.
fn no_answer(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    FetchError::NoAnswer(text)
}
