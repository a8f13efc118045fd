//! Every format: what is written verifies, with that password only.

use mapae_password::{Context, Costs, Format, HashError, HashText, Password, Workspace, flask_security};

use crate::{cheap, password};

fn write(context: &Context, text: &str, salt: u8) -> Result<HashText, HashError> {
    context.hash(&password(text), &[salt; 16], &mut Workspace::new())
}

fn matches(stored: &HashText, text: &str) -> bool {
    Context::default().verify(stored, &password(text), &mut Workspace::new()).unwrap().matches
}

#[test]
fn what_is_written_verifies() {
    for format in Format::all() {
        for text in ["secret", "", "비밀번호", "  blanks ", &"가".repeat(24)] {
            for salt in [0, 1, 0x5a, 0xff] {
                let stored = write(&cheap(*format), text, salt).unwrap();
                assert!(matches(&stored, text), "{format} {text:?} {salt}");
                assert!(!matches(&stored, "Secret"), "{format} {text:?} {salt}");
                assert!(!matches(&stored, &format!("x{text}")), "{format} {text:?}");
                assert_eq!(Context::default().examine(&stored), Ok(*format));
            }
        }
    }
}

#[test]
fn another_salt_makes_another_hash_of_the_same_length() {
    for format in Format::all() {
        let one = write(&cheap(*format), "secret", 1).unwrap();
        let other = write(&cheap(*format), "secret", 2).unwrap();
        assert_ne!(one, other, "{format}");
        assert_eq!(one.as_str().len(), other.as_str().len(), "{format}");
        assert_eq!(one, write(&cheap(*format), "secret", 1).unwrap());
    }
}

/// The first half of the digest, an empty one and one with another byte do not verify.
#[test]
fn part_of_a_digest_is_not_enough() {
    for format in Format::all() {
        let stored = write(&cheap(*format), "secret", 7).unwrap();
        let text = stored.as_str();
        for length in (1..text.len()).filter(|length| text.is_char_boundary(*length)) {
            let cut = HashText::new(&text[..length]);
            let result = Context::default().verify(&cut, &password("secret"), &mut Workspace::new());
            assert!(!result.is_ok_and(|verification| verification.matches), "{format}: {length} of {}", text.len());
        }
    }
}

#[test]
fn long_passwords_count_to_the_last_byte_except_in_bcrypt() {
    let long = "a".repeat(Password::MAX_BYTES);
    let differs_at_the_end = format!("{}b", "a".repeat(Password::MAX_BYTES - 1));
    for format in Format::all() {
        let written = write(&cheap(*format), &long, 3);
        if let Some(max_bytes) = format.max_password_bytes() {
            assert_eq!(written, Err(HashError::PasswordTooLong { max_bytes }));
            continue;
        }
        let stored = written.unwrap();
        assert!(matches(&stored, &long), "{format}");
        assert!(!matches(&stored, &differs_at_the_end), "{format}");
    }
}

#[test]
fn bcrypt_writes_72_bytes_and_no_nul() {
    for format in [Format::Bcrypt2a, Format::Bcrypt2b, Format::Bcrypt2y, Format::DjangoBcrypt] {
        let context = cheap(format);
        assert!(write(&context, &"a".repeat(72), 0).is_ok());
        assert_eq!(write(&context, &"가".repeat(25), 0), Err(HashError::PasswordTooLong { max_bytes: 72 }));
        assert_eq!(write(&context, "se\0cret", 0), Err(HashError::PasswordHasNul));
        assert_eq!(write(&context, "\0", 0), Err(HashError::PasswordHasNul));
        // An older library wrote hashes of longer passwords: they verify, cut where it cut them.
        let stored = write(&context, &"a".repeat(72), 0).unwrap();
        assert!(matches(&stored, &"a".repeat(73)));
        assert!(!matches(&stored, &"a".repeat(71)));
    }
    for format in [Format::Sha256Crypt, Format::Sha512Crypt] {
        assert_eq!(write(&cheap(format), "se\0cret", 0), Err(HashError::PasswordHasNul));
    }
    for format in [Format::PasslibBcryptSha256, Format::DjangoBcryptSha256] {
        let stored = write(&cheap(format), "se\0cret", 0).unwrap();
        assert!(matches(&stored, "se\0cret"));
        assert!(!matches(&stored, "se"));
    }
}

#[test]
fn firebase_needs_its_parameters_to_write_but_not_for_a_dummy() {
    let context = Context { costs: Costs { firebase: None, ..Costs::default() }, ..cheap(Format::FirebaseScrypt) };
    assert_eq!(write(&context, "secret", 0), Err(HashError::NoSignerKey));
    assert!(!matches(&context.dummy(), "secret"));
}

#[test]
fn flask_security_round_trip() {
    let key = b"146585145368132386173505678016728509634";
    let mut workspace = Workspace::new();
    for format in [Format::Argon2id, Format::Bcrypt2b, Format::PasslibPbkdf2Sha512] {
        let context = cheap(format);
        let stored = flask_security::hash(&context, &password("비밀번호"), key, &[1; 16], &mut workspace).unwrap();
        let mut verify = |text: &str, key: &[u8]| {
            flask_security::verify(&context, &stored, &password(text), key, &mut workspace).unwrap().matches
        };
        assert!(verify("비밀번호", key));
        assert!(!verify("비밀번", key));
        assert!(!verify("비밀번호", b"another key"));
        assert!(!matches(&stored, "비밀번호"));
    }
}
