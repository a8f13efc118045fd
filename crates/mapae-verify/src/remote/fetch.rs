//! One fetch of a JWK Set.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;
use reqwest::{Client, Url};

use super::schedule::max_age;
use crate::{JwkSet, KeyError, KeySet, SkippedKey};

/// Why keys could not be fetched.
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
    /// The background task has ended together with the runtime that it was started in.
    #[error("keys are not fetched any more")]
    Stopped,
}

/// What a fetch brought.
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

impl Fetcher {
    pub(super) async fn fetch(&self) -> Result<Fetched, FetchError> {
        let request = self.client.get(self.url.clone()).header(ACCEPT, "application/jwk-set+json, application/json");
        let mut response = request.send().await.map_err(no_answer)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let max_age = max_age(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if chunk.len() > self.max_bytes - body.len() {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let (keys, skipped) = read(&body)?;
        Ok(Fetched { keys, skipped, max_age })
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
