//! Which keys are accepted, and for what.

use mapae_verify::{Algorithm, Jwk, JwkSet, KeyError, KeySet, SecretMember, SigningKey, VerificationKey, verify_jws};
use serde_json::json;

use crate::private_keys::pem;
use crate::support::{KEYS, claims, decode, encode, key, new_key, read};

fn jwk(json: serde_json::Value) -> Jwk {
    serde_json::from_value(json).unwrap()
}

#[test]
fn openssl_keys_are_read_and_fit_together() {
    for (private, public, algorithm) in [
        ("rsa.private", "rsa.public", Algorithm::RS256),
        ("rsa.private.pkcs1", "rsa.public.pkcs1", Algorithm::RS512),
        ("rsa.private", "rsa.public.pkcs1", Algorithm::PS384),
        ("ec_P-256.private", "ec_P-256.public", Algorithm::ES256),
        ("ec_P-256.private.sec1", "ec_P-256.public", Algorithm::ES256),
        ("ec_P-384.private", "ec_P-384.public", Algorithm::ES384),
        ("ec_P-521.private", "ec_P-521.public", Algorithm::ES512),
        ("ed25519.private", "ed25519.public", Algorithm::EdDSA),
    ] {
        let signing = SigningKey::from_pem(algorithm, &read(&format!("pem/{private}.pem"))).unwrap();
        let verifying =
            VerificationKey::from_pem(signing.kid().map(str::to_owned), algorithm, &read(&format!("pem/{public}.pem")));
        let verifying = verifying.unwrap();
        assert!(verifying.same_key(&signing.verification_key()), "{private}");
        let token = signing.sign("at+jwt", &claims()).unwrap();
        verify_jws(&token, &KeySet::from_keys([verifying]).unwrap(), 8192).unwrap();
    }
}

#[test]
fn other_pem_files_are_refused() {
    let public =
        |file: &str, algorithm| VerificationKey::from_pem(None, algorithm, &read(&format!("pem/{file}"))).unwrap_err();
    let es256 = Algorithm::ES256;
    assert_eq!(public("rsa_1024.public.pem", Algorithm::RS256), KeyError::RsaSize { bits: 1024 });
    assert_eq!(public("rsa_pss.public.pem", Algorithm::PS256), KeyError::Der);
    assert_eq!(public("ed448.public.pem", Algorithm::EdDSA), KeyError::Der);
    assert_eq!(public("ec_secp256k1.public.pem", es256), KeyError::Der);
    assert_eq!(public("ec_P-256.compressed.public.pem", es256), KeyError::InvalidPoint);
    for file in [
        "certificate.pem",
        "ec_P-256.private.pem",
        "ec_P-256.private.sec1.pem",
        "ec_P-256.encrypted.pem",
        "openssh.pub",
    ] {
        assert!(matches!(public(file, es256), KeyError::Pem(_)), "{file}");
    }
    for (file, algorithm) in [
        ("rsa.public.pem", es256),
        ("ec_P-256.public.pem", Algorithm::ES384),
        ("ec_P-384.public.pem", es256),
        ("ed25519.public.pem", es256),
        ("ec_P-256.public.pem", Algorithm::EdDSA),
        ("ec_P-256.public.pem", Algorithm::RS256),
        ("rsa.public.pem", Algorithm::HS256),
        ("ed25519.public.pem", Algorithm::HS512),
    ] {
        assert_eq!(public(file, algorithm), KeyError::AlgorithmMismatch(algorithm), "{file} {algorithm}");
    }

    let private = |file: &str, algorithm| SigningKey::from_pem(algorithm, &read(&format!("pem/{file}"))).unwrap_err();
    assert_eq!(private("ec_P-256.encrypted.pem", es256), KeyError::Pem("the private key is encrypted"));
    assert!(matches!(private("ec_P-256.public.pem", es256), KeyError::Pem(_)));
    assert_eq!(private("ec_P-256.private.pem", Algorithm::ES384), KeyError::Der);
    assert_eq!(private("ec_P-256.private.pem", Algorithm::EdDSA), KeyError::Der);
    assert_eq!(private("ec_P-256.private.pem", Algorithm::RS256), KeyError::Der);
    assert_eq!(private("rsa.private.pkcs1.pem", es256), KeyError::AlgorithmMismatch(es256));
    assert_eq!(private("rsa.private.pem", Algorithm::HS256), KeyError::Symmetric);
}

