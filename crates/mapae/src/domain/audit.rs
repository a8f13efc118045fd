//! The audit trail: who did what to whom, when and from where. Nothing of it is secret.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Source, UserId};

/// Whether what was asked for was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, and nothing was given.
    Refused,
}

impl Outcome {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Success, Self::Refused];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for Outcome {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(())
    }
}

/// The enum, its words and their outcomes, in one place.
macro_rules! events {
    ($($(#[$doc:meta])+ $event:ident = $word:literal, $outcome:ident;)+) => {
        /// What a row of the audit trail tells of. The words are for good: rows are kept for years.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Event {
            $($(#[$doc])+ $event,)+
        }

        impl Event {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$event,)+];

            /// The word in the database, in the interface and in the book.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$event => $word,)+
                }
            }

            /// Whether it is something that was done or that was refused.
            pub fn outcome(self) -> Outcome {
                match self {
                    $(Self::$event => Outcome::$outcome,)+
                }
            }
        }
    };
}

events! {
    /// Somebody signed in with a password, which began a session.
    SignInSucceeded = "sign-in.succeeded", Success;
    /// A sign-in with a password was refused; `reason` says why.
    SignInRefused = "sign-in.refused", Refused;
    /// A signed-in person repeated the password before a grave change, and it was wrong.
    PasswordRefused = "password.refused", Refused;
    /// An account was made by whoever has it now.
    UserSignedUp = "user.signed-up", Success;
    /// An account was made for somebody.
    UserAdded = "user.added", Success;
    /// User name or full name changed; `fields` says which.
    UserChanged = "user.changed", Success;
    /// The e-mail address changed.
    EmailChanged = "email.changed", Success;
    /// The password changed.
    PasswordChanged = "password.changed", Success;
    /// An account was disabled.
    UserDisabled = "user.disabled", Success;
    /// An account was enabled.
    UserEnabled = "user.enabled", Success;
    /// An account was deleted.
    UserDeleted = "user.deleted", Success;
    /// Accounts were imported: one row for a whole import, with its counts.
    UsersImported = "users.imported", Success;
    /// Scopes were granted to an account.
    ScopeGranted = "scope.granted", Success;
    /// Scopes were withdrawn from an account.
    ScopeWithdrawn = "scope.withdrawn", Success;
    /// A session was begun without a password.
    SessionStarted = "session.started", Success;
    /// A session was ended; `reason` says why.
    SessionEnded = "session.ended", Success;
    /// A refresh token was shown again after its successor had been used: somebody may have a copy.
    RefreshTokenReused = "refresh-token.reused", Refused;
    /// A refresh token was accepted that this database has not made: it was restored from a backup.
    RefreshTokenAhead = "refresh-token.ahead", Success;
    /// A weaker token was minted from another, for a bot or a thing.
    TokenMinted = "token.minted", Success;
    /// A token was not exchanged, or no weaker one minted; `reason` says why.
    TokenRefused = "token.refused", Refused;
    /// A client gave an access token up.
    TokenRevoked = "token.revoked", Success;
    /// A ticket was shown again that had been used.
    TicketReused = "ticket.reused", Refused;
    /// A client got a token of its own.
    ClientTokenIssued = "client.token-issued", Success;
    /// A client did not prove to be it.
    ClientRefused = "client.refused", Refused;
    /// A client was registered.
    ClientAdded = "client.added", Success;
    /// A client got another secret.
    ClientSecretRotated = "client.secret-rotated", Success;
    /// A client was removed.
    ClientRemoved = "client.removed", Success;
    /// The next signing key took over.
    KeyRotated = "key.rotated", Success;
    /// A signing key was revoked.
    KeyRevoked = "key.revoked", Success;
    /// A key of another program was taken over.
    KeyImported = "key.imported", Success;
    /// Another master key took the place of the one before.
    MasterKeyRotated = "master-key.rotated", Success;
    /// More was refused than could be written down; `count` rows are missing here.
    AuditDropped = "audit.dropped", Success;
}

impl FromStr for Event {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|event| event.as_str() == text).ok_or(())
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody who has not proven to be anybody.
    Anonymous,
    /// The holder of an account.
    User(UserId),
    /// An OAuth client that speaks for itself.
    Client(String),
    /// Whoever runs `mapae` on the server: the operating system's name, as far as it is known.
    CommandLine(Option<String>),
    /// The program itself, or the application that it is part of.
    System,
}

