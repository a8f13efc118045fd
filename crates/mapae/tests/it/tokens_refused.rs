//! Tokens that must not pass: each gets a 401 that says why, with a challenge.

use serde_json::{Value, json};

use crate::forge::{forge, parts, refused, sign, sign_text, strangers_key, with};
use crate::server::{START, Server, text};

#[tokio::test]
async fn for_or_by_somebody_else() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let slash = format!("{}/", server.url);
    let upper = server.url.to_uppercase();
    for other in ["https://evil.example", "", " ", &slash, &upper, &server.url[..server.url.len() - 1]] {
        assert_eq!(refused(&server, &forge.with_claim("iss", json!(other))).await, "wrong issuer", "{other:?}");
        assert_eq!(refused(&server, &forge.with_claim("aud", json!(other))).await, "wrong audience", "{other:?}");
        assert_eq!(refused(&server, &forge.with_claim("aud", json!([other]))).await, "wrong audience");
    }
    assert_eq!(refused(&server, &forge.with_claim("aud", json!([]))).await, "wrong audience");
    for odd in [json!([server.url]), json!({ "a": server.url }), json!(1), json!(true)] {
        refused(&server, &forge.with_claim("iss", odd)).await;
    }
    for odd in [json!([1, server.url]), json!({ "a": server.url }), json!([[server.url]]), json!(1)] {
        refused(&server, &forge.with_claim("aud", odd)).await;
    }
    let shared = forge.with_claim("aud", json!(["https://other.example", server.url]));
    assert_eq!(server.status_of_me(&shared).await, 200, "one of several is enough");
}

#[tokio::test]
async fn outside_their_time() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let token = forge.sign();
    let leeway = i64::from(server.settings.leeway);
    server.clock.set(START + 900 + leeway - 1);
    assert_eq!(server.status_of_me(&token).await, 200, "within the leeway");
    server.clock.set(START + 900 + leeway);
    assert_eq!(refused(&server, &token).await, "the token has expired");
    assert_eq!(refused(&server, &forge.with_claim("exp", json!(START))).await, "the token has expired");

    server.clock.set(START);
    for claim in ["nbf", "iat"] {
        let in_time = forge.with_claim(claim, json!(START + leeway));
        assert_eq!(server.status_of_me(&in_time).await, 200);
        let early = forge.with_claim(claim, json!(START + leeway + 1));
        assert_eq!(refused(&server, &early).await, "the token is not valid yet");
        server.clock.advance(1);
        assert_eq!(server.status_of_me(&early).await, 200, "its time has come");
        server.clock.set(START);
    }
    // A longer `exp` than the server gives does not outlive the session.
    let endless = forge.with_claim("exp", json!(START + 10_000_000));
    assert_eq!(server.status_of_me(&endless).await, 200);
    server.clock.set(START + i64::from(server.settings.session_lifetime));
    assert_eq!(refused(&server, &endless).await, "the session has ended");
}

#[tokio::test]
async fn with_times_that_are_no_numbers() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for claim in ["exp", "iat", "nbf"] {
        for odd in [
            "\"1767226500\"",
            "1767226500.5",
            "1767226500.0",
            "1.7672265e9",
            "-1",
            "null",
            "true",
            "[]",
            "{}",
            "1e400",
            "9223372036854775807",
            "99999999999999999999999999",
            "\"2026-01-01T00:15:00Z\"",
        ] {
            refused(&server, &forge.with_raw_claim(claim, odd)).await;
        }
    }
    assert_eq!(server.status_of_me(&forge.with_raw_claim("nbf", "1767225600")).await, 200);
}

#[tokio::test]
async fn with_claims_missing_or_twice() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for claim in ["exp", "iss", "aud", "sub", "client_id", "iat", "jti"] {
        assert_eq!(refused(&server, &forge.with_claim(claim, Value::Null)).await, format!("missing claim `{claim}`"));
    }
    let text = forge.claims.to_string();
    for twice in ["\"sub\":\"x\"", "\"exp\":1", "\"e\\u0078p\":9", "\"scope\":\"mapae:admin\""] {
        let doubled = format!("{{{twice},{}", &text[1..]);
        assert!(refused(&server, &sign_text(&forge.key, &forge.header.to_string(), &doubled)).await.contains("twice"));
    }
    for body in ["", "[]", "null", "\"x\"", "{", "{}{}", "{\"exp\":1,}", "\u{feff}{}"] {
        refused(&server, &sign_text(&forge.key, &forge.header.to_string(), body)).await;
    }
}

#[tokio::test]
async fn with_headers_that_ask_for_more_than_a_key() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for crit in [json!(["exp"]), json!([]), json!(["b64"]), json!("exp"), json!(["http://example.com/UNDEFINED"])] {
        assert_eq!(refused(&server, &forge.with_header("crit", crit)).await, "unknown critical header parameter");
    }
    refused(&server, &forge.with_header("b64", json!(false))).await;
    refused(&server, &forge.with_header("zip", json!("DEF"))).await;
    for kid in [
        "../../../../../../dev/null",
        "..\\..\\windows\\win.ini",
        "/proc/self/environ",
        "' OR '1'='1",
        "x'; DROP TABLE mapae_signing_key; --",
        "a' UNION SELECT 'secret",
        "$(id)",
        "\0",
        "",
        &"k".repeat(1000),
    ] {
        assert_eq!(refused(&server, &forge.with_header("kid", json!(kid))).await, "signed by an unknown key");
    }
    for kid in [json!(1), json!([forge.header["kid"]]), json!({})] {
        refused(&server, &forge.with_header("kid", kid)).await;
    }
    // The token brings the key that would verify it.
    let stranger = strangers_key(&forge.header["kid"]);
    let jwk = serde_json::to_value(stranger.public_jwk().unwrap()).unwrap();
    for (name, value) in
        [("jwk", jwk.clone()), ("jku", json!(format!("{}/keys", server.url))), ("x5c", json!(["MIIB"]))]
    {
        let own_kid = with(&with(&forge.header, name, value.clone()), "kid", jwk["kid"].clone());
        for header in [with(&forge.header, name, value), own_kid] {
            assert_eq!(
                refused(&server, &sign(&stranger, &header, &forge.claims)).await,
                "the signature does not match"
            );
        }
    }
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_another_kind() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for typ in [
        json!("JWT"),
        Value::Null,
        json!("id+jwt"),
        json!("logout+jwt"),
        json!("at+jwt+x"),
        json!(""),
        json!("x/at+jwt"),
    ] {
        assert_eq!(refused(&server, &forge.with_header("typ", typ)).await, "wrong type of token");
    }
    let spelled = forge.with_header("typ", json!("application/AT+JWT"));
    assert_eq!(server.status_of_me(&spelled).await, 200, "RFC 9068 §4: the media type, in any case");
    let sub = text(&forge.claims["sub"]);
    for other in [
        format!("client:{sub}"),
        format!("car:{sub}"),
        "user:1".into(),
        sub.to_uppercase(),
        format!("{sub} "),
        String::new(),
    ] {
        refused(&server, &forge.with_claim("sub", json!(other))).await;
    }
    for odd in [json!(1), json!([sub]), json!({ "id": sub })] {
        refused(&server, &forge.with_claim("sub", odd)).await;
    }
    // Somebody else's session, nobody's session, no session.
    let (_, bobs) = server.newcomer("bob").await;
    let bobs_sid = parts(&bobs).1["sid"].clone();
    for sid in [bobs_sid, json!("0"), json!(""), json!("' OR 1=1 --"), Value::Null] {
        assert_eq!(refused(&server, &forge.with_claim("sid", sid)).await, "the session has ended");
    }
}
