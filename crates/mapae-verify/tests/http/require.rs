//! A layer that protects everything behind it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream;
use mapae_verify::axum::{Bearer, ErrorStyle, TokenVerifier, error_style, on_error, require};
use mapae_verify::remote::RemoteKeys;
use mapae_verify::{KeySet, RegisteredView, Revocations, VerifiedToken, VerifyError};
use serde_json::json;

use crate::issuer::{Issuer, trusted};
use crate::support::{
    Admin, Answer, Items, KEY, Me, NOW, Server, builder, client, new_key, token, token_with, verifier,
};

/// Routes of every kind that ask for nothing themselves.
fn tree() -> Router<TokenVerifier> {
    let nested = Router::new().route("/c", get(async || "c")).fallback(async || "nested fallback");
    Router::new()
        .route("/a", get(async || "a").post(async || "posted"))
        .route("/b/{id}", any(async || "b"))
        .route("/bearer", get(async |caller: Bearer| caller.sub.to_string()))
        .route("/optional", get(async |caller: Option<Bearer>| if caller.is_some() { "known" } else { "stranger" }))
        .route("/items", get(async |_: Bearer<Items>| "items"))
        .route("/ws", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(async |_| ())))
        .route("/events", get(async || Sse::new(stream::iter([Ok::<_, Infallible>(Event::default().data("x"))]))))
        .nest("/nested", nested)
        .route_service("/service", tower::service_fn(async |_: Request| Ok::<_, Infallible>("service".into_response())))
        .fallback(async || "fallback")
}

const PATHS: [(&str, &str); 12] = [
    ("/t/a", "a"),
    ("/t/b/7", "b"),
    ("/t/bearer", "0198c0de"),
    ("/t/optional", "known"),
    ("/t/events", "data: x\n\n"),
    ("/t/nested/c", "c"),
    ("/t/nested/d", "nested fallback"),
    ("/t/nested/d/e", "nested fallback"),
    ("/t/service", "service"),
    ("/t/x", "fallback"),
    ("/t/x/y", "fallback"),
    ("/t", "fallback"),
];

fn app(tree: Router<TokenVerifier>, verifier: TokenVerifier) -> Router {
    Router::new().route("/open", get(async || "open")).nest("/t", tree).with_state(verifier)
}

