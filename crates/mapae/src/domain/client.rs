//! OAuth clients: programs that ask for tokens (RFC 6749 §2).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use mapae_verify::Scopes;

use super::ScopeCatalogue;
use super::session::FIRST_PARTY_CLIENT_ID;

/// The longest client id, in characters.
pub const MAX_CLIENT_ID_CHARS: usize = 64;

/// A client's id: letters, digits and `._~-`, so that `client:<id>` is a subject and no form needs to escape it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

impl ClientId {
    /// Checks and takes an id; `None` if it is empty, too long, or holds another character.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        let good = !text.is_empty() && text.len() <= MAX_CLIENT_ID_CHARS && text.bytes().all(allowed);
        good.then(|| Self(text.to_owned()))
    }

    /// The id as it stands in `client_id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    /// It cannot: an app on somebody's device, or a page in a browser. It only says its id.
    Public,
    /// It can: a program on a server. It shows its secret each time.
    Confidential,
}

impl ClientType {
    /// The word in the database and in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }
}

impl FromStr for ClientType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "public" => Ok(Self::Public),
            "confidential" => Ok(Self::Confidential),
            _ => Err(()),
        }
    }
}

/// A way to a token (`grant_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantType {
    /// A person's name and password (RFC 6749 §4.3). For this service's own sign-in and first parties alone: RFC 9700
    /// §2.4 forbids it for others.
    Password,
    /// A refresh token (RFC 6749 §6).
    RefreshToken,
    /// The client acts for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A person's token, or one that was minted from such a one, for a weaker one (RFC 8693).
    TokenExchange,
}

impl GrantType {
    /// Every grant that this service knows.
    pub const ALL: [Self; 4] = [Self::Password, Self::RefreshToken, Self::ClientCredentials, Self::TokenExchange];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

impl FromStr for GrantType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text).ok_or(())
    }
}

/// A client without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// Whether it has a secret.
    pub client_type: ClientType,
    /// The grants that it may use.
    pub grants: BTreeSet<GrantType>,
    /// The most that its tokens may carry.
    pub scopes: Scopes,
    /// `aud` of its tokens; empty means the service's own. A client without grants gets no tokens: then these are the
    /// names under which tokens are meant for it, so that it may introspect them.
    pub audiences: Vec<String>,
    /// Shorter lifetimes than the service's own.
    pub lifetimes: Lifetimes,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When any of this last changed.
    pub updated_at: DateTime<Utc>,
}

/// Lifetimes in seconds; `None` is the service's own. A client's can only be shorter: what a setting promises holds for
/// every token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of an access token.
    pub access_token: Option<u32>,
    /// Of a session that is not refreshed.
    pub session_idle: Option<u32>,
    /// Of a session in any case.
    pub session: Option<u32>,
}

impl Client {
    /// This service's own sign-in: `/token`, `/users/signin`, and `/oauth2/token` with `client_id=mapae`. It is in no
    /// table, so that nobody can remove or change it.
    pub fn built_in(scopes: &ScopeCatalogue) -> Self {
        Self {
            id: ClientId(FIRST_PARTY_CLIENT_ID.to_owned()),
            client_type: ClientType::Public,
            grants: BTreeSet::from([GrantType::Password, GrantType::RefreshToken, GrantType::TokenExchange]),
            scopes: scopes.all(),
            audiences: Vec::new(),
            lifetimes: Lifetimes::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Whether it may use this grant.
    pub fn may(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether it is this service's own sign-in.
    pub fn is_built_in(&self) -> bool {
        self.id.as_str() == FIRST_PARTY_CLIENT_ID
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_need_no_escaping_anywhere() {
        for good in ["web", "a", "A-1_b.c~d", &"x".repeat(64)] {
            assert_eq!(ClientId::parse(good).map(|id| id.to_string()).as_deref(), Some(good));
        }
        for bad in ["", " ", "a b", "a:b", "a/b", "a%20", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(ClientId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for grant in GrantType::ALL {
            assert_eq!(grant.as_str().parse(), Ok(grant));
        }
        for client_type in [ClientType::Public, ClientType::Confidential] {
            assert_eq!(client_type.as_str().parse(), Ok(client_type));
        }
        assert_eq!("implicit".parse::<GrantType>(), Err(()));
    }
}
