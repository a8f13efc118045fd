//! What a verifier asks of a good signature's token.

use mapae_verify::{Algorithm, Claims, KeySet, ManualClock, Scopes, VerifierBuilder, VerifyError, inspect};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, NOW, builder, claims, claims_with, key, set, token};

/// What the default verifier says about the usual claims with these changes.
fn verify(changes: &Value) -> Result<(), VerifyError> {
    let key = key(Algorithm::HS256);
    let token = key.sign("at+jwt", &claims_with(changes)).unwrap();
    builder(set(&[key])).build().verify(&token).map(drop)
}

#[test]
fn good_tokens_are_read() {
    let key = key(Algorithm::ES256);
    let verifier = builder(set(&[key])).build();
    let token = key.sign("at+jwt", &claims()).unwrap();
    assert_eq!(*verifier.verify(&token).unwrap(), claims());
    // Once more, now that its header is known.
    assert_eq!(*verifier.verify(&token).unwrap(), claims());
    let least = key.sign("at+jwt", &claims_with(&json!({ "scope": null, "sid": null }))).unwrap();
    let read = verifier.verify(&least).unwrap();
    assert_eq!((&read.scope, &read.sid), (&Scopes::new(), &None));
}

#[test]
fn verifiers_and_keys_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<mapae_verify::Verifier>();
    shared::<mapae_verify::SigningKey>();
    shared::<mapae_verify::SharedKeys>();
    shared::<VerifyError>();
}

#[test]
fn issuer_is_exact() {
    for iss in ["https://auth.example/", "https://AUTH.example", "https://auth.exampl", "", "https://evil.example"] {
        assert_eq!(verify(&json!({ "iss": iss })), Err(VerifyError::WrongIssuer), "{iss}");
    }
    assert_eq!(verify(&json!({ "iss": null })), Err(VerifyError::MissingClaim("iss")));
}

#[test]
fn one_audience_must_be_ours() {
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["x", AUDIENCE])] {
        assert_eq!(verify(&json!({ "aud": aud })), Ok(()), "{aud}");
    }
    for aud in [
        json!("x"),
        json!([]),
        json!(["x", "y"]),
        json!(""),
        json!("https://api.example/"),
        json!("https://API.example"),
    ] {
        assert_eq!(verify(&json!({ "aud": aud })), Err(VerifyError::WrongAudience), "{aud}");
    }
    assert_eq!(verify(&json!({ "aud": null })), Err(VerifyError::MissingClaim("aud")));

    let key = key(Algorithm::HS256);
    let two = builder(set(&[key])).audience("second").build();
    for (aud, expected) in [(AUDIENCE, true), ("second", true), ("third", false)] {
        let token = key.sign("at+jwt", &claims_with(&json!({ "aud": aud }))).unwrap();
        assert_eq!(two.verify(&token).is_ok(), expected, "{aud}");
    }
}

#[test]
fn required_claims() {
    for name in ["exp", "iss", "aud", "sub", "client_id", "iat", "jti"] {
        assert_eq!(verify(&json!({ name: null })), Err(VerifyError::MissingClaim(name)));
    }
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).require("sid").require("tenant").build();
    let sign = |changes: Value| key.sign("at+jwt", &claims_with(&changes)).unwrap();
    assert_eq!(verifier.verify(&sign(json!({ "tenant": 1 }))).map(drop), Ok(()));
    assert_eq!(verifier.verify(&sign(json!({}))), Err(VerifyError::MissingClaim("tenant")));
    assert_eq!(verifier.verify(&sign(json!({ "tenant": 1, "sid": null }))), Err(VerifyError::MissingClaim("sid")));
}

#[test]
fn times_have_the_stated_leeway() {
    assert_eq!(mapae_verify::DEFAULT_LEEWAY, 5);
    for (exp, expected) in [(NOW + 1, Ok(())), (NOW - 4, Ok(())), (NOW - 5, Err(VerifyError::Expired { ago: 5 }))] {
        assert_eq!(verify(&json!({ "exp": exp })), expected, "{exp}");
    }
    for name in ["nbf", "iat"] {
        for (time, expected) in [(NOW + 5, Ok(())), (NOW + 6, Err(VerifyError::NotYetValid { wait: 6 }))] {
            assert_eq!(verify(&json!({ name: time })), expected, "{name} {time}");
        }
    }
    let key = key(Algorithm::HS256);
    let strict = builder(set(&[key])).leeway(0).build();
    let sign = |changes: Value| key.sign("at+jwt", &claims_with(&changes)).unwrap();
    assert_eq!(strict.verify(&sign(json!({ "exp": NOW }))), Err(VerifyError::Expired { ago: 0 }));
    assert!(strict.verify(&sign(json!({ "exp": NOW + 1 }))).is_ok());
    assert_eq!(strict.verify(&sign(json!({ "nbf": NOW + 1 }))), Err(VerifyError::NotYetValid { wait: 1 }));
}

