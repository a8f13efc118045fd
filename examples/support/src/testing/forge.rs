//! Tokens made and read by hand, without any of the library's help.

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use mapae_verify::{Clock, SystemClock};
use serde_json::{Value, json};

use super::KEY;

/// The base64url of a token's parts.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemClock.now()
}

/// A token of exactly these two texts, signed by `key` whatever they say.
pub fn sign_text(algorithm: hmac::Algorithm, key: &str, header: &str, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// A token with this header, signed with HS256 and [`KEY`].
pub fn sign_with(header: &Value, claims: &Value) -> String {
    sign_text(hmac::HMAC_SHA256, KEY, &header.to_string(), claims.to_string())
}

/// A token as every library makes it, signed with HS256 and [`KEY`].
pub fn sign(claims: &Value) -> String {
    sign_with(&json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

/// The claims with these members set; null removes one.
pub fn with(claims: &Value, members: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// The claims of a token that an example made, after checking its header and its signature.
pub fn claims(token: &str) -> Value {
    claims_under(KEY, token)
}

/// As [`claims`], under another key.
pub fn claims_under(key: &str, token: &str) -> Value {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode_to_vec(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::verify(&key, message.as_bytes(), &decode(signature)).unwrap();
    serde_json::from_slice(&decode(claims)).unwrap()
}

/// Fails unless the token was made just now, is good for so many seconds, and holds `rest` and nothing else.
#[track_caller]
pub fn assert_claims(token: &str, lifetime: i64, rest: &Value) {
    let claims = claims(token);
    let exp = claims["exp"].as_i64().unwrap();
    let age = now() + lifetime - exp;
    assert!((0..60).contains(&age), "good for {lifetime} seconds: {claims}");
    assert_eq!(with(&claims, &json!({ "exp": null })), *rest);
}
