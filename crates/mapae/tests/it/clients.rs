//! `/admin/clients`.

use mapae::service::By;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::oauth::{oauth_error, token};
use crate::server::{Server, expect, problem, refused_fields, text};

async fn add(server: &Server, admin: &str, body: Value) -> Response {
    server.post("/admin/clients").bearer_auth(admin).json(&body).send().await.unwrap()
}

#[tokio::test]
async fn a_client_from_its_registration_to_its_removal() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let body = json!({
        "client_id": "job", "confidential": true, "grant_types": ["client_credentials"], "scope": "items",
        "audiences": [server.url], "access_token_lifetime": 120,
    });
    let made = expect(add(&server, &admin, body.clone()).await, StatusCode::CREATED).await;
    let first = text(&made["client_secret"]);
    let get =
        async |path: &str| expect(server.get(path).bearer_auth(&admin).send().await.unwrap(), StatusCode::OK).await;
    let shown = get("/admin/clients/job").await;
    let mut without_secret = made.clone();
    without_secret.as_object_mut().unwrap().remove("client_secret");
    assert_eq!(shown, without_secret, "the secret is shown once");
    assert_eq!(
        (&shown["grant_types"], &shown["scope"], &shown["session_idle"]),
        (&json!(["client_credentials"]), &json!("items"), &Value::Null)
    );
    assert_eq!(get("/admin/clients").await, json!({ "clients": [shown] }));
    problem(add(&server, &admin, body).await, StatusCode::CONFLICT, "client_taken").await;

    let ask = async |secret: &str| {
        let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", secret)];
        token(&server, &form).await
    };
    assert_eq!(expect(ask(&first).await, StatusCode::OK).await["expires_in"], 120);
    let rotate = async |body: Value| {
        server.post("/admin/clients/job/secret").bearer_auth(&admin).json(&body).send().await.unwrap()
    };
    let second = text(&expect(rotate(json!({})).await, StatusCode::OK).await["client_secret"]);
    oauth_error(ask(&first).await, 401, "invalid_client").await;
    expect(ask(&second).await, StatusCode::OK).await;
    let given = "a given secret of 2026";
    let answer = expect(rotate(json!({ "client_secret": given })).await, StatusCode::OK).await;
    assert_eq!(answer, json!({ "client_id": "job" }), "a given secret is not repeated");
    oauth_error(ask(&second).await, 401, "invalid_client").await;
    expect(ask(given).await, StatusCode::OK).await;
    let short = rotate(json!({ "client_secret": "short" })).await;
    assert_eq!(refused_fields(short).await, [("client_secret".to_owned(), "invalid_secret".to_owned())]);

    let remove = async || server.delete("/admin/clients/job").bearer_auth(&admin).send().await.unwrap();
    assert_eq!(remove().await.status(), 204);
    problem(remove().await, StatusCode::NOT_FOUND, "client_not_found").await;
    for path in ["/admin/clients/job", "/admin/clients/%00", "/admin/clients/mapae"] {
        let response = server.get(path).bearer_auth(&admin).send().await.unwrap();
        problem(response, StatusCode::NOT_FOUND, "client_not_found").await;
    }
    problem(rotate(json!({})).await, StatusCode::NOT_FOUND, "client_not_found").await;
    oauth_error(ask(given).await, 401, "invalid_client").await;
}

