//! Keys, tokens and verifiers that several tests use.

use std::path::PathBuf;
use std::sync::LazyLock;

use aws_lc_rs::digest;
use mapae_verify::{
    Algorithm, Audience, Claims, KeySet, ManualClock, NoExtra, Scopes, SigningKey, Subject, VerifierBuilder,
};
use serde_json::Value;

pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One key for every algorithm, all with a `kid`.
pub(crate) static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| Algorithm::ALL.into_iter().map(new_key).collect());

pub(crate) fn new_key(algorithm: Algorithm) -> SigningKey {
    if algorithm.is_symmetric() {
        SigningKey::hmac(Some(algorithm.to_string()), algorithm, SECRET).unwrap()
    } else {
        SigningKey::generate(algorithm).unwrap()
    }
}

pub(crate) fn key(algorithm: Algorithm) -> &'static SigningKey {
    KEYS.iter().find(|key| key.algorithm() == algorithm).unwrap()
}

pub(crate) fn set(keys: &[&SigningKey]) -> KeySet {
    KeySet::from_keys(keys.iter().map(|key| key.verification_key())).unwrap()
}

pub(crate) fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        sub: Subject::user("0198c0de").unwrap(),
        aud: Audience::one(AUDIENCE),
        exp: NOW + 900,
        iat: NOW,
        nbf: None,
        jti: "7f3a".into(),
        client_id: "web".into(),
        scope: Scopes::parse("me items").unwrap(),
        sid: Some("s1".into()),
        act: None,
        extra: NoExtra {},
    }
}

/// The claims of [`claims`] with some of them replaced, or left out where the new value is null.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut json = serde_json::to_value(claims()).unwrap();
    let members = json.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    json
}

pub(crate) fn builder(keys: KeySet) -> VerifierBuilder {
    VerifierBuilder::rfc9068(keys, ISSUER, AUDIENCE).clock(ManualClock::new(NOW))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

/// A token with exactly this header and payload, properly signed.
pub(crate) fn token(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = encode(key.sign_bytes(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// A header that fits the key and names it.
pub(crate) fn header(key: &SigningKey) -> String {
    format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#, key.algorithm(), key.kid().unwrap())
}

pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(data(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn read_json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// The vectors are as published: every file has the hash that its README lists.
#[test]
fn vectors_are_unchanged() {
    let mut checked = 0;
    for folder in ["wycheproof", "jose_cookbook", "latchset_jose"] {
        let readme = read(&format!("{folder}/README.md"));
        let listed =
            |name: &str| readme.lines().find_map(|line| line.strip_suffix(&format!("  {name}")).map(str::to_owned));
        let mut folders = vec![data(folder)];
        while let Some(path) = folders.pop() {
            for entry in std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()) {
                let name = entry.strip_prefix(data(folder)).unwrap().to_str().unwrap().replace('\\', "/");
                if entry.is_dir() {
                    folders.push(entry);
                } else if name != "README.md" {
                    let hash = digest::digest(&digest::SHA256, &std::fs::read(&entry).unwrap());
                    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(listed(&name), Some(hex), "{folder}/{name}");
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 4 + 18 + 22);
}
