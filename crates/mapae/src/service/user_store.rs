//! The application's own user table, as this service sees it.

use std::error::Error;
use std::sync::Arc;

use mapae_password::HashText;
use mapae_verify::Scopes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{EmailAddress, UserName};

/// A row of the application's own user table.
pub trait StoredUser: Clone + Send + Sync + 'static {
    /// The claims of this user's tokens where no sessions are kept ([`Mapae::stateless`](crate::Mapae::stateless));
    /// [`SubjectClaims`] unless the application wants its own.
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

    /// What `/users/me` shows, and what a new password must not be.
    fn profile(&self) -> Profile {
        Profile::default()
    }
}

/// The names of a user of the application's own table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name for signing in.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// What the person is called.
    pub full_name: Option<String>,
}

/// Looks users up in the application's own table. What else is possible there is said by further traits:
/// [`InsertUser`], [`SetPasswordHash`], [`SetActive`].
pub trait UserStore: Send + Sync + 'static {
    /// A row of the table.
    type User: StoredUser;
    /// What the database reports: an error type, or a boxed one. It is logged, and the request answered 503.
    type Error: Into<Box<dyn Error + Send + Sync>> + Send;

    /// The user who signs in with this name or address.
    fn by_login(&self, login: &str) -> impl Future<Output = Result<Option<Self::User>, Self::Error>> + Send;

    /// The user whom a token names, whose [`StoredUser::id`] is exactly this. What cannot be an id of this table, such as
    /// a word where ids are numbers, is nobody's: `None`, not an error.
    fn by_id(&self, id: &str) -> impl Future<Output = Result<Option<Self::User>, Self::Error>> + Send;
}

/// Makes users: then people can sign up.
pub trait InsertUser: UserStore {
    /// Inserts an active user. The table's unique indexes decide between two who come at the same moment.
    fn insert(&self, new: NewStoredUser) -> impl Future<Output = Result<Inserted<Self::User>, Self::Error>> + Send;
}

/// Replaces password hashes: then people can change their password, and weak hashes are renewed at sign-in.
pub trait SetPasswordHash: UserStore {
    /// Compare-and-set: stores `new` only where `old` is still stored, in one statement
    /// (`UPDATE … WHERE id = ? AND hash = ?`); whether it was.
    fn set_password_hash(
        &self,
        id: &str,
        old: &str,
        new: &str,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// Disables and enables users: then administrators can.
pub trait SetActive: UserStore {
    /// Whether there is such a user.
    fn set_active(&self, id: &str, active: bool) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// What a user is made from: checked, the password hashed.
#[derive(Clone, Debug)]
pub struct NewStoredUser {
    /// The name for signing in.
    pub username: Option<UserName>,
    /// The address for signing in. This or `username` is present.
    pub email: Option<EmailAddress>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// The hash to store.
    pub password_hash: HashText,
    /// The scopes that new accounts hold.
    pub scopes: Scopes,
}

/// What came of an [`InsertUser::insert`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted<U> {
    /// The user was made.
    Made(U),
    /// Another user has this name.
    UsernameTaken,
    /// Another user has this address.
    EmailTaken,
}

/// A [`UserStore`] with what else it can do. Whatever is not said here is not mounted.
///
/// A store that only looks users up becomes one by itself, so that it can be given wherever a table is asked for.
pub struct UserTable<S: UserStore> {
    pub(super) store: Arc<S>,
    pub(super) insert: Option<Arc<dyn super::user_table::Insert<S::User>>>,
    pub(super) set_password_hash: Option<Arc<dyn super::user_table::SetHash>>,
    pub(super) set_active: Option<Arc<dyn super::user_table::Activate>>,
}

impl<S: UserStore> UserTable<S> {
    /// A table that is only read.
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store), insert: None, set_password_hash: None, set_active: None }
    }

    /// People sign up into this table.
    #[must_use]
    pub fn inserts(mut self) -> Self
    where
        S: InsertUser,
    {
        self.insert = Some(Arc::clone(&self.store) as _);
        self
    }

    /// Password hashes in this table are replaced.
    #[must_use]
    pub fn sets_password_hash(mut self) -> Self
    where
        S: SetPasswordHash,
    {
        self.set_password_hash = Some(Arc::clone(&self.store) as _);
        self
    }

    /// Users of this table are disabled and enabled.
    #[must_use]
    pub fn sets_active(mut self) -> Self
    where
        S: SetActive,
    {
        self.set_active = Some(Arc::clone(&self.store) as _);
        self
    }
}

impl<S: UserStore> From<S> for UserTable<S> {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl<S: UserStore> std::fmt::Debug for UserTable<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserTable")
            .field("inserts", &self.insert.is_some())
            .field("sets_password_hash", &self.set_password_hash.is_some())
            .field("sets_active", &self.set_active.is_some())
            .finish_non_exhaustive()
    }
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
