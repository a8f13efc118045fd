//! What an application under test answered.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::response::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub struct TestResponse {
    parts: Parts,
    body: Bytes,
}

impl TestResponse {
    pub(super) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await;
        Self { parts, body: body.unwrap_or_else(|error| panic!("the answer broke off: {error}")) }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.parts.status.as_u16()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|error| panic!("the body is no text: {error}"))
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.json_as()
    }

    /// The body as JSON of a type of the application's own.
    #[track_caller]
    pub fn json_as<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Fails, showing the body, unless the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}", self.text());
        self
    }
}
