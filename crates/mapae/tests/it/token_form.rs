//! `POST /token`: the OAuth2 password form, answered as FastAPI answers.

use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::Form;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, expect, header, text};

const URLENCODED: &str = "application/x-www-form-urlencoded";

fn missing(field: &str) -> Value {
    json!({ "type": "missing", "loc": ["body", field], "msg": "Field required", "input": null })
}

/// The body of an error in FastAPI's shape: nothing but `detail`, as plain JSON.
async fn detail(response: Response, status: u16) -> Value {
    assert_eq!(header(&response, "content-type"), "application/json");
    let body = expect(response, StatusCode::from_u16(status).unwrap()).await;
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["detail"].clone()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn urlencoded(server: &Server, body: &str) -> Response {
    send(server.post("/token").header(CONTENT_TYPE, URLENCODED).body(body.to_owned())).await
}

#[tokio::test]
async fn the_form_is_taken_urlencoded_and_as_multipart() {
    let server = Server::start().await;
    let both = json!({ "username": "ann", "email": "ann@example.com", "password": PASSWORD });
    expect(send(server.post("/users/signup").json(&both)).await, StatusCode::CREATED).await;
    let multipart = Form::new().text("username", "ann").text("password", PASSWORD).text("grant_type", "password");
    for request in [
        server.post("/token").form(&[("username", "ann"), ("password", PASSWORD)]),
        server.post("/token").form(&[("username", "ANN@example.com"), ("password", PASSWORD)]),
        server.post("/token").form(&[("username", "ann"), ("password", PASSWORD), ("grant_type", "password")]),
        server.post("/token").form(&[
            ("username", "ann"),
            ("password", PASSWORD),
            ("client_id", "x"),
            ("client_secret", "y"),
        ]),
        server.post("/token").form(&[("username", "ann"), ("password", PASSWORD), ("unknown", "x"), ("scope", "")]),
        server.post("/token").form(&[("username", "bob"), ("username", "ann"), ("password", PASSWORD)]),
        server.post("/token").form(&[("username", "ann"), ("password", PASSWORD)]).basic_auth("", Some("")),
        server.post("/token").multipart(multipart),
        server
            .post("/token")
            .header(CONTENT_TYPE, "Application/X-WWW-Form-Urlencoded; charset=UTF-8")
            .body(format!("username=ann&password={}", PASSWORD.replace(' ', "+"))),
    ] {
        let response = send(request).await;
        assert_eq!(header(&response, "cache-control"), "no-store");
        let token = expect(response, StatusCode::OK).await;
        assert_eq!(
            (&token["token_type"], &token["expires_in"], &token["scope"]),
            (&json!("bearer"), &json!(900), &json!("me"))
        );
        assert_eq!(server.status_of_me(&text(&token["access_token"])).await, 200);
    }
}

#[tokio::test]
async fn scopes_are_separated_by_spaces() {
    let server = Server::start().await;
    server.sign_up_with_scopes("root", "me items mapae:admin").await;
    for (asked, granted) in
        [("", "me items"), ("items", "items"), ("items nothing mapae:admin", "items mapae:admin"), ("nothing", "")]
    {
        let form = [("username", "root"), ("password", PASSWORD), ("scope", asked)];
        let token = expect(send(server.post("/token").form(&form)).await, StatusCode::OK).await;
        assert_eq!(text(&token["scope"]), granted);
    }
}

#[tokio::test]
async fn wrong_credentials_are_answered_as_the_tutorial_does() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    for (username, password) in
        [("ann", "wrong password"), ("nobody", PASSWORD), ("a b", PASSWORD), ("ann", &*"x".repeat(2000))]
    {
        let response = send(server.post("/token").form(&[("username", username), ("password", password)])).await;
        assert_eq!(header(&response, "www-authenticate"), "Bearer");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(detail(response, 401).await, "Incorrect username or password");
    }
}