#[test]
fn secrets_have_the_length_of_the_hash() {
    for (algorithm, needed) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        let hmac = |bytes: usize| VerificationKey::hmac(None, algorithm, &vec![7; bytes]).map(drop);
        let allow_short = |bytes: usize| VerificationKey::hmac_allow_short(None, algorithm, &vec![7; bytes]).map(drop);
        assert_eq!((hmac(needed), allow_short(1)), (Ok(()), Ok(())));
        assert_eq!(hmac(needed - 1), Err(KeyError::ShortSecret { bytes: needed - 1, needed }));
        assert_eq!((hmac(0), allow_short(0)), (Err(KeyError::EmptySecret), Err(KeyError::EmptySecret)));
        assert!(SigningKey::hmac(None, algorithm, &[7; 31]).is_err());
        let short = SigningKey::hmac_allow_short(None, algorithm, b"secret").unwrap();
        let token = short.sign("JWT", &claims()).unwrap();
        let keys = KeySet::from_keys([VerificationKey::hmac_allow_short(None, algorithm, b"secret").unwrap()]).unwrap();
        verify_jws(&token, &keys, 8192).unwrap();
    }
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let expected = Err(KeyError::AlgorithmMismatch(algorithm));
        assert_eq!(VerificationKey::hmac(None, algorithm, &[7; 64]).map(drop), expected);
        assert_eq!(VerificationKey::hmac_allow_short(None, algorithm, &[7; 64]).map(drop), expected);
    }
}

