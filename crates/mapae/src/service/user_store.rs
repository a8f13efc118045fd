//! The application's own user table, as this service sees it.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use mapae_verify::Scopes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A row of the application's own user table.
pub trait StoredUser: Clone + Send + Sync + 'static {
    /// The claims of this user's tokens; [`SubjectClaims`] unless the application wants its own.
    type Claims: TokenClaims<Self>;

    /// The id by which tokens name the user, see [`UserStore::by_id`].
    fn id(&self) -> String;

    /// The stored hash, in any format that `mapae-password` reads.
    fn password_hash(&self) -> &str;

    /// `false` for a disabled account.
    fn is_active(&self) -> bool {
        true
    }

    /// The scopes that the account holds. A token has those that were asked for among them.
    fn scopes(&self) -> Scopes {
        Scopes::new()
    }
}

/// Looks users up in the application's own table.
pub trait UserStore: Send + Sync + 'static {
    /// A row of the table.
    type User: StoredUser;
    /// What the database reports. It is logged, and the request answered 503.
    type Error: Error + Send + Sync + 'static;

    /// The user who signs in with this name or address.
    fn by_login(&self, login: &str) -> impl Future<Output = Result<Option<Self::User>, Self::Error>> + Send;

    /// The user whom a token names.
    fn by_id(&self, id: &str) -> impl Future<Output = Result<Option<Self::User>, Self::Error>> + Send;
}

/// What a token says, as the application's own type.
pub trait TokenClaims<U>: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The claims of a new token.
    fn issue(user: &U, grant: &Grant) -> Self;

    /// The id of the user whom the token names; `None` is no token of a user.
    fn user_id(&self) -> Option<String>;

    /// The scopes that the token carries.
    fn scopes(&self) -> Scopes {
        Scopes::new()
    }
}

/// What a new token may say.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Now, in seconds since 1970.
    pub iat: i64,
    /// When the token ends, in seconds since 1970.
    pub exp: i64,
    /// The scopes that were asked for and are held.
    pub scope: Scopes,
}

/// The claims of FastAPI's tutorial: `sub`, `exp`, and `scope` if there is any.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubjectClaims {
    /// The user's id.
    pub sub: String,
    /// When the token ends, in seconds since 1970; fractions are allowed.
    pub exp: serde_json::Number,
    /// The scopes that the token carries.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub scope: Scopes,
}

impl<U: StoredUser> TokenClaims<U> for SubjectClaims {
    fn issue(user: &U, grant: &Grant) -> Self {
        Self { sub: user.id(), exp: grant.exp.into(), scope: grant.scope.clone() }
    }

    fn user_id(&self) -> Option<String> {
        Some(self.sub.clone())
    }

    fn scopes(&self) -> Scopes {
        self.scope.clone()
    }
}

/// What a look-up gives, whatever the store.
pub(super) type Found<U> = Result<Option<U>, Box<dyn Error + Send + Sync>>;
type FoundSoon<'a, U> = Pin<Box<dyn Future<Output = Found<U>> + Send + 'a>>;

/// A [`UserStore`] of unknown type.
pub(super) trait DynUserStore<U>: Send + Sync {
    fn by_login<'a>(&'a self, login: &'a str) -> FoundSoon<'a, U>;
    fn by_id<'a>(&'a self, id: &'a str) -> FoundSoon<'a, U>;
}

impl<S: UserStore> DynUserStore<S::User> for S {
    fn by_login<'a>(&'a self, login: &'a str) -> FoundSoon<'a, S::User> {
        Box::pin(async move { Ok(UserStore::by_login(self, login).await?) })
    }

    fn by_id<'a>(&'a self, id: &'a str) -> FoundSoon<'a, S::User> {
        Box::pin(async move { Ok(UserStore::by_id(self, id).await?) })
    }
}
