//! Peppers: keys kept outside the database, without which its hashes cannot be attacked.
//!
//! With a pepper it is not the password that is hashed but `base64(HMAC-SHA256(pepper, password))`, 44 letters, in any
//! of the formats. The stored text is then `$mapae-pepper$ID$HASH`, where ID names the pepper and HASH is a whole text
//! of its format, as in `$mapae-pepper$9f86d081884c7d65$$argon2id$v=19$m=19456,t=2,p=1$salt$tag`. No format begins like
//! that, and an ID holds no `$`, so there is one way to read it.
//!
//! An ID is made from its key, so that the right key cannot be brought under a wrong name.
//!
//! What Flask-Security calls its salt is such a key too, for an HMAC of its own. Its hashes get the name of that key when
//! they are imported among others ([`Pepper::mark`]).

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{HashError, HashText, Password, flask_security};

const PREFIX: &str = "$mapae-pepper$";
/// What the key signs for its id. Longer than any password, so that no password is ever hashed as this.
const ID_MESSAGE: [u8; Password::MAX_BYTES * 4] = [b'm'; Password::MAX_BYTES * 4];
const ID_BYTES: usize = 8;

/// The name of a pepper in the hashes made with it: 16 hexadecimal digits that depend on the key and tell nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperId(ArrayString<{ 2 * ID_BYTES }>);

impl PepperId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PepperId {
    type Err = HashError;

    /// # Errors
    /// [`HashError::Malformed`] if the text is anything but 16 digits in lower case.
    fn from_str(text: &str) -> Result<Self, HashError> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match ArrayString::from(text) {
            Ok(id) if digits && text.len() == 2 * ID_BYTES => Ok(Self(id)),
            _ => Err(HashError::Malformed),
        }
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PepperId({})", self.0)
    }
}

/// A key for the HMAC of passwords, wiped from memory when dropped. It is never stored beside the hashes.
#[derive(Clone)]
pub struct Pepper {
    id: PepperId,
    key: Zeroizing<Vec<u8>>,
    kind: Kind,
}

/// Whose HMAC it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Ours, with SHA-256.
    Own,
    /// See [`flask_security::prehash`].
    FlaskSecurity,
}

impl Pepper {
    /// The shortest key that is accepted, in bytes.
    pub const MIN_KEY_BYTES: usize = 32;

    /// Takes over the bytes of a key.
    ///
    /// # Errors
    /// [`PepperTooShort`]; the bytes are wiped then too.
    pub fn new(key: impl Into<Vec<u8>>) -> Result<Self, PepperTooShort> {
        let key = Zeroizing::new(key.into());
        if key.len() < Self::MIN_KEY_BYTES {
            return Err(PepperTooShort);
        }
        Ok(Self { id: id(hmac::HMAC_SHA256, &key), key, kind: Kind::Own })
    }

    /// Takes over `SECURITY_PASSWORD_SALT` of a Flask-Security application, of whatever length, for its hashes. It can
    /// only be an old pepper: nothing new is written with it.
    pub fn flask_security(key: impl Into<Vec<u8>>) -> Self {
        let key = Zeroizing::new(key.into());
        Self { id: id(hmac::HMAC_SHA512, &key), key, kind: Kind::FlaskSecurity }
    }

    /// Names this pepper in a hash that was made with it elsewhere, where it needs no name. A hash that names one
    /// already stays as it is.
    pub fn mark(&self, hash: &HashText) -> HashText {
        if hash.as_str().starts_with(PREFIX) { hash.clone() } else { join(Some(self.id), &hash.as_str()) }
    }

    /// The name that hashes made with it have.
    pub fn id(&self) -> PepperId {
        self.id
    }

    /// What is hashed in place of the password.
    fn apply(&self, password: &Password) -> Password {
        match self.kind {
            Kind::Own => {
                let tag = sign(hmac::HMAC_SHA256, &self.key, password.as_bytes());
                Password::from_derived(Base64::encode_string(tag.as_ref()))
            }
            Kind::FlaskSecurity => flask_security::prehash(password, &self.key),
        }
    }
}

fn id(algorithm: hmac::Algorithm, key: &[u8]) -> PepperId {
    let tag = sign(algorithm, key, &ID_MESSAGE);
    let mut digits = [0; 2 * ID_BYTES];
    hex::encode_to_slice(&tag.as_ref()[..ID_BYTES], &mut digits).expect("two digits for each byte");
    PepperId(ArrayString::from_byte_string(&digits).expect("digits are text"))
}

fn sign(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(algorithm, key), message)
}

/// Only the id: the key is secret.
impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pepper").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A pepper of fewer than [`Pepper::MIN_KEY_BYTES`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperTooShort;

impl fmt::Display for PepperTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pepper has at least {} bytes", Pepper::MIN_KEY_BYTES)
    }
}

impl std::error::Error for PepperTooShort {}

/// The pepper of new hashes, and those that stored hashes may still need. By default there is none.
#[derive(Clone, Debug, Default)]
pub struct Peppers {
    /// For new hashes; `None` writes them without.
    pub current: Option<Pepper>,
    /// For stored hashes only. One must stay until no hash names it; its hashes are replaced when their owners sign in.
    pub old: Vec<Pepper>,
}

impl Peppers {
    /// Whether there is any pepper at all.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.old.is_empty()
    }

    /// The names of all peppers, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = PepperId> {
        self.current.iter().chain(&self.old).map(Pepper::id)
    }

    /// The key of Flask-Security's hashes, if there is one.
    pub fn flask_security(&self) -> Option<&Pepper> {
        self.old.iter().find(|pepper| pepper.kind == Kind::FlaskSecurity)
    }

    pub(crate) fn current_id(&self) -> Option<PepperId> {
        self.current.as_ref().map(Pepper::id)
    }

    /// What is hashed in place of the password where a hash names this pepper.
    pub(crate) fn apply(&self, id: Option<PepperId>, password: &Password) -> Result<Password, HashError> {
        match id {
            None => Ok(password.clone()),
            Some(id) => Ok(self.get(id)?.apply(password)),
        }
    }

    pub(crate) fn get(&self, id: PepperId) -> Result<&Pepper, HashError> {
        let found = self.current.iter().chain(&self.old).find(|pepper| pepper.id == id);
        found.ok_or(HashError::UnknownPepper { id })
    }
}

/// Takes the name of the pepper off a stored text.
pub(crate) fn split(text: &str) -> Result<(Option<PepperId>, &str), HashError> {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return Ok((None, text));
    };
    let (id, hash) = rest.split_once('$').ok_or(HashError::Malformed)?;
    // One HMAC inside another would say nothing more.
    if hash.starts_with(PREFIX) {
        return Err(HashError::Malformed);
    }
    Ok((Some(id.parse()?), hash))
}

/// Puts the name of the pepper before the text of a hash.
pub(crate) fn join(id: Option<PepperId>, hash: &dyn fmt::Display) -> HashText {
    HashText::new(match id {
        None => hash.to_string(),
        Some(id) => format!("{PREFIX}{id}${hash}"),
    })
}

impl HashText {
    /// The pepper that the text names, if any: for counting how many rows still need it. Nothing else of the text is
    /// looked at.
    ///
    /// # Errors
    /// [`HashError::Malformed`] if the text begins as one with a pepper and is none.
    pub fn pepper_id(&self) -> Result<Option<PepperId>, HashError> {
        split(self.as_str()).map(|(id, _)| id)
    }
}
