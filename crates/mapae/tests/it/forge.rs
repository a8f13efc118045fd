//! Tokens made by hand: taken apart, altered, and signed with the server's own keys.

use base64_simd::URL_SAFE_NO_PAD;
use mapae::domain::secret::WrapUse;
use mapae::domain::{KeyState, MasterKey};
use mapae_verify::{Algorithm, SigningKey};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{MASTER_KEY, Server, header, problem, text};

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(crate) fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()
}

/// Header and claims of a token, read without any of the library's help.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let segments: Vec<&str> = token.split('.').collect();
    assert_eq!(segments.len(), 3, "{token}");
    let json = |part: &str| serde_json::from_slice(&decode(part)).unwrap();
    (json(segments[0]), json(segments[1]))
}

/// A token of exactly this header and these claims, both as JSON text, signed by `key` whatever the header says.
pub(crate) fn sign_text(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = encode(key.sign_bytes(message.as_bytes()).unwrap());
    format!("{message}.{signature}")
}

pub(crate) fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
    sign_text(key, &header.to_string(), &claims.to_string())
}

/// `value` with this member set, or removed if it is null.
pub(crate) fn with(value: &Value, name: &str, member: Value) -> Value {
    let mut value = value.clone();
    if member.is_null() {
        value.as_object_mut().unwrap().remove(name);
    } else {
        value[name] = member;
    }
    value
}

/// The private key that the server signs with now, out of its database.
pub(crate) async fn stolen_key(server: &Server) -> SigningKey {
    let records = server.mapae.store().signing_keys().await.unwrap();
    let active = records.iter().find(|key| key.state == KeyState::Active).unwrap();
    let pkcs8 = MasterKey::new(MASTER_KEY.to_vec())
        .unwrap()
        .unwrap(WrapUse::SigningKey, &active.kid, &active.wrapped_private)
        .unwrap();
    SigningKey::from_pkcs8(active.algorithm, &pkcs8).unwrap().with_kid(&active.kid)
}

/// What forging starts from: a good token's header and claims, and the key that signed it.
pub(crate) struct Forge {
    pub(crate) key: SigningKey,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Forge {
    /// From a token of this server. Fails unless an unaltered copy passes, so that refusals below mean something.
    pub(crate) async fn from(server: &Server, token: &str) -> Self {
        let (header, claims) = parts(token);
        let forge = Self { key: stolen_key(server).await, header, claims };
        let copy = forge.sign();
        assert_ne!(copy, token, "an ES256 signature is new each time");
        assert_eq!(server.status_of_me(&copy).await, 200);
        forge
    }

    pub(crate) fn sign(&self) -> String {
        sign(&self.key, &self.header, &self.claims)
    }

    pub(crate) fn with_claim(&self, name: &str, value: Value) -> String {
        sign(&self.key, &self.header, &with(&self.claims, name, value))
    }

    pub(crate) fn with_header(&self, name: &str, value: Value) -> String {
        sign(&self.key, &with(&self.header, name, value), &self.claims)
    }

    /// Claims as JSON text in which `"exp":…` and the like are replaced by this text.
    pub(crate) fn with_raw_claim(&self, name: &str, raw: &str) -> String {
        let marked = with(&self.claims, name, json!("@raw@")).to_string();
        sign_text(&self.key, &self.header.to_string(), &marked.replace("\"@raw@\"", raw))
    }
}

/// A key of the same kind that the server does not know, under the `kid` of one that it knows.
pub(crate) fn strangers_key(kid: &Value) -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap().with_kid(kid.as_str().unwrap())
}

/// The token is answered 401 `invalid_token`; why.
pub(crate) async fn refused(server: &Server, token: &str) -> String {
    let response = server.me(token).await;
    let challenge = header(&response, "www-authenticate");
    let body = problem(response, StatusCode::UNAUTHORIZED, "invalid_token").await;
    let why = text(&body["detail"]);
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
    assert!(challenge.ends_with(", scope=\"me\""), "{challenge}");
    assert!(!why.contains(token), "an answer does not repeat the token");
    why
}

pub(crate) async fn forge(server: &Server) -> Forge {
    let (_, token) = server.newcomer("ann").await;
    Forge::from(server, &token).await
}