#[test]
fn types_tell_tokens_apart() {
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).build();
    for (typ, expected) in [
        ("at+jwt", true),
        ("application/at+jwt", true),
        ("AT+JWT", true),
        ("JWT", false),
        ("mapae-revocations+jwt", false),
        ("", false),
    ] {
        let token = key.sign(typ, &claims()).unwrap();
        for _ in 0..2 {
            let result = verifier.verify(&token).map(drop);
            assert_eq!(result, if expected { Ok(()) } else { Err(VerifyError::WrongType) }, "{typ}");
        }
    }
    let payload = serde_json::to_string(&claims()).unwrap();
    let without = token(key, r#"{"alg":"HS256","kid":"HS256"}"#, &payload);
    assert_eq!(verifier.verify(&without), Err(VerifyError::WrongType));
    assert!(builder(set(&[key])).ignore_typ(true).build().verify(&without).is_ok());
    let other = builder(set(&[key])).types(["logout+jwt"]).build();
    assert!(other.verify(&key.sign("logout+jwt", &claims()).unwrap()).is_ok());
    assert_eq!(other.verify(&key.sign("at+jwt", &claims()).unwrap()), Err(VerifyError::WrongType));
}

#[test]
fn kids_decide_or_are_ignored() {
    let (first, second) = (key(Algorithm::ES256), key(Algorithm::HS256));
    let other = crate::support::new_key(Algorithm::ES256);
    let payload = serde_json::to_string(&claims()).unwrap();
    let no_kid = token(first, r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload);
    let wrong_kid = token(first, r#"{"alg":"ES256","typ":"at+jwt","kid":"nobody"}"#, &payload);
    let unknown = |kid: Option<&str>| Err(VerifyError::UnknownKey { kid: kid.map(str::to_owned) });

    // One key that could have signed it: accepted without a `kid`.
    for keys in [set(&[first]), set(&[first, second])] {
        assert!(builder(keys.clone()).build().verify(&no_kid).is_ok());
        assert_eq!(builder(keys.clone()).build().verify(&wrong_kid), unknown(Some("nobody")));
        assert!(builder(keys).ignore_kid(true).build().verify(&wrong_kid).is_ok());
    }
    // Two that could: not even if one of them did.
    let two = set(&[first, &other]);
    assert_eq!(builder(two.clone()).build().verify(&no_kid), unknown(None));
    assert_eq!(builder(two).ignore_kid(true).build().verify(&wrong_kid), unknown(None));
    assert_eq!(builder(KeySet::default()).build().verify(&no_kid), unknown(None));
    assert_eq!(builder(set(&[second])).build().verify(&no_kid), Err(VerifyError::AlgorithmMismatch));
    // A key without an id is not any key's.
    let nameless = KeySet::from_keys([first.verification_key().without_kid()]).unwrap();
    assert_eq!(builder(nameless.clone()).build().verify(&wrong_kid), unknown(Some("nobody")));
    assert!(builder(nameless).build().verify(&no_kid).is_ok());
    // The right `kid` under another key.
    let impostor = KeySet::from_keys([other.verification_key().with_kid(first.kid().unwrap())]).unwrap();
    let token = first.sign("at+jwt", &claims()).unwrap();
    assert_eq!(builder(impostor).build().verify(&token), Err(VerifyError::BadSignature));
}

#[test]
fn keys_rotate_while_the_verifier_runs() {
    let (old, new) = (key(Algorithm::ES256), key(Algorithm::EdDSA));
    let verifier = builder(set(&[old])).build();
    let (old_token, new_token) = (old.sign("at+jwt", &claims()).unwrap(), new.sign("at+jwt", &claims()).unwrap());
    assert!(verifier.verify(&old_token).is_ok() && verifier.verify(&new_token).is_err());
    verifier.keys().store(set(&[old, new]));
    assert!(verifier.verify(&old_token).is_ok() && verifier.verify(&new_token).is_ok());
    verifier.keys().store(set(&[new]));
    assert!(verifier.verify(&old_token).is_err() && verifier.verify(&new_token).is_ok());
}

/// Claims as a tutorial reads them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Login {
    sub: String,
    id: i64,
}

fn lenient() -> VerifierBuilder<Login> {
    VerifierBuilder::lenient(set(&[key(Algorithm::HS256)])).clock(ManualClock::new(NOW)).claims()
}

