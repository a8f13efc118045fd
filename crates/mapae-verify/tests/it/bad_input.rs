//! Tokens that somebody made to be believed wrongly, or to break something.

use mapae_verify::{Algorithm, Jwk, KeySet, Verifier, VerifierBuilder, VerifyError, verify_jws};
use serde_json::json;

use crate::support::{NOW, builder, claims, claims_with, encode, header, key, new_key, read, set, token};

fn payload() -> String {
    serde_json::to_string(&claims()).unwrap()
}

fn verifier(algorithm: Algorithm) -> Verifier {
    builder(set(&[key(algorithm)])).build()
}

#[test]
fn size_is_checked_first() {
    let dots = ".".repeat(1_000_000);
    for verifier in [verifier(Algorithm::ES256), builder(set(&[key(Algorithm::ES256)])).cache_bytes(1 << 20).build()] {
        assert_eq!(verifier.verify(&dots), Err(VerifyError::TooLong));
    }
    let unlimited = builder(set(&[key(Algorithm::ES256)])).max_length(usize::MAX).build();
    assert!(matches!(unlimited.verify(&dots), Err(VerifyError::Malformed(_))));
    for length in [0, 1, 2, 3, 4, 8192] {
        assert!(matches!(verifier(Algorithm::ES256).verify(&".".repeat(length)), Err(VerifyError::Malformed(_))));
    }
    assert_eq!(verifier(Algorithm::ES256).verify(&".".repeat(8193)), Err(VerifyError::TooLong));

    // Up to the limit, and past what fits on the stack, good tokens are read.
    let key = key(Algorithm::ES256);
    let long = |sid: usize| key.sign("at+jwt", &claims_with(&json!({ "sid": "x".repeat(sid) }))).unwrap();
    let most = (0..8192).rev().find(|&sid| long(sid).len() <= 8192).unwrap();
    for sid in [most, 500, 700, 5000] {
        assert_eq!(verifier(Algorithm::ES256).verify(&long(sid)).unwrap().sid.as_ref().map(String::len), Some(sid));
    }
    assert_eq!(verifier(Algorithm::ES256).verify(&long(most + 1)), Err(VerifyError::TooLong));
}

#[test]
fn unsigned_tokens_are_refused_in_every_spelling() {
    let spellings = (0..16).map(|upper| {
        "none".chars().enumerate().map(|(i, c)| if upper >> i & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
    });
    let others = ["", " none", "none ", "none\0", "nоne", "null", "\u{feff}none"].map(str::to_owned);
    for name in spellings.chain(others) {
        for key in [key(Algorithm::HS256), key(Algorithm::ES256)] {
            let verifier = builder(set(&[key])).ignore_typ(true).ignore_kid(true).build();
            let head = encode(json!({ "alg": name, "typ": "at+jwt" }).to_string());
            let signed = format!("{head}.{}", encode(payload()));
            for signature in ["AA", &encode(key.sign_bytes(signed.as_bytes()).unwrap())] {
                let token = format!("{signed}.{signature}");
                assert_eq!(verifier.verify(&token), Err(VerifyError::UnsupportedAlgorithm), "{name:?}");
            }
            assert_eq!(
                verifier.verify(&format!("{signed}.")),
                Err(VerifyError::Malformed("a part is empty")),
                "{name:?}"
            );
        }
    }
}

/// The classic: a token "signed" by HMAC with the public key's text as the secret.
#[test]
fn a_public_key_is_no_secret() {
    let pem = read("pem/rsa.public.pem");
    let public = mapae_verify::VerificationKey::from_pem(Some("k".into()), Algorithm::RS256, &pem).unwrap();
    let jwk = serde_json::to_string(public.jwk().unwrap()).unwrap();
    let verifier = builder(KeySet::from_keys([public]).unwrap()).build();
    let ignoring = VerifierBuilder::lenient(verifier.keys().clone())
        .claims::<serde_json::Value>()
        .clock(mapae_verify::ManualClock::new(NOW));
    let ignoring = ignoring.build();
    for secret in [pem.as_bytes(), pem.trim().as_bytes(), jwk.as_bytes()] {
        for (name, hmac) in [
            ("HS256", aws_lc_rs::hmac::HMAC_SHA256),
            ("HS384", aws_lc_rs::hmac::HMAC_SHA384),
            ("HS512", aws_lc_rs::hmac::HMAC_SHA512),
        ] {
            let signed = format!(
                "{}.{}",
                encode(json!({ "alg": name, "typ": "at+jwt", "kid": "k" }).to_string()),
                encode(payload())
            );
            let signature = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hmac, secret), signed.as_bytes());
            let token = format!("{signed}.{}", encode(signature));
            assert_eq!(verifier.verify(&token), Err(VerifyError::AlgorithmMismatch));
            assert_eq!(ignoring.verify(&token), Err(VerifyError::AlgorithmMismatch));
            assert_eq!(
                mapae_verify::VerificationKey::hmac_allow_short(None, Algorithm::HS256, secret).unwrap_err(),
                mapae_verify::KeyError::KeyFileAsSecret
            );
        }
    }
}

