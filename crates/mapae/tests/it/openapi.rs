//! `/openapi.json` says what is there, and what it says is so.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, header, text};

/// Every operation with the scopes that it asks for; empty where any token will do, `None` where none is needed.
const OPERATIONS: [(&str, &str, Option<&str>); 42] = [
    ("POST", "/users/signup", None),
    ("POST", "/users/signin", None),
    ("POST", "/token", None),
    ("GET", "/users/me", Some("me")),
    ("PATCH", "/users/me", Some("me")),
    ("DELETE", "/users/me", Some("me")),
    ("POST", "/users/me/password", Some("me")),
    ("POST", "/users/me/tickets", Some("")),
    ("GET", "/users/me/tokens", Some("me")),
    ("POST", "/users/me/tokens", Some("me")),
    ("DELETE", "/users/me/tokens/{token}", Some("me")),
    ("GET", "/admin/users", Some("mapae:admin")),
    ("GET", "/admin/users/{id}", Some("mapae:admin")),
    ("PATCH", "/admin/users/{id}", Some("mapae:admin")),
    ("POST", "/users/signout", Some("")),
    ("POST", "/users/refresh", None),
    ("GET", "/users/me/sessions", Some("me")),
    ("DELETE", "/users/me/sessions", Some("me")),
    ("DELETE", "/users/me/sessions/{session}", Some("me")),
    ("GET", "/admin/users/{id}/sessions", Some("mapae:admin")),
    ("DELETE", "/admin/users/{id}/sessions", Some("mapae:admin")),
    ("DELETE", "/admin/users/{id}/sessions/{session}", Some("mapae:admin")),
    ("GET", "/admin/clients", Some("mapae:admin")),
    ("POST", "/admin/clients", Some("mapae:admin")),
    ("GET", "/admin/clients/{client}", Some("mapae:admin")),
    ("DELETE", "/admin/clients/{client}", Some("mapae:admin")),
    ("POST", "/admin/clients/{client}/secret", Some("mapae:admin")),
    ("GET", "/admin/audit", Some("mapae:admin")),
    ("POST", "/oauth2/token", None),
    ("POST", "/oauth2/introspect", None),
    ("POST", "/oauth2/revoke", None),
    ("GET", "/oauth2/userinfo", Some("me")),
    ("POST", "/oauth2/userinfo", Some("me")),
    ("GET", "/.well-known/oauth-authorization-server", None),
    ("GET", "/.well-known/openid-configuration", None),
    ("GET", "/.well-known/revocations", None),
    ("GET", "/verify", Some("")),
    ("GET", "/.well-known/jwks.json", None),
    ("GET", "/health/live", None),
    ("GET", "/health/ready", None),
    ("GET", "/version", None),
    ("GET", "/users/me/", Some("me")),
];

/// Answered, but in no need of an entry: `/users/me/` is `/users/me` in another spelling.
const UNDOCUMENTED: [&str; 1] = ["/users/me/"];

async fn document(server: &Server) -> Value {
    let response = server.get("/openapi.json").send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/json");
    response.json().await.unwrap()
}

fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            operations.insert((method.to_uppercase(), path.clone()), operation.clone());
        }
    }
    operations
}

#[tokio::test]
async fn every_route_is_documented_with_its_scopes() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert!(text(&document["openapi"]).starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["info"], json!({ "title": "Mapae", "version": mapae::VERSION }));
    let documented = operations(&document);
    let expected: BTreeSet<_> = OPERATIONS
        .iter()
        .filter(|(_, path, _)| !UNDOCUMENTED.contains(path))
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let mut ids = BTreeSet::new();
    for ((method, path), operation) in &documented {
        let name = format!("{method} {path}");
        assert!(ids.insert(text(&operation["operationId"])), "{name}");
        assert!(!text(&operation["summary"]).is_empty() && operation["tags"].as_array().unwrap().len() == 1, "{name}");
        let (_, _, scope) = OPERATIONS.iter().find(|(m, p, _)| m == method && p == path).unwrap();
        let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{name} answers nothing"));
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: {responses:?}");
        match scope {
            Some("") => {
                assert_eq!(operation["security"], json!([{ "OAuth2PasswordBearer": [] }]), "{name}");
                assert!(responses.contains_key("401"), "{name}");
            }
            Some(scope) => {
                assert_eq!(operation["security"], json!([{ "OAuth2PasswordBearer": [scope] }]), "{name}");
                for status in ["401", "403"] {
                    let content = &responses[status]["content"]["application/problem+json"];
                    assert_eq!(content["example"]["status"].to_string(), status, "{name}");
                    assert!(content["schema"].is_object(), "{name}");
                }
                assert!(text(&responses["403"]["description"]).contains(scope), "{name}");
            }
            None => assert!(operation.get("security").is_none(), "{name}"),
        }
    }
}

