//! The examples of RFC 7520, RFC 7797 and RFC 8037.

use mapae_verify::{Algorithm, Jwk, KeyError, KeySet, VerificationKey, VerifyError, verify_jws};
use serde_json::Value;

use crate::private_keys::signing_key;
use crate::support::{decode, read_json};

const MAX: usize = 64 * 1024;

fn keys(example: &Value) -> KeySet {
    let jwk: Jwk = serde_json::from_value(example["input"]["key"].clone()).unwrap();
    let algorithm: Algorithm = example["input"]["alg"].as_str().unwrap().parse().unwrap();
    KeySet::from_keys([VerificationKey::from_jwk_with_algorithm(&jwk, algorithm).unwrap()]).unwrap()
}

#[test]
fn compact_examples_verify() {
    for file in [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_3.ecdsa_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "curve25519/jws",
    ] {
        let example = read_json(&format!("jose_cookbook/{file}.json"));
        let compact = example["output"]["compact"].as_str().unwrap();
        let jws = verify_jws(compact, &keys(&example), MAX).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(std::str::from_utf8(&jws.payload).unwrap(), example["input"]["payload"].as_str().unwrap(), "{file}");
        assert_eq!(jws.header.alg.as_str(), example["input"]["alg"].as_str().unwrap(), "{file}");
    }
}

#[test]
fn reproducible_examples_are_signed_again_byte_for_byte() {
    for file in ["jws/4_1.rsa_v15_signature", "jws/4_4.hmac-sha2_integrity_protection", "curve25519/jws"] {
        let example = read_json(&format!("jose_cookbook/{file}.json"));
        assert_eq!(example["reproducible"], true, "{file}");
        let mut key = signing_key(&example["input"]["key"], example["input"]["alg"].as_str().unwrap().parse().unwrap());
        if let Some(kid) = example["signing"]["protected"]["kid"].as_str() {
            key = key.with_kid(kid);
        }
        let signed = key.sign_payload(None, example["input"]["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(signed, example["output"]["compact"].as_str().unwrap(), "{file}");
    }
}

/// RSA-PSS and ECDSA are randomized: what their keys sign now verifies, and differs from the example.
#[test]
fn randomized_examples_are_signed_again() {
    for file in ["jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature"] {
        let example = read_json(&format!("jose_cookbook/{file}.json"));
        let key = signing_key(&example["input"]["key"], example["input"]["alg"].as_str().unwrap().parse().unwrap())
            .with_kid(example["signing"]["protected"]["kid"].as_str().unwrap());
        let signed = key.sign_payload(None, example["input"]["payload"].as_str().unwrap().as_bytes()).unwrap();
        let compact = example["output"]["compact"].as_str().unwrap();
        assert_ne!(signed, compact, "{file}");
        assert_eq!(signed.rsplit_once('.').unwrap().0, compact.rsplit_once('.').unwrap().0, "{file}");
        verify_jws(&signed, &keys(&example), MAX).unwrap();
    }
}

/// Detached and unencoded payloads, and JSON serializations, are not accepted. Examples 4.6 to 4.8 of RFC 7520 and
/// 4.2 of RFC 7797 have no compact form at all.
#[test]
fn other_forms_are_refused() {
    let refused = |file: &str, form: &str| {
        let example = read_json(&format!("jose_cookbook/{file}.json"));
        let jws = &example["output"][form];
        let text = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
        assert_ne!(text, "null", "{file} {form}");
        let algorithm: Algorithm = "HS256".parse().unwrap();
        let keys = if example["input"]["key"].is_array() || example["input"]["alg"] != "HS256" {
            KeySet::from_keys([VerificationKey::hmac(None, algorithm, &[7; 32]).unwrap()]).unwrap()
        } else {
            keys(&example)
        };
        verify_jws(&text, &keys, MAX).unwrap_err()
    };
    let malformed = VerifyError::Malformed("not three parts with dots between them");
    assert_eq!(refused("jws/4_5.signature_with_detached_content", "compact"), VerifyError::BadSignature);
    assert_eq!(refused("rfc7797/hmac-sha2_b64_false", "compact"), VerifyError::UnknownCritical);
    for file in [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_3.ecdsa_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "jws/4_5.signature_with_detached_content",
        "jws/4_6.protecting_specific_header_fields",
        "jws/4_7.protecting_content_only",
        "curve25519/jws",
    ] {
        for form in ["json", "json_flat"] {
            assert_eq!(refused(file, form), malformed, "{file} {form}");
        }
    }
    // Dots in a `kid` make parts of these, which are no base64url.
    for (file, form) in [
        ("jws/4_8.multiple_signatures", "json"),
        ("rfc7797/4.2.hmac-sha2_b64_false", "json"),
        ("rfc7797/4.2.hmac-sha2_b64_false", "json_flat"),
    ] {
        assert!(matches!(refused(file, form), VerifyError::Malformed(_)), "{file} {form}");
    }
}

#[test]
fn example_keys_are_read() {
    let jwk = |file: &str| serde_json::from_value::<Jwk>(read_json(&format!("jose_cookbook/jwk/{file}.json"))).unwrap();
    for (public, private, algorithm) in [
        ("3_1.ec_public_key", "3_2.ec_private_key", Algorithm::ES512),
        ("3_3.rsa_public_key", "3_4.rsa_private_key", Algorithm::RS256),
    ] {
        let key = VerificationKey::from_jwk_with_algorithm(&jwk(public), algorithm).unwrap();
        assert_eq!(jwk(public).thumbprint().unwrap(), jwk(private).thumbprint().unwrap());
        let signing = signing_key(&read_json(&format!("jose_cookbook/jwk/{private}.json")), algorithm);
        assert!(key.same_key(&signing.verification_key()));
        let read_back: Jwk = serde_json::from_value(serde_json::to_value(key.jwk().unwrap()).unwrap()).unwrap();
        assert_eq!(read_back.thumbprint().unwrap(), jwk(public).thumbprint().unwrap());
        let written = serde_json::to_string(&jwk(private)).unwrap();
        for private_member in ["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"dq\"", "\"qi\""] {
            assert!(!written.contains(private_member), "{private} {private_member}");
        }
    }
    let mac = jwk("3_5.symmetric_key_mac_computation");
    assert_eq!(VerificationKey::from_jwk(&mac).unwrap().algorithm(), Algorithm::HS256);
    let encryption = jwk("3_6.symmetric_key_encryption");
    assert_eq!(VerificationKey::from_jwk(&encryption).unwrap_err(), KeyError::UnsupportedAlgorithm);
}

/// RFC 8037 appendix A.3.
#[test]
fn ed25519_thumbprint() {
    let example = read_json("jose_cookbook/curve25519/jws.json");
    let jwk: Jwk = serde_json::from_value(example["input"]["key"].clone()).unwrap();
    assert_eq!(jwk.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(decode(jwk.x.as_deref().unwrap()).len(), 32);
    assert_eq!(signing_key(&example["input"]["key"], Algorithm::EdDSA).public_jwk().unwrap().x, jwk.x);
}
