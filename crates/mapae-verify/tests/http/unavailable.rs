//! No keys, or none that can be fetched anew.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use mapae_verify::axum::{ErrorStyle, error_style};
use mapae_verify::remote::{FetchError, KEPT, RemoteKeys};
use mapae_verify::{TokenError, VerifyError};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::issuer::{Issuer, trusted};
use crate::routes::routes;
use crate::support::{Answer, KEY, Server, eventually, new_key, token};

const OFTEN: Duration = Duration::from_millis(100);

/// An address at which nobody listens now, and a way to listen there later.
async fn nowhere() -> (String, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (format!("http://{address}/jwks"), address)
}

#[tokio::test]
async fn without_keys_the_answer_is_503() {
    let (url, address) = nowhere().await;
    let (verifier, clock) = trusted(RemoteKeys::builder(url));
    let error = verifier.ready().await.unwrap_err();
    assert!(matches!(&error, FetchError::NoAnswer(text) if text.contains("refused")), "{error}");
    assert!(!error.to_string().contains(&address.port().to_string()), "the URL is not in the text: {error}");
    let good = token(&KEY, "me items");
    assert_eq!(verifier.verify(&good).await, Err(TokenError::Unavailable));

    let problem = Server::start(routes(verifier.clone())).await;
    let detail = Server::start(routes(verifier).layer(error_style(ErrorStyle::Detail))).await;
    let text = "The service cannot answer right now. Try again in a moment.";
    for path in ["/any", "/both", "/optional"] {
        let response = problem.get(path, &good).await;
        assert_eq!(response.headers()["retry-after"], "2");
        let answer = Answer::of(response).await;
        let body = json!({
            "type": "about:blank", "title": "Temporarily unavailable", "status": 503, "detail": text,
            "code": "unavailable",
        });
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), body);
        assert_eq!((answer.status, answer.challenge), (503, None));
        let response = detail.get(path, &good).await;
        assert_eq!(response.headers()["retry-after"], "2");
        let body = json!({ "detail": text }).to_string();
        let media_type = "application/json".to_owned();
        assert_eq!(Answer::of(response).await, Answer { status: 503, challenge: None, media_type, body });
    }
    // What needs no keys needs none.
    assert_eq!(problem.get_as_stranger("/any").await.status(), 401);
    assert_eq!(problem.get_as_stranger("/optional").await.status(), 200);

    let issuer = Issuer::on(TcpListener::bind(address).await.unwrap(), &[&KEY]);
    // The next request that comes a second after the failure asks at once.
    clock.advance(60);
    assert_eq!(problem.get("/both", &good).await.status(), 200);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn requests_without_keys_do_not_storm_the_issuer() {
    let issuer = Issuer::start(&[&KEY]).await;
    issuer.answer(|| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    let (verifier, clock) = issuer.trusted();
    let good = token(&KEY, "me");
    for _ in 0..64 {
        assert_eq!(verifier.verify(&good).await, Err(TokenError::Unavailable));
    }
    // Its own first retry can have come meanwhile.
    assert!(issuer.fetches() <= 2, "{}", issuer.fetches());
    assert_eq!(verifier.ready().await, Err(FetchError::Status(500)));
    issuer.publish(&[&KEY]);
    clock.advance(1);
    verifier.verify(&good).await.unwrap();
}

#[tokio::test]
async fn keys_are_kept_for_a_day() {
    let issuer = Issuer::start(&[&KEY]).await;
    let (verifier, clock) = trusted(RemoteKeys::builder(issuer.url()).interval(OFTEN));
    let (good, unknown) = (token(&KEY, "me"), token(&new_key(), "me"));
    verifier.verify(&good).await.unwrap();

    issuer.answer(|| StatusCode::SERVICE_UNAVAILABLE.into_response());
    let so_far = issuer.fetches();
    // One that was under way when the answer changed, and two that failed.
    eventually(|| issuer.fetches() >= so_far + 3).await;
    let address = issuer.server.url.strip_prefix("http://").unwrap().to_owned();
    drop(issuer);
    verifier.verify(&good).await.unwrap();
    let refused = verifier.verify(&unknown).await;
    assert!(matches!(refused, Err(TokenError::Refused(VerifyError::UnknownKey { .. }))), "{refused:?}");

    clock.advance(i64::from(KEPT) - 1);
    verifier.verify(&good).await.unwrap();
    clock.advance(1);
    assert_eq!(verifier.verify(&good).await, Err(TokenError::Unavailable));
    assert_eq!(verifier.verify(&unknown).await, Err(TokenError::Unavailable));
    assert!(matches!(verifier.ready().await, Err(FetchError::NoAnswer(_))));

    // The old connections may hold the address for a moment.
    let listener = loop {
        match TcpListener::bind(&address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let _issuer = Issuer::on(listener, &[&KEY]);
    clock.advance(1);
    verifier.verify(&good).await.unwrap();
}

#[tokio::test]
async fn nobody_waits_longer_than_a_fetch_may_take() {
    let issuer = Issuer::start(&[&KEY]).await;
    issuer.delay(Duration::from_secs(60));
    let (verifier, _clock) = trusted(RemoteKeys::builder(issuer.url()).timeout(Duration::from_millis(200)));
    let good = token(&KEY, "me");
    let waiting = async { tokio::join!(verifier.verify(&good), verifier.verify(&good)) };
    let verified = timeout(Duration::from_secs(10), waiting).await.expect("an answer in time");
    assert_eq!(verified, (Err(TokenError::Unavailable), Err(TokenError::Unavailable)));
    let error = verifier.ready().await.unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[test]
fn keys_end_with_their_runtime() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let good = token(&KEY, "me");
    let (verifier, clock) = first.block_on(async {
        let issuer = Issuer::start(&[&KEY]).await;
        let (verifier, clock) = issuer.trusted();
        verifier.verify(&good).await.unwrap();
        (verifier, clock)
    });
    drop(first);
    // What was fetched still counts, and nobody waits for what does not come any more.
    runtime().block_on(async {
        verifier.verify(&good).await.unwrap();
        assert!(verifier.verify(&token(&new_key(), "me")).await.is_err());
        clock.advance(i64::from(KEPT));
        assert_eq!(verifier.verify(&good).await, Err(TokenError::Unavailable));
    });
}
