//! Passwords and hashes do not print themselves.

use mapae_password::{HashError, HashText, Password, Workspace, keycloak::Credential};

use crate::{firebase_params, password};

#[test]
fn nothing_secret_is_printed() {
    assert_eq!(format!("{:?}", password("hunter2")), "Password([redacted])");
    assert_eq!(format!("{:?}", HashText::new("$2b$04$abc")), "HashText([redacted])");
    assert_eq!(format!("{:?}", firebase_params()), "FirebaseParams { cost: ScryptCost { log_n: 4, r: 8, p: 1 }, .. }");
    assert_eq!(format!("{:?}", Workspace::new()), "Workspace { memory_kib: 0, .. }");
    let credential = Credential {
        algorithm: "pbkdf2",
        hash_iterations: 1,
        additional_parameters: &[],
        salt: "c2FsdA==",
        value: "dmFsdWU=",
    };
    assert_eq!(format!("{credential:?}"), "Credential { algorithm: \"pbkdf2\", hash_iterations: 1, .. }");
}

#[test]
fn passwords_have_at_most_1024_bytes() {
    assert!(Password::new("a".repeat(1_024)).is_ok());
    assert!(Password::new("가".repeat(341)).is_ok());
    for text in ["a".repeat(1_025), "가".repeat(342)] {
        assert_eq!(Password::new(text).map(|_| ()), Err(HashError::PasswordTooLong { max_bytes: 1_024 }));
    }
    assert_eq!(password(" 가\0").as_str(), " 가\0");
    assert_eq!(password(" 가\0").as_bytes(), " 가\0".as_bytes());
}

#[test]
fn the_composed_form_is_given_only_where_it_differs() {
    for text in ["", "secret", "비밀번호", "pässwörd", "ﬁ"] {
        assert!(password(text).to_nfc().is_none(), "{text:?}");
    }
    assert_eq!(password("a\u{308}").to_nfc().unwrap().as_str(), "ä");
    // U+2126 is the ohm sign, whose canonical form is the letter omega.
    assert_eq!(password("\u{2126}").to_nfc().unwrap().as_str(), "\u{3a9}");
    // Composition can make text longer: U+FB1D is excluded from it.
    let longest = password(&"\u{fb1d}".repeat(341));
    assert_eq!(longest.to_nfc().unwrap().as_bytes().len(), 341 * 4);
}

#[test]
fn errors_say_what_is_wrong_and_nothing_else() {
    let texts = [
        HashError::Malformed,
        HashError::UnknownScheme,
        HashError::NotAccepted,
        HashError::TooExpensive,
        HashError::PasswordTooLong { max_bytes: 72 },
        HashError::PasswordHasNul,
        HashError::NoSignerKey,
        HashError::OutOfMemory,
    ]
    .map(|error| error.to_string());
    for text in &texts {
        assert!(!text.is_empty());
        assert_eq!(texts.iter().filter(|other| *other == text).count(), 1);
    }
    assert_eq!(texts[4], "the password is longer than 72 bytes");
}
