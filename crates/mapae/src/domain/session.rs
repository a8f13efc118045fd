//! Sessions: one for each sign-in.

use chrono::{DateTime, Utc};

use super::UserId;

/// The client that serves the tutorial's routes: this service's own sign-in (`client_id` of RFC 9068 tokens).
pub const FIRST_PARTY_CLIENT_ID: &str = "mapae";

/// What began with a sign-in and ends with a sign-out, a password change, the account's end, or by itself.
/// Access tokens name it in `sid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// UUID version 7; `sid` of its tokens.
    pub id: String,
    /// Whose session it is.
    pub user_id: UserId,
    /// The client that it was given to.
    pub client_id: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Session {
    /// Whether tokens of this session are still good at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}