#[test]
fn key_files_are_no_secrets() {
    let base64 = |pem: &str| -> String { pem.lines().filter(|line| !line.starts_with("-----")).collect() };
    let rsa = read("pem/rsa.public.pem");
    let der = |pem: &str| base64_simd::STANDARD.decode_to_vec(base64(pem)).unwrap();
    let public_jwk = serde_json::to_string(&key(Algorithm::RS256).public_jwk().unwrap()).unwrap();
    let mut files: Vec<Vec<u8>> = vec![
        public_jwk.clone().into_bytes(),
        format!(" {public_jwk}\n").into_bytes(),
        format!(r#"{{"keys":[{public_jwk}]}}"#).into_bytes(),
        br#"{"k\u0074y":"OKP"}"#.to_vec(),
        read("pem/openssh.pub").into_bytes(),
        encode(der(&rsa)).into_bytes(),
        base64(&read("pem/ed25519.public.pem")).into_bytes(),
    ];
    for file in [
        "rsa.public",
        "rsa.public.pkcs1",
        "rsa.private",
        "rsa.private.pkcs1",
        "ec_P-256.public",
        "ec_P-521.public",
        "ed25519.public",
        "ed25519.private",
        "certificate",
    ] {
        let pem = read(&format!("pem/{file}.pem"));
        files.extend([
            pem.clone().into_bytes(),
            pem.trim().as_bytes().to_vec(),
            pem.replace('\n', "\r\n").into_bytes(),
            format!("\u{feff}{pem}").into_bytes(),
            base64(&pem).into_bytes(),
            der(&pem),
        ]);
    }
    for file in files {
        let shown = String::from_utf8_lossy(&file);
        for result in [
            VerificationKey::hmac(None, Algorithm::HS256, &file),
            VerificationKey::hmac_allow_short(None, Algorithm::HS512, &file),
            SigningKey::hmac_allow_short(None, Algorithm::HS256, &file).map(|key| key.verification_key()),
        ] {
            assert_eq!(result.map(drop), Err(KeyError::KeyFileAsSecret), "{shown}");
        }
        let jwk = Jwk { kty: "oct".into(), k: Some(SecretMember::new(encode(&file))), ..Jwk::default() };
        let result = VerificationKey::from_jwk_with_algorithm(&jwk, Algorithm::HS256).map(drop);
        assert_eq!(result, Err(KeyError::KeyFileAsSecret), "{shown}");
    }
    for secret in [
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "{\"not\": \"a key\", \"but\": \"a strange secret\"}",
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A, cut off before its end",
        "ssh-rsa is what this secret begins with",
        "0 is 0x30, the tag of a sequence, and no key",
    ] {
        VerificationKey::hmac(None, Algorithm::HS256, secret.as_bytes()).unwrap();
    }
}

#[test]
fn unsound_jwks_are_refused() {
    let ec = serde_json::to_value(key(Algorithm::ES256).public_jwk().unwrap()).unwrap();
    let rsa = serde_json::to_value(key(Algorithm::RS256).public_jwk().unwrap()).unwrap();
    let ed = serde_json::to_value(key(Algorithm::EdDSA).public_jwk().unwrap()).unwrap();
    let text = |json: &serde_json::Value, name: &str| json[name].as_str().unwrap().to_owned();
    let bytes = |json: &serde_json::Value, name: &str| decode(&text(json, name));
    let with = |json: &serde_json::Value, name: &str, value: serde_json::Value| {
        let mut json = json.clone();
        json[name] = value;
        VerificationKey::from_jwk(&jwk(json)).map(drop)
    };
    let prefixed = |bytes: Vec<u8>| json!(encode([vec![0], bytes].concat()));
    for good in [&ec, &rsa, &ed] {
        assert_eq!(with(good, "kid", json!("k")), Ok(()));
        assert_eq!(with(good, "key_ops", json!(["sign", "verify"])), Ok(()));
        assert_eq!(with(good, "use", json!("enc")), Err(KeyError::WrongUse));
        assert_eq!(with(good, "use", json!("SIG")), Err(KeyError::WrongUse));
        assert_eq!(with(good, "key_ops", json!([])), Err(KeyError::WrongKeyOps));
        assert_eq!(with(good, "key_ops", json!(["sign"])), Err(KeyError::WrongKeyOps));
        assert_eq!(with(good, "kty", json!("dir")), Err(KeyError::UnsupportedKeyType));
        assert_eq!(with(good, "kty", json!("rsa")), Err(KeyError::UnsupportedKeyType));
        assert_eq!(with(good, "alg", json!("none")), Err(KeyError::UnsupportedAlgorithm));
        assert_eq!(with(good, "alg", json!("HS256")), Err(KeyError::AlgorithmMismatch(Algorithm::HS256)));
        assert_eq!(with(good, "alg", json!("ES384")), Err(KeyError::AlgorithmMismatch(Algorithm::ES384)));
    }

    let mut x = bytes(&ec, "x");
    assert_eq!(with(&ec, "x", json!(encode(&x[1..]))), Err(KeyError::BadMember("x")));
    assert_eq!(with(&ec, "x", prefixed(x.clone())), Err(KeyError::BadMember("x")));
    assert_eq!(with(&ec, "x", json!(format!("{}=", text(&ec, "x")))), Err(KeyError::BadMember("x")));
    assert_eq!(with(&ec, "y", json!(null)), Err(KeyError::MissingMember("y")));
    assert_eq!(with(&ec, "y", json!("")), Err(KeyError::BadMember("y")));
    x[0] ^= 1;
    assert_eq!(with(&ec, "x", json!(encode(&x))), Err(KeyError::InvalidPoint));
    assert_eq!(with(&ec, "x", json!(encode([0xff; 32]))), Err(KeyError::InvalidPoint));
    let infinity = json!({ "kty": "EC", "crv": "P-256", "x": encode([0; 32]), "y": encode([0; 32]) });
    assert_eq!(VerificationKey::from_jwk(&jwk(infinity)).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(with(&ec, "crv", json!("P-384")), Err(KeyError::AlgorithmMismatch(Algorithm::ES256)));
    assert_eq!(with(&ec, "crv", json!("secp256k1")), Err(KeyError::UnsupportedCurve));
    assert_eq!(with(&ed, "crv", json!("Ed448")), Err(KeyError::UnsupportedCurve));
    assert_eq!(with(&ed, "crv", json!("P-256")), Err(KeyError::AlgorithmMismatch(Algorithm::EdDSA)));
    assert_eq!(with(&ed, "x", json!(encode([1; 31]))), Err(KeyError::BadMember("x")));

    let mut n = bytes(&rsa, "n");
    assert_eq!(with(&rsa, "n", prefixed(n.clone())), Err(KeyError::BadMember("n")));
    assert_eq!(with(&rsa, "n", json!(encode(&n[..255]))), Err(KeyError::RsaSize { bits: 2040 }));
    assert_eq!(with(&rsa, "n", json!(encode([0xff; 1025]))), Err(KeyError::RsaSize { bits: 8200 }));
    n[255] ^= 1;
    assert_eq!(with(&rsa, "n", json!(encode(&n))), Err(KeyError::RsaWeak));
    for e in [&[1][..], &[2], &[1, 0, 0], &[3, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
        assert_eq!(with(&rsa, "e", json!(encode(e))), Err(KeyError::RsaExponent), "{e:?}");
    }
    assert_eq!(with(&rsa, "e", json!(encode([0, 1, 0, 1]))), Err(KeyError::BadMember("e")));
    assert_eq!(with(&rsa, "e", json!(null)), Err(KeyError::MissingMember("e")));
}

/// Under a key of small order, `R` = identity and `S` = 0 is a signature of many or all messages.
#[test]
fn small_order_keys_are_refused() {
    let identity = [&[1][..], &[0; 31]].concat();
    let minus_one = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
    let order_8 = decode("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o");
    for x in [identity, minus_one, vec![0; 32], order_8] {
        for sign_bit in [0, 0x80] {
            let mut x = x.clone();
            x[31] |= sign_bit;
            let jwk = jwk(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&x) }));
            assert_eq!(VerificationKey::from_jwk(&jwk).unwrap_err(), KeyError::InvalidPoint, "{x:x?}");
        }
    }
}