#[tokio::test]
async fn everything_behind_it_asks_for_a_token() {
    let verifier = TokenVerifier::from(verifier());
    let protected = tree().layer(require::<Me, _>(verifier.clone()));
    let server = Server::start(app(protected, verifier)).await;
    let expired = token_with(&KEY, &json!({ "exp": NOW - 60 }));
    for (path, body) in PATHS {
        let stranger = Answer::of(server.get_as_stranger(path).await).await;
        assert_eq!((stranger.status, stranger.challenge.as_deref()), (401, Some("Bearer")), "{path}");
        assert_eq!(stranger.media_type, "application/problem+json");
        for (bad, status, code) in
            [(&expired, 401, "invalid_token"), (&token(&KEY, "items"), 403, "insufficient_scope")]
        {
            let answer = Answer::of(server.get(path, bad).await).await;
            assert_eq!((answer.status, answer.body.contains(code)), (status, true), "{path} {answer:?}");
            let challenge = answer.challenge.unwrap();
            assert!(challenge.contains(code) && challenge.ends_with("scope=\"me\""), "{challenge}");
        }
        let answer = Answer::of(server.get(path, &token(&KEY, "me")).await).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    // Every method, and an upgrade.
    for method in ["POST", "DELETE", "OPTIONS", "PATCH", "HEAD"] {
        for path in ["/t/a", "/t/b/7", "/t/x"] {
            let request = client().request(method.parse().unwrap(), format!("{}{path}", server.url));
            assert_eq!(request.send().await.unwrap().status(), 401, "{method} {path}");
        }
    }
    let socket = server.url.replace("http", "ws") + "/t/ws";
    let refused = tokio_tungstenite::connect_async(&socket).await.unwrap_err();
    assert!(matches!(&refused, tokio_tungstenite::tungstenite::Error::Http(answer) if answer.status() == 401));
    // A route's own extractor asks for more.
    assert_eq!(server.get("/t/items", &token(&KEY, "me")).await.status(), 403);
    assert_eq!(server.get("/t/items", &token(&KEY, "me items")).await.status(), 200);
    // What is beside it is not behind it.
    assert_eq!(server.get_as_stranger("/open").await.status(), 200);
    assert_eq!(server.get_as_stranger("/else").await.status(), 404);
}

#[tokio::test]
async fn it_covers_what_the_router_has() {
    let verifier = TokenVerifier::from(verifier());
    let layer = require::<(), _>(verifier.clone());
    let before =
        Router::new().route("/before", get(async || "")).layer(layer.clone()).route("/after", get(async || ""));
    let server = Server::start(app(before, verifier)).await;
    assert_eq!(server.get_as_stranger("/t/before").await.status(), 401);
    assert_eq!(server.get_as_stranger("/t/after").await.status(), 200);
    // Without a fallback of its own, unknown paths are those of the router around it.
    assert_eq!(server.get_as_stranger("/t/unknown").await.status(), 404);
}

#[tokio::test]
async fn layers_around_it_render_its_refusals() {
    let verifier = TokenVerifier::from(verifier());
    let protected = || tree().layer(require::<Me, _>(verifier.clone()));
    let detail = app(protected().layer(error_style(ErrorStyle::Detail)), verifier.clone());
    let own = on_error(|error| (StatusCode::IM_A_TEAPOT, error.code()).into_response());
    let own = app(protected(), verifier.clone()).layer(own);
    let (detail, own) = (Server::start(detail).await, Server::start(own).await);
    for (path, _) in PATHS {
        let answer = Answer::of(detail.get_as_stranger(path).await).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"detail":"Not authenticated"}"#));
        // A missing scope is 401 in this style.
        let answer = Answer::of(detail.get(path, &token(&KEY, "")).await).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"detail":"Not enough permissions"}"#));
        let answer = Answer::of(own.get(path, &token(&KEY, "")).await).await;
        assert_eq!((answer.status, answer.body.as_str()), (418, "insufficient_scope"));
    }
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Revocations for Counter {
    fn is_revoked(&self, _: &RegisteredView<'_>) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        false
    }
}

#[tokio::test]
async fn a_token_is_verified_once() {
    let counter = Counter::default();
    let keys = KeySet::from_keys([KEY.verification_key()]).unwrap();
    let verifier = TokenVerifier::from(builder(keys).revocations(Arc::new(counter.clone())).build());
    let tree = tree().layer(require::<Items, _>(verifier.clone())).layer(require::<Me, _>(verifier.clone()));
    let server = Server::start(app(tree, verifier)).await;
    for (path, expected) in [("/t/a", 200), ("/t/bearer", 200), ("/t/optional", 200), ("/t/items", 200)] {
        counter.0.store(0, Ordering::SeqCst);
        assert_eq!(server.get(path, &token(&KEY, "me items")).await.status(), expected);
        assert_eq!(counter.0.load(Ordering::SeqCst), 1, "{path}");
    }
    // Each layer asks for its own.
    for scope in ["me", "items", ""] {
        assert_eq!(server.get("/t/a", &token(&KEY, scope)).await.status(), 403, "{scope}");
    }
}

