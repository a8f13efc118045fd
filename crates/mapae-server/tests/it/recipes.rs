//! The recipes of `docs/verify-elsewhere.md`, run from its very text beside a running server.

use std::process::Command;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::Issuer;
use crate::programs::{Running, free_port, node, node_directory, python, run};
use crate::server::{PASSWORD, Server, now};
use crate::support::{GOOD_KEY, Home};

const PAGE: &str = include_str!("../../../../docs/verify-elsewhere.md");
const MOST_LINES: usize = 30;
/// Within which a token must be refused after its session ended.
const LIMIT: Duration = Duration::from_secs(6);

/// The block that follows the file's name.
fn recipe(file: &str) -> String {
    let block = PAGE.split(&format!("\n`{file}`:\n\n```")).nth(1).unwrap_or_else(|| panic!("no recipe {file}"));
    let text = block.split("\n```\n").next().expect("at least one part");
    text.split_once('\n').expect("a language").1.to_owned() + "\n"
}

fn write(directory: &TempDir, files: &[&str]) {
    for file in files {
        std::fs::write(directory.path().join(file), recipe(file)).expect("the recipe is written");
    }
}

/// A recipe as a process.
struct Service {
    url: String,
    _running: Running,
    _directory: TempDir,
}

impl Service {
    fn start(mut command: Command, directory: TempDir, issuer: &str) -> Self {
        let running = Running::start(command.current_dir(&directory).env("ISSUER", issuer));
        Self { url: running.url(), _running: running, _directory: directory }
    }

    fn fastapi(issuer: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(&directory, &["revocations.py", "app.py"]);
        let mut command = python();
        command.args(["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", "0"]);
        Self::start(command, directory, issuer)
    }

    fn node(issuer: &str) -> Self {
        let directory = node_directory();
        write(&directory, &["revocations.mjs", "app.mjs"]);
        let mut command = node();
        command.arg("app.mjs").env("PORT", "0");
        Self::start(command, directory, issuer)
    }

    /// Status, challenge and body.
    async fn get(&self, token: Option<&str>) -> (u16, String, Value) {
        let request = Client::new().get(format!("{}/items", self.url));
        let answer = send(if let Some(token) = token { request.bearer_auth(token) } else { request }).await;
        let challenge = answer.headers().get("www-authenticate").map_or("", |value| value.to_str().expect("ASCII"));
        (answer.status().as_u16(), challenge.to_owned(), answer.json().await.unwrap_or_default())
    }

