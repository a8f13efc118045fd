//! What holds for every answer, and what those who operate the service ask.

use std::collections::BTreeSet;
use std::time::Duration;

use mapae_password::Argon2Params;
use reqwest::header::{CONTENT_TYPE, HOST, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bad_input::raw;
use crate::server::{PASSWORD, Server, expect, header, problem, refused_fields, text};

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let mut ids = BTreeSet::new();
    let requests = [
        server.get("/"),
        server.get("/users/me").bearer_auth(&token),
        server.get("/users/me"),
        server.get("/nowhere"),
        server.post("/docs"),
        server.post("/token"),
        server.post("/users/signup").json(&json!([])),
        server.post("/users/signup").header(CONTENT_TYPE, "application/json").body("x".repeat(100_000)),
        server.get("/health/live").header("x-request-id", "mine"),
        server.client.head(format!("{}/docs", server.url)),
    ];
    let count = requests.len();
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let id = header(&response, "x-request-id");
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn nothing_there_and_no_such_method() {
    let server = Server::start().await;
    for path in ["/nowhere", "/users", "/users/me/x", "/Users/me", "//users/me", "/docs/x.js", "/%00", "/admin"] {
        problem(server.get(path).send().await.unwrap(), StatusCode::NOT_FOUND, "not_found").await;
    }
    for (method, path, allow) in [
        ("GET", "/users/signup", "POST"),
        ("PUT", "/users/me", "GET,HEAD,PATCH,DELETE"),
        ("POST", "/users/me/", "GET,HEAD"),
        ("DELETE", "/admin/users", "GET,HEAD"),
        ("PATCH", "/docs", "GET,HEAD"),
        ("POST", "/openapi.json", "GET,HEAD"),
        ("POST", "/.well-known/jwks.json", "GET,HEAD"),
        ("POST", "/", "GET,HEAD"),
        ("NONSENSE", "/version", "GET,HEAD"),
        ("OPTIONS", "/users/me", "GET,HEAD,PATCH,DELETE"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = server.client.request(method.clone(), format!("{}{path}", server.url)).send().await.unwrap();
        let got = header(&response, "allow");
        let set = |list: &str| list.split(',').map(|one| one.trim().to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(set(&got), set(allow), "{method} {path}");
        problem(response, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed").await;
    }
}

#[tokio::test]
async fn health_and_version() {
    let server = Server::start().await;
    let get = async |path: &str| expect(server.get(path).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(get("/health/live").await, json!({ "status": "ok" }));
    assert_eq!(get("/health/ready").await, json!({ "status": "ready", "database": "ok" }));
    assert_eq!(get("/version").await, json!({ "name": "mapae", "version": mapae::VERSION }));
}

#[tokio::test]
async fn without_the_database_the_service_says_so() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    server.mapae.store().close().await;
    let ready = expect(server.get("/health/ready").send().await.unwrap(), StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(ready, json!({ "status": "unavailable", "database": "unavailable" }));
    expect(server.get("/health/live").send().await.unwrap(), StatusCode::OK).await;
    expect(server.get("/.well-known/jwks.json").send().await.unwrap(), StatusCode::OK).await;

    let response =
        server.post("/users/signup").json(&json!({ "username": "bob", "password": PASSWORD })).send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), "2");
    let body = problem(response, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    assert!(!body.to_string().to_lowercase().contains("sql"), "causes are for the log: {body}");
    let response = server.post("/token").form(&[("username", "ann"), ("password", PASSWORD)]).send().await.unwrap();
    assert_eq!(
        (header(&response, "retry-after"), header(&response, "content-type")),
        ("2".into(), "application/json".into())
    );
    let body = expect(response, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(body.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_has_a_limited_time() {
    let server = Server::start_with(|settings| {
        settings.http.request_timeout = Duration::from_millis(300);
        settings.passwords.argon2 = Argon2Params::new(8, 1, 1).unwrap();
    })
    .await;
    let began = Instant::now();
    let half =
        b"POST /users/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    // `raw` closes its sending side; here the client keeps quiet instead.
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(half).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"code\":\"timed_out\""), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 2"), "{answer}");
    assert_eq!(server.accounts().await, 0);
    server.newcomer("ann").await;
}

#[tokio::test]
async fn other_sites_pages_may_call_only_if_configured() {
    let preflight = async |server: &Server, origin: &str| {
        let request = server.client.request(Method::OPTIONS, format!("{}/users/me", server.url));
        let request = request.header(ORIGIN, origin).header("access-control-request-method", "GET");
        request.header("access-control-request-headers", "authorization").send().await.unwrap()
    };
    let none = Server::start().await;
    let response = preflight(&none, "https://app.example").await;
    let cors = |name: &str| name.starts_with("access-control-");
    assert!(!response.headers().keys().any(|name| cors(name.as_str())), "{:?}", response.headers());
    let response = none.get("/version").header(ORIGIN, "https://app.example").send().await.unwrap();
    assert!(!response.headers().keys().any(|name| cors(name.as_str())));
    assert_eq!(response.status(), 200);

    let some = Server::start_with(|settings| settings.http.cors_origins = vec!["https://app.example".into()]).await;
    let response = preflight(&some, "https://app.example").await;
    assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
    assert!(header(&response, "access-control-allow-headers").contains("authorization"));
    assert!(header(&response, "access-control-allow-methods").contains("PATCH"));
    assert_eq!(header(&response, "access-control-allow-credentials"), "", "tokens travel in a header, not in cookies");
    let response = some.get("/users/me").header(ORIGIN, "https://app.example").send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
    assert!(header(&response, "access-control-expose-headers").contains("www-authenticate"));
    for other in [
        "https://evil.example",
        "http://app.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "null",
    ] {
        let response = preflight(&some, other).await;
        assert_ne!(header(&response, "access-control-allow-origin"), other);
        assert_ne!(header(&response, "access-control-allow-origin"), "*");
    }
}

/// Addresses and the issuer come from the settings, never from what a client wrote into its request.
#[tokio::test]
async fn the_host_header_changes_nothing() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let form = [("username", "ann"), ("password", PASSWORD)];
    let request = server.post("/token").header(HOST, "evil.example").header("x-forwarded-host", "evil.example");
    let token = request.header("forwarded", "host=evil.example").form(&form).send().await.unwrap();
    let token = text(&expect(token, StatusCode::OK).await["access_token"]);
    assert_eq!(crate::forge::parts(&token).1["iss"], server.url);
    for path in ["/", "/docs", "/openapi.json", "/.well-known/jwks.json"] {
        let page = server.get(path).header(HOST, "evil.example").header("x-forwarded-host", "evil.example");
        assert!(!page.send().await.unwrap().text().await.unwrap().contains("evil.example"), "{path}");
    }
}

/// An id stands for its owner, and for nobody who chose it as a name.
#[tokio::test]
async fn an_id_is_nobodys_name() {
    let server = Server::start().await;
    let (victim, token) = server.newcomer("ann").await;
    let other = server.newcomer("bob").await.1;
    for name in [victim.to_string(), victim.to_string().to_uppercase(), victim.to_string().replace('-', "")] {
        let account = json!({ "username": name, "password": PASSWORD });
        let refused = server.post("/users/signup").json(&account).send().await.unwrap();
        assert_eq!(refused_fields(refused).await, [("username".to_owned(), "invalid_username".to_owned())]);
        for token in [&token, &other] {
            let change = server.patch("/users/me").bearer_auth(token).json(&json!({ "username": name }));
            assert_eq!(refused_fields(change.send().await.unwrap()).await.len(), 1);
        }
        let form = [("username", name.as_str()), ("password", PASSWORD)];
        assert_eq!(server.post("/token").form(&form).send().await.unwrap().status(), 401);
    }
    assert_eq!(server.mapae.find_account(victim.as_str()).await.unwrap().id, victim);
    assert_eq!(server.mapae.find_account("ANN").await.unwrap().id, victim);
    assert!(server.mapae.find_account("nobody").await.is_err());
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let server = Server::start().await;
    let answer = raw(&server, b"HEAD /users/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    let body: Value = server.get("/users/me").send().await.unwrap().json().await.unwrap();
    assert_eq!(body["status"], 401);
}