#[tokio::test]
async fn missing_fields_are_named_as_fastapi_does() {
    let server = Server::start().await;
    let both = json!([missing("username"), missing("password")]);
    assert_eq!(detail(urlencoded(&server, "").await, 422).await, both);
    assert_eq!(detail(urlencoded(&server, "username=&password=").await, 422).await, both, "empty is missing");
    assert_eq!(detail(urlencoded(&server, "Username=ann&PASSWORD=x").await, 422).await, both);
    assert_eq!(detail(urlencoded(&server, "username=ann").await, 422).await, json!([missing("password")]));
    assert_eq!(detail(urlencoded(&server, "password=x").await, 422).await, json!([missing("username")]));
    assert_eq!(
        detail(urlencoded(&server, "username=ann&username=&password=x").await, 422).await,
        json!([missing("username")])
    );
    let multipart = Form::new().text("username", "").text("password", "x");
    assert_eq!(detail(send(server.post("/token").multipart(multipart)).await, 422).await, json!([missing("username")]));

    let fields = json!({ "username": "ann", "password": PASSWORD });
    assert_eq!(detail(send(server.post("/token").json(&fields)).await, 422).await, both, "JSON is no form");
    let body = "username=ann&password=x";
    assert_eq!(detail(send(server.post("/token").body(body)).await, 422).await, both, "no content type");
    assert_eq!(detail(send(server.post("/token")).await, 422).await, both, "no body");
    let plain = server.post("/token").header(CONTENT_TYPE, "text/plain").body(body);
    assert_eq!(detail(send(plain).await, 422).await, both);
    let query = server.post("/token?username=ann&password=x");
    assert_eq!(detail(send(query).await, 422).await, both, "secrets do not belong into addresses");
}

#[tokio::test]
async fn another_grant_type_is_refused_as_fastapi_does() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    for wrong in ["client_credentials", "Password", "password ", "xpassword"] {
        let form = [("username", "ann"), ("password", PASSWORD), ("grant_type", wrong)];
        let expected = json!([{
            "type": "string_pattern_mismatch",
            "loc": ["body", "grant_type"],
            "msg": "String should match pattern '^password$'",
            "input": wrong,
            "ctx": { "pattern": "^password$" },
        }]);
        assert_eq!(detail(send(server.post("/token").form(&form)).await, 422).await, expected);
    }
    let named = detail(urlencoded(&server, "grant_type=x").await, 422).await;
    let order: Vec<&Value> = named.as_array().unwrap().iter().map(|problem| &problem["loc"][1]).collect();
    assert_eq!(order, ["grant_type", "username", "password"]);
    assert_eq!(urlencoded(&server, &format!("grant_type=&username=ann&password={PASSWORD}")).await.status(), 200);
}

#[tokio::test]
async fn every_other_error_is_in_fastapis_shape_too() {
    let server = Server::start().await;
    let bad_scope = detail(urlencoded(&server, "username=ann&password=x&scope=%22").await, 422).await;
    assert_eq!(bad_scope[0]["loc"], json!(["body", "scope"]));
    let too_long = urlencoded(&server, &format!("username=ann&password={}", "x".repeat(100_000))).await;
    assert!(text(&detail(too_long, 413).await).contains("larger"));
    let no_boundary = server.post("/token").header(CONTENT_TYPE, "multipart/form-data").body("x");
    assert_eq!(detail(send(no_boundary).await, 400).await, "There was an error parsing the body");
    let broken = server.post("/token").header(CONTENT_TYPE, "multipart/form-data; boundary=b").body("--b\r\nnonsense");
    assert_eq!(detail(send(broken).await, 400).await, "There was an error parsing the body");
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
        let response = send(server.client.request(method, format!("{}/token", server.url))).await;
        assert_eq!(header(&response, "allow"), "POST");
        assert_eq!(detail(response, 405).await, "Method Not Allowed");
    }
}

/// What is not UTF-8 can be no name and no password; it is a wrong one, not a failure.
#[tokio::test]
async fn bytes_that_are_not_utf8_are_wrong_credentials() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    for body in [
        "username=%ff%fe&password=x",
        "username=ann&password=%ff",
        "username=ann%00&password=x",
        "username=%&password=%zz",
    ] {
        assert_eq!(detail(urlencoded(&server, body).await, 401).await, "Incorrect username or password", "{body}");
    }
    let raw =
        server.post("/token").header(CONTENT_TYPE, URLENCODED).body(b"username=\xff\xfe&password=\xc3\x28".to_vec());
    assert_eq!(detail(send(raw).await, 401).await, "Incorrect username or password");
}