    /// Waits until the token is answered so; for how long.
    async fn becomes(&self, token: &str, status: u16) -> Duration {
        let start = now();
        loop {
            let answer = self.get(Some(token)).await;
            if answer.0 == status {
                return start.elapsed();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{answer:?}, not {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn send(request: RequestBuilder) -> reqwest::Response {
    request.send().await.expect("an answer")
}

/// Access and refresh token.
async fn sign_in(server: &Server, name: &str) -> (String, String) {
    let (status, tokens) = server.sign_in(name, PASSWORD, "").await;
    assert_eq!(status, 200, "{tokens}");
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

/// `kid` of a token.
fn key_id(token: &str) -> String {
    let header = token.split('.').next().expect("at least one part");
    let header = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// A token for another service, by a client that asks for itself.
async fn for_another_service(issuer: &Issuer) -> String {
    let add = ["client", "add", "--id", "job", "--confidential", "--grants", "client_credentials", "--scopes", "me"];
    let added = issuer.home.beside(&[&add[..], &["--audience", "https://else.example", "--json"]].concat());
    let added: Value = serde_json::from_str(&added.stdout).unwrap_or_else(|_| panic!("{added:?}"));
    let secret = added["client_secret"].as_str().expect("a secret");
    let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", secret)];
    let request = Client::new().post(format!("{}/oauth2/token", issuer.server.url)).form(&form);
    let answer: Value = send(request).await.json().await.expect("JSON");
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What every recipe must do.
async fn try_out(start: fn(&str) -> Service) {
    let mut issuer = Issuer::start();
    let server = &issuer.server;
    issuer.home.sign_up("bob");
    let service = start(&server.url);
    let (ends, refresh_token) = sign_in(server, "ada").await;
    let (stays, _) = sign_in(server, "ada").await;
    let (bobs, _) = sign_in(server, "bob").await;
    // It may still be waiting for its first feed.
    service.becomes(&ends, 200).await;
    for token in [&ends, &stays] {
        assert_eq!(service.get(Some(token)).await.2, json!({ "owner": issuer.ada }));
    }
    assert_eq!(service.get(Some(&bobs)).await.0, 200);

    let stranger = Server::start_at_its_own_address(&Home::new(), &[("MAPAE_SIGNUP", "open")]);
    let account = json!({ "username": "ada", "password": PASSWORD });
    let signed_up = send(Client::new().post(format!("{}/users/signup", stranger.url)).json(&account)).await;
    assert_eq!(signed_up.status(), 201);
    let (strange, _) = sign_in(&stranger, "ada").await;
    let feed = send(Client::new().get(format!("{}/.well-known/revocations", server.url))).await;
    let feed = feed.text().await.expect("text");
    let (rest, end) = ends.split_at(ends.len() - 6);
    let changed = format!("{rest}{}", if end == "AAAAAA" { "BBBBBB" } else { "AAAAAA" });
    let elsewhere = for_another_service(&issuer).await;
    let huge = "x".repeat(10_000);
    for bad in ["", "x", "a.b.c", "é", &huge, &changed, &refresh_token, &strange, &elsewhere, &feed] {
        let (status, challenge, body) = service.get(Some(bad)).await;
        assert_eq!((status, challenge.starts_with("Bearer")), (401, true), "{bad}: {body}");
    }
    let (status, challenge, _) = service.get(None).await;
    assert_eq!((status, challenge.starts_with("Bearer")), (401, true));

    let signed_out = send(Client::new().post(format!("{}/users/signout", server.url)).bearer_auth(&ends)).await;
    assert_eq!(signed_out.status(), 204);
    let session = service.becomes(&ends, 401).await;
    assert_eq!(issuer.home.beside(&["user", "disable", "bob"]).status, Some(0));
    let account = service.becomes(&bobs, 401).await;
    println!("refused {session:.1?} after signing out, {account:.1?} after the account was disabled");
    assert!(session < LIMIT && account < LIMIT, "{session:?}, {account:?}");
    assert_eq!(service.get(Some(&stays)).await.0, 200);
    // The next key signs from then on, the feed too.
    let revoked = issuer.home.beside(&["key", "revoke", &key_id(&stays)]);
    assert_eq!(revoked.status, Some(0), "{revoked:?}");
    let key = service.becomes(&stays, 401).await;
    println!("refused {key:.1?} after its key was revoked");
    assert!(key < LIMIT, "{key:?}");
    let (stays, _) = sign_in(&issuer.server, "ada").await;
    assert_eq!(service.get(Some(&stays)).await.0, 200);

    // Without Mapae, keys and feed are kept for a while.
    issuer.server.kill();
    tokio::time::sleep(LIMIT).await;
    assert_eq!((service.get(Some(&stays)).await.0, service.get(Some(&ends)).await.0), (200, 401));
    // Whoever starts without it lets nobody in.
    let alone = start(&format!("http://127.0.0.1:{}", free_port()));
    assert_eq!(alone.get(Some(&stays)).await.0, 503);
}

#[tokio::test]
async fn fastapi() {
    try_out(Service::fastapi).await;
}

#[tokio::test]
async fn node_js() {
    try_out(Service::node).await;
}

/// Tokens by a shared secret; the feed is signed with a key pair of its own.
#[test]
fn the_feed_of_a_server_that_signs_with_a_shared_secret() {
    let variables = [("ALGORITHM", "HS256"), ("SECRET_KEY", GOOD_KEY)];
    let server = Server::start_at_its_own_address(&Home::new(), &variables);
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(&directory, &["revocations.py"]);
    let mut script = python();
    let code = "import json, revocations; revocations.read(); print(json.dumps(revocations.feed['exp'] > 0))";
    script.args(["-c", code]).current_dir(&directory).env("ISSUER", &server.url);
    assert_eq!(run(script), true);
}

#[test]
fn each_is_short_and_the_page_has_no_others() {
    let names: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix('`')?.strip_suffix("`:")).collect();
    assert!(["revocations.py", "app.py", "revocations.mjs", "app.mjs"].iter().all(|name| names.contains(name)));
    for name in &names {
        let lines = recipe(name).lines().count();
        assert!((5..=MOST_LINES).contains(&lines), "{name} has {lines} lines");
    }
    assert_eq!(PAGE.matches("\n```\n").count(), names.len());
}