impl Who {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(_) => "user",
            Self::Client(_) => "client",
            Self::CommandLine(_) => "command-line",
            Self::System => "system",
        }
    }

    /// Which one of its kind.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::User(id) => Some(id.as_str()),
            Self::Client(id) => Some(id),
            Self::CommandLine(name) => name.as_deref(),
            Self::Anonymous | Self::System => None,
        }
    }
}

/// Who acts, and by what way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    who: Who,
    session: Option<String>,
    client: Option<String>,
    source: Source,
}

impl Actor {
    /// Somebody who asks from there.
    pub fn new(who: Who, source: Source) -> Self {
        Self { who, session: None, client: None, source }
    }

    /// The program itself.
    pub fn system() -> Self {
        Self::new(Who::System, Source::default())
    }

    /// In this session.
    #[must_use]
    pub fn in_session(self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self }
    }

    /// By way of this client.
    #[must_use]
    pub fn by_client(self, client: &str) -> Self {
        Self { client: Some(client.to_owned()), ..self }
    }

    /// From where.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The same, now that they have proven to be the holder of this account.
    #[must_use]
    pub fn known_as(&self, user: &UserId) -> Self {
        Self { who: Who::User(user.clone()), ..self.clone() }
    }
}

/// What happened, before it has its time.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What.
    pub event: Event,
    /// By whom.
    pub actor: Actor,
    /// To whom or what.
    pub subject: Option<String>,
    /// The session that it is about, else the actor's.
    pub session: Option<String>,
    /// The client that it is about, else the actor's.
    pub client: Option<String>,
    /// What else there is to say.
    pub details: Map<String, Value>,
}

impl Entry {
    /// `actor` did it.
    pub fn new(event: Event, actor: &Actor) -> Self {
        let (session, client) = (actor.session.clone(), actor.client.clone());
        Self { event, actor: actor.clone(), subject: None, session, client, details: Map::new() }
    }

    /// To this account.
    #[must_use]
    pub fn user(self, id: &UserId) -> Self {
        Self { subject: Some(id.to_string()), ..self }
    }

    /// To this account, if there is one.
    #[must_use]
    pub fn maybe_user(self, id: Option<&UserId>) -> Self {
        Self { subject: id.map(ToString::to_string), ..self }
    }

    /// To this client.
    #[must_use]
    pub fn client(self, id: impl fmt::Display) -> Self {
        Self { subject: Some(format!("client:{id}")), ..self }
    }

    /// To this signing key.
    #[must_use]
    pub fn key(self, kid: &str) -> Self {
        Self { subject: Some(format!("key:{kid}")), ..self }
    }

    /// About this session of this client.
    #[must_use]
    pub fn session(self, id: &str, client: &str) -> Self {
        Self { session: Some(id.to_owned()), client: Some(client.to_owned()), ..self }
    }

    /// With this detail, which is no secret and nothing that somebody typed.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Who acts.
    pub fn who(&self) -> &Who {
        &self.actor.who
    }
}

/// A row as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// UUID version 7: later rows have greater ones.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// [`Event::as_str`]; of a newer version perhaps.
    pub event: String,
    /// [`Who::kind`].
    pub actor_kind: String,
    /// [`Who::id`].
    pub actor: Option<String>,
    /// The id of an account, `client:…`, or `key:…`.
    pub subject: Option<String>,
    /// The network address.
    pub address: Option<String>,
    /// The request's id, as in the log.
    pub request_id: Option<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The client.
    pub client_id: Option<String>,
    /// What else there is to say.
    pub details: Map<String, Value>,
}

impl Record {
    /// Whether it was done or refused; `None` for an event of a newer version.
    pub fn outcome(&self) -> Option<Outcome> {
        self.event.parse().ok().map(Event::outcome)
    }
}

/// Which rows somebody wants to see; all of them if nothing is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// To whom or what, as in [`Record::subject`].
    pub subject: Option<String>,
    /// By whom, as in [`Record::actor`].
    pub actor: Option<String>,
    /// What.
    pub event: Option<Event>,
    /// Whether it was done or refused.
    pub outcome: Option<Outcome>,
    /// Not before this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// From this address.
    pub address: Option<IpAddr>,
}

/// In which direction the audit trail is read, and from which row on, without it.
#[derive(Clone, Copy, Debug)]
pub enum Direction<'a> {
    /// The newest first, those before this one.
    Back(Option<&'a str>),
    /// The oldest first, those after this one.
    Forward(Option<&'a str>),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for event in Event::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
        let words: BTreeSet<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(words.len(), Event::ALL.len());
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
    }
}
