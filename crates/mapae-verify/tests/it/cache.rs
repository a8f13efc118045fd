//! Remembered tokens: a hit saves the signature check and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mapae_verify::{
    Algorithm, Claims, KeySet, ManualClock, RegisteredView, Revocations, SharedKeys, Verifier, VerifierBuilder,
    VerifyError,
};
use serde_json::json;

use crate::support::{AUDIENCE, ISSUER, NOW, builder, claims, claims_with, key, new_key, set, token};

const MEBIBYTE: u64 = 1 << 20;

#[derive(Default)]
struct Switch {
    revoked: AtomicBool,
    asked: AtomicUsize,
}

impl Revocations for Switch {
    fn is_revoked(&self, view: &RegisteredView<'_>) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let key = key(Algorithm::ES256);
        assert_eq!(
            *view,
            RegisteredView {
                kid: key.kid(),
                iss: Some(ISSUER),
                sub: Some("0198c0de"),
                exp: NOW + 900,
                iat: Some(NOW),
                jti: Some("7f3a"),
                client_id: Some("web"),
                sid: Some("s1"),
            }
        );
        self.revoked.load(Ordering::SeqCst)
    }
}

struct Setup {
    clock: ManualClock,
    keys: SharedKeys,
    switch: Arc<Switch>,
    verifier: Verifier,
    token: String,
}

/// A verifier that has seen its token once.
fn warm() -> Setup {
    let clock = ManualClock::new(NOW);
    let keys = SharedKeys::new(set(&[key(Algorithm::ES256)]));
    let switch = Arc::new(Switch::default());
    let verifier = VerifierBuilder::rfc9068(keys.clone(), ISSUER, AUDIENCE)
        .clock(clock.clone())
        .revocations(Arc::clone(&switch) as Arc<dyn Revocations>)
        .cache_bytes(MEBIBYTE)
        .build();
    let token = key(Algorithm::ES256).sign("at+jwt", &claims()).unwrap();
    verifier.verify(&token).unwrap();
    Setup { clock, keys, switch, verifier, token }
}

#[test]
fn a_note_lasts_as_long_as_its_token_is_remembered() {
    let setup = warm();
    let look = || setup.verifier.verify_token(&setup.token).unwrap();
    assert!(look().note::<String>().is_none(), "nobody has noted anything");
    look().set_note(Arc::new("seen".to_owned()));
    assert_eq!(look().note::<String>().as_deref().map(String::as_str), Some("seen"));
    assert!(look().note::<u32>().is_none(), "another type is another note");
    look().set_note(Arc::new(7_u32));
    assert!(look().note::<String>().is_none(), "the last one counts");
    let other = key(Algorithm::ES256).sign("at+jwt", &claims()).unwrap();
    assert_ne!(other, setup.token, "ECDSA signs with a random number");
    assert!(setup.verifier.verify_token(&other).unwrap().note::<u32>().is_none());
    let forgetful = builder(set(&[key(Algorithm::ES256)])).clock(setup.clock.clone()).build();
    forgetful.verify_token(&setup.token).unwrap().set_note(Arc::new(7_u32));
    assert!(forgetful.verify_token(&setup.token).unwrap().note::<u32>().is_none(), "nothing is remembered here");
}

#[test]
fn a_hit_is_the_same_claims_without_another_check() {
    let setup = warm();
    let first = setup.verifier.verify(&setup.token).unwrap();
    let second = setup.verifier.verify(&setup.token).unwrap();
    assert!(Arc::ptr_eq(&first, &second), "what is remembered is handed out again");
    assert_eq!(*first, claims());
    let stats = setup.verifier.cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (2, 1, 1));
    assert_eq!(setup.switch.asked.load(Ordering::SeqCst), 3, "revocation is asked every time");

    let uncached = builder(set(&[key(Algorithm::ES256)])).build();
    let (a, b) = (uncached.verify(&setup.token).unwrap(), uncached.verify(&setup.token).unwrap());
    assert!(!Arc::ptr_eq(&a, &b));
    assert_eq!(uncached.cache_stats(), mapae_verify::CacheStats::default());
}

/// An HMAC costs less than remembering does, so that has to be worth it.
#[test]
fn a_token_of_a_shared_secret_is_remembered_from_its_second_use_on() {
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).cache_bytes(MEBIBYTE).build();
    for number in 0..500 {
        let token = key.sign("at+jwt", &claims_with(&json!({ "jti": number.to_string() }))).unwrap();
        verifier.verify(&token).unwrap();
    }
    let stats = verifier.cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (0, 500, 0), "each was used once");
    let token = key.sign("at+jwt", &claims()).unwrap();
    let looks: Vec<_> = (0..4).map(|_| verifier.verify(&token).unwrap()).collect();
    assert!(!Arc::ptr_eq(&looks[0], &looks[1]) && Arc::ptr_eq(&looks[1], &looks[2]));
    let stats = verifier.cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (2, 502, 1));
    assert!((0..4).all(|_| verifier.verify(&format!("{token}A")).is_err()));
    assert_eq!(verifier.cache_stats().entries, 1, "however often it comes");
}

