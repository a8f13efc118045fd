//! The feed of revocations: what is written, what is read, and what is refused.

use mapae_verify::revocations::{Entries, FEED_TYPE, Feed, FeedError, MAX_FEED_LENGTH};
use mapae_verify::{
    Algorithm, KeySet, RegisteredView, Revocations, SignError, SigningKey, VerificationKey, VerifierBuilder,
    VerifyError,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, KEYS, NOW, builder, claims, claims_with, decode, key, new_key, set, token};

const VIEW: RegisteredView<'static> = RegisteredView {
    kid: Some("k1"),
    iss: Some(ISSUER),
    sub: Some("ann"),
    exp: NOW + 900,
    iat: Some(NOW),
    jti: Some("j1"),
    client_id: Some("web"),
    sid: Some("s1"),
};

fn feed(entries: Entries) -> Feed {
    Feed { iss: ISSUER.into(), iat: NOW, exp: NOW + 300, seq: 7, entries }
}

fn verify(text: &str, keys: &[&SigningKey]) -> Result<Feed, FeedError> {
    Feed::verify(text, &set(keys), ISSUER, NOW * 1000, None)
}

fn es256() -> &'static SigningKey {
    key(Algorithm::ES256)
}

/// A properly signed payload with this type.
fn signed(typ: Option<&str>, payload: &[u8]) -> String {
    es256().sign_payload(typ, payload).unwrap()
}

fn payload(head: &Value, entries: &[u8]) -> Vec<u8> {
    [b"\x1e", head.to_string().as_bytes(), b"\n", entries].concat()
}

fn head() -> Value {
    json!({ "iss": ISSUER, "iat": NOW, "exp": NOW + 300, "seq": 7, "sids": 0, "jtis": 0, "kids": 0, "subs": [] })
}

/// A head with some members replaced, or left out where the new value is null.
fn head_with(changes: &Value) -> Value {
    let mut head = head();
    let members = head.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    head
}

/// The bytes are those that other programs rely on; the hashes are those of `sha256sum`.
#[test]
fn the_format_is_as_described() {
    let mut entries = Entries::new();
    entries.end_session("5f0c");
    entries.revoke_token("5f0c");
    entries.revoke_key("5f0c");
    assert_eq!(entries.end_subject("ann", (NOW - 3) * 1000 + 999), NOW - 2);
    let text = feed(entries).sign(key(Algorithm::EdDSA)).unwrap();
    let [header, body, _] = text.split('.').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let kid = key(Algorithm::EdDSA).kid().unwrap();
    assert_eq!(header, json!({ "alg": "EdDSA", "typ": "mapae-revocations+jwt", "kid": kid }));
    let expected = [
        b"\x1e{\"iss\":\"https://auth.example\",\"iat\":1800000000,\"exp\":1800000300,\"seq\":7,".as_slice(),
        b"\"sids\":1,\"jtis\":1,\"kids\":1,\"subs\":[[1799999998,1]]}\n",
        b"\x22\x86\x24\x2c\x20\xe0\x8e\xa0\x5a\x9d\xa6\xde\xcd\xbd\x24\x84\x26\x75\x7a\x4e\xdb",
        b"\x3f\x0b\x53\xf2\xa2\xc3\x9e",
    ]
    .concat();
    assert_eq!(decode(body), expected);
}

/// Made with PyJWT 2.15, hashlib and json, as described.
#[test]
fn other_programs_can_write_one() {
    let text = "eyJhbGciOiJFZERTQSIsImtpZCI6ImZlZWQiLCJ0eXAiOiJtYXBhZS1yZXZvY2F0aW9ucytqd3QifQ.HnsiaXNzIjogImh0dHBzOi8v\
                YXV0aC5leGFtcGxlIiwgImlhdCI6IDE4MDAwMDAwMDAsICJleHAiOiAxODAwMDAwMzAwLCAic2VxIjogNywgInNpZHMiOiAxLCAianRp\
                cyI6IDAsICJraWRzIjogMCwgInN1YnMiOiBbWzE4MDAwMDAwMDEsIDFdXX0Kq4R2RWlh_z8LU_Kiw54.uWjY9dXeeh_t69GYFtkQ8hJA\
                BJ07Et4PIGB5V6kHtoE00rS4jhzsJTeXFT9_7lZKSB5xrw1OUzq0WTNdUORNCw";
    let jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "feed", "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg" });
    let key = VerificationKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
    let keys = KeySet::from_keys([key]).unwrap();
    let read = Feed::verify(text, &keys, ISSUER, NOW * 1000, None).unwrap();
    let mut entries = Entries::new();
    entries.end_session("s1");
    entries.end_subject("ann", NOW * 1000);
    assert_eq!(read, feed(entries));
}

