//! User names, and when two of them are the same.

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;
use unicode_normalization::UnicodeNormalization;

use super::user::folded;

/// The longest user name, in characters.
pub const MAX_CHARS: usize = 64;

/// A user name as typed, with the one form in which it is compared and kept unique.
///
/// The canonical form is RFC 8265 `UsernameCaseMapped` with NFKC: letter case, Unicode form and full-width letters
/// make no difference. A name holds no `@`, so that it can never be taken for an e-mail address, and is no UUID, so that
/// it can never be taken for an account's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    display: String,
    canonical: String,
}

/// Why a text is not a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// No characters are left.
    #[error("A user name must not be empty.")]
    Empty,
    /// Past [`MAX_CHARS`].
    #[error("A user name has at most 64 characters.")]
    TooLong,
    /// `@` is for e-mail addresses.
    #[error("A user name must not contain @.")]
    HoldsAt,
    /// Ids are UUIDs, in whichever notation.
    #[error("A user name must not be a UUID: it could be taken for the id of another account.")]
    IsId,
    /// RFC 8265 refuses it: spaces, control characters, symbols outside ASCII, mixed directions.
    #[error("A user name holds letters, digits and signs such as . _ - but no spaces.")]
    Characters,
}

impl UserName {
    /// Reads a name and computes its canonical form.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, UserNameError> {
        if text.is_empty() {
            return Err(UserNameError::Empty);
        }
        if text.chars().take(MAX_CHARS + 1).count() > MAX_CHARS {
            return Err(UserNameError::TooLong);
        }
        let canonical = canonical(text)?;
        if canonical.contains('@') {
            return Err(UserNameError::HoldsAt);
        }
        if uuid::Uuid::try_parse(&canonical).is_ok() {
            return Err(UserNameError::IsId);
        }
        if canonical.chars().count() > MAX_CHARS {
            return Err(UserNameError::TooLong);
        }
        let display = text.nfc().collect();
        Ok(Self { display, canonical })
    }

    /// The name as its owner wrote it (in NFC).
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The form that is compared and unique.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// NFKC first, so that compatibility forms become characters that RFC 8264's identifier class allows, and lower case,
/// since its tables do not know the capitals of newer Unicode; then case mapping and its rules; repeated until stable,
/// since mapping case can denormalize.
fn canonical(text: &str) -> Result<String, UserNameError> {
    let mut current = folded(text);
    for _ in 0..4 {
        let mapped = UsernameCaseMapped::enforce(current.as_str()).map_err(|_| UserNameError::Characters)?;
        let next: String = mapped.nfkc().collect();
        if next == current {
            return Ok(next);
        }
        current = next;
    }
    Err(UserNameError::Characters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &str, b: &str) -> bool {
        UserName::parse(a).unwrap().canonical() == UserName::parse(b).unwrap().canonical()
    }

    #[test]
    fn case_form_and_width_do_not_make_another_name() {
        assert!(same("JohnDoe", "johndoe"));
        assert!(same("\u{ff2a}\u{ff4f}hn", "john"));
        assert!(same("caf\u{e9}", "cafe\u{301}"));
        assert!(same(
            "\u{d64d}\u{ae38}\u{b3d9}",
            "\u{1112}\u{1169}\u{11bc}\u{1100}\u{1175}\u{11af}\u{1103}\u{1169}\u{11bc}"
        ));
        assert!(same("\u{10d9}\u{10d0}", "\u{1c99}\u{1c90}"));
        assert!(!same("john", "jane"));
    }

    #[test]
    fn what_is_not_a_name_says_why() {
        assert_eq!(UserName::parse(""), Err(UserNameError::Empty));
        assert_eq!(UserName::parse("a@b"), Err(UserNameError::HoldsAt));
        assert_eq!(UserName::parse("a\u{ff20}b"), Err(UserNameError::HoldsAt));
        assert_eq!(UserName::parse("john doe"), Err(UserNameError::Characters));
        assert_eq!(UserName::parse("nul\0"), Err(UserNameError::Characters));
        assert_eq!(UserName::parse(&"x".repeat(65)), Err(UserNameError::TooLong));
    }

    #[test]
    fn an_id_is_no_name() {
        let id = "0198c0de-7a1b-7c2d-8e3f-0123456789ab";
        let wide: String = id.chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect();
        let notations = [
            id.to_owned(),
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            wide,
        ];
        for id in notations {
            assert_eq!(UserName::parse(&id), Err(UserNameError::IsId), "{id}");
        }
        UserName::parse(&id[1..]).unwrap();
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in "\\PC{1,70}") {
            if let Ok(name) = UserName::parse(&text) {
                let again = UserName::parse(name.canonical()).expect("a canonical name is a name");
                prop_assert_eq!(again.canonical(), name.canonical());
                let display = UserName::parse(name.display()).expect("a displayed name is a name");
                prop_assert_eq!(display.canonical(), name.canonical());
            }
        }

        #[test]
        fn letter_case_never_matters(text in "[a-zA-Z0-9._-]{1,64}") {
            prop_assert!(same(&text, &text.to_uppercase()));
        }
    }
}
