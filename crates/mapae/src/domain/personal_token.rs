//! Personal access tokens: long-lived, opaque, and good for nothing but being exchanged or introspected.

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;

use super::SecretText;

/// What every personal access token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "mp_";

/// Random bytes of a token: nobody can guess them, so a plain hash keeps them.
const BYTES: usize = 32;

/// A personal access token as its holder has it.
#[derive(Clone, Debug)]
pub struct PersonalToken(SecretText);

impl PersonalToken {
    /// A new token, from random bytes.
    pub fn from_random(bytes: [u8; BYTES]) -> Self {
        Self(SecretText::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(bytes))))
    }

    /// Reads what somebody shows; `None` if it can't be such a token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text.strip_prefix(PREFIX)?).ok()?;
        (bytes.len() == BYTES).then(|| Self(SecretText::new(text.to_owned())))
    }

    /// What is stored of it.
    pub fn hash(&self) -> PersonalTokenHash {
        PersonalTokenHash(URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, self.0.expose().as_bytes())))
    }

    /// The plain text, for the one answer that holds it.
    pub fn into_text(self) -> SecretText {
        self.0
    }
}

/// What is stored of a personal access token: its SHA-256, which finds it and is of no use to anybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalTokenHash(String);

impl PersonalTokenHash {
    /// As the database has it.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_have_been_made_here_is_read() {
        let token = PersonalToken::from_random([251; BYTES]);
        let (hash, text) = (token.hash(), token.into_text());
        let text = text.expose();
        assert_eq!(text.len(), 46);
        assert_eq!(PersonalToken::parse(text).unwrap().hash(), hash);
        assert_ne!(PersonalToken::from_random([252; BYTES]).hash(), hash);
        let inner = &text[PREFIX.len()..];
        for wrong in ["", PREFIX, inner, &text[..45], &format!("{text}A"), &format!("mt_{inner}"), &"mp_열".repeat(9)]
        {
            assert!(PersonalToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn neither_debug_nor_what_is_stored_shows_it() {
        let token = PersonalToken::from_random([7; BYTES]);
        let shown = format!("{token:?} {:?}", token.hash());
        let text = token.into_text();
        assert!(!shown.contains(&text.expose()[PREFIX.len()..]), "{shown}");
    }
}