/// Every algorithm's token against every other algorithm's key of the same `kid`.
#[test]
fn algorithms_are_never_confused() {
    for signer in crate::support::KEYS.iter() {
        for other in crate::support::KEYS.iter() {
            if signer.algorithm() == other.algorithm() {
                continue;
            }
            let keys = KeySet::from_keys([other.verification_key().with_kid(signer.kid().unwrap())]).unwrap();
            let verifier = builder(keys.clone()).build();
            let honest = signer.sign("at+jwt", &claims()).unwrap();
            assert_eq!(verifier.verify(&honest), Err(VerifyError::AlgorithmMismatch));
            // The header lies about the algorithm.
            let head = json!({ "alg": other.algorithm(), "typ": "at+jwt", "kid": signer.kid() }).to_string();
            let lying = token(signer, &head, &payload());
            assert_eq!(builder(keys).build().verify(&lying), Err(VerifyError::BadSignature), "{head}");
        }
    }
}

#[test]
fn keys_in_the_header_are_never_used() {
    let (ours, theirs) = (key(Algorithm::ES256), new_key(Algorithm::ES256));
    let jwk: Jwk = theirs.public_jwk().unwrap();
    let verifier = verifier(Algorithm::ES256);
    for (name, value) in [
        ("jwk", serde_json::to_value(&jwk).unwrap()),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!([read("pem/certificate.pem")])),
        ("x5t", json!("AAAA")),
    ] {
        let head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": ours.kid(), name: value }).to_string();
        assert_eq!(verifier.verify(&token(&theirs, &head, &payload())), Err(VerifyError::BadSignature), "{name}");
        let own_kid = json!({ "alg": "ES256", "typ": "at+jwt", "kid": theirs.kid(), name: value }).to_string();
        assert!(matches!(verifier.verify(&token(&theirs, &own_kid, &payload())), Err(VerifyError::UnknownKey { .. })));
        // Present in an honest token they change nothing.
        assert!(verifier.verify(&token(ours, &head, &payload())).is_ok(), "{name}");
    }
}

#[test]
fn strange_kids_are_only_unknown() {
    let key = key(Algorithm::ES256);
    for kid in [
        "../../../../etc/passwd",
        "' OR 1=1; --",
        "a'; DROP TABLE keys; --",
        "|/usr/bin/id",
        "http://127.0.0.1/key",
        "\0",
        "",
        "\n\u{1b}[31m",
        &"k".repeat(1000),
    ] {
        let head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }).to_string();
        let error = verifier(Algorithm::ES256).verify(&token(key, &head, &payload())).unwrap_err();
        let VerifyError::UnknownKey { kid: Some(shown) } = &error else { panic!("{error:?}") };
        assert!(shown.chars().count() <= 64 && !shown.chars().any(char::is_control), "{shown:?}");
        assert_eq!(error.to_string(), "signed by an unknown key");
    }
    let head = json!({ "alg": "ES256", "typ": "at+jwt", "kid": ["a"] }).to_string();
    assert_eq!(
        verifier(Algorithm::ES256).verify(&token(key, &head, &payload())),
        Err(VerifyError::Malformed("`kid` is not a string"))
    );
}

