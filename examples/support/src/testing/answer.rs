//! What an example answered.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer other than success, in FastAPI's form.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The text of `{"detail": …}`.
    pub detail: &'static str,
    /// `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
}

impl Refusal {
    /// What every route that needs a token answers without one.
    pub const NOT_AUTHENTICATED: Self = Self::challenging("Not authenticated", "Bearer");

    /// Without a challenge.
    pub const fn plain(status: u16, detail: &'static str) -> Self {
        Self { status, detail, challenge: None }
    }

    /// 401 with a challenge.
    pub const fn challenging(detail: &'static str, challenge: &'static str) -> Self {
        Self { status: 401, detail, challenge: Some(challenge) }
    }
}

impl Answer {
    /// Sends a request and reads its answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// A header that comes once or not at all.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} comes {} times", values.len());
        values.first().map(|value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON, whose media type must be that.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Fails unless the answer is this status with exactly this JSON, and no challenge.
    #[track_caller]
    pub fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.json()), (status, body));
        assert_eq!(self.header("www-authenticate"), None);
    }

    /// Fails unless the answer is this refusal and nothing else. `what` is what was refused.
    #[track_caller]
    pub fn refuses(&self, refusal: Refusal, what: impl AsRef<str>) {
        let what = what.as_ref();
        assert_eq!((self.status, self.json()), (refusal.status, json!({ "detail": refusal.detail })), "{what}");
        assert_eq!(self.header("www-authenticate"), refusal.challenge, "{what}");
    }

    /// Fails unless the answer is 422 and says that exactly these fields of the body are missing.
    #[track_caller]
    pub fn misses(&self, fields: &[&str], what: &str) {
        let problem =
            |field| json!({ "type": "missing", "loc": ["body", field], "msg": "Field required", "input": null });
        let problems: Vec<Value> = fields.iter().map(problem).collect();
        assert_eq!((self.status, self.json()), (422, json!({ "detail": problems })), "{what}");
        assert_eq!(self.header("www-authenticate"), None);
    }
}
