//! Keys as other programs write them, which say themselves what they are; and several secrets at once.

use mapae_verify::{
    Algorithm, KeyError, KeySet, SigningKey, VerificationKey, VerifierBuilder, VerifyError, verify_jws,
};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, claims, read};

fn pem(name: &str) -> String {
    read(&format!("pem/{name}.pem"))
}

#[test]
fn a_key_decides_its_algorithm_itself() {
    for (private, public, algorithm) in [
        ("rsa.private", "rsa.public", Algorithm::RS256),
        ("rsa.private.pkcs1", "rsa.public.pkcs1", Algorithm::RS256),
        ("ec_P-256.private", "ec_P-256.public", Algorithm::ES256),
        ("ec_P-256.private.sec1", "ec_P-256.public", Algorithm::ES256),
        ("ec_P-384.private", "ec_P-384.public", Algorithm::ES384),
        ("ec_P-521.private", "ec_P-521.public", Algorithm::ES512),
        ("ed25519.private", "ed25519.public", Algorithm::EdDSA),
    ] {
        let signing = SigningKey::from_key_file(&pem(private)).unwrap();
        assert_eq!(signing.algorithm(), algorithm, "{private}");
        let verifying = VerificationKey::from_key_file(&pem(public)).unwrap();
        assert_eq!((verifying.algorithm(), verifying.kid()), (algorithm, signing.kid()), "{public}");
        assert!(verifying.same_key(&VerificationKey::from_key_file(&pem(private)).unwrap()), "its public half");
        let token = signing.sign("at+jwt", &claims()).unwrap();
        verify_jws(&token, &KeySet::from_keys([verifying.clone()]).unwrap(), 8192).unwrap();
        // As OpenSSL writes it, letter for letter.
        if public == "ec_P-256.public" || public == "ed25519.public" || public == "rsa.public" {
            assert_eq!(verifying.to_pem().unwrap().trim(), pem(public).trim(), "{public}");
        }
    }
    let secret = VerificationKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
    assert_eq!(secret.to_pem(), None);
}

#[test]
fn other_files_are_refused() {
    let private = |name: &str| SigningKey::from_key_file(&pem(name)).unwrap_err();
    assert_eq!(private("ec_P-256.encrypted"), KeyError::Pem("the private key is encrypted"));
    for name in ["ed25519.public", "rsa.public.pkcs1", "certificate", "openssh"] {
        let text =
            read(&format!("pem/{}", if name == "openssh" { "openssh.pub".into() } else { format!("{name}.pem") }));
        assert!(matches!(SigningKey::from_key_file(&text), Err(KeyError::Pem(_))), "{name}");
    }
    assert_eq!(VerificationKey::from_key_file(&pem("ed448.public")).unwrap_err(), KeyError::Der);
    assert_eq!(VerificationKey::from_key_file(&pem("rsa_1024.public")).unwrap_err(), KeyError::RsaSize { bits: 1024 });
    for text in ["", "{", "[]", "null", "{}", "not a key"] {
        SigningKey::from_key_file(text).unwrap_err();
        VerificationKey::from_key_file(text).unwrap_err();
    }
}

/// The private key of RFC 8037 §A.1 and RFC 7515 §A.3.
#[test]
fn a_private_jwk_is_read_whole_or_not_at_all() {
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let ec = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" });
    let read = |jwk: &Value| SigningKey::from_key_file(&jwk.to_string());
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    for (jwk, algorithm) in [(&ed, Algorithm::EdDSA), (&ec, Algorithm::ES256)] {
        let key = read(jwk).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.kid(), Some(key.public_jwk().unwrap().thumbprint().unwrap().as_str()));
        assert_eq!(read(&with(jwk, "kid", json!("k"))).unwrap().kid(), Some("k"));
        let token = key.sign("at+jwt", &claims()).unwrap();
        verify_jws(&token, &KeySet::from_keys([key.verification_key()]).unwrap(), 8192).unwrap();
        read(&with(jwk, "key_ops", json!(["sign"]))).unwrap();
        for (name, value, error) in [
            ("d", Value::Null, KeyError::MissingMember("d")),
            ("d", json!("AQ=="), KeyError::BadMember("d")),
            ("d", json!("AQ"), KeyError::Refused),
            ("use", json!("enc"), KeyError::WrongUse),
            ("key_ops", json!(["verify"]), KeyError::WrongKeyOps),
            ("alg", json!("RSA-OAEP"), KeyError::UnsupportedAlgorithm),
            ("kty", json!("oct"), KeyError::Symmetric),
            ("crv", json!("P-999"), KeyError::UnsupportedCurve),
            ("x", json!(1), KeyError::Json),
        ] {
            assert_eq!(read(&with(jwk, name, value)).unwrap_err(), error, "{name} of {algorithm}");
        }
    }
    let other = with(&ed, "x", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_eq!(read(&other).unwrap_err(), KeyError::Refused, "the halves do not fit");
    let shown = format!("{:?} {:?}", read(&ed).unwrap(), read(&with(&ed, "d", json!("AQ"))).unwrap_err());
    assert!(!shown.contains("nWGxne") && !shown.contains("AQ"), "{shown}");
}

#[test]
fn tokens_without_a_kid_are_tried_with_each_secret() {
    let secret = |byte: u8| SigningKey::hmac(None, Algorithm::HS256, &[byte; 32]).unwrap();
    let (new, old, other) = (secret(1), secret(2), secret(3));
    let longer = VerificationKey::hmac(None, Algorithm::HS512, &[4; 64]).unwrap();
    let set = || KeySet::from_keys([new.verification_key(), old.verification_key(), longer.clone()]).unwrap();
    let builder = VerifierBuilder::rfc9068(set(), ISSUER, AUDIENCE).cache_bytes(1 << 20);
    let verifier = builder.clock(std::sync::Arc::new(mapae_verify::ManualClock::new(crate::support::NOW))).build();
    let sign = |key: &SigningKey| key.sign("at+jwt", &claims()).unwrap();
    for _ in 0..2 {
        verifier.verify(&sign(&new)).unwrap();
        verifier.verify(&sign(&old)).unwrap();
        assert_eq!(verifier.verify(&sign(&other)).unwrap_err(), VerifyError::BadSignature);
        assert!(verifier.verify(&old.sign("JWT", &claims()).unwrap()).is_err());
        assert!(matches!(
            verifier.verify(&secret(2).with_kid("k").sign("at+jwt", &claims()).unwrap()),
            Err(VerifyError::UnknownKey { .. })
        ));
    }
    // Left out, also where the token is remembered.
    verifier.keys().store(KeySet::from_keys([new.verification_key(), other.verification_key()]).unwrap());
    verifier.verify(&sign(&new)).unwrap();
    assert_eq!(verifier.verify(&sign(&old)).unwrap_err(), VerifyError::BadSignature);
    // A secret with an id is meant by its id alone.
    verifier
        .keys()
        .store(KeySet::from_keys([new.verification_key(), secret(3).with_kid("k").verification_key()]).unwrap());
    assert!(matches!(verifier.verify(&sign(&new)), Err(VerifyError::UnknownKey { .. })));
}