#[test]
fn a_token_is_shared_once_anybody_else_holds_it() {
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).cache_bytes(MEBIBYTE).build();
    let token = key.sign("at+jwt", &claims()).unwrap();
    let first = verifier.verify_token(&token).unwrap();
    assert!(!first.is_shared(), "used once, it is not remembered");
    let clone = first.clone();
    assert!(first.is_shared() && clone.is_shared());
    drop(clone);
    assert!(!first.is_shared());
    assert!(verifier.verify_token(&token).unwrap().is_shared(), "the verifier remembers it");
}

#[test]
fn the_time_can_be_that_of_the_caller() {
    let setup = warm();
    let at = |seconds: i64| setup.verifier.verify_token_at(&setup.token, seconds * 1000).map(drop);
    assert_eq!(at(NOW - 6), Err(VerifyError::NotYetValid { wait: 6 }));
    assert_eq!(at(NOW + 904), Ok(()), "within the leeway");
    assert_eq!(at(NOW + 905), Err(VerifyError::Expired { ago: 5 }));
    assert_eq!(at(NOW), Ok(()), "verified again: an expired one is forgotten");
    assert_eq!(setup.verifier.cache_stats().misses, 2);
}

#[test]
fn expiry_is_checked_on_every_hit() {
    let setup = warm();
    setup.clock.advance(904);
    assert!(setup.verifier.verify(&setup.token).is_ok(), "within the leeway");
    setup.clock.advance(1);
    for _ in 0..2 {
        assert_eq!(setup.verifier.verify(&setup.token), Err(VerifyError::Expired { ago: 5 }));
    }
    assert_eq!(setup.verifier.cache_stats().entries, 0, "and it is forgotten");
}

#[test]
fn a_clock_set_back_makes_a_token_not_yet_valid() {
    let setup = warm();
    setup.clock.advance(-6);
    assert_eq!(setup.verifier.verify(&setup.token), Err(VerifyError::NotYetValid { wait: 6 }));
    setup.clock.advance(6);
    assert!(setup.verifier.verify(&setup.token).is_ok());
}

#[test]
fn nbf_is_checked_on_every_hit() {
    let clock = ManualClock::new(NOW);
    let key = key(Algorithm::HS256);
    let verifier = builder(set(&[key])).leeway(0).clock(clock.clone()).cache_bytes(MEBIBYTE).build();
    let token = key.sign("at+jwt", &claims_with(&json!({ "nbf": NOW, "iat": NOW - 100 }))).unwrap();
    assert!(verifier.verify(&token).is_ok() && verifier.verify(&token).is_ok());
    assert_eq!(verifier.cache_stats().entries, 1);
    clock.advance(-1);
    assert_eq!(verifier.verify(&token), Err(VerifyError::NotYetValid { wait: 1 }));
}

#[test]
fn a_removed_key_takes_its_tokens_with_it() {
    let setup = warm();
    let kid = key(Algorithm::ES256).kid().unwrap();
    let unknown = Err(VerifyError::UnknownKey { kid: Some(kid.to_owned()) });

    setup.keys.store(KeySet::default());
    assert_eq!(setup.verifier.verify(&setup.token), unknown);
    setup.keys.store(set(&[key(Algorithm::EdDSA)]));
    assert_eq!(setup.verifier.verify(&setup.token), unknown);

    // Another key under the same id.
    let other = new_key(Algorithm::ES256).with_kid(kid);
    setup.keys.store(set(&[&other]));
    assert_eq!(setup.verifier.verify(&setup.token), Err(VerifyError::BadSignature));
    let other_algorithm = KeySet::from_keys([key(Algorithm::EdDSA).verification_key().with_kid(kid)]).unwrap();
    setup.keys.store(other_algorithm);
    assert_eq!(setup.verifier.verify(&setup.token), Err(VerifyError::AlgorithmMismatch));

    // The same key in a new set, made anew: the entry is still good.
    let hits = setup.verifier.cache_stats().hits;
    let jwk = key(Algorithm::ES256).public_jwk().unwrap();
    setup.keys.store(KeySet::from_jwks(&mapae_verify::JwkSet { keys: vec![jwk] }).0);
    assert!(setup.verifier.verify(&setup.token).is_ok());
    assert_eq!(setup.verifier.cache_stats().hits, hits + 1);
}

