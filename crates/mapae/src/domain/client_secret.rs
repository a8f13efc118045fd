//! Client secrets: made here, or given by a person.
//!
//! A secret that was made here is 256 random bits: nobody can guess it, so a plain SHA-256 keeps it, and checking costs
//! nothing. One that a person gave may be guessable, so it is hashed like a password.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;

use super::SecretText;

/// What every secret made here begins with.
pub const PREFIX: &str = "mcs_";
/// The fewest characters of a given secret.
pub const MIN_CHARS: usize = 16;
/// The most characters of a given secret.
pub const MAX_CHARS: usize = 512;

/// Before the hash of a secret that was made here; no password hash begins like that.
const FAST: &str = "sha256:";

/// How a stored secret is compared with a given one.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Done.
    Fast(bool),
    /// The stored text is a password hash.
    Slow,
}

/// A new secret, from random bytes.
pub fn from_random(bytes: [u8; 32]) -> SecretText {
    SecretText::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(bytes)))
}

/// What is stored of a secret that [`from_random`] made.
pub fn fast_hash(secret: &SecretText) -> String {
    format!("{FAST}{}", URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, secret.expose().as_bytes())))
}

/// Whether what is stored is the hash of a secret that was made here.
pub fn is_fast_hash(stored: &str) -> bool {
    let bytes = stored.strip_prefix(FAST).and_then(|hash| URL_SAFE_NO_PAD.decode_to_vec(hash).ok());
    bytes.is_some_and(|bytes| bytes.len() == SHA256.output_len())
}

/// Compares a given secret with what is stored, if that is a fast hash.
pub fn compare(stored: &str, given: &SecretText) -> Comparison {
    if !stored.starts_with(FAST) {
        return Comparison::Slow;
    }
    let given = fast_hash(given);
    Comparison::Fast(verify_slices_are_equal(stored.as_bytes(), given.as_bytes()).is_ok())
}

/// Whether a person may give this secret: long enough, and of the characters of RFC 6749 §A.2 (printable ASCII).
pub fn is_acceptable(secret: &SecretText) -> bool {
    let text = secret.expose();
    (MIN_CHARS..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_passes() {
        let (one, other) = (from_random([1; 32]), from_random([2; 32]));
        let stored = fast_hash(&one);
        assert!(!stored.contains(&one.expose()[PREFIX.len()..]));
        assert_eq!(compare(&stored, &one), Comparison::Fast(true));
        assert_eq!(compare(&stored, &other), Comparison::Fast(false));
        assert_eq!(compare(&stored, &SecretText::new(String::new())), Comparison::Fast(false));
        assert_eq!(compare("$argon2id$v=19$…", &one), Comparison::Slow);
        assert!(is_acceptable(&one));
    }

    #[test]
    fn given_secrets_are_long_and_printable() {
        for (text, good) in [("0123456789abcdef", true), ("0123456789abcde", false), ("0123456789abcdeé", false)] {
            assert_eq!(is_acceptable(&SecretText::new(text.to_owned())), good, "{text}");
        }
        assert!(!is_acceptable(&SecretText::new("x".repeat(513))));
    }
}
