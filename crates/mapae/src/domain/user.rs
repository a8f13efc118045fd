//! Accounts.

use std::fmt;

use chrono::{DateTime, Utc};
use mapae_verify::Scopes;
use unicode_normalization::UnicodeNormalization;

use super::{EmailAddress, UserName};

/// The longest `full_name`, in characters.
pub const MAX_FULL_NAME_CHARS: usize = 200;

/// The stable id of an account, which is the `sub` of its tokens: a UUID version 7 unless it was imported or is
/// the application's own. Never holds a `:`, which marks every other kind of subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// Takes an id made by this service or by the application; `None` if it is empty, over 255 bytes, or holds a
    /// `:` or control characters.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let ok = !id.is_empty() && id.len() <= 255 && !id.contains(':') && !id.chars().any(char::is_control);
        ok.then_some(Self(id))
    }

    /// The id as it stands in `sub`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for UserId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account, without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The stable id, `sub` of the account's tokens.
    pub id: UserId,
    /// The name for signing in, as its owner wrote it.
    pub username: Option<String>,
    /// The address, as its owner wrote it.
    pub email: Option<String>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// A disabled account can neither sign in nor use tokens that it already holds.
    pub disabled: bool,
    /// The scopes that the account holds; a token carries some of them.
    pub scopes: Scopes,
    /// When the account was made; unknown for one in the application's own table.
    pub created_at: Option<DateTime<Utc>>,
    /// When any of this last changed; unknown for one in the application's own table.
    pub updated_at: Option<DateTime<Utc>>,
}

/// Only the id: the rest is personal data, which does not belong into logs.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What an account is made from, checked. At least one of name and address is present.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The stable id.
    pub id: UserId,
    /// The name for signing in.
    pub username: Option<UserName>,
    /// The address for signing in and for mail.
    pub email: Option<EmailAddress>,
    /// What the person is called, see [`full_name`].
    pub full_name: Option<String>,
    /// The scopes that the account holds.
    pub scopes: Scopes,
}

/// A change of an account's profile. `None` leaves a field alone; `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// Another name for signing in.
    pub username: Option<Option<UserName>>,
    /// Another address.
    pub email: Option<Option<EmailAddress>>,
    /// Another full name.
    pub full_name: Option<Option<String>>,
}

/// A text for comparing: letter case, width and Unicode form make no difference.
pub fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

/// A full name that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A full name has at most 200 characters and no control characters.")]
pub struct FullNameError;

/// Checks a full name; blank text counts as none.
///
/// # Errors
/// [`FullNameError`] if it is too long or holds control characters.
pub fn full_name(text: &str) -> Result<Option<String>, FullNameError> {
    let text = text.trim();
    if text.chars().take(MAX_FULL_NAME_CHARS + 1).count() > MAX_FULL_NAME_CHARS || text.chars().any(char::is_control) {
        return Err(FullNameError);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