#[tokio::test]
async fn what_cannot_be_a_client_is_refused_by_field() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    for (body, field, rule) in [
        (json!({}), "client_id", "missing"),
        (json!({ "client_id": "a b" }), "client_id", "invalid_client_id"),
        (json!({ "client_id": "x".repeat(65) }), "client_id", "invalid_client_id"),
        (json!({ "client_id": "mapae" }), "client_id", "reserved"),
        (json!({ "client_id": "a", "grant_types": ["implicit"] }), "grant_types", "unknown_grant"),
        (json!({ "client_id": "a", "grant_types": "password" }), "grant_types", "list_type"),
        (json!({ "client_id": "a", "grant_types": [1] }), "grant_types", "list_type"),
        (json!({ "client_id": "a", "grant_types": ["client_credentials"] }), "grant_types", "needs_secret"),
        (json!({ "client_id": "a", "scope": "unknown" }), "scope", "unknown_scope"),
        (json!({ "client_id": "a", "audiences": ["a b"] }), "audiences", "invalid_audience"),
        (json!({ "client_id": "a", "audiences": [""] }), "audiences", "invalid_audience"),
        (json!({ "client_id": "a", "access_token_lifetime": -1 }), "access_token_lifetime", "int_type"),
        (json!({ "client_id": "a", "access_token_lifetime": 1.5 }), "access_token_lifetime", "int_type"),
        (json!({ "client_id": "a", "session_idle": 0 }), "access_token_lifetime", "too_short"),
        (json!({ "client_id": "a", "client_secret": "0123456789abcdef" }), "client_secret", "public"),
        (
            json!({ "client_id": "a", "confidential": true, "client_secret": "short" }),
            "client_secret",
            "invalid_secret",
        ),
        (json!({ "client_id": "a", "secret": "x" }), "secret", "extra_forbidden"),
    ] {
        let refused = refused_fields(add(&server, &admin, body.clone()).await).await;
        // A missing id is no id either.
        assert_eq!(refused.last(), Some(&(field.to_owned(), rule.to_owned())), "{body}");
    }
    assert!(server.mapae.clients().await.unwrap().is_empty());
    let public = json!({ "client_id": "app", "grant_types": ["refresh_token"] });
    let made = expect(add(&server, &admin, public).await, StatusCode::CREATED).await;
    assert!(made.get("client_secret").is_none());
    let rotate = server.post("/admin/clients/app/secret").bearer_auth(&admin).json(&json!({})).send().await.unwrap();
    problem(rotate, StatusCode::CONFLICT, "conflict").await;
}

#[tokio::test]
async fn secrets_are_kept_hashed() {
    let server = Server::start().await;
    let made = crate::oauth::confidential(&server, "made", "client_credentials", "items").await;
    let mut given = crate::oauth::new_client("given", mapae::domain::ClientType::Confidential, "", "");
    given.secret = Some(crate::oauth::secret("a given secret of 2026"));
    server.mapae.add_client(given, By::System).await.unwrap();
    let hashes = async |id: &str| {
        let id = mapae::domain::ClientId::parse(id).unwrap();
        server.mapae.store().cached_client(&id).await.unwrap().unwrap().secret_hash.clone().unwrap()
    };
    assert!(hashes("made").await.starts_with("sha256:"));
    assert!(hashes("given").await.starts_with("$argon2id$"));
    if !crate::database::is_file("that no secret is on disk") {
        return;
    }
    let file = std::fs::read(server.directory().join("mapae.db")).unwrap();
    let log = std::fs::read(server.directory().join("mapae.db-wal")).unwrap_or_default();
    for secret in [made.as_bytes(), b"a given secret of 2026"] {
        assert!(![&file, &log].iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret)));
    }
}

/// Within one second, in which `iat` does not tell them apart.
#[tokio::test]
async fn a_token_of_a_removed_client_is_not_one_of_its_successor() {
    let server = Server::start().await;
    let job = async || {
        let secret = crate::oauth::confidential(&server, "job", "client_credentials", "items").await;
        let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", &secret)];
        text(&expect(token(&server, &form).await, StatusCode::OK).await["access_token"])
    };
    let status = async |access: &str| server.get("/verify").bearer_auth(access).send().await.unwrap().status();
    let old = job().await;
    assert_eq!(status(&old).await, 200);
    server.clock.advance_millis(10);
    server.mapae.remove_client("job", By::System).await.unwrap();
    let new = job().await;
    assert_eq!((status(&old).await, status(&new).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
}
