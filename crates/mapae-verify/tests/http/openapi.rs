//! What the extractors write into an OpenAPI document, against what the routes do.

use aide::axum::ApiRouter;
use aide::axum::routing::get;
use aide::openapi::OpenApi;
use axum::Router;
use mapae_verify::AnyOf;
use mapae_verify::axum::{Bearer, PasswordFlow, SECURITY_SCHEME, TokenVerifier, finish_openapi, protect};
use mapae_verify::testing::check_security;
use serde_json::{Value, json};

use crate::support::{Admin, Items, KEY, Me, Server, token, verifier};

const TOKEN_URL: &str = "https://auth.example/token";

fn document() -> (Router, Value) {
    let verifier = TokenVerifier::from(verifier());
    let tree = ApiRouter::new()
        .api_route("/plain", get(async || "plain").post(async || "posted"))
        .api_route("/me", get(async |_: Bearer<Me>| "me"))
        .api_route("/optional-me", get(async |_: Option<Bearer<Me>>| "optional"))
        .nest("/nested", ApiRouter::new().api_route("/{id}", get(async || "nested")))
        .fallback(async || "fallback");
    let router = ApiRouter::new()
        .nest("/items", protect::<Items, _, _>(tree, verifier.clone()))
        .api_route("/open", get(async || "open"))
        .api_route("/any", get(async |_: Bearer| "any"))
        .api_route("/me", get(async |_: Bearer<Me>| "me"))
        .api_route("/nested", get(async |_: Bearer<(Me, AnyOf<(Items, Admin)>)>| "nested"))
        .api_route("/two", get(async |_: Bearer<AnyOf<(Me, Admin)>>, _: Bearer<Items>| "two"))
        .api_route("/optional", get(async |_: Option<Bearer>| "optional"))
        .api_route("/optional-me", get(async |_: Option<Bearer<Me>>| "optional"))
        .api_route("/mixed", get(async |_: Bearer<Me>, _: Option<Bearer<Items>>| "mixed"))
        .with_state(verifier);
    let mut api = OpenApi::default();
    let router = router.finish_api(&mut api);
    finish_openapi(&mut api, TOKEN_URL);
    (router, serde_json::to_value(&api).unwrap())
}

fn security(document: &Value, path: &str) -> Value {
    let security = &document["paths"][path]["get"]["security"];
    if security.is_null() {
        return Value::Null;
    }
    let alternative = |one: &Value| match one.as_object().unwrap().len() {
        0 => json!("nobody"),
        1 => one[SECURITY_SCHEME].clone(),
        _ => panic!("{one}"),
    };
    security.as_array().unwrap().iter().map(alternative).collect()
}

#[test]
fn security_of_every_route() {
    let (_, document) = document();
    for (path, expected) in [
        ("/open", Value::Null),
        ("/any", json!([[]])),
        ("/me", json!([["me"]])),
        ("/nested", json!([["me", "items"], ["me", "admin"]])),
        ("/two", json!([["me", "items"], ["admin", "items"]])),
        ("/optional", json!([[], "nobody"])),
        ("/optional-me", json!([["me"], "nobody"])),
        ("/mixed", json!([["me", "items"]])),
        // Behind the layer that asks for `items`, strangers are not welcome any more.
        ("/items/plain", json!([["items"]])),
        ("/items/me", json!([["me", "items"]])),
        ("/items/optional-me", json!([["me", "items"]])),
        ("/items/nested/{id}", json!([["items"]])),
    ] {
        assert_eq!(security(&document, path), expected, "{path}");
        assert_eq!(document["paths"][path]["get"]["parameters"], Value::Null, "{path}: notes are taken away");
    }
    assert!(!document.to_string().contains("x-mapae"), "{document}");
}