/// What one verifier believes is nothing to another one, though the claims have the same type.
#[tokio::test]
async fn another_verifier_judges_for_itself() {
    let (own, other) = (verifier(), builder(KeySet::from_keys([new_key().verification_key()]).unwrap()).build());
    let inner = tree().with_state(TokenVerifier::from(other));
    let tree: Router = Router::new().nest("/t", inner).layer(require::<(), _>(own));
    let server = Server::start(tree).await;
    let good = token(&KEY, "me");
    assert_eq!(server.get("/t/a", &good).await.status(), 200);
    for path in ["/t/bearer", "/t/optional", "/t/items"] {
        assert_eq!(server.get(path, &good).await.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn without_keys_it_answers_503() {
    let issuer = Issuer::start(&[&KEY]).await;
    issuer.answer(|| StatusCode::BAD_GATEWAY.into_response());
    let (verifier, _clock) = trusted(RemoteKeys::builder(issuer.url()));
    let verifier = TokenVerifier::from(verifier);
    let server = Server::start(app(tree().layer(require::<(), _>(verifier.clone())), verifier)).await;
    let answer = server.get("/t/x", &token(&KEY, "me")).await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    assert_eq!(server.get_as_stranger("/t/x").await.status(), 401);
}

/// As a service does that has given out a single-use ticket for a WebSocket.
async fn tickets(State(verifier): State<TokenVerifier>, mut request: Request, next: Next) -> Response {
    if request.uri().query() == Some("ticket=good") {
        let claims = Arc::new(crate::support::claims("me"));
        let registered = RegisteredView {
            kid: KEY.kid(),
            iss: None,
            sub: Some("0198c0de"),
            exp: claims.exp,
            iat: Some(claims.iat),
            jti: None,
            client_id: None,
            sid: Some("s1"),
        };
        verifier.authenticate(request.extensions_mut(), VerifiedToken::vouched(claims, &registered));
    }
    next.run(request).await
}

#[tokio::test]
async fn a_layer_may_know_the_caller_in_another_way() {
    let verifier = TokenVerifier::from(verifier());
    let other = TokenVerifier::from(crate::support::verifier());
    let tree = tree().layer(require::<Me, _>(verifier.clone())).layer(from_fn_with_state(verifier.clone(), tickets));
    let foreign = Router::new().route("/", get(async |_: Bearer| "")).with_state(other);
    let foreign = foreign.layer(from_fn_with_state(verifier.clone(), tickets));
    let server = Server::start(app(tree, verifier).nest("/foreign", foreign)).await;
    for path in ["/t/a", "/t/bearer", "/t/optional", "/t/x"] {
        assert_eq!(server.get_as_stranger(&format!("{path}?ticket=good")).await.status(), 200, "{path}");
        assert_eq!(server.get_as_stranger(&format!("{path}?ticket=bad")).await.status(), 401, "{path}");
    }
    let (mut socket, _) =
        tokio_tungstenite::connect_async(server.url.replace("http", "ws") + "/t/ws?ticket=good").await.unwrap();
    socket.close(None).await.unwrap();
    // Scopes are still asked for, and only a clone of the same verifier believes it.
    assert_eq!(server.get_as_stranger("/t/items?ticket=good").await.status(), 403);
    assert_eq!(server.get_as_stranger("/foreign?ticket=good").await.status(), 401);
}

#[test]
fn claims_that_are_vouched_for_end_as_their_token_would() {
    let keys = KeySet::from_keys([KEY.verification_key()]).unwrap();
    let clock = mapae_verify::ManualClock::new(NOW);
    let verifier = builder(keys).clock(clock.clone()).leeway(0).build();
    let vouched = |kid| {
        let claims = Arc::new(crate::support::claims("admin"));
        let registered = RegisteredView {
            kid,
            iss: None,
            sub: None,
            exp: NOW + 900,
            iat: None,
            jti: None,
            client_id: None,
            sid: None,
        };
        assert!(<Admin as mapae_verify::ScopeSet>::satisfied_by(&claims.scope));
        VerifiedToken::vouched(claims, &registered)
    };
    assert_eq!(verifier.check_again(&vouched(None)), Ok(()));
    assert_eq!(verifier.check_again(&vouched(KEY.kid())), Ok(()));
    assert!(matches!(verifier.check_again(&vouched(Some("gone"))), Err(VerifyError::UnknownKey { .. })));
    clock.advance(900);
    assert_eq!(verifier.check_again(&vouched(KEY.kid())), Err(VerifyError::Expired { ago: 0 }));
    assert_eq!(vouched(KEY.kid()).registered().kid, KEY.kid());
}
