//! Answers of an issuer that must change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use mapae_verify::remote::{FetchError, RemoteKeys};
use mapae_verify::{Algorithm, SigningKey};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::issuer::{Issuer, published, trusted};
use crate::support::{KEY, eventually, new_key, token};

/// Keys that cannot be used: a shared secret, a short RSA key, a point off the curve, an unknown type.
fn unusable() -> Vec<serde_json::Value> {
    vec![
        json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "A".repeat(43) }),
        json!({ "kty": "RSA", "kid": "short", "alg": "RS256", "n": "A".repeat(86), "e": "AQAB" }),
        json!({ "kty": "EC", "kid": "off", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }),
        json!({ "kty": "XYZ", "kid": "odd" }),
    ]
}

fn answer(status: StatusCode, body: impl Into<String>) -> Box<dyn Fn() -> Response + Send + Sync> {
    let body = body.into();
    Box::new(move || (status, body.clone()).into_response())
}

#[tokio::test]
async fn nonsense_keeps_the_keys() {
    let attacker = new_key();
    let theirs = published(&[&attacker]);
    let elsewhere = Issuer::start(&[&attacker]).await;
    let target = elsewhere.url();
    let ok = StatusCode::OK;
    let cases: Vec<(FetchError, Box<dyn Fn() -> Response + Send + Sync>)> = vec![
        (FetchError::Status(500), answer(StatusCode::INTERNAL_SERVER_ERROR, theirs.clone())),
        (FetchError::Status(404), answer(StatusCode::NOT_FOUND, theirs.clone())),
        (FetchError::Status(201), answer(StatusCode::CREATED, theirs.clone())),
        (FetchError::Status(204), answer(StatusCode::NO_CONTENT, "")),
        (FetchError::Status(303), Box::new(move || Redirect::to(&target).into_response())),
        (FetchError::NotAJwkSet, answer(ok, "")),
        (FetchError::NotAJwkSet, answer(ok, "<html>Service under maintenance</html>")),
        (FetchError::NotAJwkSet, answer(ok, "{}")),
        (FetchError::NotAJwkSet, answer(ok, "[]")),
        (FetchError::NotAJwkSet, answer(ok, r#"{"keys":{}}"#)),
        (FetchError::NotAJwkSet, answer(ok, &theirs[..theirs.len() - 1])),
        (FetchError::NotAJwkSet, answer(ok, format!("{theirs}x"))),
        (FetchError::NotAJwkSet, answer(ok, "[".repeat(100_000))),
        (FetchError::NotAJwkSet, Box::new(|| vec![0xff; 100].into_response())),
        (FetchError::NoUsableKey, answer(ok, r#"{"keys":[]}"#)),
        (FetchError::NoUsableKey, answer(ok, r#"{"keys":[null,7,"x",{}]}"#)),
        (FetchError::NoUsableKey, answer(ok, json!({ "keys": unusable() }).to_string())),
        (FetchError::NoUsableKey, answer(ok, json!({ "keys": unusable()[..1] }).to_string())),
        (FetchError::TooLarge, answer(ok, format!("{theirs}{}", " ".repeat(256 * 1024)))),
    ];
    let good = token(&KEY, "me");
    for (expected, nonsense) in cases {
        // In the place of good keys, they stay.
        let issuer = Issuer::start(&[&KEY]).await;
        let (verifier, _clock) = issuer.trusted();
        verifier.verify(&good).await.unwrap();
        issuer.answer(nonsense);
        verifier.verify(&token(&attacker, "me")).await.unwrap_err();
        assert_eq!(issuer.fetches(), 2, "{expected:?}: it was fetched");
        verifier.verify(&good).await.unwrap();
        // From the start, there are none.
        let (verifier, _clock) = issuer.trusted();
        assert_eq!(verifier.ready().await, Err(expected));
    }
    assert_eq!(elsewhere.fetches(), 0, "redirects are not followed");
}

#[tokio::test]
async fn a_set_of_exactly_the_size_is_read() {
    let set = published(&[&KEY]);
    let length = set.len();
    let issuer = Issuer::start(&[&KEY]).await;
    for (limit, expected) in [(length, Ok(())), (length - 1, Err(FetchError::TooLarge)), (0, Err(FetchError::TooLarge))]
    {
        let (verifier, _clock) = trusted(RemoteKeys::builder(issuer.url()).max_bytes(limit));
        assert_eq!(verifier.ready().await, expected);
    }
}

/// One that never ends is not read to its end.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sent, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, ends) = (Arc::clone(&sent), Arc::clone(&closed));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {
            count.fetch_add(0x4000, Ordering::SeqCst);
        }
        ends.fetch_add(1, Ordering::SeqCst);
    });
    let (verifier, _clock) = trusted(RemoteKeys::builder(url).interval(Duration::from_secs(60)));
    assert_eq!(verifier.ready().await, Err(FetchError::TooLarge));
    eventually(|| closed.load(Ordering::SeqCst) == 1).await;
    let sent = sent.load(Ordering::SeqCst);
    // What the sockets hold on the way counts as sent.
    assert!((256 * 1024..64 * 1024 * 1024).contains(&sent), "{sent}");
    server.await.unwrap();
}

#[tokio::test]
async fn one_that_is_broken_off_keeps_the_keys() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let set = published(&[&KEY]);
    let server = tokio::spawn(async move {
        for whole in [true, false] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            let sent = if whole { &set[..] } else { &set[..set.len() / 2] };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", set.len());
            stream.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        }
    });
    let (verifier, _clock) = trusted(RemoteKeys::builder(url));
    verifier.verify(&token(&KEY, "me")).await.unwrap();
    verifier.verify(&token(&new_key(), "me")).await.unwrap_err();
    server.await.unwrap();
    verifier.verify(&token(&KEY, "me")).await.unwrap();
}

#[tokio::test]
async fn unusable_keys_do_not_spoil_the_others() {
    let issuer = Issuer::start(&[]).await;
    let mut keys = unusable();
    keys.push(serde_json::to_value(KEY.public_jwk().unwrap()).unwrap());
    issuer.answer(answer(StatusCode::OK, json!({ "keys": keys }).to_string()));
    let (verifier, _clock) = issuer.trusted();
    verifier.verify(&token(&KEY, "me")).await.unwrap();
    // Whoever reads the set knows the secret in it.
    let secret = SigningKey::hmac(Some("secret".to_owned()), Algorithm::HS256, &[0; 32]).unwrap();
    verifier.verify(&token(&secret, "me")).await.unwrap_err();
    assert_eq!(verifier.inner().keys().load().len(), 1);
}
