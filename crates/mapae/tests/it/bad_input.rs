//! Bodies and headers that make no sense: a clear 4xx each, and nothing stored.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::Form;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, expect, header, problem, text};

const JSON: &str = "application/json";

/// Every route that takes JSON, with a token where it asks for one.
async fn json_routes(server: &Server) -> Vec<Box<dyn Fn() -> RequestBuilder + '_>> {
    let admin = server.administrator().await;
    let mut routes: Vec<Box<dyn Fn() -> RequestBuilder>> =
        vec![Box::new(|| server.post("/users/signup")), Box::new(|| server.post("/users/signin"))];
    for (method, path) in
        [("PATCH", "/users/me"), ("DELETE", "/users/me"), ("POST", "/users/me/password"), ("PATCH", "/admin/users/x")]
    {
        let (admin, method) = (admin.clone(), reqwest::Method::from_bytes(method.as_bytes()).unwrap());
        let url = format!("{}{path}", server.url);
        routes.push(Box::new(move || server.client.request(method.clone(), &url).bearer_auth(&admin)));
    }
    routes
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused_by_every_route() {
    let server = Server::start().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let deep_value = format!("{{\"username\":{}}}", deep("[", "]"));
    let huge_number = format!("{{\"username\":{}}}", "9".repeat(30_000));
    for route in json_routes(&server).await {
        for body in [
            &b""[..],
            b" ",
            b"{",
            b"}",
            b"[]",
            b"[{\"username\":\"ann\"}]",
            b"null",
            b"true",
            b"7",
            b"\"username\"",
            b"username=ann&password=x",
            b"{\"username\":\"ann\",}",
            b"{'username':'ann'}",
            b"{username:\"ann\"}",
            b"{\"username\":\"ann\"}{}",
            b"{\"username\":\"ann\"} x",
            b"{\"username\":\"\\ud800\"}",
            b"{\"username\":\"\\x41\"}",
            b"{\"username\":\"a\nb\"}",
            b"{\"username\":\"\xff\xfe\"}",
            b"{\"username\":\"\xed\xa0\x80\"}",
            b"{\"username\":\"\xc0\xaf\"}",
            b"{\"\xff\":1}",
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\0}\0",
            b"{\"username\":NaN}",
            b"{\"username\":1e999}",
            b"{\"username\":\"ann\",\"username\":\"bob\"}",
            b"{\"password\":\"a\",\"pass\\u0077ord\":\"b\"}",
            b"\0",
            deep("[", "]").as_bytes(),
            deep("{\"a\":", "}").as_bytes(),
            deep_value.as_bytes(),
        ] {
            let response = route().header(CONTENT_TYPE, JSON).body(body.to_vec()).send().await.unwrap();
            let answer = problem(response, StatusCode::BAD_REQUEST, "malformed_body").await;
            assert!(text(&answer["detail"]).len() < 200, "{answer}");
        }
        let response = route().header(CONTENT_TYPE, JSON).body(huge_number.clone()).send().await.unwrap();
        assert!(matches!(response.status().as_u16(), 400 | 422), "{}", response.status());
    }
    assert_eq!(server.accounts().await, 1);
}

