//! Whatever stands in the database, nothing panics and nothing runs away.

use mapae_password::policy::PasswordPolicy;
use mapae_password::{Context, Format, HashError, HashText, Limits, Password, Workspace};
use proptest::prelude::*;

use crate::{cheap, password, rows};

/// Low enough that anything accepted is computed at once.
fn quick() -> Context {
    Context { limits: Limits { max_memory_kib: 512, max_time_ms: 5 }, ..Context::default() }
}

fn prefixes() -> Vec<String> {
    rows().iter().map(|row| row.hash.chars().take(18).collect()).collect()
}

/// A hash of the vectors with one character replaced, inserted or taken out.
fn altered() -> impl Strategy<Value = String> {
    let hashes: Vec<String> =
        rows().into_iter().map(|row| row.hash).filter(|hash| !hash.is_empty() && hash.len() < 1_000).collect();
    (
        prop::sample::select(hashes),
        any::<prop::sample::Index>(),
        prop_oneof![any::<char>(), prop::char::range('!', '~'), Just('$'), Just('0')],
        0..3,
    )
        .prop_map(|(hash, place, letter, kind)| {
            let mut letters: Vec<char> = hash.chars().collect();
            let place = place.index(letters.len());
            match kind {
                0 => letters[place] = letter,
                1 => letters.insert(place, letter),
                _ => {
                    letters.remove(place);
                }
            }
            letters.into_iter().collect()
        })
}

fn stored_texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        (prop::sample::select(prefixes()), "[!-~가]{0,80}").prop_map(|(head, tail)| head + &tail),
        (prop::sample::select(prefixes()), "[0-9a-zA-Z./+=,$:]{0,120}").prop_map(|(head, tail)| head + &tail),
        altered(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_or_match(stored in stored_texts(), typed in ".{0,40}") {
        let mut workspace = Workspace::new();
        let stored = HashText::new(stored);
        let context = quick();
        let examined = context.examine(&stored);
        let verified = context.verify(&stored, &password(&typed), &mut workspace);
        // Only a hash that was left as it is can match, and its password is not guessed here.
        prop_assert!(!verified.is_ok_and(|seen| seen.matches));
        // For the cost, a password of typical length is assumed.
        if examined.is_err_and(|error| error != HashError::TooExpensive) {
            prop_assert_eq!(verified.map(|_| ()), examined.map(|_| ()));
        }
    }

    #[test]
    fn any_password_is_judged(text in any::<String>(), inputs in prop::collection::vec(any::<String>(), 0..4)) {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        if let Ok(password) = Password::new(text) {
            let _ = PasswordPolicy::default().check(&password, &inputs);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_verifies(
        format in prop::sample::select(Format::all()),
        text in "[^\0]{0,20}",
        other in "[^\0]{0,20}",
        salt in any::<[u8; 16]>(),
    ) {
        let context = cheap(format);
        let mut workspace = Workspace::new();
        let text: String = text.chars().take(18).collect();
        let stored = context.hash(&password(&text), &salt, &mut workspace).unwrap();
        let mut matches = |typed: &str| {
            context.verify(&stored, &password(typed), &mut workspace).unwrap().matches
        };
        prop_assert!(matches(&text));
        let composed = password(&other).to_nfc().map(|form| form.as_str().to_owned());
        prop_assert_eq!(matches(&other), other == text || composed == Some(text.clone()));
    }
}
