//! Hashes that need a key from outside the database.

use mapae_password::{Context, Format, FormatSet, HashError, HashText, Pepper, Peppers, Workspace, flask_security};

use crate::{cheap, password, rows};

fn pepper(name: u8) -> Pepper {
    Pepper::new([name; 32]).unwrap()
}

fn with(current: Option<Pepper>, old: &[Pepper]) -> Context {
    Context { peppers: Peppers { current, old: old.to_vec() }, ..cheap(Format::Argon2id) }
}

fn hash(context: &Context, text: &str) -> HashText {
    context.hash(&password(text), &[9; 16], &mut Workspace::new()).unwrap()
}

/// Whether it matches, and whether it wants rehashing.
fn verify(context: &Context, stored: &HashText, text: &str) -> Result<(bool, bool), HashError> {
    let seen = context.verify(stored, &password(text), &mut Workspace::new())?;
    Ok((seen.matches, seen.needs_rehash))
}

/// Computed with Python's hmac and argon2-cffi 25.1, and bcrypt 4.3.
#[test]
fn it_is_the_hmac_of_the_password_that_is_hashed() {
    let pepper = Pepper::new("a pepper for tests, of 36 characters").unwrap();
    assert_eq!(pepper.id().as_str(), "3536294096e15031");
    let context = with(Some(pepper), &[]);
    for inner in [
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$MbPDRdr999P0ZH3W7x0KbYMt7PfWbNFTn7zLgI1bkHo",
        "$2b$04$CCCCCCCCCCCCCCCCCCCCC.oKu40ajPRYrEtDysAZZhQGLpRMUd31i",
        "pbkdf2_sha256$10$salt$tItugkVzMSI5ZuH1UvNljwJpYTJc9EmbqnhEXZz15Xk=",
    ] {
        let stored = HashText::new(format!("$mapae-pepper$3536294096e15031${inner}"));
        assert!(verify(&context, &stored, "비밀번호").unwrap().0, "{inner}");
        assert!(!verify(&context, &stored, "비밀번").unwrap().0, "{inner}");
        // Without its pepper it is a hash of something else.
        assert!(!verify(&context, &HashText::new(inner), "비밀번호").unwrap().0, "{inner}");
    }
}

#[test]
fn every_format_can_be_peppered() {
    for format in Format::all() {
        let plain = cheap(*format);
        let context = Context { peppers: Peppers { current: Some(pepper(1)), old: Vec::new() }, ..plain.clone() };
        for text in ["", "비밀번호", "nul\0", &"a".repeat(1_024)] {
            let stored = hash(&context, text);
            assert!(stored.as_str().starts_with(&format!("$mapae-pepper${}$", pepper(1).id())), "{format}");
            assert_eq!(stored.pepper_id(), Ok(Some(pepper(1).id())));
            assert_eq!(context.examine(&stored), Ok(*format));
            assert_eq!(verify(&context, &stored, text), Ok((true, false)), "{format} {text:?}");
            assert_eq!(verify(&context, &stored, "another"), Ok((false, false)), "{format}");
            assert_eq!(context.dummy().as_str().len(), stored.as_str().len(), "{format}");
        }
        // bcrypt sees 44 letters, so what lies beyond its 72 bytes counts, and nothing is refused.
        let long = hash(&context, &"a".repeat(100));
        assert_eq!(verify(&context, &long, &"a".repeat(101)), Ok((false, false)), "{format}");
        assert_eq!(context.max_password_bytes(), None);
        assert_eq!(plain.max_password_bytes(), format.max_password_bytes());
        assert!(!verify(&context, &context.dummy(), "").unwrap().0);
    }
}

#[test]
fn a_pepper_is_rotated_by_signing_in() {
    let (first, second) = (pepper(1), pepper(2));
    let unpeppered = hash(&with(None, &[]), "secret");
    let of_first = hash(&with(Some(first.clone()), &[]), "secret");
    let rotated = with(Some(second.clone()), std::slice::from_ref(&first));
    for old in [&unpeppered, &of_first] {
        assert_eq!(verify(&rotated, old, "secret"), Ok((true, true)));
        assert!(!verify(&rotated, old, "Secret").unwrap().0);
    }
    let of_second = hash(&rotated, "secret");
    assert_eq!(of_second.pepper_id(), Ok(Some(second.id())));
    assert_eq!(verify(&rotated, &of_second, "secret"), Ok((true, false)));
    // Giving up peppers goes the same way.
    let given_up = with(None, &[first, second]);
    assert_eq!(verify(&given_up, &of_second, "secret"), Ok((true, true)));
    assert_eq!(hash(&given_up, "secret"), unpeppered);
    assert_eq!(verify(&given_up, &unpeppered, "secret"), Ok((true, false)));
    // Another pepper wants rehashing even where nothing is deprecated.
    let keeps = Context { deprecated: FormatSet::EMPTY, ..rotated };
    assert_eq!(verify(&keeps, &of_first, "secret"), Ok((true, true)));
}

