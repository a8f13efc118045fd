//! `/verify` behind a real nginx, with the configuration of `docs/proxies.md`.

use std::process::{Command, Stdio};
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use axum::{Json, Router};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::Issuer;
use crate::programs::{Running, free_port, program};
use crate::server::{PASSWORD, now};

const PAGE: &str = include_str!("../../../../docs/proxies.md");

/// What is around the page's server: everything in one process and one directory, as any user may run it.
const AROUND: &str = "
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    SERVER
}
";

struct Nginx {
    url: String,
    _running: Running,
    _directory: TempDir,
}

impl Nginx {
    /// On a free port, in front of these two.
    async fn start(mapae: &str, upstream: &str) -> Self {
        let server = PAGE.split("```nginx\n").nth(1).expect("a configuration").split("```").next().expect("its end");
        for written in ["listen 80;", "http://127.0.0.1:8000", "http://127.0.0.1:8080"] {
            assert!(server.contains(written), "{written}");
        }
        let server = server.replace("http://127.0.0.1:8000", upstream).replace("http://127.0.0.1:8080", mapae);
        // Somebody else may take the port in the meantime.
        for _ in 0..5 {
            let url = format!("http://127.0.0.1:{}", free_port());
            let listen = format!("listen {};", url.trim_start_matches("http://"));
            let configuration = AROUND.replace("SERVER", &server.replace("listen 80;", &listen));
            let directory = tempfile::tempdir().expect("a temporary directory");
            std::fs::write(directory.path().join("nginx.conf"), configuration).expect("it is written");
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c", "nginx.conf"]).stdin(Stdio::null());
            let mut running = Running::start(&mut command);
            if answers(&url, &mut running).await {
                return Self { url, _running: running, _directory: directory };
            }
        }
        panic!("nginx finds no port");
    }

    async fn get(&self, token: Option<&str>) -> Response {
        let request = Client::new().get(format!("{}/items/1?a=b", self.url));
        let request = request.header("x-auth-subject", "somebody else").header("x-auth-scope", "mapae:admin");
        let request = request.header("x-auth-actor", "client:trusted");
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        request.send().await.expect("an answer")
    }
}

/// Whether it listens; not if somebody else took its port.
async fn answers(url: &str, nginx: &mut Running) -> bool {
    let deadline = now() + Duration::from_secs(20);
    while let Err(error) = Client::new().get(url).send().await {
        if let Err(said) = nginx.check() {
            assert!(said.contains("bind()"), "{said}");
            return false;
        }
        assert!(now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    nginx.check().is_ok()
}

/// A service that tells what it was sent.
async fn upstream() -> String {
    let app = Router::new().fallback(async |url: Uri, headers: HeaderMap, body: String| {
        let values = |name: &str| {
            let values = headers.get_all(name).iter();
            values.map(|value| value.to_str().expect("ASCII").to_owned()).collect::<Vec<_>>()
        };
        let (subject, scope, actor) = (values("x-auth-subject"), values("x-auth-scope"), values("x-auth-actor"));
        Json(
            json!({ "url": url.to_string(), "subject": subject, "scope": scope, "actor": actor, "length": body.len() }),
        )
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn token(issuer: &Issuer, scope: &str) -> String {
    let (status, tokens) = issuer.server.sign_in("ada", PASSWORD, scope).await;
    assert_eq!(status, 200, "{tokens}");
    tokens["access_token"].as_str().expect("a token").to_owned()
}

fn challenges(response: &Response) -> Vec<&str> {
    response.headers().get_all("www-authenticate").iter().map(|value| value.to_str().expect("ASCII")).collect()
}

#[tokio::test]
async fn it_lets_good_tokens_pass_and_hands_on_refusals() {
    let mut issuer = Issuer::start();
    let nginx = Nginx::start(&issuer.server.url, &upstream().await).await;
    let good = token(&issuer, "").await;
    let passed = nginx.get(Some(&good)).await;
    assert_eq!(passed.status(), 200);
    let seen: Value = passed.json().await.expect("JSON");
    let expected = json!({ "url": "/items/1?a=b", "subject": [issuer.ada], "scope": ["me items"], "actor": [issuer.ada], "length": 0 });
    assert_eq!(seen, expected);
    // A body goes to the service and not to Mapae.
    let post = Client::new().post(format!("{}/items/", nginx.url)).bearer_auth(&good).body("x".repeat(100_000));
    let posted: Value = post.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(posted["length"], 100_000);

    let none = nginx.get(None).await;
    assert_eq!((none.status().as_u16(), challenges(&none)), (401, vec!["Bearer"]));
    for bad in ["x", &good[..good.len() - 4]] {
        let refused = nginx.get(Some(bad)).await;
        assert_eq!(refused.status(), 401);
        let [challenge] = challenges(&refused)[..] else { panic!("{refused:?}") };
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
    }
    let narrow = token(&issuer, "me").await;
    let refused = nginx.get(Some(&narrow)).await;
    assert_eq!(refused.status(), 403);
    let [challenge] = challenges(&refused)[..] else { panic!("{refused:?}") };
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.ends_with("scope=\"items\""), "{challenge}");
    // Nobody can ask for the place itself.
    let inside = Client::new().get(format!("{}/_verify/items", nginx.url)).bearer_auth(&good);
    assert_eq!(inside.send().await.expect("an answer").status(), 404);

    let sign_out = Client::new().post(format!("{}/users/signout", issuer.server.url)).bearer_auth(&good);
    assert_eq!(sign_out.send().await.expect("an answer").status(), 204);
    assert_eq!(nginx.get(Some(&good)).await.status(), 401, "at once");
    issuer.server.kill();
    assert_eq!(nginx.get(Some(&good)).await.status(), 500, "without Mapae nobody passes");
}