#[test]
fn ten_thousand_entries_stay_under_100_kb() {
    let fill = |add: &dyn Fn(&mut Entries, usize, &str)| {
        let mut entries = Entries::new();
        for number in 0..10_000 {
            add(&mut entries, number, &format!("0198c0de-0000-7000-8000-{number:012}"));
        }
        assert_eq!(entries.len(), 10_000);
        entries
    };
    let kinds = [
        fill(&|entries, _, id| entries.end_session(id)),
        fill(&|entries, _, id| entries.revoke_token(id)),
        // Over two minutes.
        fill(&|entries, number, id| {
            entries.end_subject(id, (NOW + i64::try_from(number % 120).unwrap()) * 1000);
        }),
        fill(&|entries, number, id| match number % 4 {
            0 => {
                entries.end_subject(id, NOW * 1000 - i64::try_from(number * 25).unwrap());
            }
            1 => entries.revoke_token(id),
            _ => entries.end_session(id),
        }),
    ];
    for entries in kinds {
        for signer in [es256(), key(Algorithm::RS512)] {
            let text = feed(entries.clone()).sign(signer).unwrap();
            assert!(text.len() < 100_000, "{}", text.len());
            assert_eq!(verify(&text, &[signer]).unwrap().entries, entries);
        }
    }
}

#[test]
fn each_kind_revokes_what_it_names() {
    let revoked = |add: fn(&mut Entries), view: RegisteredView<'_>| {
        let mut entries = Entries::new();
        assert!(!entries.is_revoked(&view) && entries.is_empty());
        add(&mut entries);
        let read = verify(&feed(entries.clone()).sign(es256()).unwrap(), &[es256()]).unwrap();
        assert_eq!(read, feed(entries));
        read.entries.is_revoked(&view)
    };
    assert!(revoked(|entries| entries.end_session("s1"), VIEW));
    assert!(revoked(|entries| entries.revoke_token("j1"), VIEW));
    assert!(revoked(|entries| entries.revoke_key("k1"), VIEW));
    assert!(revoked(
        |entries| {
            entries.end_subject("ann", NOW * 1000);
        },
        VIEW
    ));
    // A value of one kind is none of another.
    for value in ["s1", "j1", "k1", "ann"] {
        let mut entries = Entries::new();
        for add in [Entries::end_session, Entries::revoke_token, Entries::revoke_key] {
            add(&mut entries, &format!("not-{value}"));
        }
        let own = RegisteredView { sid: Some("x"), jti: Some("x"), kid: Some("x"), sub: Some("x"), ..VIEW };
        for add in [Entries::end_session, Entries::revoke_token, Entries::revoke_key] {
            add(&mut entries, value);
        }
        entries.end_subject(value, NOW * 1000);
        assert!(!entries.is_revoked(&own));
    }
    assert!(!revoked(|entries| entries.end_session("j1"), VIEW));
    assert!(!revoked(|entries| entries.revoke_token("s1"), VIEW));
    assert!(!revoked(|entries| entries.revoke_key("ann"), VIEW));
    assert!(!revoked(
        |entries| {
            entries.end_subject("k1", NOW * 1000);
        },
        VIEW
    ));
    // What a token does not have is not revoked.
    let bare =
        RegisteredView { kid: None, iss: None, sub: None, exp: NOW, iat: None, jti: None, client_id: None, sid: None };
    assert!(!revoked(
        |entries| [Entries::end_session, Entries::revoke_token].iter().for_each(|add| add(entries, "")),
        bare
    ));
}

