//! Wycheproof's JWS and JWK vectors: every row as the file says, or as listed here with a reason.

use mapae_verify::{Algorithm, Jwk, JwkSet, KeyError, KeySet, VerificationKey, VerifyError, verify_jws};
use serde_json::Value;

use crate::support::read_json;

/// Rows where the file is at fault: file, `tcId`, whether we accept, and why.
const EXCEPTIONS: [(&str, u64, bool, &str); 8] = [
    (SIGNATURE, 346, false, "the key's `alg` is PS256, the token's PS384"),
    (SIGNATURE, 350, false, "the key's `alg` is PS256, the token's PS384"),
    (SIGNATURE, 347, false, "the key's `alg` is ES521, which does not exist"),
    (SIGNATURE, 351, false, "the key's `alg` is ES521, which does not exist"),
    (SIGNATURE, 367, true, "key and token are those of 357, which is valid; the padding it speaks of is not there"),
    (SIGNATURE, 370, true, "key and token are those of 357, which is valid; the padding it speaks of is not there"),
    (SIGNATURE, 372, false, "`?` is no character of base64url"),
    (SIGNATURE, 373, false, "`?` is no character of base64url"),
];

const SIGNATURE: &str = "json_web_signature_test";
const KEY: &str = "json_web_key_test";
const CRYPTO: &str = "json_web_crypto_test";

struct Row {
    id: u64,
    group: Value,
    valid: bool,
    /// `None` for an encrypted token.
    jws: Option<String>,
}

