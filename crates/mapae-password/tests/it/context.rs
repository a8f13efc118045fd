//! Which hashes a context accepts, and which it wants replaced.

use mapae_password::{
    Argon2Params, Context, Costs, Format, FormatSet, HashError, HashText, Limits, Pbkdf2Rounds, Verification, Workspace,
};

use crate::{cheap, password};

fn hash(context: &Context, text: &str) -> HashText {
    context.hash(&password(text), &[9; 16], &mut Workspace::new()).unwrap()
}

fn verify(context: &Context, stored: &HashText, text: &str) -> Result<Verification, HashError> {
    context.verify(stored, &password(text), &mut Workspace::new())
}

fn needs_rehash(context: &Context, stored: &HashText) -> bool {
    verify(context, stored, "secret").unwrap().needs_rehash
}

#[test]
fn the_default_is_what_owasp_recommends() {
    let stored = hash(&Context::default(), "secret");
    assert!(stored.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(!needs_rehash(&Context::default(), &stored));
}

#[test]
fn weaker_hashes_of_the_format_written_want_rehashing() {
    let params = |memory, passes, lanes| Context {
        argon2: Argon2Params::new(memory, passes, lanes).unwrap(),
        ..cheap(Format::Argon2id)
    };
    let stored = hash(&params(256, 2, 2), "secret");
    assert!(!needs_rehash(&params(256, 2, 2), &stored));
    assert!(!needs_rehash(&params(128, 1, 1), &stored));
    assert!(needs_rehash(&params(257, 2, 1), &stored));
    assert!(needs_rehash(&params(64, 3, 1), &stored));

    let short_salt =
        HashText::new("$argon2id$v=19$m=256,t=1,p=1$c2FsdHNhbHQ$7XIKTcrjEH0X3qtBM3cMZDXZiQ7GBvDSReSiS/fNS7Q");
    assert!(needs_rehash(&params(256, 1, 1), &short_salt));
}

#[test]
fn every_format_tells_its_own_weaker_hashes() {
    for format in Format::all() {
        let own = cheap(*format);
        assert!(!needs_rehash(&own, &hash(&own, "secret")), "{format}");
        let dearer = Context { argon2: Argon2Params::default(), costs: Costs::default(), ..own.clone() };
        assert!(needs_rehash(&dearer, &hash(&own, "secret")), "{format}");
    }
}

#[test]
fn deprecated_formats_want_rehashing_and_others_do_not() {
    let old = hash(&cheap(Format::DjangoPbkdf2Sha256), "secret");
    let keeps = Context { deprecated: FormatSet::EMPTY, ..cheap(Format::Argon2id) };
    assert!(!needs_rehash(&keeps, &old));
    assert!(needs_rehash(&cheap(Format::Argon2id), &old));
    // The format written is not replaced by itself, whatever the set says.
    let confused = Context { deprecated: FormatSet::all(), ..cheap(Format::Argon2id) };
    assert!(!needs_rehash(&confused, &hash(&confused, "secret")));
}

#[test]
fn only_accepted_formats_are_computed() {
    let narrow = Context { accepted: FormatSet::EMPTY.with(Format::Bcrypt2b), ..cheap(Format::Argon2id) };
    for format in Format::all() {
        let stored = hash(&cheap(*format), "secret");
        let result = verify(&narrow, &stored, "secret");
        match format {
            Format::Argon2id | Format::Bcrypt2b => assert!(result.unwrap().matches),
            _ => assert_eq!(result, Err(HashError::NotAccepted), "{format}"),
        }
    }
}

#[test]
fn limits_hold_for_stored_and_for_new_hashes() {
    let stored = hash(&cheap(Format::Argon2id), "secret");
    let tight = Context { limits: Limits { max_memory_kib: 63, max_time_ms: 1_000 }, ..cheap(Format::Argon2id) };
    assert_eq!(verify(&tight, &stored, "secret"), Err(HashError::TooExpensive));
    assert_eq!(tight.hash(&password("secret"), &[0; 16], &mut Workspace::new()), Err(HashError::TooExpensive));

    let hasty =
        Context { limits: Limits { max_memory_kib: 1_024, max_time_ms: 10 }, ..cheap(Format::PasslibPbkdf2Sha256) };
    assert!(verify(&hasty, &hash(&hasty, "secret"), "secret").is_ok());
    let long = Context {
        costs: Costs { pbkdf2: Some(Pbkdf2Rounds::new(200_000).unwrap()), ..Costs::default() },
        ..cheap(Format::PasslibPbkdf2Sha256)
    };
    assert_eq!(verify(&hasty, &hash(&long, "secret"), "secret"), Err(HashError::TooExpensive));
}

/// SHA-crypt takes longer the longer the password is, so a long one meets the limit first.
#[test]
fn limits_count_the_password_where_it_matters() {
    let stored = HashText::new(format!("$6$rounds=656000$salt${}", ".".repeat(86)));
    let context = Context { limits: Limits { max_time_ms: 1_500, ..Limits::default() }, ..Context::default() };
    assert_eq!(context.examine(&stored), Ok(Format::Sha512Crypt));
    assert_eq!(verify(&context, &stored, &"a".repeat(1_024)), Err(HashError::TooExpensive));
}

#[test]
fn a_dummy_is_a_hash_like_any_other_that_nothing_matches() {
    for format in Format::all() {
        let context = cheap(*format);
        let dummy = context.dummy();
        assert_eq!(context.examine(&dummy), Ok(*format));
        assert_eq!(dummy.as_str().len(), hash(&context, "secret").as_str().len(), "{format}");
        for text in ["", "secret", "\0"] {
            let seen = verify(&context, &dummy, text).unwrap();
            assert!(!seen.matches, "{format} {text:?}");
        }
    }
}

#[test]
fn passwords_are_tried_as_typed_and_then_composed() {
    let (composed, decomposed) = ("pässwörd", "pa\u{308}sswo\u{308}rd");
    let context = cheap(Format::Argon2id);
    let of_composed = hash(&context, composed);
    assert!(verify(&context, &of_composed, composed).unwrap().matches);
    assert!(verify(&context, &of_composed, decomposed).unwrap().matches);

    let of_decomposed = hash(&context, decomposed);
    assert!(verify(&context, &of_decomposed, decomposed).unwrap().matches);
    assert!(!verify(&context, &of_decomposed, composed).unwrap().matches);
}

/// The vectors have rows where the decomposed form is wrong: there it is the *stored* one that was composed and the
/// typed one decomposed, which is what the second try accepts. Compatibility forms stay different.
#[test]
fn compatibility_forms_stay_different() {
    let context = cheap(Format::Argon2id);
    let stored = hash(&context, "ﬁle");
    assert!(!verify(&context, &stored, "file").unwrap().matches);
}

#[test]
fn a_workspace_is_reused_and_shrinks() {
    let mut workspace = Workspace::new();
    let context = |memory| Context { argon2: Argon2Params::new(memory, 1, 1).unwrap(), ..Context::default() };
    let stored = [512, 64, 1_024, 128]
        .map(|memory| context(memory).hash(&password("secret"), &[1; 16], &mut workspace).unwrap());
    assert_eq!(workspace.memory_kib(), 1_024);
    // What another hash left behind changes nothing.
    for stored in &stored {
        let seen = Context::default().verify(stored, &password("secret"), &mut workspace);
        assert!(seen.unwrap().matches);
        assert_eq!(stored, &{
            let fresh = stored.as_str().split("m=").nth(1).unwrap();
            let memory = fresh.split(',').next().unwrap().parse().unwrap();
            hash_with(&context(memory))
        });
    }
    workspace.shrink_to(100);
    assert_eq!(workspace.memory_kib(), 100);
    let seen = Context::default().verify(&stored[0], &password("secret"), &mut workspace);
    assert!(seen.unwrap().matches);
}

fn hash_with(context: &Context) -> HashText {
    context.hash(&password("secret"), &[1; 16], &mut Workspace::new()).unwrap()
}

#[test]
fn formats_have_names_that_lead_back() {
    for format in Format::all() {
        assert_eq!(format.name().parse(), Ok(*format));
        assert_eq!(format.to_string(), format.name());
        assert!(!format.made_by().is_empty() && !format.shape().is_empty());
    }
    assert!("md5".parse::<Format>().is_err());
    assert_eq!(FormatSet::all().iter().count(), Format::all().len());
    assert_eq!(format!("{:?}", FormatSet::EMPTY.with(Format::Bcrypt2b)), "{Bcrypt2b}");
}

#[test]
fn hashes_of_one_cost_are_of_one_class() {
    let context = Context::default();
    let class = |context: &Context, salt: u8| {
        let stored = context.hash(&password("secret"), &[salt; 16], &mut Workspace::new()).unwrap();
        Context::default().cost_class(&stored).unwrap()
    };
    let mut classes = std::collections::HashSet::new();
    for format in Format::all() {
        let (cheap, dearer) =
            (cheap(*format), Context { argon2: Argon2Params::new(65, 1, 1).unwrap(), ..cheap(*format) });
        assert_eq!(class(&cheap, 1), class(&cheap, 2), "{format}: whatever salt and digest");
        assert!(classes.insert(class(&cheap, 1)), "{format}");
        let argon2 = format.name().contains("argon2");
        assert_eq!(class(&cheap, 1) != class(&dearer, 1), argon2, "{format}");
    }
    assert_eq!(context.cost_class(&HashText::new("$unknown$")), Err(HashError::UnknownScheme));
    let absurd =
        HashText::new("$argon2id$v=19$m=4000000,t=99,p=1$c2FsdHNhbHQ$7XIKTcrjEH0X3qtBM3cMZDXZiQ7GBvDSReSiS/fNS7Q");
    assert_eq!(context.cost_class(&absurd), Err(HashError::TooExpensive));
}
