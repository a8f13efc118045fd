//! What the log says, and what it never says.

use mapae::service::By;
use reqwest::header::{CONTENT_TYPE, ORIGIN};
use serde_json::json;

use crate::captured_log::capture;
use crate::server::{PASSWORD, Server, header};

#[tokio::test]
async fn no_password_token_key_or_address_is_ever_logged() {
    let (log, _guard) = capture();
    let server = Server::start().await;
    server.said.password_is_typed_anywhere();
    let admin = server.administrator().await;
    let (address, new_password) = ("very.private@personal.example", "seven purple elephants dancing");
    let account = json!({ "username": "ann", "email": address, "full_name": "Ann Secretname", "password": PASSWORD });
    let made: serde_json::Value =
        server.post("/users/signup").json(&account).send().await.unwrap().json().await.unwrap();
    let token = server.sign_in("ann").await;
    let id = made["id"].as_str().unwrap();
    let broken = format!("{{\"email\":\"{address}\",\"password\":\"{PASSWORD}\"");
    for request in [
        server.post("/users/signup").json(&account),
        server.post("/users/signup").json(&json!({ "email": address, "password": PASSWORD, PASSWORD: address })),
        server.post("/users/signup").json(&json!([address, PASSWORD])),
        server.post("/users/signup").header(CONTENT_TYPE, "application/json").body(broken),
        server.post("/users/signin").json(&json!({ "email": address, "password": new_password })),
        server.post("/users/signin").json(&json!({ "email": address, "password": PASSWORD })),
        server.post("/token").form(&[("username", address), ("password", PASSWORD)]),
        server.post("/token").form(&[("username", PASSWORD), ("password", address)]),
        server.get(&format!("/users/me?access_token={token}")),
        server.get(&format!("/{token}")),
        server.get("/users/me").bearer_auth(&token),
        server.get("/users/me").bearer_auth(format!("{token}x")),
        server.get("/users/me").basic_auth(address, Some(PASSWORD)),
        server.patch("/users/me").bearer_auth(&token).json(&json!({ "email": address, "password": PASSWORD })),
        server.get(&format!("/admin/users?q={address}")).bearer_auth(&admin),
        server.patch(&format!("/admin/users/{id}")).bearer_auth(&admin).json(&json!({ "grant": "items" })),
        server
            .post("/users/me/password")
            .bearer_auth(&token)
            .json(&json!({ "current_password": PASSWORD, "new_password": new_password })),
        server.delete("/users/me").bearer_auth(&token).json(&json!({ "password": new_password })),
    ] {
        request.send().await.unwrap();
    }
    server.mapae.rotate_keys(true, By::System).await.unwrap();

    let log = log.take();
    let own: Vec<&str> = log.lines().filter(|line| line.contains("mapae")).collect();
    assert!(own.len() > 20, "{log}");
    let mut secrets = vec![PASSWORD, new_password, address, "very.private", "Secretname", "$argon2", "PRIVATE KEY"];
    secrets.extend(token.split('.').chain(admin.split('.')));
    for secret in secrets {
        let found: Vec<&&str> = own.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret:?} was logged: {found:#?}");
    }
}

#[tokio::test]
async fn a_line_for_each_request_has_its_id() {
    let (log, _guard) = capture();
    let server = Server::start().await;
    log.take();
    let response = server.get("/admin/users/0198c0de").send().await.unwrap();
    let log = log.take();
    let line = log.lines().find(|line| line.contains("answered")).unwrap_or_else(|| panic!("{log}"));
    for part in
        [&*header(&response, "x-request-id"), "method=GET", "/admin/users/{id}", "status=401", "not_authenticated"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("0198c0de"), "the route, not the address");
}

#[tokio::test]
async fn a_blocked_origin_is_logged_with_the_setting_that_allows_it() {
    let (log, _guard) = capture();
    let server = Server::start_with(|settings| settings.http.cors_origins = vec!["https://app.example".into()]).await;
    log.take();
    let call = async |origin: &str| {
        server.get("/version").header(ORIGIN, origin).send().await.unwrap();
        log.take()
    };
    let blocked = call("https://other.example").await;
    assert!(blocked.contains("https://other.example") && blocked.contains("MAPAE_CORS_ORIGINS"), "{blocked}");
    for fine in ["https://app.example", &server.url] {
        assert!(!call(fine).await.contains("MAPAE_CORS_ORIGINS"), "{fine}");
    }
}