#[test]
fn a_replaced_secret_takes_its_tokens_with_it() {
    let old = mapae_verify::SigningKey::hmac(None, Algorithm::HS256, &[1; 32]).unwrap();
    let new = mapae_verify::SigningKey::hmac(None, Algorithm::HS256, &[2; 32]).unwrap();
    let verifier = builder(set(&[&old])).cache_bytes(MEBIBYTE).build();
    let token = old.sign("at+jwt", &claims()).unwrap();
    assert!(verifier.verify(&token).is_ok() && verifier.verify(&token).is_ok());
    assert_eq!(verifier.cache_stats().entries, 1);
    verifier.keys().store(set(&[&new]));
    assert_eq!(verifier.verify(&token), Err(VerifyError::BadSignature));
    // Secrets without ids follow each other: with both there, the token is good, remembered or not.
    verifier.keys().store(set(&[&new, &old]));
    assert!(verifier.verify(&token).is_ok());
    assert!(verifier.verify(&new.sign("at+jwt", &claims()).unwrap()).is_ok());
    verifier.keys().store(set(&[&new]));
    assert_eq!(verifier.verify(&token), Err(VerifyError::BadSignature));
    verifier.keys().store(set(&[&old]));
    assert!(verifier.verify(&token).is_ok());
}

#[test]
fn revocation_is_asked_on_every_hit() {
    let setup = warm();
    setup.switch.revoked.store(true, Ordering::SeqCst);
    assert_eq!(setup.verifier.verify(&setup.token), Err(VerifyError::Revoked));
    setup.switch.revoked.store(false, Ordering::SeqCst);
    assert!(setup.verifier.verify(&setup.token).is_ok());
}

#[test]
fn a_revoked_token_is_not_remembered() {
    let switch = Arc::new(Switch::default());
    switch.revoked.store(true, Ordering::SeqCst);
    let verifier = builder(set(&[key(Algorithm::ES256)]))
        .revocations(Arc::clone(&switch) as Arc<dyn Revocations>)
        .cache_bytes(MEBIBYTE)
        .build();
    let token = key(Algorithm::ES256).sign("at+jwt", &claims()).unwrap();
    assert_eq!(verifier.verify(&token), Err(VerifyError::Revoked));
    assert_eq!(verifier.cache_stats().entries, 0);
}

#[test]
fn refusals_are_not_remembered() {
    let setup = warm();
    let key = key(Algorithm::ES256);
    let mut altered = setup.token.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let bad = [
        String::from_utf8(altered).unwrap(),
        key.sign("at+jwt", &claims_with(&json!({ "exp": 1 }))).unwrap(),
        key.sign("at+jwt", &claims_with(&json!({ "aud": "x" }))).unwrap(),
        token(key, "{}", "{}"),
        "x".to_owned(),
    ];
    for token in bad.iter().cycle().take(50) {
        assert!(setup.verifier.verify(token).is_err());
    }
    let stats = setup.verifier.cache_stats();
    assert_eq!((stats.entries, stats.misses), (1, 1));
}

/// Different verifiers never share what they remember.
#[test]
fn each_verifier_has_its_own_cache() {
    let setup = warm();
    let strict = VerifierBuilder::rfc9068(setup.keys.clone(), ISSUER, "another")
        .clock(setup.clock.clone())
        .cache_bytes(MEBIBYTE)
        .build();
    assert_eq!(strict.verify(&setup.token), Err(VerifyError::WrongAudience));
}

#[test]
fn size_is_bounded() {
    let key = key(Algorithm::HS256);
    let capacity = 64 * 1024;
    let verifier: Verifier<Claims> = builder(set(&[key])).cache_bytes(capacity).build();
    for i in 0..2000 {
        let token = key.sign("at+jwt", &claims_with(&json!({ "jti": i.to_string() }))).unwrap();
        verifier.verify(&token).unwrap();
        verifier.verify(&token).unwrap();
    }
    let stats = verifier.cache_stats();
    assert!(stats.entries > 10 && stats.bytes <= capacity, "{stats:?}");
    assert!(stats.bytes / stats.entries > 1000, "an entry counts with all it holds: {stats:?}");
}

/// Also stops the other threads when an assertion fails, so that the test ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Keys come and go while several threads verify: the tokens of the key that stays are always good, and those of the
/// key that left are refused by every verification that starts later.
#[test]
fn rotation_under_load() {
    let (stays, leaves) = (key(Algorithm::ES256), key(Algorithm::EdDSA));
    let verifier = builder(set(&[stays, leaves])).cache_bytes(MEBIBYTE).build();
    let (good, leaving) = (stays.sign("at+jwt", &claims()).unwrap(), leaves.sign("at+jwt", &claims()).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = SetOnDrop(&done);
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    verifier.verify(&good).unwrap();
                    let _ = verifier.verify(&leaving);
                }
            });
        }
        for _ in 0..200 {
            verifier.keys().store(set(&[stays]));
            assert!(matches!(verifier.verify(&leaving), Err(VerifyError::UnknownKey { .. })));
            verifier.keys().store(set(&[leaves, stays]));
            verifier.verify(&leaving).unwrap();
        }
    });
}
