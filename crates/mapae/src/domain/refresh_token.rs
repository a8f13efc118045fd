//! Refresh tokens: `mr_` and base64url of session id ‖ generation ‖ HMAC.

use std::fmt;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::SecretText;

/// What every refresh token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "mr_";

const ID: usize = 16;
const GENERATION: usize = 8;
const TAG: usize = 32;

/// Bound into every tag, so that the key could serve another use without confusion.
const LABEL: &[u8] = b"mapae/v1/refresh-token";

/// The key of all refresh tokens. Whoever has it and the database can make any of them.
pub struct RefreshKey(hmac::Key);

/// What a genuine refresh token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session's id.
    pub session: String,
    /// Which of the session's tokens it is.
    pub generation: i64,
}

impl RefreshKey {
    /// From 32 random bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of this session and generation: the same each time. `None` if the id is no UUID.
    pub fn token(&self, session: &str, generation: i64) -> Option<SecretText> {
        let mut bytes = Vec::with_capacity(ID + GENERATION + TAG);
        bytes.extend_from_slice(Uuid::parse_str(session).ok()?.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        let tag = hmac::sign(&self.0, &message(&bytes));
        bytes.extend_from_slice(tag.as_ref());
        Some(SecretText::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(&bytes))))
    }

    /// Reads a token that this key made; `None` for anything else.
    pub fn read(&self, token: &str) -> Option<RefreshToken> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(token.strip_prefix(PREFIX)?).ok()?;
        if bytes.len() != ID + GENERATION + TAG {
            return None;
        }
        let (content, tag) = bytes.split_at_checked(ID + GENERATION)?;
        // In constant time.
        hmac::verify(&self.0, &message(content), tag).ok()?;
        let (id, generation) = content.split_at_checked(ID)?;
        Some(RefreshToken {
            session: Uuid::from_slice(id).ok()?.to_string(),
            generation: i64::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

fn message(content: &[u8]) -> Vec<u8> {
    [LABEL, content].concat()
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = "0198c0de-0000-7000-8000-000000000001";

    #[test]
    fn a_token_is_read_only_by_its_key_and_unaltered() {
        let key = RefreshKey::new(&[7; 32]);
        let token = key.token(SESSION, 41).unwrap();
        let token = token.expose();
        assert_eq!(token, key.token(SESSION, 41).unwrap().expose(), "the same each time");
        assert_eq!(key.read(token), Some(RefreshToken { session: SESSION.to_owned(), generation: 41 }));
        assert_eq!(RefreshKey::new(&[8; 32]).read(token), None);
        let content = URL_SAFE_NO_PAD.decode_to_vec(&token[PREFIX.len()..]).unwrap();
        for at in 0..content.len() {
            let mut altered = content.clone();
            altered[at] ^= 1;
            let altered = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(&altered));
            assert_eq!(key.read(&altered), None, "byte {at}");
        }
        for bad in ["", PREFIX, &token[PREFIX.len()..], &token[..token.len() - 1], &format!("{token}A"), "mr_é"] {
            assert_eq!(key.read(bad), None, "{bad}");
        }
        assert_eq!(key.token("not a uuid", 1), None);
    }

    proptest! {
        #[test]
        fn whatever_was_made_is_read(id in any::<u128>(), generation in any::<i64>()) {
            let key = RefreshKey::new(&[7; 32]);
            let session = Uuid::from_u128(id).to_string();
            let token = key.token(&session, generation).unwrap();
            prop_assert_eq!(key.read(token.expose()), Some(RefreshToken { session, generation }));
        }

        #[test]
        fn no_text_is_too_strange_to_refuse(text in ".*") {
            prop_assert_eq!(RefreshKey::new(&[7; 32]).read(&text), None);
            prop_assert_eq!(RefreshKey::new(&[7; 32]).read(&format!("mr_{text}")), None);
        }
    }
}
