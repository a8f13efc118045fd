//! Whatever a test does with a server: no secret that the server gave out is in an error that it answered, in its
//! database, or in what it logged. That is looked at when the server ends, so the whole run is searched.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use crate::database;
use crate::server::PASSWORD;

/// What holds a secret in an answer.
const SECRET_FIELDS: [&str; 6] = ["access_token", "refresh_token", "device_token", "client_secret", "ticket", "token"];
/// Answers are small here.
const MAX_BODY: usize = 1024 * 1024;

/// Everything that this process has logged of ours so far, down to `trace`.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A writer into [`LOG`].
pub(crate) struct WholeLog;

impl Write for WholeLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What one server has said.
pub(crate) struct Said {
    /// Where its log begins.
    log: usize,
    secrets: Mutex<BTreeSet<String>>,
    errors: Mutex<Vec<String>>,
}

impl Said {
    pub(crate) fn new() -> Arc<Self> {
        crate::captured_log::install();
        let log = LOG.lock().unwrap().len();
        let secrets = Mutex::new(BTreeSet::from([PASSWORD.to_owned()]));
        Arc::new(Self { log, secrets, errors: Mutex::default() })
    }

    /// Looks for what must be nowhere.
    pub(crate) fn check(&self, directory: &Path) {
        let secrets = self.secrets.lock().unwrap();
        let mut places: Vec<(String, Vec<u8>)> = self
            .errors
            .lock()
            .unwrap()
            .iter()
            .map(|error| (format!("an error: {error}"), error.clone().into()))
            .collect();
        places.push(("the log".to_owned(), LOG.lock().unwrap()[self.log..].to_vec()));
        if !database::is_postgres() {
            for file in ["mapae.db", "mapae.db-wal"] {
                places.push((file.to_owned(), std::fs::read(directory.join(file)).unwrap_or_default()));
            }
        }
        for (place, content) in &places {
            let text = String::from_utf8_lossy(content);
            for secret in secrets.iter() {
                assert!(!text.contains(secret.as_str()), "a secret that this test used is in {place}");
            }
        }
    }

    /// This test types the password where another thing belongs: such an error tells it back to whoever typed it.
    pub(crate) fn password_is_typed_anywhere(&self) {
        self.secrets.lock().unwrap().remove(PASSWORD);
    }

    /// Keeps what is secret of an answer.
    fn note(&self, body: &Value) {
        match body {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if SECRET_FIELDS.contains(&name.as_str()) => {
                            // Header and claims of a token are no secret.
                            let secret = text.rsplit('.').next().unwrap_or(text);
                            self.secrets.lock().unwrap().insert(secret.to_owned());
                        }
                        other => self.note(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.note(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Looks at every answer of JSON on its way out.
pub(crate) async fn listen(State(said): State<Arc<Said>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().windows(4).any(|w| w == b"json"));
    if !is_json {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_BODY).await.expect("a small body");
    if parts.status.is_success() {
        said.note(&serde_json::from_slice(&bytes).unwrap_or_default());
    } else {
        said.errors.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Response::from_parts(parts, Body::from(bytes))
}
