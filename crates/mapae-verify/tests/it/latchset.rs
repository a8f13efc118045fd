//! The examples of RFC 7515, RFC 7517 and RFC 7638.

use mapae_verify::{Algorithm, Jwk, JwkSet, KeyError, KeySet, VerificationKey, VerifyError, inspect, verify_jws};
use serde_json::Value;

use crate::private_keys::signing_key;
use crate::support::{data, read, read_json};

const MAX: usize = 64 * 1024;

fn jwk(file: &str) -> Jwk {
    serde_json::from_str(&read(&format!("latchset_jose/{file}"))).unwrap()
}

fn compact(file: &str) -> String {
    read(&format!("latchset_jose/{file}")).trim().to_owned()
}

const SIGNED: [(&str, Algorithm); 4] =
    [("A.1", Algorithm::HS256), ("A.2", Algorithm::RS256), ("A.3", Algorithm::ES256), ("A.4", Algorithm::ES512)];

#[test]
fn compact_examples_verify() {
    for (name, algorithm) in SIGNED {
        let key = VerificationKey::from_jwk_with_algorithm(&jwk(&format!("rfc7515_{name}.jwk")), algorithm).unwrap();
        let keys = KeySet::from_keys([key]).unwrap();
        let jws = verify_jws(&compact(&format!("rfc7515_{name}.jwsc")), &keys, MAX).unwrap();
        if name == "A.4" {
            assert_eq!(jws.payload, b"Payload");
        } else {
            let claims: Value = serde_json::from_slice(&jws.payload).unwrap();
            assert_eq!((claims["iss"].as_str(), claims["exp"].as_i64()), (Some("joe"), Some(1_300_819_380)), "{name}");
        }
    }
}

#[test]
fn examples_are_signed_again() {
    for (name, algorithm) in SIGNED {
        let key = signing_key(&read_json(&format!("latchset_jose/rfc7515_{name}.jwk")), algorithm);
        let compact = compact(&format!("rfc7515_{name}.jwsc"));
        let (signed, signature) = compact.rsplit_once('.').unwrap();
        let again = crate::support::encode(key.sign_bytes(signed.as_bytes()).unwrap());
        // ECDSA is randomized.
        assert_eq!(again == signature, matches!(algorithm, Algorithm::HS256 | Algorithm::RS256), "{name}");
        let keys = KeySet::from_keys([key.verification_key()]).unwrap();
        verify_jws(&format!("{signed}.{again}"), &keys, MAX).unwrap();
    }
    // The header of A.2 is written as this library writes it.
    let key = signing_key(&read_json("latchset_jose/rfc7515_A.2.jwk"), Algorithm::RS256);
    let expected = compact("rfc7515_A.2.jwsc");
    let payload = crate::support::decode(expected.split('.').nth(1).unwrap());
    assert_eq!(key.sign_payload(None, &payload).unwrap(), expected);
}

#[test]
fn the_unsecured_example_is_refused() {
    let unsecured = compact("rfc7515_A.5.jwsc");
    for (name, algorithm) in SIGNED {
        let key = VerificationKey::from_jwk_with_algorithm(&jwk(&format!("rfc7515_{name}.jwk")), algorithm).unwrap();
        let keys = KeySet::from_keys([key]).unwrap();
        assert_eq!(verify_jws(&unsecured, &keys, MAX), Err(VerifyError::Malformed("a part is empty")));
        assert_eq!(verify_jws(&format!("{unsecured}AA"), &keys, MAX), Err(VerifyError::UnsupportedAlgorithm));
    }
    let decoded = inspect::decode(&unsecured).unwrap();
    assert!(!decoded.has_signature && decoded.problems.contains(&VerifyError::UnsupportedAlgorithm));
}

/// A.6 and A.7 are JSON serializations, which are not accepted; their keys are read.
#[test]
fn json_examples_are_refused() {
    let (keys, skipped) =
        KeySet::from_jwks(&serde_json::from_value(read_json("latchset_jose/rfc7515_A.6.jwkset")).unwrap());
    assert_eq!(keys.len() + skipped.len(), 2);
    for file in ["rfc7515_A.6.jwsg", "rfc7515_A.7.jwsf"] {
        assert!(matches!(verify_jws(&compact(file), &keys, MAX), Err(VerifyError::Malformed(_))), "{file}");
    }
    for (file, algorithm) in [("A.6.1", Algorithm::RS256), ("A.6.2", Algorithm::ES256), ("A.7", Algorithm::ES256)] {
        VerificationKey::from_jwk_with_algorithm(&jwk(&format!("rfc7515_{file}.jwk")), algorithm).unwrap();
    }
}

#[test]
fn key_sets_are_read() {
    let read_set =
        |name: &str| -> JwkSet { serde_json::from_value(read_json(&format!("latchset_jose/{name}"))).unwrap() };
    for name in ["rfc7517_A.1.jwkset", "rfc7517_A.2.jwkset"] {
        let (keys, skipped) = KeySet::from_jwks(&read_set(name));
        assert_eq!(keys.get(Some("2011-04-29")).unwrap().algorithm(), Algorithm::RS256, "{name}");
        // The other key is for encryption.
        assert_eq!(skipped.iter().map(|key| &key.reason).collect::<Vec<_>>(), [&KeyError::WrongUse], "{name}");
        let published = serde_json::to_string(&keys.public_jwks()).unwrap();
        assert!(!published.contains("\"d\""), "{name}");
    }
    let (keys, skipped) = KeySet::from_jwks(&read_set("rfc7517_A.3.jwkset"));
    assert!(keys.is_empty());
    assert_eq!(
        skipped.iter().map(|key| &key.reason).collect::<Vec<_>>(),
        [&KeyError::UnsupportedAlgorithm, &KeyError::AlgorithmRequired]
    );
    // Appendix B: `x5c` is not looked at.
    let with_certificate = jwk("rfc7517_B.jwk");
    VerificationKey::from_jwk_with_algorithm(&with_certificate, Algorithm::RS256).unwrap();
}

#[test]
fn thumbprint() {
    let jwk = jwk("rfc7638_3.1.jwk");
    assert_eq!(jwk.thumbprint().unwrap(), compact("rfc7638_3.1.thp"));
    assert!(data("latchset_jose/COPYING").exists());
}
