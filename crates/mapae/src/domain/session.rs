//! Sessions: one for each sign-in.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Scopes, Subject};

use super::{Delegation, UserId};

/// The client that serves the tutorial's routes: this service's own sign-in (`client_id` of RFC 9068 tokens).
pub const FIRST_PARTY_CLIENT_ID: &str = "mapae";

/// How long the refresh token before the current one still gets the same successor, so that a lost answer, a retry or a
/// second tab signs nobody out.
pub const REFRESH_GRACE: TimeDelta = TimeDelta::seconds(30);

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
    /// What was granted at the sign-in. A refresh may carry less of it, never more.
    pub scope: Scopes,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself, however much it is used.
    pub expires_at: DateTime<Utc>,
    /// When it was ended, if it was, and why.
    pub ended: Option<(DateTime<Utc>, EndReason)>,
    /// How it is refreshed; `None` for a session that lasts as long as its one access token.
    pub refresh: Option<RefreshState>,
    /// When the last access token of it ends.
    pub access_expires_at: DateTime<Utc>,
    /// The program that signed in.
    pub device: Device,
    /// What makes it the session of a minted token; none for a sign-in.
    pub delegation: Option<Box<Delegation>>,
}

/// What a refresh compares and sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshState {
    /// The number of the current refresh token. Not a secret: a token is this number with a keyed hash.
    pub generation: i64,
    /// When the current refresh token was made: at the sign-in or the last refresh.
    pub refreshed_at: DateTime<Utc>,
    /// When the session ends unless it is refreshed.
    pub idle_expires_at: DateTime<Utc>,
}

/// From where a session was begun, for people who look through their sessions. Nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// What the client called it, or its `User-Agent`.
    pub name: Option<String>,
    /// The network address.
    pub address: Option<String>,
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its owner signed out, here or from another session, or the client revoked its token.
    SignedOut,
    /// The account was disabled or deleted, or its password changed.
    Account,
    /// An administrator ended it.
    Administrator,
    /// A refresh token was shown again after its successor had been used.
    Reuse,
    /// The client was removed.
    Client,
    /// A key that could make its tokens was given up as leaked.
    Leaked,
}

impl EndReason {
    const ALL: [Self; 6] =
        [Self::SignedOut, Self::Account, Self::Administrator, Self::Reuse, Self::Client, Self::Leaked];

    /// The word in the database and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::Account => "account",
            Self::Administrator => "administrator",
            Self::Reuse => "reuse",
            Self::Client => "client",
            Self::Leaked => "leaked",
        }
    }
}

impl FromStr for EndReason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(())
    }
}

/// What a refresh token of this session is worth (the table in the book, "Sessions and tokens").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The current one: the session moves to the generation after it.
    Current,
    /// The one before, whose successor is still unused, within the grace time: the same successor again.
    Repeated,
    /// An older one: somebody has a copy, so the session ends.
    Reused,
    /// One that this database has not made yet: it was restored from a backup. The session moves past it.
    Ahead,
}

impl Session {
    /// Whether access tokens of this session are still good at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// Whether its tokens speak for this subject: the thing that they were minted for, else the account.
    pub fn speaks_for(&self, subject: &Subject) -> bool {
        match self.delegation.as_ref().and_then(|delegation| delegation.subject.as_ref()) {
            Some(thing) => thing == subject,
            None => subject.as_user() == Some(self.user_id.as_str()),
        }
    }

    /// Whether it is over since its account holds `held` and no more: a minted token ends when its grantor loses one of
    /// its scopes. The tokens of a sign-in only lose the scope.
    pub fn has_lost_scopes(&self, held: &Scopes) -> bool {
        self.delegation.is_some() && !held.contains_all(&self.scope)
    }

    /// How many tokens were minted one from the other up to this session.
    pub fn depth(&self) -> u8 {
        self.delegation.as_ref().map_or(0, |delegation| delegation.depth)
    }

    /// How it can be refreshed at `now`, if it can.
    pub fn refreshable(&self, now: DateTime<Utc>) -> Option<RefreshState> {
        self.refresh.filter(|refresh| self.is_live(now) && now < refresh.idle_expires_at)
    }

    /// Whether it is neither ended nor over at `now`: an access token or a refresh token of it is still good.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        let usable = |refresh: RefreshState| now < refresh.idle_expires_at || now < self.access_expires_at;
        self.is_live(now) && self.refresh.is_none_or(usable)
    }

    /// When it was last used to sign in or refresh.
    pub fn last_used_at(&self) -> DateTime<Utc> {
        self.refresh.map_or(self.created_at, |refresh| refresh.refreshed_at)
    }

    /// When it ends unless it is refreshed.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.refresh.map_or(self.expires_at, |refresh| refresh.idle_expires_at.min(self.expires_at))
    }
}

impl RefreshState {
    /// Judges a refresh token of this session by its generation. `outage` is how long since the refresh the database could
    /// not be asked: nobody could repeat it meanwhile, so that does not count against the grace time.
    pub fn judge(&self, generation: i64, now: DateTime<Utc>, outage: TimeDelta) -> Presented {
        match self.generation.checked_sub(generation) {
            Some(0) => Presented::Current,
            // Another node's clock may be behind the one that refreshed.
            Some(1) if now <= self.refreshed_at + REFRESH_GRACE + outage => Presented::Repeated,
            Some(1..) => Presented::Reused,
            Some(_) | None => Presented::Ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
    }

    #[test]
    fn every_row_of_the_refresh_table() {
        let state = RefreshState { generation: 7, refreshed_at: at(0), idle_expires_at: at(1_000) };
        for (generation, seconds, judged) in [
            (7, 0, Presented::Current),
            (7, 900, Presented::Current),
            (6, 0, Presented::Repeated),
            (6, 30, Presented::Repeated),
            (6, -5, Presented::Repeated),
            (6, 31, Presented::Reused),
            (5, 0, Presented::Reused),
            (0, 0, Presented::Reused),
            (8, 0, Presented::Ahead),
            (i64::MAX, 0, Presented::Ahead),
        ] {
            assert_eq!(state.judge(generation, at(seconds), TimeDelta::zero()), judged, "{generation} at {seconds} s");
        }
        let outage = TimeDelta::seconds(60);
        for (generation, seconds, judged) in
            [(6, 90, Presented::Repeated), (6, 91, Presented::Reused), (5, 40, Presented::Reused)]
        {
            assert_eq!(state.judge(generation, at(seconds), outage), judged, "{generation} at {seconds} s");
        }
    }

    #[test]
    fn reasons_are_read_as_they_are_written() {
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
