//! Users of Firebase, GoTrue and Keycloak, from published examples of exports.

use mapae_password::{Context, Format, HashError, HashText, Workspace, firebase::FirebaseParams, keycloak::Credential};

use crate::{FIREBASE_SIGNER_KEY, password};

fn matches(stored: &HashText, text: &str) -> bool {
    Context::default().verify(stored, &password(text), &mut Workspace::new()).unwrap().matches
}

/// Salt and hash of the example in the README of github.com/firebase/scrypt.
const FIREBASE: (&str, &str) =
    ("42xEC+ixf3L2lw==", "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==");

pub(crate) fn firebase_text() -> HashText {
    let params = FirebaseParams::new(FIREBASE_SIGNER_KEY, "Bw==", 8, 14).unwrap();
    params.hash_text(FIREBASE.0, FIREBASE.1).unwrap()
}

#[test]
fn firebase_example() {
    let params = FirebaseParams::new(FIREBASE_SIGNER_KEY, "Bw==", 8, 14).unwrap();
    let (salt, digest) = FIREBASE;
    let stored = firebase_text();
    assert!(matches(&stored, "user1password"));
    assert!(!matches(&stored, "user2password"));
    // The API exports in the URL-safe alphabet.
    let url_safe = params
        .hash_text(
            &salt.replace('+', "-").replace('/', "_"),
            digest.replace('+', "-").replace('/', "_").trim_end_matches('='),
        )
        .unwrap();
    assert_eq!(stored, url_safe);
    assert_eq!(params.hash_text(salt, "lSrfV15cpx95").unwrap_err(), HashError::Malformed);
    assert_eq!(FirebaseParams::new("AAAA", "Bw==", 8, 14).unwrap_err(), HashError::Malformed);
}

/// From the tests of github.com/supabase/auth.
pub(crate) const GOTRUE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==";

#[test]
fn gotrue_example() {
    let stored = HashText::new(GOTRUE);
    assert!(matches(&stored, "mytestpassword"));
    assert!(!matches(&stored, "mytestpasswore"));
    let another_hash = stored.as_str().rsplit_once('$').unwrap().0.to_owned() + "$ZGlmZmVyZW50aGFzaA==";
    assert_eq!(Context::default().examine(&HashText::new(another_hash)), Err(HashError::Malformed));
}

/// From realms exported by Keycloak that were published with the passwords in use, and the same with Keycloak's older
/// length of 64 bytes, computed with Python's hashlib.
#[test]
fn keycloak_pbkdf2() {
    for example @ (algorithm, _, _, _, text, format) in PUBLISHED.iter().chain(LONG) {
        let stored = keycloak_text(example);
        assert_eq!(Context::default().examine(&stored), Ok(*format));
        assert!(matches(&stored, text), "{algorithm}");
        assert!(!matches(&stored, "another"), "{algorithm}");
    }
}

/// Algorithm, iterations, salt, value; the password and the format that it becomes.
pub(crate) type Example = (&'static str, u64, &'static str, &'static str, &'static str, Format);

pub(crate) fn keycloak_text((algorithm, hash_iterations, salt, value, ..): &Example) -> HashText {
    let credential =
        Credential { algorithm, hash_iterations: *hash_iterations, additional_parameters: &[], salt, value };
    credential.to_hash_text().unwrap()
}

pub(crate) const PUBLISHED: &[Example] = &[
    (
        "pbkdf2-sha256",
        27_500,
        "P5rtFkGtPfoaryJ6PizUJw==",
        "JsfNbCOIdZUbyBJ+BT+VoGI91Ec2rWLOvkLPDaX8e9k=",
        "password",
        Format::KeycloakPbkdf2Sha256,
    ),
    (
        "pbkdf2-sha256",
        27_500,
        "AGHjXoWftkFxnk/dcZRNnA==",
        "9qur72LAICdhFeb2SpkJt2jbOYaxJ44g9T+E7bmJXxI=",
        "user1",
        Format::KeycloakPbkdf2Sha256,
    ),
];

pub(crate) const LONG: &[Example] = &[
    (
        "pbkdf2",
        20_000,
        "a2V5Y2xvYWsgc2FsdCAwMQ==",
        "G9IjgwBDtaWMSPlqhqM+9YbeRKe9AL2hp3B1/itDL4zY/a3TkiN/D0f9bRNUScqznYkG/UWjM8sSuoTZ8yL3XQ==",
        "비밀번호",
        Format::KeycloakPbkdf2Sha1,
    ),
    (
        "pbkdf2-sha256",
        27_500,
        "a2V5Y2xvYWsgc2FsdCAwMg==",
        "wO0Z11mymeNxN14Pb5/QGoJuxKcnTasDcopInsaLXyXkv+opb9Mkv+H/rF4bgKz4YPqeQo/58a4cFXX0vtDxgA==",
        "비밀번호",
        Format::KeycloakPbkdf2Sha256,
    ),
    (
        "pbkdf2-sha512",
        30_000,
        "a2V5Y2xvYWsgc2FsdCAwMw==",
        "88V2EDkM9Ygxl6bzU5OMBs1HI9eA8mCjRen1GxcGTuzD2tuYutUenvTiDumswUBvDEICgbJBAQXMevXuTKsXFQ==",
        "비밀번호",
        Format::KeycloakPbkdf2Sha512,
    ),
];

#[test]
fn keycloak_argon2() {
    let credential = Credential {
        algorithm: "argon2",
        hash_iterations: 5,
        additional_parameters: &[
            ("hashLength", "32"),
            ("memory", "7168"),
            ("type", "id"),
            ("version", "1.3"),
            ("parallelism", "1"),
        ],
        salt: "a2V5Y2xvYWsgc2FsdCAwNA==",
        value: "tenB4yloa9+cxFb7AjuGKbKQ88k8kx5rJgvzG2VxBWQ=",
    };
    let stored = credential.to_hash_text().unwrap();
    assert_eq!(Context::default().examine(&stored), Ok(Format::Argon2id));
    assert!(stored.as_str().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"));
    assert!(matches(&stored, "비밀번호"));
    assert!(!matches(&stored, "비밀번"));
}

#[test]
fn other_credentials_are_refused() {
    let whole = Credential {
        algorithm: "pbkdf2-sha256",
        hash_iterations: 27_500,
        additional_parameters: &[],
        salt: "P5rtFkGtPfoaryJ6PizUJw==",
        value: "JsfNbCOIdZUbyBJ+BT+VoGI91Ec2rWLOvkLPDaX8e9k=",
    };
    let refused = |credential: Credential<'_>| credential.to_hash_text().unwrap_err();
    for algorithm in ["bcrypt", "", "pbkdf2-sha384"] {
        assert_eq!(refused(Credential { algorithm, ..whole }), HashError::UnknownScheme);
    }
    let malformed = [
        Credential { hash_iterations: 0, ..whole },
        Credential { value: "", ..whole },
        Credential { value: "JsfNbCOIdZUbyBJ+BT+VoA==", ..whole },
        Credential { salt: "P5rt$1", ..whole },
        // Argon2 without its parameters, and with an odd one.
        Credential { algorithm: "argon2", ..whole },
        Credential {
            algorithm: "argon2",
            additional_parameters: &[("memory", "7168,t=1"), ("type", "id"), ("version", "1.3"), ("parallelism", "1")],
            ..whole
        },
    ];
    for credential in malformed {
        assert_eq!(refused(credential), HashError::Malformed);
    }
}