#[test]
fn scopes_are_collected_into_the_scheme() {
    let (_, document) = document();
    let expected = json!({ SECURITY_SCHEME: { "type": "oauth2", "flows": { "password": {
        "tokenUrl": TOKEN_URL,
        "refreshUrl": null,
        "scopes": {
            "me": "Read information about the current user.",
            "items": "Read items.",
            "admin": "Everything.",
        },
    } } } });
    assert_eq!(document["components"]["securitySchemes"], expected);

    // A scheme that is there already gets what it lacks, and nothing else of it changes.
    let mut api = OpenApi::default();
    let me = ApiRouter::new().api_route("/me", get(async |_: Bearer<Me>| ""));
    let _: Router = me.with_state(TokenVerifier::from(verifier())).finish_api(&mut api);
    finish_openapi(&mut api, "token");
    let both = ApiRouter::new().api_route("/both", get(async |_: Bearer<(Me, Items)>| ""));
    let _: Router = both.with_state(TokenVerifier::from(verifier())).finish_api(&mut api);
    finish_openapi(&mut api, TOKEN_URL);
    let document = serde_json::to_value(api).unwrap();
    let flow = &document["components"]["securitySchemes"][SECURITY_SCHEME]["flows"]["password"];
    assert_eq!(flow["tokenUrl"], "token");
    assert_eq!(flow["refreshUrl"], Value::Null);
    let names: Vec<_> = flow["scopes"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["items", "me"]);
    assert_eq!(security(&document, "/me"), json!([["me"]]));
}

#[test]
fn a_refresh_url_is_written_if_there_is_one() {
    let mut api = OpenApi::default();
    finish_openapi(&mut api, PasswordFlow::new("token").refresh_url("oauth2/token"));
    let document = serde_json::to_value(api).unwrap();
    let flow = &document["components"]["securitySchemes"][SECURITY_SCHEME]["flows"]["password"];
    assert_eq!(flow, &json!({ "tokenUrl": "token", "refreshUrl": "oauth2/token", "scopes": {} }));
}

#[tokio::test]
async fn what_is_not_documented_is_protected_as_well() {
    let (router, _) = document();
    let server = Server::start(router).await;
    assert_eq!(server.get_as_stranger("/items/unknown").await.status(), 401);
    assert_eq!(server.get("/items/unknown", &token(&KEY, "me")).await.status(), 403);
    assert_eq!(server.get("/items/unknown", &token(&KEY, "items")).await.text().await.unwrap(), "fallback");
}

#[test]
fn refusals_have_examples() {
    let (_, document) = document();
    for (path, expected) in [
        ("/open", &["200"][..]),
        ("/any", &["200", "401"]),
        ("/me", &["200", "401", "403"]),
        ("/optional", &["200", "401"]),
        ("/optional-me", &["200", "401", "403"]),
        ("/items/plain", &["200", "401", "403"]),
        ("/items/me", &["200", "401", "403"]),
    ] {
        let responses = document["paths"][path]["get"]["responses"].as_object().unwrap();
        let mut codes: Vec<_> = responses.keys().map(String::as_str).collect();
        codes.sort_unstable();
        assert_eq!(codes, expected, "{path}");
        for (status, code) in [("401", "invalid_token"), ("403", "insufficient_scope")] {
            let Some(response) = responses.get(status) else { continue };
            let content = &response["content"]["application/problem+json"];
            assert_eq!(content["example"]["code"], code);
            assert_eq!(content["example"]["status"].to_string(), status);
            let schema = content["schema"]["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
            assert_eq!(document.pointer(schema).unwrap()["required"].as_array().unwrap().len(), 5, "{schema}");
        }
    }
    let described = &document["paths"]["/me"]["get"]["responses"]["403"];
    assert_eq!(described["description"], "The token lacks a scope: me.");
    assert_eq!(
        described["content"]["application/problem+json"]["example"]["detail"],
        "This needs a token with scope: me"
    );
}

/// Every documented route, called without a token, with one of no scope, and with each alternative that is documented.
#[tokio::test]
async fn routes_do_as_documented() {
    let (router, document) = document();
    let operations = check_security(router.clone(), &document).await.unwrap();
    assert_eq!(operations, document["paths"].as_object().unwrap().len() + 1, "one path has two");
    let server = Server::start(router).await;
    for path in document["paths"].as_object().unwrap().keys() {
        let alternatives = security(&document, path);
        let is_open = alternatives.as_array().is_none_or(|all| all.iter().any(|one| one == "nobody"));
        let stranger = server.get_as_stranger(path).await;
        assert_eq!(stranger.status(), if is_open { 200 } else { 401 }, "{path}");
        for scopes in alternatives.as_array().into_iter().flatten().filter_map(Value::as_array) {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str().unwrap()).collect();
            assert_eq!(server.get(path, &token(&KEY, &scopes.join(" "))).await.status(), 200, "{path} {scopes:?}");
            for missing in &scopes {
                let fewer: Vec<_> = scopes.iter().filter(|scope| scope != &missing).copied().collect();
                let status = server.get(path, &token(&KEY, &fewer.join(" "))).await.status();
                assert_eq!(status, 403, "{path} {fewer:?}");
            }
        }
    }
}