#[test]
fn a_subject_ends_with_the_second() {
    let mut entries = Entries::new();
    // In the middle of a second: tokens from before and after it in that second look alike.
    let first = entries.end_subject("ann", NOW * 1000 + 500);
    assert_eq!(first, NOW + 1);
    let is_revoked = |entries: &Entries, iat| entries.is_revoked(&RegisteredView { iat, ..VIEW });
    for (iat, expected) in [(NOW - 900, true), (NOW - 1, true), (NOW, true), (NOW + 1, false), (NOW + 900, false)] {
        assert_eq!(is_revoked(&entries, Some(iat)), expected, "{iat}");
    }
    assert!(is_revoked(&entries, None), "who knows when it was issued");
    assert!(!entries.is_revoked(&RegisteredView { sub: Some("bob"), ..VIEW }));
    // A later cut wins, whatever the order.
    entries.end_subject("ann", (NOW + 10) * 1000);
    entries.end_subject("ann", (NOW - 10) * 1000);
    assert!(is_revoked(&entries, Some(NOW + 10)) && !is_revoked(&entries, Some(NOW + 11)));
    // At the very beginning and the very end of a second.
    for (millis, expected) in [(NOW * 1000, NOW + 1), (NOW * 1000 + 999, NOW + 1), (NOW * 1000 - 1, NOW), (-1, 0)] {
        assert_eq!(Entries::new().end_subject("x", millis), expected);
    }
}

#[test]
fn a_feed_is_never_a_token() {
    let mut entries = Entries::new();
    entries.end_session("s2");
    let feeds = [
        feed(Entries::new()).sign(es256()).unwrap(),
        feed(entries).sign(es256()).unwrap(),
        // Even if an issuer signed claims as a feed.
        es256().sign(FEED_TYPE, &claims()).unwrap(),
        es256().sign("application/Mapae-Revocations+JWT", &claims()).unwrap(),
    ];
    let keys = || set(&[es256()]);
    let good = es256().sign("at+jwt", &claims()).unwrap();
    let lenient = || VerifierBuilder::lenient(keys()).audience(AUDIENCE).clock(mapae_verify::ManualClock::new(NOW));
    for verifier in [
        builder(keys()).build(),
        builder(keys()).cache_bytes(1 << 20).build(),
        builder(keys()).ignore_typ(true).build(),
        lenient().build(),
        lenient().types([FEED_TYPE, "at+jwt"]).build(),
        builder(keys()).types([FEED_TYPE, "at+jwt"]).build(),
    ] {
        verifier.verify(&good).unwrap();
        for feed in &feeds {
            assert_eq!(verifier.verify(feed).unwrap_err(), VerifyError::WrongType);
            assert_eq!(verifier.verify_token(feed).unwrap_err(), VerifyError::WrongType);
        }
    }
    // Nor for a reader that ignores the type: the payload is no JSON.
    for feed in &feeds[..2] {
        let body = decode(feed.split('.').nth(1).unwrap());
        assert!(serde_json::from_slice::<Value>(&body).is_err());
        let untyped = signed(Some("at+jwt"), &body);
        assert!(matches!(lenient().build().verify(&untyped), Err(VerifyError::Malformed(_))));
    }
}

#[test]
fn a_token_is_never_a_feed() {
    let refused = |text: String| verify(&text, &[es256()]).unwrap_err();
    let wrong_type = FeedError::Jws(VerifyError::WrongType);
    let good = decode(feed(Entries::new()).sign(es256()).unwrap().split('.').nth(1).unwrap());
    for typ in [Some("at+jwt"), Some("JWT"), Some("mapae-revocations"), Some(""), None] {
        assert_eq!(refused(signed(typ, &good)), wrong_type, "{typ:?}");
        assert_eq!(refused(signed(typ, &serde_json::to_vec(&claims()).unwrap())), wrong_type, "{typ:?}");
    }
    let with_all = claims_with(&json!({ "seq": 7, "sids": 0, "jtis": 0, "kids": 0, "subs": [] }));
    assert!(matches!(refused(es256().sign(FEED_TYPE, &with_all).unwrap()), FeedError::Malformed(_)));
    assert!(matches!(refused(es256().sign(FEED_TYPE, &head()).unwrap()), FeedError::Malformed(_)));
    for typ in [FEED_TYPE, "application/mapae-revocations+jwt"] {
        verify(&signed(Some(typ), &good), &[es256()]).unwrap();
    }
}

