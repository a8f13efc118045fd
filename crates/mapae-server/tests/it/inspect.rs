//! `mapae token inspect` says in words what is the matter.

use mapae_verify::{Algorithm, Clock, SigningKey, SystemClock};
use serde_json::{Value, json};

use crate::support::{GOOD_KEY, Home, OTHER_KEY};

fn sign(secret: &str, claims: &Value) -> String {
    let key = SigningKey::hmac(None, Algorithm::HS256, secret.as_bytes()).expect("a key");
    key.sign("JWT", claims).expect("a token")
}

fn now() -> i64 {
    SystemClock.now()
}

/// Inspects with the key of the file `key`; whether it is valid, and the words.
fn verdict(home: &Home, token: &str, more: &[&str]) -> (bool, String) {
    let ended = home.run(&[&["token", "inspect", token, "--key-file", "key", "--json"], more].concat(), &[]);
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let valid = shown["valid"].as_bool().expect("checked");
    assert_eq!(ended.status, Some(i32::from(!valid)));
    (valid, shown["verdict"].as_str().expect("words").to_owned())
}

#[test]
fn any_token_with_a_given_key() {
    let home = Home::new().with("key", format!("{GOOD_KEY}\n"));
    let good = json!({ "sub": "johndoe", "exp": now() + 600 });
    assert!(verdict(&home, &sign(GOOD_KEY, &good), &[]).0);
    assert!(verdict(&home, &format!("Bearer {}\n", sign(GOOD_KEY, &good)), &[]).0);

    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(GOOD_KEY, &claims)
    };
    let altered = {
        let (head, tail) =
            sign(GOOD_KEY, &good).rsplit_once('.').map(|(h, t)| (h.to_owned(), t.to_owned())).expect("dots");
        let other = with("sub", json!("eve"));
        let payload = other.split('.').nth(1).expect("claims").to_owned();
        format!("{}.{payload}.{tail}", head.split('.').next().expect("a header"))
    };
    for (token, more, parts) in [
        (with("exp", json!(now() - 190)), &[][..], &["expired 3 minutes ago"][..]),
        (with("nbf", json!(now() + 300)), &[], &["not valid yet"]),
        (with("exp", json!("soon")), &[], &["`exp`"]),
        (sign(OTHER_KEY, &good), &[], &["signature does not match"]),
        (altered, &[], &["signature does not match", "altered"]),
        (
            with("aud", json!("https://api.example.com")),
            &[],
            &["audience=\"https://api.example.com\"", "jwtVerify(", "jwt.WithAudience(\"https://api.example.com\")"],
        ),
        (with("aud", json!("a")), &["--expect-audience", "b"], &["meant for \"a\"", "expected is \"b\""]),
        (with("iss", json!("https://a")), &["--expect-issuer", "https://b"], &["https://a", "https://b"]),
        ("eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.".to_owned(), &[], &["not signed"]),
    ] {
        let (valid, words) = verdict(&home, &token, more);
        assert!(!valid && words.starts_with("Refused. "), "{words}");
        for part in parts {
            assert!(words.contains(part), "{part:?} in {words}");
        }
    }
    assert!(verdict(&home, &with("aud", json!("a")), &["--expect-audience", "a"]).0);
}

#[test]
fn keys_come_in_every_usual_form() {
    let key = SigningKey::generate(Algorithm::ES256).expect("a key");
    let token = key.sign("JWT", &json!({ "sub": "x", "exp": now() + 60 })).expect("a token");
    let jwk = serde_json::to_string(&key.public_jwk().expect("asymmetric")).expect("JSON");
    for form in [jwk.clone(), format!("{{\"keys\":[{jwk}]}}")] {
        let home = Home::new().with("key", form);
        assert!(verdict(&home, &token, &[]).0);
        let (valid, words) = verdict(&home, &sign(GOOD_KEY, &json!({ "exp": now() + 60 })), &[]);
        assert!(!valid, "a public key is no shared secret: {words}");
    }
    let home = Home::new().with("key", "-----BEGIN NONSENSE-----");
    let ended = home.run(&["token", "inspect", &token, "--key-file", "key"], &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("The key in key cannot be used"), "{ended:?}");
}

#[test]
fn without_a_server_or_with_a_wrong_configuration_it_still_decodes() {
    let token = sign(GOOD_KEY, &json!({ "sub": "johndoe", "exp": now() + 60 }));
    for variables in [&[][..], &[("ALGORITHM", "HS256")]] {
        let ended = Home::new().run_with_input(&["token", "inspect"], variables, &token);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stdout.contains("johndoe") && ended.stdout.contains("Not checked, only decoded."), "{ended:?}");
    }
}

#[test]
fn a_strangers_token_is_refused_by_the_live_keys() {
    let home = Home::migrated();
    let key = SigningKey::generate(Algorithm::ES256).expect("a key");
    let token = key.sign("at+jwt", &json!({ "sub": "x", "exp": now() + 60 })).expect("a token");
    let ended = home.beside(&["token", "inspect", &token]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stdout.contains("signed by a key that is not known here"), "{ended:?}");
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let home = Home::new();
    for text in ["", "x", "a.b.c", "....", "eyJhbGciOiJub25lIn0", &".".repeat(60_000)] {
        let ended = home.run_with_input(&["token", "inspect", "-"], &[], text);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{text:.20}: {ended:?}");
        assert!(
            ended.stderr.starts_with("mapae: This cannot be read: ") && !ended.stderr.contains("panic"),
            "{ended:?}"
        );
    }
}

#[test]
fn a_token_cannot_steer_the_terminal() {
    let token = sign(GOOD_KEY, &json!({ "sub": "\u{1b}[2J\u{9b}2J", "exp": now() + 60 }));
    let ended = Home::new().run(&["token", "inspect", &token], &[]);
    assert!(!ended.stdout.chars().any(|c| c.is_control() && c != '\n'), "{ended:?}");
}