#[tokio::test]
async fn another_content_type_is_refused_by_every_route() {
    let server = Server::start().await;
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    for route in json_routes(&server).await {
        problem(
            route().body(body.clone()).send().await.unwrap(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        )
        .await;
        for other in
            ["text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonp", "json", "*/*", ""]
        {
            let response = route().header(CONTENT_TYPE, other).body(body.clone()).send().await.unwrap();
            let answer = problem(response, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type").await;
            assert!(text(&answer["detail"]).contains(JSON));
        }
    }
    assert_eq!(server.accounts().await, 1);
    for (name, fine) in
        [("a", "application/json"), ("b", "Application/JSON; charset=utf-8"), ("c", "application/x+json")]
    {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        expect(
            server.post("/users/signup").header(CONTENT_TYPE, fine).body(body).send().await.unwrap(),
            StatusCode::CREATED,
        )
        .await;
    }
}

#[tokio::test]
async fn bodies_of_ten_megabytes_are_refused() {
    let server = Server::start().await;
    let big = "x".repeat(10 * 1024 * 1024);
    for route in json_routes(&server).await {
        let body = format!("{{\"username\":\"{big}\"}}");
        let answer = problem(
            route().header(CONTENT_TYPE, JSON).body(body).send().await.unwrap(),
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
        );
        answer.await;
    }
    let form = [("username", "ann"), ("password", &big)];
    let multipart = Form::new().text("username", "ann").text("password", big.clone());
    for request in [server.post("/token").form(&form), server.post("/token").multipart(multipart)] {
        let body = expect(request.send().await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE).await;
        assert!(text(&body["detail"]).contains("larger"));
    }
    // Where no body is read, a big one changes nothing.
    let response = server.post("/token").header(CONTENT_TYPE, "text/plain").body(big.clone()).send().await.unwrap();
    assert_eq!(response.status(), 422);
    assert_eq!(server.get("/users/me").body(big).send().await.unwrap().status(), 401);
    assert_eq!(server.accounts().await, 1);
}

#[tokio::test]
async fn the_limit_is_where_it_is_set() {
    let server = Server::start_with(|settings| settings.http.body_limit = 1000).await;
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let send = async |length: usize| {
        let padded = format!("{body}{}", " ".repeat(length - body.len()));
        server.post("/users/signup").header(CONTENT_TYPE, JSON).body(padded).send().await.unwrap().status()
    };
    assert_eq!(send(1001).await, 413);
    assert_eq!(send(1000).await, 201);
}

/// Sends these bytes as they are, and closes that direction; everything that comes back.
pub(crate) async fn raw(server: &Server, request: Vec<u8>) -> String {
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[tokio::test]
async fn a_million_dots_are_no_token() {
    let server = Server::start().await;
    for count in [9_000, 60_000] {
        let response = server.me(&".".repeat(count)).await;
        assert!(header(&response, "www-authenticate").contains("too long"));
        problem(response, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
    let answer = raw(
        &server,
        format!("GET /users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", ".".repeat(1_000_000)).into(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let body = json!({ "username": ".".repeat(1_000_000), "password": "x" });
    assert_eq!(server.post("/users/signin").json(&body).send().await.unwrap().status(), 413);
    server.newcomer("ann").await;
}

#[tokio::test]
async fn requests_that_are_not_http_harm_nobody() {
    let server = Server::start().await;
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(500));
    for (request, answer) in [
        (&b"nonsense\r\n\r\n"[..], "HTTP/1.1 400 "),
        (b"GET /users/me HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /users/\0me HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\0b\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /users/signup HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /users/signup HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400 "),
        (long_path.as_bytes(), "HTTP/1.1 414 "),
        (many_headers.as_bytes(), "HTTP/1.1 431 "),
    ] {
        let got = raw(&server, request.to_vec()).await;
        assert!(got.starts_with(answer), "{}: {got}", String::from_utf8_lossy(&request[..request.len().min(80)]));
    }
    let broken_off = b"POST /users/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user";
    let got = raw(&server, broken_off.to_vec()).await;
    assert!(got.is_empty() || got.starts_with("HTTP/1.1 400 "), "{got}");
    assert_eq!(server.accounts().await, 0);
    server.newcomer("ann").await;
}

#[tokio::test]
async fn nothing_refused_is_stored_by_halves() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let body = json!({ "username": "ann", "email": "ann@example.com", "password": "weak" });
    assert_eq!(server.post("/users/signup").json(&body).send().await.unwrap().status(), 422);
    let page: Value = server.get("/admin/users").bearer_auth(&admin).send().await.unwrap().json().await.unwrap();
    assert_eq!(page["users"].as_array().unwrap().len(), 1);
    let problems = server.mapae.store().check_integrity().await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
}
