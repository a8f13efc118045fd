//! What an application holds: the service, and the type of its users.

use std::ops::Deref;
use std::sync::Arc;

use mapae_password::{HashText, Password};
use mapae_verify::{Clock, Scopes, SigningKey};

use super::account::{Account, Known, TableAuthority};
use super::builder::Builder;
use super::stateless::StatelessBuilder;
use super::user_store::{StoredUser, UserStore, UserTable};
use super::{AuthenticateError, By, IssueError, NewPasswordError, Service, SignInError, StartError, TokenResponse};
use crate::domain::{BaseUrl, MasterKey, SecretText, Sender, User, UserId};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// The authentication service as an application holds it; `U` is what its users are: this service's own [`User`], or a
/// row of the application's own table ([`StoredUser`]). Cheap to clone; put it into the application's state.
///
/// [`CurrentUser<S, U>`](crate::CurrentUser) works in every router whose state holds a `Mapae<U>` (`FromRef`).
pub struct Mapae<U: Account = User>(pub(crate) U::Authority);

impl<U: Account> Clone for Mapae<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<U: Account> std::fmt::Debug for Mapae<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mapae")
    }
}

/// Every service knows its accounts as [`User`]s. What rows it has is known to its [`Builder`] alone, which makes the
/// handles of other types.
impl From<Service> for Mapae {
    fn from(service: Service) -> Self {
        Self(service)
    }
}

impl From<Mapae> for Service {
    fn from(mapae: Mapae) -> Self {
        mapae.0
    }
}

/// All that the service does is at hand, see [`Service`].
impl Deref for Mapae {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0
    }
}

impl Mapae {
    /// Begins the settings of a service that clients reach under this address.
    pub fn builder(base_url: BaseUrl) -> Builder {
        Builder::new(base_url)
    }

    /// As [`Service::start`].
    ///
    /// # Errors
    /// [`StartError`]; its text says what to do.
    pub async fn start(
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Ok(Self(Service::start(store, settings, master_key, clock).await?))
    }

    /// As [`Service::attach`].
    ///
    /// # Errors
    /// [`StartError`]; its text says what to do.
    pub async fn attach(
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Ok(Self(Service::attach(store, settings, master_key, clock).await?))
    }
}

impl<U: StoredUser> Mapae<U> {
    /// Begins the settings of a service without any table of its own: it signs with `key` and keeps no sessions, so that
    /// a token is good until it expires.
    pub fn stateless<S: UserStore<User = U>>(users: impl Into<UserTable<S>>, key: SigningKey) -> StatelessBuilder<U> {
        StatelessBuilder::new(users.into(), key)
    }

    /// The service behind it; none without tables of its own.
    pub fn service(&self) -> Option<&Service> {
        U::service(&self.0)
    }

    /// Signs somebody in with what the user table takes for a name, and a password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
    ) -> Result<TokenResponse, SignInError> {
        self.sign_in_from(login, password, requested, &Sender::default()).await
    }

    /// As [`Self::sign_in`], and says from where, so that failed attempts from elsewhere do not slow this one down.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in_from(
        &self,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        sender: &Sender,
    ) -> Result<TokenResponse, SignInError> {
        U::sign_in(&self.0, login, password, requested, sender).await
    }

    /// Issues a token for a user, without a password.
    ///
    /// # Errors
    /// [`IssueError`].
    pub async fn issue(&self, user: &U, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        match &self.0 {
            TableAuthority::Service(service) => {
                let id = UserId::new(user.id()).ok_or(IssueError::NoSuchUser)?;
                service.mint(&id, requested, By::System).await
            }
            TableAuthority::Stateless(stateless) => Ok(stateless.issue(user, requested)?),
        }
    }

    /// Checks a token and looks its user up.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    pub async fn authenticate(&self, token: &str) -> Result<Known<U>, AuthenticateError> {
        U::identify(&self.0, token).await
    }

    /// Hashes a new user's password, on the pool.
    ///
    /// # Errors
    /// [`NewPasswordError`].
    pub async fn hash_password(&self, password: &SecretText) -> Result<HashText, NewPasswordError> {
        let password = Password::new(password.expose())?;
        match &self.0 {
            TableAuthority::Service(service) => service.passwords().hash(&password).await,
            TableAuthority::Stateless(stateless) => stateless.passwords().hash(&password).await,
        }
    }

    /// Forgets what is remembered of a user, in every process: call it after the application has changed one itself.
    /// Only of use where rows are remembered ([`Builder::remember_users`]).
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn invalidate(&self, id: &str) -> Result<(), StoreError> {
        match (self.service(), UserId::new(id)) {
            (Some(service), Some(id)) => service.invalidate(&id).await,
            (None, _) | (_, None) => Ok(()),
        }
    }
}