#[test]
fn algorithms_are_told_from_the_key_or_required() {
    for key in KEYS.iter().filter_map(|key| key.public_jwk().map(|jwk| (key.algorithm(), jwk))) {
        let (algorithm, jwk) = key;
        let read = VerificationKey::from_jwk(&jwk).unwrap();
        assert_eq!((read.algorithm(), read.kid()), (algorithm, jwk.kid.as_deref()));
        let without_alg = Jwk { alg: None, ..jwk };
        let read = VerificationKey::from_jwk(&without_alg).map(|key| key.algorithm());
        let expected = if without_alg.kty == "RSA" { Err(KeyError::AlgorithmRequired) } else { Ok(algorithm) };
        assert_eq!(read, expected, "{algorithm}");
        VerificationKey::from_jwk_with_algorithm(&without_alg, algorithm).unwrap();
    }
    let secret = jwk(json!({ "kty": "oct", "k": encode([7; 64]) }));
    assert_eq!(VerificationKey::from_jwk(&secret).unwrap_err(), KeyError::AlgorithmRequired);
}

#[test]
fn private_keys_survive_pkcs8() {
    for key in KEYS.iter() {
        if key.algorithm().is_symmetric() {
            assert_eq!(key.to_pkcs8().unwrap_err(), KeyError::Symmetric);
            assert_eq!(SigningKey::generate(key.algorithm()).unwrap_err(), KeyError::Symmetric);
            assert!(key.public_jwk().is_none() && key.verification_key().jwk().is_none());
            continue;
        }
        let pkcs8 = key.to_pkcs8().unwrap();
        let again = SigningKey::from_pkcs8(key.algorithm(), &pkcs8).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_eq!(again.kid().map(str::to_owned), Some(key.public_jwk().unwrap().thumbprint().unwrap()));
        let from_pem = SigningKey::from_pem(key.algorithm(), &pem("PRIVATE KEY", &pkcs8)).unwrap();
        let token = from_pem.sign("at+jwt", &claims()).unwrap();
        verify_jws(&token, &crate::support::set(&[key]), 8192).unwrap();
        for end in [0, 1, pkcs8.len() / 2, pkcs8.len() - 1] {
            assert!(SigningKey::from_pkcs8(key.algorithm(), &pkcs8[..end]).is_err(), "{} {end}", key.algorithm());
        }
    }
}