#[test]
fn lenient_reads_other_programs_tokens() {
    let key = key(Algorithm::HS256);
    let verify = |payload: Value| {
        let token = token(key, r#"{"alg":"HS256","typ":"JWT","kid":"whatever"}"#, &payload.to_string());
        lenient().build().verify(&token).map(|login| login.id)
    };
    assert_eq!(verify(json!({ "sub": "johndoe", "id": 1, "exp": NOW + 1 })), Ok(1));
    assert_eq!(verify(json!({ "sub": "a:b:c", "id": 1, "exp": NOW + 1, "iss": "x", "iat": NOW })), Ok(1));
    assert_eq!(verify(json!({ "sub": "johndoe", "id": 1, "exp": NOW as f64 + 0.5 })), Ok(1));
    // As strict as ever:
    assert_eq!(verify(json!({ "sub": "johndoe", "id": 1 })), Err(VerifyError::MissingClaim("exp")));
    assert_eq!(verify(json!({ "sub": "johndoe", "id": 1, "exp": NOW })), Err(VerifyError::Expired { ago: 0 }));
    assert_eq!(verify(json!({ "sub": 7, "id": 1, "exp": NOW + 1 })), Err(VerifyError::InvalidClaim("sub")));
    assert_eq!(
        verify(json!({ "sub": "j", "id": 1, "exp": (NOW + 1).to_string() })),
        Err(VerifyError::InvalidClaim("exp"))
    );
    assert_eq!(verify(json!({ "sub": "j", "id": 1, "exp": NOW + 1, "aud": "x" })), Err(VerifyError::WrongAudience));
    assert_eq!(
        verify(json!({ "sub": "j", "id": 1, "exp": NOW + 9, "nbf": NOW + 1 })),
        Err(VerifyError::NotYetValid { wait: 1 })
    );
    assert_eq!(
        verify(json!({ "sub": "j", "id": 1, "exp": NOW + 9, "iat": NOW + 1 })),
        Err(VerifyError::NotYetValid { wait: 1 })
    );
    assert_eq!(
        verify(json!({ "sub": "j", "exp": NOW + 1 })),
        Err(VerifyError::Malformed("the claims do not fit the type they are read into"))
    );
    let plain = token(key, r#"{"alg":"HS256"}"#, &json!({ "sub": "j", "id": 2, "exp": NOW + 1 }).to_string());
    assert_eq!(lenient().build().verify(&plain).unwrap().id, 2);
    assert_eq!(lenient().issuer("x").build().verify(&plain), Err(VerifyError::MissingClaim("iss")));
    assert_eq!(lenient().require_iat(true).build().verify(&plain), Err(VerifyError::MissingClaim("iat")));
}

#[test]
fn extra_claims_are_read_beside_the_registered() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Tenant {
        tenant: String,
    }
    let key = key(Algorithm::ES256);
    let plain = claims();
    let with_tenant = Claims {
        extra: Tenant { tenant: "t1".into() },
        iss: plain.iss,
        sub: plain.sub,
        aud: plain.aud,
        exp: plain.exp,
        iat: plain.iat,
        nbf: Some(NOW),
        jti: plain.jti,
        client_id: plain.client_id,
        scope: plain.scope,
        sid: plain.sid,
        act: plain.act,
    };
    let token = key.sign("at+jwt", &with_tenant).unwrap();
    let verifier = builder(set(&[key])).claims::<Claims<Tenant>>().build();
    assert_eq!(*verifier.verify(&token).unwrap(), with_tenant);
    assert!(builder(set(&[key])).build().verify(&token).is_ok(), "unknown claims are ignored");
}

#[test]
fn refusals_are_explained() {
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).build();
    let explain = |token: &str| {
        let error = verifier.verify(token).unwrap_err();
        inspect::explain(&error, &inspect::decode(token).unwrap(), &verifier.expected())
    };
    let sign = |changes: Value| key.sign("at+jwt", &claims_with(&changes)).unwrap();
    assert_eq!(
        explain(&sign(json!({ "exp": NOW - 180 }))),
        "The token expired 3 minutes ago, at 2027-01-15T07:57:00Z."
    );
    assert!(explain(&sign(json!({ "aud": "x" }))).contains(&format!("expected is \"{AUDIENCE}\"")));
    assert!(explain(&sign(json!({ "iss": "x" }))).contains(&format!("expected is \"{ISSUER}\"")));
    let other = crate::support::new_key(Algorithm::ES256);
    let unknown = explain(&other.sign("at+jwt", &claims()).unwrap());
    assert!(unknown.contains("not known here") && unknown.contains(other.kid().unwrap()), "{unknown}");
    let mut altered = sign(json!({}));
    altered.truncate(altered.len() - 43);
    altered.push_str(&"A".repeat(43));
    assert!(explain(&altered).contains("altered, or signed with another key"));
}
