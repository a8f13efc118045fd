//! Who renders errors, and how.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_extractor_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mapae_verify::VerifyError;
use mapae_verify::axum::{Bearer, BearerError, ErrorStyle, TokenVerifier, error_style, on_error};

use crate::routes::app;
use crate::support::{Answer, KEY, Me, NOW, Server, token, token_with, verifier};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An envelope of its own, with statuses as one of the tutorials has them.
fn envelope(error: &BearerError) -> Response {
    let status = match error {
        BearerError::InvalidToken { reason: VerifyError::Expired { .. }, .. } => StatusCode::FORBIDDEN,
        BearerError::InvalidToken { .. } => StatusCode::BAD_REQUEST,
        other => other.status(ErrorStyle::Problem),
    };
    (status, format!("sorry: {}", error.code())).into_response()
}

async fn answer(server: &Server, path: &str, token: Option<&str>) -> Answer {
    match token {
        Some(token) => Answer::of(server.get(path, token).await).await,
        None => Answer::of(server.get_as_stranger(path).await).await,
    }
}

#[tokio::test]
async fn an_envelope_of_its_own() {
    let server = Server::start(app().layer(on_error(envelope))).await;
    let expired = token_with(&KEY, &serde_json::json!({ "exp": NOW - 60 }));
    let items = token(&KEY, "items");
    let cases = [
        (None, 401, Some("Bearer"), "sorry: not_authenticated"),
        (Some("x"), 400, None, "sorry: invalid_token"),
        (Some(&expired), 403, None, "sorry: invalid_token"),
        (Some(&items), 403, None, "sorry: insufficient_scope"),
    ];
    for (token, status, challenge, body) in cases {
        let answer = answer(&server, "/me", token.map(AsRef::as_ref)).await;
        let seen = (answer.status, answer.challenge.as_deref(), answer.body.as_str());
        assert_eq!(seen, (status, challenge, body));
        assert_eq!(answer.media_type, "text/plain; charset=utf-8");
    }
    assert_eq!(answer(&server, "/open", None).await.body, "open");
    assert_eq!(answer(&server, "/me", Some(&token(&KEY, "me"))).await.body, "me");
}

#[tokio::test]
async fn the_layer_nearest_to_the_route_decides() {
    let detail = Router::new().nest("/detail", app().layer(error_style(ErrorStyle::Detail)));
    let own = Router::new().nest("/own", app().layer(on_error(envelope)));
    let outer = detail.merge(own).merge(app());
    for (outer, expected) in [
        (outer.clone().layer(error_style(ErrorStyle::Problem)), "application/problem+json"),
        (outer.clone().layer(error_style(ErrorStyle::Detail)), "application/json"),
        (outer, "application/problem+json"),
    ] {
        let server = Server::start(outer).await;
        assert_eq!(answer(&server, "/me", None).await.media_type, expected);
        assert_eq!(answer(&server, "/detail/me", None).await.body, r#"{"detail":"Not authenticated"}"#);
        assert_eq!(answer(&server, "/own/me", None).await.body, "sorry: not_authenticated");
    }
}

#[tokio::test]
async fn other_layers_see_the_error_and_keep_their_headers() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let with_id = map_response(async |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, HeaderValue::from_static("17"));
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        response
    });
    let log = Arc::clone(&seen);
    let observe = map_response(move |response: Response| {
        log.lock().unwrap().push(response.extensions().get::<BearerError>().cloned());
        std::future::ready(response)
    });
    let app = app().layer(with_id).layer(error_style(ErrorStyle::Detail)).layer(observe);
    let server = Server::start(app).await;
    let response = server.get_as_stranger("/me").await;
    assert_eq!(response.headers()["x-request-id"], "17");
    assert_eq!(response.headers().get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(response.headers().get_all("content-type").iter().collect::<Vec<_>>(), ["application/json"]);
    assert_eq!(response.text().await.unwrap(), r#"{"detail":"Not authenticated"}"#);
    server.get_as_stranger("/open").await;
    server.get("/me", &token(&KEY, "items")).await;
    let lacking = BearerError::InsufficientScope { scopes: "me".to_owned() };
    assert_eq!(*seen.lock().unwrap(), [Some(BearerError::NotAuthenticated), None, Some(lacking)]);
}

/// A whole sub-tree behind one extractor.
#[tokio::test]
async fn a_router_is_protected_as_a_whole() {
    let verifier = TokenVerifier::from(verifier());
    let guard = from_extractor_with_state::<Bearer<Me>, _>(verifier.clone());
    let inner = Router::new().route("/a", get(async || "a")).route("/b", get(async |_: Bearer| "b"));
    let server = Server::start(inner.layer(guard).with_state(verifier)).await;
    for path in ["/a", "/b"] {
        assert_eq!(answer(&server, path, None).await.status, 401);
        assert_eq!(answer(&server, path, Some(&token(&KEY, "items"))).await.status, 403);
        assert_eq!(answer(&server, path, Some(&token(&KEY, "me"))).await.status, 200);
    }
}