#[tokio::test]
async fn the_scheme_is_the_password_flow_of_the_tutorial() {
    let server = Server::start().await;
    let document = document(&server).await;
    let scheme = &document["components"]["securitySchemes"]["OAuth2PasswordBearer"];
    assert_eq!(scheme["type"], "oauth2");
    let flow = &scheme["flows"]["password"];
    assert_eq!(flow["tokenUrl"], "token", "relative, as behind a proxy's prefix");
    assert_eq!(flow["refreshUrl"], "oauth2/token", "relative too");
    assert_eq!(
        flow["scopes"],
        json!({
            "items": "Read items.",
            "mapae:admin": "Manage every account.",
            "me": "Read and change your own account.",
        })
    );
    let token = &operations(&document)[&("POST".to_owned(), "/token".to_owned())];
    let form = &token["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    let form = resolve(&document, form);
    assert_eq!(form["required"], json!(["username", "password"]));
    assert_eq!(form["properties"]["password"]["format"], "password");
    let invalid = &token["responses"]["422"]["content"]["application/json"];
    assert_eq!(invalid["example"]["detail"][0]["loc"], json!(["body", "username"]));
    assert_eq!(resolve(&document, &invalid["schema"])["required"], json!(["detail"]));
}

/// What only some routes answer.
#[tokio::test]
async fn refusals_of_minting_are_documented() {
    let server = Server::start().await;
    let operations = operations(&document(&server).await);
    let mint = &operations[&("POST".to_owned(), "/users/me/tokens".to_owned())];
    for status in ["409", "429"] {
        let content = &mint["responses"][status]["content"]["application/problem+json"];
        assert!(content["schema"].is_object(), "{status}: {mint}");
    }
    for word in ["subject_refused", "delegated_token", "too_many_tokens"] {
        assert!(text(&mint["description"]).contains(word), "{word}");
    }
    let verify = text(&operations[&("GET".to_owned(), "/verify".to_owned())]["description"]);
    assert!(verify.contains("X-Auth-Actor") && verify.contains("thing"), "{verify}");
}

/// No dangling references, and the bodies that routes take are closed to other fields.
#[tokio::test]
async fn schemas_hold_together() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    for ((method, path), operation) in operations(&document) {
        if let Some(json) = operation.pointer("/requestBody/content/application~1json/schema") {
            assert_eq!(resolve(&document, json)["additionalProperties"], false, "{method} {path}");
            assert_eq!(operation["requestBody"]["required"], true, "{method} {path}");
            for (status, code) in [
                ("400", "malformed_body"),
                ("413", "body_too_large"),
                ("415", "unsupported_media_type"),
                ("422", "validation_failed"),
            ] {
                let example = &operation["responses"][status]["content"]["application/problem+json"]["example"];
                assert_eq!(example["code"], code, "{method} {path}");
            }
        }
    }
    let user = &document["components"]["schemas"]["User"]["properties"];
    let names: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        names.contains(&"username") && !names.iter().any(|name| name.contains("password") || name.contains("hash"))
    );
}

#[tokio::test]
async fn exactly_the_routes_with_security_ask_for_a_token() {
    let server = Server::start().await;
    let token = server.newcomer("ann").await.1;
    for (method, path, scope) in OPERATIONS {
        let url = format!(
            "{}{}",
            server.url,
            path.replace("{id}", "0").replace("{session}", "0").replace("{client}", "0").replace("{token}", "0")
        );
        let call = || server.client.request(Method::from_bytes(method.as_bytes()).unwrap(), &url).body("nonsense");
        let response = call().send().await.unwrap();
        let challenge = header(&response, "www-authenticate");
        if scope.is_some() {
            assert_eq!(
                (response.status(), challenge.as_str()),
                (StatusCode::UNAUTHORIZED, "Bearer"),
                "{method} {path}"
            );
        } else {
            assert!(response.status() != 401 && challenge.is_empty(), "{method} {path}: {}", response.status());
        }
        if scope == Some("mapae:admin") {
            assert_eq!(call().bearer_auth(&token).send().await.unwrap().status(), 403, "{method} {path}");
        }
    }
}

/// What a route answers is what its schema says, for the answers that clients build on.
#[tokio::test]
async fn answers_have_the_documented_fields() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let document = document(&server).await;
    let documented = operations(&document);
    let sign_in = json!({ "username": "root", "password": crate::server::PASSWORD });
    for (method, path, status, request) in [
        ("GET", "/users/me", "200", server.get("/users/me").bearer_auth(&admin)),
        ("GET", "/admin/users", "200", server.get("/admin/users?limit=1").bearer_auth(&admin)),
        ("POST", "/users/signin", "200", server.post("/users/signin").json(&sign_in)),
        ("POST", "/token", "200", server.post("/token").form(&sign_in)),
        ("POST", "/users/me/tickets", "201", server.post("/users/me/tickets").bearer_auth(&admin).json(&json!({}))),
        ("GET", "/health/ready", "200", server.get("/health/ready")),
        ("GET", "/version", "200", server.get("/version")),
        ("GET", "/.well-known/jwks.json", "200", server.get("/.well-known/jwks.json")),
        (
            "POST",
            "/users/signup",
            "201",
            server.post("/users/signup").json(&json!({ "username": "x", "password": "seven purple elephants" })),
        ),
    ] {
        let operation = &documented[&(method.to_owned(), path.to_owned())];
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_str(), status, "{method} {path}");
        let content = &operation["responses"][status]["content"][header(&response, "content-type")];
        let schema = resolve(&document, &content["schema"]);
        let answer: Value = response.json().await.unwrap();
        let (answered, properties) = (answer.as_object().unwrap(), schema["properties"].as_object().unwrap());
        for name in answered.keys() {
            assert!(properties.contains_key(name), "{method} {path} answers {name}, which is not documented");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(answered.contains_key(name.as_str().unwrap()), "{method} {path} lacks {name}");
        }
    }
}

fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema.get("$ref") {
        Some(reference) => document.pointer(reference.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
