//! What holds for all tokens, keys, scopes and times.

use mapae_verify::{
    Algorithm, Audience, Claims, Jwk, JwkSet, ManualClock, Scopes, SigningKey, Subject, VerificationKey, Verifier,
    VerifierBuilder, VerifyError, inspect, verify_jws,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, KEYS, NOW, builder, claims, header, key, set, token};

fn scopes() -> impl Strategy<Value = Scopes> {
    proptest::collection::vec("[!#-\\[\\]-~]{1,12}", 0..6).prop_map(|tokens| Scopes::parse(&tokens.join(" ")).unwrap())
}

fn subjects() -> impl Strategy<Value = Subject> {
    let name = "[A-Za-z0-9._~-]{1,20}";
    prop_oneof![
        "[^:\\p{Cc}]{1,40}".prop_map(|id| Subject::user(id).unwrap()),
        name.prop_map(|id| Subject::client(&id).unwrap()),
        ("[a-b][A-Za-z0-9._~-]{0,9}", name).prop_map(|(kind, id)| Subject::other(&kind, &id).unwrap()),
    ]
}

fn all_claims() -> impl Strategy<Value = Claims> {
    let text = || proptest::string::string_regex("(?s).{0,30}").unwrap();
    let audiences = proptest::collection::vec(text(), 0..3);
    (subjects(), audiences, scopes(), text(), text(), 1_i64..1_000_000, 0_i64..1_000_000, any::<bool>()).prop_map(
        |(sub, mut aud, scope, jti, client_id, life, age, optional)| {
            aud.push(AUDIENCE.to_owned());
            Claims {
                sub,
                aud: aud.into_iter().collect::<Audience>(),
                exp: NOW + life,
                iat: NOW - age,
                nbf: optional.then_some(NOW - age),
                sid: optional.then(|| client_id.clone()),
                jti,
                client_id,
                scope,
                ..claims()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_signed_verifies(claims in all_claims()) {
        for key in KEYS.iter() {
            let token = key.sign("at+jwt", &claims).unwrap();
            let verifier = builder(set(&[key])).max_length(1 << 16).build();
            prop_assert_eq!(&*verifier.verify(&token).unwrap(), &claims);
            let decoded = inspect::decode(&token).unwrap();
            prop_assert!(decoded.problems.is_empty());
            prop_assert_eq!(decoded.claims, serde_json::to_value(&claims).unwrap());
        }
    }

    /// The way without a second pass over the JSON, and serde's, read the same.
    #[test]
    fn both_ways_of_reading_claims_agree(
        claims in all_claims(),
        // Never the name of a registered claim: `nbf` with any number is rightly refused.
        more in "x_[a-z]{0,6}",
        value in any::<i32>(),
    ) {
        let mut json = serde_json::to_value(&claims).unwrap();
        json.as_object_mut().unwrap().entry(more).or_insert(json!(value));
        let key = key(Algorithm::HS256);
        let token = token(key, &header(key), &json.to_string());
        let fast = builder(set(&[key])).max_length(1 << 16).build().verify(&token).unwrap();
        let slow = builder(set(&[key])).max_length(1 << 16).claims::<Value>().build().verify(&token).unwrap();
        prop_assert_eq!(&*fast, &serde_json::from_value::<Claims>((*slow).clone()).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_refused_without_a_panic(text in "(?s).{0,300}") {
        refused_everywhere(&text);
    }

    #[test]
    fn any_three_parts_are_refused_without_a_panic(
        header in proptest::collection::vec(any::<u8>(), 0..80),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        use crate::support::encode;
        refused_everywhere(&format!("{}.{}.{}", encode(&header), encode(&payload), encode(&signature)));
    }

    /// Well signed, but the header and the payload are any JSON.
    #[test]
    fn any_signed_json_is_read_without_a_panic(header in json_text(), payload in json_text()) {
        let key = key(Algorithm::HS256);
        let token = token(key, &header, &payload);
        let _ = inspect::decode(&token);
        let _ = lenient().verify(&token);
        let claims_only = crate::support::token(key, &crate::support::header(key), &payload);
        let _ = lenient().verify(&claims_only);
        let _ = inspect::decode(&claims_only).map(|decoded| {
            for error in [VerifyError::WrongAudience, VerifyError::WrongIssuer, VerifyError::Expired { ago: 1 },
                          VerifyError::NotYetValid { wait: 1 }, VerifyError::InvalidClaim("exp")] {
                let _ = inspect::explain(&error, &decoded, &inspect::Expected::default());
            }
        });
    }

    #[test]
    fn any_bytes_as_a_key_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let pem = crate::private_keys::pem("PUBLIC KEY", &bytes);
        for algorithm in Algorithm::ALL {
            prop_assert!(VerificationKey::from_pem(None, algorithm, &pem).is_err());
            prop_assert!(VerificationKey::from_pem(None, algorithm, &text).is_err());
            prop_assert!(SigningKey::from_pkcs8(algorithm, &bytes).is_err());
            let _ = VerificationKey::hmac(None, algorithm, &bytes);
        }
        let _ = serde_json::from_slice::<JwkSet>(&bytes);
        let member = crate::support::encode(&bytes);
        for kty in ["EC", "RSA", "OKP", "oct"] {
            let crv = if kty == "OKP" { "Ed25519" } else { "P-256" };
            let jwk: Jwk = serde_json::from_value(json!({
                "kty": kty, "crv": crv, "x": member, "y": member, "n": member, "e": "AQAB", "k": member,
            })).unwrap();
            let _ = (VerificationKey::from_jwk(&jwk), jwk.thumbprint());
        }
    }

    #[test]
    fn scopes_survive_text(first in scopes(), second in scopes()) {
        prop_assert_eq!(&Scopes::parse(&first.to_string()).unwrap(), &first);
        let json = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Scopes>(&json).unwrap(), &first);
        let (both, all, rest) = (first.intersection(&second), first.union(&second), first.difference(&second));
        prop_assert!(first.contains_all(&both) && second.contains_all(&both));
        prop_assert!(all.contains_all(&first) && all.contains_all(&second));
        prop_assert!(rest.intersection(&second).is_empty());
        prop_assert_eq!(rest.union(&both), first.clone());
        prop_assert_eq!(all.len() + both.len(), first.len() + second.len());
    }

    #[test]
    fn any_text_is_scopes_or_an_error(text in "(?s).{0,60}") {
        if let Ok(scopes) = Scopes::parse(&text) {
            prop_assert!(scopes.iter().all(|scope| text.split(' ').any(|token| token == scope)));
            prop_assert!(text.split(' ').filter(|token| !token.is_empty()).all(|token| scopes.contains(token)));
        }
    }

    #[test]
    fn subjects_survive_text(subject in subjects()) {
        let again = Subject::parse(subject.as_str()).unwrap();
        prop_assert_eq!(again.kind(), subject.kind());
        prop_assert_eq!(again.as_user().is_some(), !subject.as_str().contains(':'));
    }

    /// Against the rules written down once more: `exp` is the first moment at which it is over.
    #[test]
    fn times_are_kept_to_the_millisecond(
        now in -5_000_i64..5_000, exp in -4_i64..9, nbf in proptest::option::of(-9_i64..4), iat in proptest::option::of(-9_i64..4),
        leeway in 0_u32..4,
    ) {
        let claims = json!({ "exp": NOW + exp, "nbf": nbf.map(|t| NOW + t), "iat": iat.map(|t| NOW + t) });
        let claims: serde_json::Map<_, _> = claims.as_object().unwrap().clone().into_iter().filter(|(_, v)| !v.is_null()).collect();
        let key = key(Algorithm::HS256);
        let token = key.sign("JWT", &claims).unwrap();
        let clock = ManualClock::new(0);
        clock.set_millis(NOW * 1000 + now);
        let verifier =
            VerifierBuilder::lenient(set(&[key])).claims::<Value>().leeway(leeway).clock(clock).cache_bytes(1 << 20).build();
        let slack = i64::from(leeway) * 1000;
        let good = now < exp * 1000 + slack
            && [nbf, iat].into_iter().flatten().all(|start| now >= start * 1000 - slack);
        prop_assert_eq!(verifier.verify(&token).is_ok(), good);
        prop_assert_eq!(verifier.verify(&token).is_ok(), good);
        prop_assert_eq!(verifier.verify(&token).is_ok(), good, "and from the cache");
        prop_assert_eq!(verifier.cache_stats().hits, u64::from(good));
    }

    #[test]
    fn fractions_count(millis in 0_i64..2000, now in 0_i64..2000) {
        let key = key(Algorithm::HS256);
        let exp = format!("{}.{:03}", NOW + millis / 1000, millis % 1000);
        let token = token(key, &header(key), &format!(r#"{{"exp":{exp}}}"#));
        let clock = ManualClock::new(0);
        clock.set_millis(NOW * 1000 + now);
        let verifier = VerifierBuilder::lenient(set(&[key])).claims::<Value>().clock(clock);
        // A double holds the time to a fraction of a microsecond, so the millisecond may be one less.
        let (surely, never) = (now < millis - 1, now >= millis);
        let result = verifier.build().verify(&token);
        prop_assert!(!surely || result.is_ok(), "{exp} {now} {result:?}");
        prop_assert!(!never || result.is_err(), "{exp} {now} {result:?}");
        let strict = VerifierBuilder::lenient(set(&[key])).claims::<Value>().fractional_times(false).build();
        prop_assert_eq!(strict.verify(&token).unwrap_err(), VerifyError::InvalidClaim("exp"));
    }
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s).{0,10}".prop_map(Value::from),
        Just(json!("HS256")),
    ];
    let any_json = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let names = proptest::sample::select(vec![
        "alg",
        "kid",
        "typ",
        "crit",
        "b64",
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "client_id",
        "scope",
        "sid",
        "x",
    ]);
    // Written by hand, so that names can repeat.
    proptest::collection::vec((names, any_json), 0..8).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn lenient() -> Verifier<Value> {
    VerifierBuilder::lenient(set(&[key(Algorithm::HS256)])).claims().clock(ManualClock::new(NOW)).build()
}

fn refused_everywhere(text: &str) {
    for key in [key(Algorithm::HS256), key(Algorithm::ES256), key(Algorithm::EdDSA), key(Algorithm::RS256)] {
        let keys = set(&[key]);
        assert!(verify_jws(text, &keys, 1 << 20).is_err(), "{text:?}");
        assert!(builder(keys.clone()).ignore_kid(true).ignore_typ(true).build().verify(text).is_err(), "{text:?}");
    }
    let _ = inspect::decode(text);
}

/// Every other character at every place, every character left out, and one more at every place.
#[test]
fn any_change_of_a_character_is_refused() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= \n\0~";

    for key in KEYS.iter() {
        // Slow algorithms get a sample of the replacements at each place.
        let is_fast = matches!(key.algorithm(), Algorithm::HS256 | Algorithm::HS512);
        let verifier = VerifierBuilder::rfc9068(set(&[key]), ISSUER, AUDIENCE)
            .clock(ManualClock::new(NOW))
            .cache_bytes(1 << 20)
            .build();
        let good = key.sign("at+jwt", &claims()).unwrap();
        // Twice: it is to be remembered.
        verifier.verify(&good).unwrap();
        verifier.verify(&good).unwrap();
        let mut tried = 0;
        let mut refused = |text: Vec<u8>| {
            let text = String::from_utf8(text).unwrap();
            assert_ne!(text, good);
            assert!(verifier.verify(&text).is_err(), "{} {text}", key.algorithm());
            tried += 1;
        };
        for byte in ALPHABET {
            refused([good.as_bytes(), &[*byte]].concat());
        }
        for place in 0..good.len() {
            let replacements: &[u8] =
                if is_fast { ALPHABET } else { &[ALPHABET[place % 62], ALPHABET[place * 7 % 62]] };
            for &byte in replacements.iter().filter(|&&byte| byte != good.as_bytes()[place]) {
                let mut text = good.clone().into_bytes();
                text[place] = byte;
                refused(text);
                let mut text = good.clone().into_bytes();
                text.insert(place, byte);
                refused(text);
            }
            let mut text = good.clone().into_bytes();
            text.remove(place);
            refused(text);
        }
        assert!(tried > 2 * good.len());
    }
}
