//! The plain password and the stored hash, as types that do not print themselves.

use std::fmt;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::Zeroizing;

use crate::HashError;

/// A plain password: UTF-8 text of at most [`Password::MAX_BYTES`], wiped from memory when dropped.
///
/// The text is kept exactly as typed, blanks, NUL and Unicode form included.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The longest password that is taken, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1024;

    /// Takes over the text of a password.
    ///
    /// # Errors
    /// [`HashError::PasswordTooLong`] if it has more than [`Password::MAX_BYTES`] bytes; the text is wiped then too.
    pub fn new(text: impl Into<String>) -> Result<Self, HashError> {
        let text = Zeroizing::new(text.into());
        if text.len() > Self::MAX_BYTES {
            return Err(HashError::PasswordTooLong { max_bytes: Self::MAX_BYTES });
        }
        Ok(Self(text))
    }

    /// The password as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The UTF-8 bytes that are hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The password in Unicode normalization form C, if that is another text than the one typed.
    ///
    /// It may be longer than [`Password::MAX_BYTES`].
    pub fn to_nfc(&self) -> Option<Self> {
        if is_nfc_quick(self.0.chars()) == IsNormalized::Yes {
            return None;
        }
        // Decomposition at most triples the UTF-8 length (UAX #15), so the text is never moved and left behind unwiped.
        let mut normalized = Zeroizing::new(String::with_capacity(self.0.len() * 3));
        normalized.extend(self.0.nfc());
        (*normalized != *self.0).then_some(Self(normalized))
    }

    /// For derived passwords, whose length is known to be in bounds.
    pub(crate) fn from_derived(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl TryFrom<String> for Password {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, HashError> {
        Self::new(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// A stored password hash, as text, whether well-formed or not.
///
/// A hash can be attacked offline, so it is no more for logs than the password is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HashText(String);

impl HashText {
    /// Takes a hash as it was stored; nothing is checked before it is used.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text to store, given away.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<String> for HashText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashText([redacted])")
    }
}
