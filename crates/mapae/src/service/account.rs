//! Whoever a token can speak for.

use std::sync::Arc;

use mapae_verify::{ScopeSet, Scopes};

use super::stateless::Stateless;
use super::user_store::StoredUser;
use super::{AuthenticateError, IssueError, Principal, Service, SignInError, TokenResponse};
use crate::domain::{Device, SecretText, User};

/// Whoever a token can speak for: this service's own [`User`], or a row of the application's own table
/// ([`StoredUser`]). Those are all: nobody else implements it.
pub trait Account: Send + Sync + Sized + 'static {
    /// What checks the tokens of such accounts.
    type Authority: Clone + Send + Sync + 'static;
    /// The account with what the token says about it.
    type Identity: Clone + Send + Sync + 'static;

    /// What a service with a database does for such accounts.
    fn authority(service: Service) -> Self::Authority;

    /// The service with a database behind it, if there is one.
    fn service(authority: &Self::Authority) -> Option<&Service>;

    /// Signs somebody in, from this device.
    ///
    /// # Errors
    /// [`SignInError`].
    fn sign_in(
        authority: &Self::Authority,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        device: &Device,
    ) -> impl Future<Output = Result<TokenResponse, SignInError>> + Send;

    /// Whose token this is.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    fn identify(
        authority: &Self::Authority,
        token: &str,
    ) -> impl Future<Output = Result<Self::Identity, AuthenticateError>> + Send;

    /// Issues a token to whoever signs in with this name or address, without a password.
    ///
    /// # Errors
    /// [`IssueError`].
    fn issue_to(
        authority: &Self::Authority,
        login: &str,
        requested: &Scopes,
    ) -> impl Future<Output = Result<TokenResponse, IssueError>> + Send;

    /// The account itself.
    fn account(identity: &Self::Identity) -> &Self;

    /// Whether the account is active.
    fn is_active(identity: &Self::Identity) -> bool;

    /// Whether token and account carry the scopes `S`.
    fn allows<S: ScopeSet>(identity: &Self::Identity) -> bool;
}

impl Service {
    async fn issue_to(&self, login: &str, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let found = self.found_by_login(login).await?.ok_or(IssueError::NoSuchUser)?;
        self.mint(&found.user.id, requested).await
    }
}

impl Account for User {
    type Authority = Service;
    type Identity = Principal;

    fn authority(service: Service) -> Service {
        service
    }

    fn service(service: &Service) -> Option<&Service> {
        Some(service)
    }

    async fn sign_in(
        service: &Service,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        device: &Device,
    ) -> Result<TokenResponse, SignInError> {
        service.sign_in_from(login, password, requested, device).await
    }

    async fn identify(service: &Service, token: &str) -> Result<Principal, AuthenticateError> {
        service.authenticate(token).await
    }

    async fn issue_to(service: &Service, login: &str, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        service.issue_to(login, requested).await
    }

    fn account(principal: &Principal) -> &Self {
        &principal.user
    }

    fn is_active(principal: &Principal) -> bool {
        !principal.user.disabled
    }

    fn allows<S: ScopeSet>(principal: &Principal) -> bool {
        principal.allows::<S>()
    }
}

/// What checks the tokens of users of the application's own table.
#[derive(Clone, Debug)]
pub enum TableAuthority<U: StoredUser> {
    /// A service with sessions, keys and clients in tables of its own.
    Service(Service),
    /// Nothing but a key.
    Stateless(Stateless<U>),
}

/// A user of the application's own table whom a good token names.
#[derive(Clone, Debug)]
pub struct Known<U: StoredUser> {
    /// The user, as the table has it now; perhaps disabled where no sessions are kept.
    pub user: Arc<U>,
    /// The scopes that the token carries.
    pub scopes: Scopes,
    /// The session and the claims, where sessions are kept.
    pub principal: Option<Principal>,
}

impl<U: StoredUser> Account for U {
    type Authority = TableAuthority<U>;
    type Identity = Known<U>;

    fn authority(service: Service) -> TableAuthority<U> {
        TableAuthority::Service(service)
    }

    fn service(authority: &TableAuthority<U>) -> Option<&Service> {
        match authority {
            TableAuthority::Service(service) => Some(service),
            TableAuthority::Stateless(_) => None,
        }
    }

    async fn sign_in(
        authority: &TableAuthority<U>,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        device: &Device,
    ) -> Result<TokenResponse, SignInError> {
        match authority {
            TableAuthority::Service(service) => service.sign_in_from(login, password, requested, device).await,
            TableAuthority::Stateless(stateless) => stateless.sign_in(login, password, requested).await,
        }
    }

    async fn identify(authority: &TableAuthority<U>, token: &str) -> Result<Known<U>, AuthenticateError> {
        match authority {
            TableAuthority::Service(service) => {
                let principal = service.authenticate(token).await?;
                // Made by the same builder that fixed the type of the table.
                let row = principal.row::<U>().ok_or(AuthenticateError::NotAUser)?;
                Ok(Known { user: row, scopes: principal.claims.scope.clone(), principal: Some(principal) })
            }
            TableAuthority::Stateless(stateless) => stateless.authenticate(token).await,
        }
    }

    async fn issue_to(
        authority: &TableAuthority<U>,
        login: &str,
        requested: &Scopes,
    ) -> Result<TokenResponse, IssueError> {
        match authority {
            TableAuthority::Service(service) => service.issue_to(login, requested).await,
            TableAuthority::Stateless(stateless) => stateless.issue_to(login, requested).await,
        }
    }

    fn account(known: &Known<U>) -> &Self {
        &known.user
    }

    fn is_active(known: &Known<U>) -> bool {
        known.user.is_active()
    }

    /// Without sessions a token is what it says, as in the tutorials; with them the account must hold the scopes still.
    fn allows<S: ScopeSet>(known: &Known<U>) -> bool {
        match &known.principal {
            Some(principal) => principal.allows::<S>(),
            None => S::satisfied_by(&known.scopes),
        }
    }
}