#[test]
fn only_a_live_private_key_signs_a_feed() {
    let entries = || feed(Entries::new());
    for signer in KEYS.iter() {
        if signer.algorithm().is_symmetric() {
            assert!(matches!(entries().sign(signer), Err(SignError::Symmetric)));
            let payload = payload(&head(), b"");
            let forged = signer.sign_payload(Some(FEED_TYPE), &payload).unwrap();
            assert_eq!(verify(&forged, &[signer]), Err(FeedError::SharedSecret));
        } else {
            verify(&entries().sign(signer).unwrap(), &[signer]).unwrap();
        }
    }
    let (own, other) = (es256(), new_key(Algorithm::ES256));
    let text = entries().sign(&other).unwrap();
    assert!(matches!(verify(&text, &[own]), Err(FeedError::Jws(VerifyError::UnknownKey { .. }))));
    let forged = entries().sign(&other.with_kid(own.kid().unwrap())).unwrap();
    assert_eq!(verify(&forged, &[own]), Err(FeedError::Jws(VerifyError::BadSignature)));
    let good = entries().sign(own).unwrap();
    let altered = good.replacen('.', ".AA", 1);
    for text in ["", "x", "a.b.c", &good[..good.len() - 2], &format!("{good}\n"), &altered] {
        assert!(matches!(verify(text, &[own]), Err(FeedError::Jws(_))), "{text}");
    }
    let long = format!("{good}{}", "A".repeat(MAX_FEED_LENGTH));
    assert_eq!(verify(&long, &[own]), Err(FeedError::Jws(VerifyError::TooLong)));
    // A key that the feed before revokes, named by the header or not.
    let mut held = entries();
    held.entries.revoke_key(own.kid().unwrap());
    let unnamed = token(own, &format!(r#"{{"alg":"ES256","typ":"{FEED_TYPE}"}}"#), "");
    for text in [good, unnamed] {
        let refused = Feed::verify(&text, &set(&[own]), ISSUER, NOW * 1000, Some(&held));
        assert_eq!(refused, Err(FeedError::RevokedKey));
    }
}

#[test]
fn issuer_times_and_number_are_checked() {
    let text = feed(Entries::new()).sign(es256()).unwrap();
    let at = |seconds: i64| Feed::verify(&text, &set(&[es256()]), ISSUER, seconds * 1000, None).map(|feed| feed.seq);
    assert_eq!([at(NOW - 5), at(NOW), at(NOW + 304)], [Ok(7), Ok(7), Ok(7)]);
    assert_eq!(at(NOW - 6), Err(FeedError::NotYetValid { wait: 6 }));
    assert_eq!(at(NOW + 305), Err(FeedError::Expired { ago: 5 }));
    for issuer in ["https://auth.example/", "https://AUTH.example", ""] {
        let refused = Feed::verify(&text, &set(&[es256()]), issuer, NOW * 1000, None);
        assert_eq!(refused, Err(FeedError::WrongIssuer), "{issuer}");
    }
    let after = |seq| {
        let held = Feed { seq, ..feed(Entries::new()) };
        Feed::verify(&text, &set(&[es256()]), ISSUER, NOW * 1000, Some(&held)).map(|feed| feed.seq)
    };
    assert_eq!([after(0), after(6), after(7)], [Ok(7), Ok(7), Ok(7)]);
    assert_eq!(after(8), Err(FeedError::Older { seq: 7, held: 8 }));
    assert_eq!(after(u64::MAX), Err(FeedError::Older { seq: 7, held: u64::MAX }));
}

#[test]
fn payloads_are_read_strictly() {
    let entry = [1; 7];
    let refused = |payload: &[u8]| {
        let read = verify(&signed(Some(FEED_TYPE), payload), &[es256()]);
        assert!(matches!(read, Err(FeedError::Malformed(_))), "{}: {read:?}", payload.escape_ascii());
    };
    verify(&signed(Some(FEED_TYPE), &payload(&head_with(&json!({ "sids": 1 })), &entry)), &[es256()]).unwrap();
    for payload in [b"".as_slice(), b"\x1e", b"\x1e\n", b"\x1e{}\n", b"\x1e[]\n", b"\n", b"\xff"] {
        refused(payload);
    }
    let good = payload(&head(), b"");
    refused(&good[1..]);
    refused(&good[..good.len() - 1]);
    refused(&[b"\x1e\x1e", &good[1..]].concat());
    refused(&good.iter().map(|byte| if *byte == b':' { b';' } else { *byte }).collect::<Vec<_>>());
    // Entries that were not announced, are missing, or are cut off.
    for (changes, entries) in [
        (json!({}), &entry[..]),
        (json!({ "sids": 1 }), &entry[..6]),
        (json!({ "sids": 2 }), &entry[..]),
        (json!({ "sids": 1, "jtis": 1 }), &entry[..]),
        (json!({ "subs": [[NOW, 1], [NOW, 1]] }), &entry[..]),
        (json!({ "sids": u64::MAX, "jtis": 2 }), &entry[..]),
        (json!({ "subs": [[-1, 1]] }), &entry[..]),
        (json!({ "subs": [[i64::MAX, 1]] }), &entry[..]),
    ] {
        refused(&payload(&head_with(&changes), entries));
    }
    for changes in [
        json!({ "iss": 1 }),
        json!({ "iat": "now" }),
        json!({ "exp": 1.5 }),
        json!({ "seq": -1 }),
        json!({ "sids": -1 }),
        json!({ "subs": {} }),
        json!({ "subs": [[NOW]] }),
        json!({ "more": 1 }),
        json!({ "iat": -1 }),
        json!({ "exp": 253_402_300_800_i64 }),
    ] {
        refused(&payload(&head_with(&changes), b""));
    }
    for name in ["iss", "iat", "exp", "seq", "sids", "jtis", "kids", "subs"] {
        refused(&payload(&head_with(&json!({ name: null })), b""));
        let twice = head().to_string().replacen('{', &format!("{{\"{name}\":{},", head()[name]), 1);
        refused(&[b"\x1e", twice.as_bytes(), b"\n"].concat());
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        values in proptest::collection::vec(("(?s).{0,20}", 0..4, 0..4_000_000_000_000_i64), 0..40),
        seq in any::<u64>(),
        iss in "(?s).{0,20}",
    ) {
        let mut entries = Entries::new();
        for (value, kind, millis) in &values {
            match kind {
                0 => entries.end_session(value),
                1 => entries.revoke_token(value),
                2 => entries.revoke_key(value),
                _ => { entries.end_subject(value, *millis); },
            }
        }
        let feed = Feed { iss: iss.clone(), iat: NOW, exp: NOW + 1, seq, entries };
        let text = feed.sign(key(Algorithm::EdDSA)).unwrap();
        // The same entries in another order make the same text.
        let copy = Feed { entries: feed.entries.clone(), ..feed.clone() }.sign(key(Algorithm::EdDSA)).unwrap();
        prop_assert_eq!(&text, &copy);
        let read = Feed::verify(&text, &set(&[key(Algorithm::EdDSA)]), &iss, NOW * 1000, None);
        prop_assert_eq!(read, Ok(feed));
    }

    #[test]
    fn no_payload_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), place in 0..110_usize) {
        let mut payload = payload(&head(), b"1234567");
        for text in [bytes.clone(), { payload.splice(place..place, bytes); payload }] {
            let read = verify(&signed(Some(FEED_TYPE), &text), &[es256()]);
            prop_assert!(matches!(read, Err(FeedError::Malformed(_)) | Ok(_)));
        }
    }
}