#[test]
fn ids_can_be_chosen() {
    let key = new_key(Algorithm::EdDSA).with_kid("2026-01");
    assert_eq!((key.kid(), key.public_jwk().unwrap().kid.as_deref()), (Some("2026-01"), Some("2026-01")));
    assert_eq!(key.verification_key().kid(), Some("2026-01"));
    let key = key.without_kid();
    assert_eq!((key.kid(), key.public_jwk().unwrap().kid), (None, None));
    assert_eq!(SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap().kid(), None);
}

#[test]
fn sets_look_keys_up_by_id() {
    let (a, b) = (key(Algorithm::ES256), key(Algorithm::EdDSA));
    let set = crate::support::set(&[a, b]);
    assert_eq!((set.len(), set.is_empty()), (2, false));
    assert_eq!(set.get(a.kid()).unwrap().algorithm(), Algorithm::ES256);
    assert!(set.get(Some("x")).is_none() && set.get(None).is_none());
    assert_eq!(crate::support::set(&[a]).get(None).unwrap().kid(), a.kid());
    let twice = KeySet::from_keys([a.verification_key(), b.verification_key().with_kid(a.kid().unwrap())]);
    assert_eq!(twice.unwrap_err(), KeyError::DuplicateKid);

    let published = crate::support::set(&[a, key(Algorithm::HS256), b]).public_jwks();
    assert_eq!(published.keys.len(), 2, "no secret is published");
    let json = serde_json::to_string(&published).unwrap();
    let (read, skipped) = KeySet::from_jwks(&serde_json::from_str::<JwkSet>(&json).unwrap());
    assert!(skipped.is_empty() && read.get(a.kid()).unwrap().same_key(&a.verification_key()));
}

#[test]
fn sets_skip_what_they_cannot_use_and_say_why() {
    let good = serde_json::to_value(key(Algorithm::ES256).public_jwk().unwrap()).unwrap();
    let jwks: JwkSet = serde_json::from_value(json!({ "keys": [
        good,
        { "kty": "EC", "kid": "unreadable", "x": 1 },
        { "kty": "RSA", "kid": "e", "use": "enc", "alg": "RSA-OAEP" },
        { "kty": "oct", "kid": "s", "alg": "HS256", "k": encode([7; 32]) },
    ]}))
    .unwrap();
    let (set, skipped) = KeySet::from_jwks(&jwks);
    assert_eq!(set.len(), 1);
    let reasons: Vec<_> = skipped.iter().map(|key| (key.kid.as_deref(), &key.reason)).collect();
    assert_eq!(
        reasons,
        [
            (None, &KeyError::UnsupportedKeyType),
            (Some("e"), &KeyError::UnsupportedAlgorithm),
            (Some("s"), &KeyError::MixedSet)
        ]
    );
    assert_eq!(KeySet::from_jwks_strict(&jwks).unwrap_err(), KeyError::UnsupportedKeyType);
}

#[test]
fn nothing_secret_is_shown() {
    let secret = "the-quick-brown-fox-jumps-over-the-lazy-dog-0123456789-abcdefghi";
    let hmac = SigningKey::hmac(None, Algorithm::HS512, secret.as_bytes()).unwrap();
    let set = KeySet::from_keys([hmac.verification_key()]).unwrap();
    let shown =
        format!("{hmac:?} {:?} {set:?} {:?}", hmac.verification_key(), crate::support::builder(set.clone()).build());
    assert!(!shown.contains("quick") && shown.contains("HS512"), "{shown}");
    let ed = SigningKey::from_pem(Algorithm::EdDSA, &read("pem/ed25519.private.pem")).unwrap();
    assert_eq!(format!("{ed:?}"), format!("SigningKey {{ kid: Some({:?}), algorithm: EdDSA, .. }}", ed.kid().unwrap()));
}