#[test]
fn headers_are_read_strictly() {
    let key = key(Algorithm::ES256);
    let kid = key.kid().unwrap();
    let verify = |head: &str| verifier(Algorithm::ES256).verify(&token(key, head, &payload())).map(drop);
    assert_eq!(verify(&header(key)), Ok(()));
    for (more, expected) in [
        (r#""crit":["exp"]"#, VerifyError::UnknownCritical),
        (r#""crit":["b64"],"b64":false"#, VerifyError::UnknownCritical),
        (r#""crit":[]"#, VerifyError::UnknownCritical),
        (r#""crit":"exp","exp":1"#, VerifyError::UnknownCritical),
        (r#""b64":false"#, VerifyError::Malformed("unencoded payloads are not supported")),
        (r#""zip":"DEF""#, VerifyError::Malformed("compression is not supported")),
        (r#""alg":"ES256""#, VerifyError::Malformed("a header parameter comes twice")),
        (r#""alg":"none""#, VerifyError::Malformed("a header parameter comes twice")),
        (r#""x":1,"x":2"#, VerifyError::Malformed("a header parameter comes twice")),
    ] {
        let head = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}",{more}}}"#);
        assert_eq!(verify(&head), Err(expected), "{more}");
    }
    let long = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "x": "x".repeat(2048) }).to_string();
    assert_eq!(verify(&long), Err(VerifyError::Malformed("the header is too long")));
}

#[test]
fn claims_are_read_strictly() {
    let key = key(Algorithm::ES256);
    let verify = |payload: &str| verifier(Algorithm::ES256).verify(&token(key, &header(key), payload)).map(drop);
    let good = payload();
    assert_eq!(verify(&good), Ok(()));
    let with = |more: &str| format!("{},{more}}}", good.strip_suffix('}').unwrap());
    let twice = VerifyError::Malformed("a claim comes twice");
    for (payload, expected) in [
        (with(r#""exp":9999999999"#), twice.clone()),
        (with(r#""sub":"admin""#), twice.clone()),
        (with(r#""s\u0063ope":"mapae:admin""#), twice.clone()),
        (with(r#""x":1,"x":1"#), twice),
        (good.replace(r#""iat":1800000000"#, r#""iat":"1800000000""#), VerifyError::InvalidClaim("iat")),
        (good.replace(r#""exp":1800000900"#, r#""exp":"1800000900""#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":1800000900.0"#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":1.8e9"#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":9223372036854775807"#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":1800000900000"#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":-1"#), VerifyError::InvalidClaim("exp")),
        (good.replace(r#""exp":1800000900"#, r#""exp":null"#), VerifyError::InvalidClaim("exp")),
        (with(r#""nbf":"0""#), VerifyError::InvalidClaim("nbf")),
        (with(r#""nbf":null"#), VerifyError::InvalidClaim("nbf")),
        (good.replace(r#""scope":"me items""#, r#""scope":["me"]"#), VerifyError::InvalidClaim("scope")),
        (good.replace(r#""scope":"me items""#, r#""scope":"me\nitems""#), VerifyError::InvalidClaim("scope")),
        (good.replace(r#""sub":"0198c0de""#, r#""sub":42"#), VerifyError::InvalidClaim("sub")),
        (good.replace(r#""sub":"0198c0de""#, r#""sub":"""#), VerifyError::InvalidClaim("sub")),
        (good.replace(r#""sub":"0198c0de""#, r#""sub":"client:""#), VerifyError::InvalidClaim("sub")),
        (good.replace(r#""sub":"0198c0de""#, r#""sub":"a:b:c""#), VerifyError::InvalidClaim("sub")),
        (format!("[{good}]"), VerifyError::Malformed("the claims are not a JSON object")),
        (format!("{good}{good}"), VerifyError::Malformed("the claims are not a JSON object")),
        ("Zm9v".to_owned(), VerifyError::Malformed("the claims are not a JSON object")),
        (String::new(), VerifyError::Malformed("the claims are not a JSON object")),
    ] {
        assert_ne!(payload, good);
        assert_eq!(verify(&payload), Err(expected), "{payload}");
    }
    let not_utf8 = format!("{}.{}", encode(header(key)), encode(b"{\"sub\":\"\xff\"}"));
    let not_utf8 = format!("{not_utf8}.{}", encode(key.sign_bytes(not_utf8.as_bytes()).unwrap()));
    assert_eq!(verifier(Algorithm::ES256).verify(&not_utf8), Err(VerifyError::Malformed("the claims are not UTF-8")));
}

/// What a lenient decoder would read although the MAC is over that very text.
#[test]
fn encoding_is_canonical() {
    let key = key(Algorithm::HS256);
    let keys = set(&[key]);
    let head = encode(header(key));
    for body in ["AB", "A", "AA==", "AA ", "AA\n", "+/+/", "A\u{e9}", "Zm9v="] {
        let signed = format!("{head}.{body}");
        let token = format!("{signed}.{}", encode(key.sign_bytes(signed.as_bytes()).unwrap()));
        assert_eq!(
            verify_jws(&token, &keys, 8192),
            Err(VerifyError::Malformed("the payload is not base64url")),
            "{body:?}"
        );
    }
    let good = key.sign("at+jwt", &claims()).unwrap();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for bad in [format!("{signature}="), format!("{signature}A"), format!(" {signature}"), "A".repeat(9000)] {
        assert!(verify_jws(&format!("{signed}.{bad}"), &keys, 1 << 20).is_err(), "{bad}");
    }
    for bad in
        [format!(" {good}"), format!("{good}\n"), format!("{good}."), format!(".{good}"), format!("Bearer {good}")]
    {
        assert!(verify_jws(&bad, &keys, 1 << 20).is_err(), "{bad}");
    }
}

/// Messages are for logs and answers: they repeat nothing of the token.
#[test]
fn errors_do_not_repeat_the_token() {
    let key = key(Algorithm::HS256);
    let marker = "s3cr3t-marker";
    for changes in [
        json!({ "iss": marker }),
        json!({ "aud": marker }),
        json!({ "sub": format!("a:{marker}:b") }),
        json!({ "exp": marker }),
        json!({ "scope": format!("\"{marker}\"") }),
        json!({ "exp": 1, "sid": marker }),
    ] {
        let token = key.sign("at+jwt", &claims_with(&changes)).unwrap();
        let error = builder(set(&[key])).build().verify(&token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(marker), "{error:?}");
    }
}