#[test]
fn an_unknown_pepper_is_refused_and_named() {
    let stored = hash(&with(Some(pepper(1)), &[]), "secret");
    let refused = Err(HashError::UnknownPepper { id: pepper(1).id() });
    for context in [with(None, &[]), with(Some(pepper(2)), &[pepper(3)])] {
        assert_eq!(verify(&context, &stored, "secret"), refused);
        assert_eq!(context.examine(&stored).map(|_| ()), refused.map(|_| ()));
        assert!(context.cost_class(&stored).is_err());
    }
    assert_eq!(
        HashError::UnknownPepper { id: pepper(1).id() }.to_string(),
        format!("the stored password hash needs the pepper {}, which is not configured", pepper(1).id())
    );
}

#[test]
fn near_misses_are_malformed() {
    let context = with(Some(pepper(1)), &[]);
    let id = pepper(1).id();
    let inner = hash(&with(None, &[]), "secret").into_string();
    let upper = id.as_str().to_uppercase();
    for text in [
        "$mapae-pepper$".to_owned(),
        format!("$mapae-pepper${id}"),
        format!("$mapae-pepper$${inner}"),
        format!("$mapae-pepper${inner}"),
        format!("$mapae-pepper${}$${inner}", &id.as_str()[1..]),
        format!("$mapae-pepper${id}0${inner}"),
        "$mapae-pepper$가나다라마가$".to_owned(),
        format!("$mapae-pepper${}${inner}", if upper == id.as_str() { "F000000000000000" } else { &upper }),
        format!("$mapae-pepper${id}$$mapae-pepper${id}${inner}"),
    ] {
        let refused = verify(&context, &HashText::new(text.as_str()), "secret");
        assert_eq!(refused, Err(HashError::Malformed), "{text}");
    }
    let nothing_behind = HashText::new(format!("$mapae-pepper${id}$"));
    assert_eq!(verify(&context, &nothing_behind, "secret"), Err(HashError::UnknownScheme));
    assert_eq!(HashText::new("$mapae-pepper$x").pepper_id(), Err(HashError::Malformed));
    assert_eq!(HashText::new(inner).pepper_id(), Ok(None));
    assert_eq!(HashText::new("").pepper_id(), Ok(None));
}

/// Whatever is refused without a pepper is refused behind one, and as quickly: nothing is computed for it.
#[test]
fn limits_hold_behind_a_pepper() {
    let context = with(Some(pepper(1)), &[]);
    for row in rows() {
        let plain = context.examine(&HashText::new(row.hash.as_str()));
        let peppered = context.examine(&HashText::new(format!("$mapae-pepper${}${}", pepper(1).id(), row.hash)));
        assert_eq!(peppered, plain, "{}", row.id);
    }
}

#[test]
fn keys_are_long_and_never_printed() {
    assert!(Pepper::new([1; 31]).is_err());
    assert_eq!(Pepper::new("short").unwrap_err().to_string(), "a pepper has at least 32 bytes");
    assert_ne!(pepper(1).id(), pepper(2).id());
    let peppers = Peppers { current: Some(pepper(b'Q')), old: vec![pepper(2)] };
    let printed = format!("{peppers:?}");
    assert!(printed.contains(pepper(b'Q').id().as_str()), "{printed}");
    assert!(!printed.contains("QQ") && !printed.contains("81, 81"), "{printed}");
    assert_eq!(peppers.ids().collect::<Vec<_>>(), [pepper(b'Q').id(), pepper(2).id()]);
    assert!(!peppers.is_empty() && Peppers::default().is_empty());
}

#[test]
fn flask_security_goes_through_the_pepper_too() {
    for format in [Format::Argon2id, Format::Bcrypt2b] {
        let context = Context { peppers: Peppers { current: Some(pepper(1)), old: Vec::new() }, ..cheap(format) };
        let mut workspace = Workspace::new();
        let stored = flask_security::hash(&context, &password("secret"), b"salt", &[1; 16], &mut workspace).unwrap();
        let mut matches = |text: &str| {
            flask_security::verify(&context, &stored, &password(text), b"salt", &mut workspace).unwrap().matches
        };
        assert!(matches("secret") && !matches("Secret"), "{format}");
    }
}

#[test]
fn hashes_of_flask_security_are_kept_among_others_until_their_owners_sign_in() {
    let (context, mut seen) = (Context::default(), 0);
    for row in rows() {
        let Some(key) = &row.hmac_sha512_key else { continue };
        let salt = Pepper::flask_security(key.as_str());
        assert_ne!(salt.id(), Pepper::flask_security("another").id());
        let peppers = Peppers { current: None, old: vec![pepper(1), salt.clone()] };
        assert_eq!(peppers.flask_security().map(Pepper::id), Some(salt.id()));
        let context = Context { peppers, ..context.clone() };
        let stored = salt.mark(&HashText::new(row.hash.as_str()));
        assert_eq!(stored.pepper_id(), Ok(Some(salt.id())));
        assert_eq!(salt.mark(&stored).as_str(), stored.as_str(), "once is enough");
        assert_eq!(verify(&context, &stored, &row.password), Ok((row.matches, true)), "{}", row.id);
        assert!(!verify(&context, &stored, "another").unwrap().0, "{}", row.id);
        let without = Context { peppers: Peppers::default(), ..context };
        assert_eq!(verify(&without, &stored, &row.password), Err(HashError::UnknownPepper { id: salt.id() }));
        seen += 1;
    }
    assert!(seen > 2, "{seen}");
}