fn rows(file: &str) -> Vec<Row> {
    let json = read_json(&format!("wycheproof/{file}.json"));
    let rows: Vec<Row> = json["testGroups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["tests"].as_array().unwrap().iter().map(move |test| (group, test)))
        .map(|(group, test)| Row {
            id: test["tcId"].as_u64().unwrap(),
            group: group.clone(),
            valid: match test["result"].as_str() {
                Some("valid") => true,
                Some("invalid") => false,
                other => panic!("{other:?}"),
            },
            // A JSON serialization is given to the verifier as its text.
            jws: test.get("jws").map(|jws| jws.as_str().map_or_else(|| jws.to_string(), str::to_owned)),
        })
        .collect();
    assert_eq!(rows.len() as u64, json["numberOfTests"].as_u64().unwrap());
    rows
}

/// The group's key or keys; HMAC groups have them under `private` only.
fn jwks(group: &Value) -> JwkSet {
    let key = group.get("public").unwrap_or(&group["private"]);
    let set = if key.get("keys").is_some() { key.clone() } else { serde_json::json!({ "keys": [key] }) };
    serde_json::from_value(set).unwrap()
}

fn verify(row: &Row) -> Result<(), VerifyError> {
    let (keys, _) = KeySet::from_jwks(&jwks(&row.group));
    verify_jws(row.jws.as_deref().unwrap(), &keys, 64 * 1024).map(drop)
}

/// Checks all rows with a JWS; returns how many were accepted, refused, and left out (JWE).
fn check(file: &str) -> (usize, usize, usize) {
    let (mut accepted, mut refused, mut encrypted) = (0, 0, 0);
    for row in rows(file) {
        if row.jws.is_none() {
            encrypted += 1;
            continue;
        }
        let exception = EXCEPTIONS.iter().find(|(name, id, ..)| (*name, *id) == (file, row.id));
        let expected = exception.map_or(row.valid, |(_, _, accepts, _)| *accepts);
        let result = verify(&row);
        assert_eq!(result.is_ok(), expected, "{file} {}: {result:?}", row.id);
        if let Some((.., reason)) = exception {
            assert_ne!(expected, row.valid, "{file} {}: no exception any more ({reason})", row.id);
        }
        if expected { accepted += 1 } else { refused += 1 }
    }
    (accepted, refused, encrypted)
}

fn row(file: &str, id: u64) -> Row {
    rows(file).into_iter().find(|row| row.id == id).unwrap()
}

#[test]
fn signatures() {
    let valid = rows(SIGNATURE).iter().filter(|row| row.valid).count();
    assert_eq!(check(SIGNATURE), (valid - 6 + 2, 401 - (valid - 6 + 2), 0));
}

#[test]
fn keys() {
    let valid = rows(KEY).iter().filter(|row| row.valid).count();
    assert_eq!(check(KEY), (valid, 26 - valid, 0));
}

#[test]
fn crypto() {
    // Rows 50 to 83 are encrypted tokens (JWE), which are not read here.
    let encrypted: Vec<u64> = rows(CRYPTO).iter().filter(|row| row.jws.is_none()).map(|row| row.id).collect();
    assert_eq!(encrypted, (50..=83).collect::<Vec<_>>());
    let valid = rows(CRYPTO).iter().filter(|row| row.valid && row.jws.is_some()).count();
    assert_eq!(check(CRYPTO), (valid, 49 - valid, 34));
}

/// Keys are refused for the right reason, not because of something else about the row.
#[test]
fn keys_are_refused_for_what_is_wrong_with_them() {
    let short = |bytes, needed| KeyError::ShortSecret { bytes, needed };
    for (file, id, reason) in [
        (SIGNATURE, 353, KeyError::AlgorithmRequired),
        (SIGNATURE, 354, KeyError::WrongUse),
        (SIGNATURE, 356, KeyError::WrongKeyOps),
        (SIGNATURE, 347, KeyError::UnsupportedAlgorithm),
        (KEY, 1, KeyError::MixedSet),
        (KEY, 4, KeyError::DuplicateKid),
        (KEY, 6, KeyError::UnsupportedAlgorithm),
        (KEY, 7, KeyError::RsaWeak),
        (KEY, 8, KeyError::RsaSize { bits: 1024 }),
        (KEY, 9, KeyError::RsaExponent),
        (KEY, 10, short(31, 32)),
        (KEY, 11, short(47, 48)),
        (KEY, 12, short(63, 64)),
        (KEY, 16, KeyError::EmptySecret),
        (KEY, 17, KeyError::EmptySecret),
        (KEY, 18, KeyError::EmptySecret),
        (KEY, 19, KeyError::UnsupportedAlgorithm),
        (KEY, 20, KeyError::UnsupportedAlgorithm),
        (KEY, 21, KeyError::WrongUse),
        (KEY, 22, KeyError::InvalidPoint),
        (KEY, 23, KeyError::AlgorithmMismatch(Algorithm::ES256)),
        (KEY, 24, KeyError::AlgorithmMismatch(Algorithm::ES256)),
        (KEY, 25, KeyError::UnsupportedAlgorithm),
        (KEY, 26, KeyError::UnsupportedAlgorithm),
        (CRYPTO, 46, KeyError::RsaWeak),
        (CRYPTO, 47, KeyError::MixedSet),
    ] {
        let jwks = jwks(&row(file, id).group);
        assert_eq!(KeySet::from_jwks_strict(&jwks).unwrap_err(), reason, "{file} {id}");
    }
    // RSA keys without `alg`: the reason shows once the algorithm is given.
    for (id, reason) in [(353, KeyError::WrongUse), (355, KeyError::WrongKeyOps)] {
        let jwk = &jwks(&row(SIGNATURE, id).group).keys[0];
        assert_eq!(VerificationKey::from_jwk_with_algorithm(jwk, Algorithm::RS256).unwrap_err(), reason, "{id}");
    }
}

/// The rows refused for their key's `alg` verify once it is mended, so nothing else is wrong with them.
#[test]
fn exceptions_for_alg_verify_with_the_right_one() {
    for (id, algorithm) in
        [(346, Algorithm::PS384), (350, Algorithm::PS384), (347, Algorithm::ES512), (351, Algorithm::ES512)]
    {
        let row = row(SIGNATURE, id);
        let jwk = Jwk { alg: None, ..jwks(&row.group).keys[0].clone() };
        let key = VerificationKey::from_jwk_with_algorithm(&jwk, algorithm).unwrap();
        let keys = KeySet::from_keys([key]).unwrap();
        verify_jws(row.jws.as_deref().unwrap(), &keys, 64 * 1024).unwrap();
    }
}
