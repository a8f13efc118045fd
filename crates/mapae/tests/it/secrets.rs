//! Whatever a test does with a server: no secret that the server gave out is in an error that it answered, in its
//! database, or in what it logged. That is looked at when the server ends, so the whole run is searched.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use crate::database;
use crate::server::{PASSWORD, Server};

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
        if let Some(place) = self.found(directory) {
            panic!("a secret that this test used is in {place}");
        }
    }

    /// Where one of the secrets is.
    fn found(&self, directory: &Path) -> Option<String> {
        let secrets = self.secrets.lock().unwrap().clone();
        let mut places: Vec<(String, Vec<u8>)> = self
            .errors
            .lock()
            .unwrap()
            .iter()
            .map(|error| (format!("an error: {error}"), error.clone().into()))
            .collect();
        places.push(("the log".to_owned(), LOG.lock().unwrap()[self.log..].to_vec()));
        if !database::is_postgres() {
            places.push(("mapae.db".to_owned(), std::fs::read(directory.join("mapae.db")).expect("the database")));
            // Gone once the database was closed.
            let log = std::fs::read(directory.join("mapae.db-wal")).unwrap_or_default();
            places.push(("mapae.db-wal".to_owned(), log));
        }
        let holds = |content: &[u8]| {
            let text = String::from_utf8_lossy(content);
            secrets.iter().any(|secret| text.contains(secret.as_str()))
        };
        places.into_iter().find(|(_, content)| holds(content)).map(|(place, _)| place)
    }

    /// This test types the password where another thing belongs: such an error tells it back to whoever typed it.
    pub(crate) fn password_is_typed_anywhere(&self) {
        self.secrets.lock().unwrap().remove(PASSWORD);
    }

    fn keep(&self, text: &str) {
        // Header and claims of a token are no secret.
        let secret = text.rsplit('.').next().unwrap_or(text);
        // A cookie that is taken back is empty.
        if !secret.is_empty() {
            self.secrets.lock().unwrap().insert(secret.to_owned());
        }
    }

    /// Keeps what is secret of an answer.
    fn note(&self, body: &Value) {
        match body {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if SECRET_FIELDS.contains(&name.as_str()) => {
                            self.keep(text);
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
    for cookie in response.headers().get_all(SET_COOKIE) {
        let value = String::from_utf8_lossy(cookie.as_bytes());
        let value = value.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, value)| value);
        said.keep(value);
    }
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

/// Whatever is planted is found: in an error, in the log, in the database.
#[tokio::test]
async fn a_secret_that_is_somewhere_is_found() {
    let finds = |server: &Server| server.said.found(server.directory()).is_some();
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    assert!(!finds(&server));
    let signature = token.rsplit('.').next().unwrap();
    server.said.errors.lock().unwrap().push(format!("no such token {signature}"));
    assert!(finds(&server));
    server.said.errors.lock().unwrap().clear();
    if database::is_file("a secret in it") {
        let account = format!("{{\"username\":\"bob\",\"full_name\":\"{signature}\",\"password\":\"{PASSWORD}\"}}");
        let signup = server.post("/users/signup").header("content-type", "application/json").body(account);
        assert_eq!(signup.send().await.unwrap().status(), 201);
        assert!(finds(&server));
        server.said.secrets.lock().unwrap().remove(signature);
    }
    assert!(!finds(&server));
    // Another one than the password, since servers of other tests look through the same log.
    server.said.keep("planted in the log");
    assert!(!finds(&server));
    tracing::trace!(target: "mapae", "planted in the log");
    assert!(finds(&server));
    server.said.secrets.lock().unwrap().clear();
}
