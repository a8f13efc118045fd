//! Whoever a token can speak for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mapae_verify::{ScopeSet, Scopes, VerifiedToken};

use super::stateless::Stateless;
use super::user_store::StoredUser;
use super::{AuthenticateError, By, IssueError, Principal, Service, SignInError, TokenResponse};
use crate::domain::{SecretText, Sender, User};

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

    /// Signs somebody in, from there.
    ///
    /// # Errors
    /// [`SignInError`].
    fn sign_in(
        authority: &Self::Authority,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        sender: &Sender,
    ) -> impl Future<Output = Result<TokenResponse, SignInError>> + Send;

    /// Whose token this is.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    fn identify(
        authority: &Self::Authority,
        token: &str,
    ) -> impl Future<Output = Result<Self::Identity, AuthenticateError>> + Send;

    /// Whose token this was that was good before, as a new request with it would find it now; and how long it is until
    /// the token expires.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count any more.
    fn identify_again(
        authority: &Self::Authority,
        identity: &Self::Identity,
    ) -> impl Future<Output = Result<(Self::Identity, Duration), AuthenticateError>> + Send;

    /// Whoever the service with a database has found out.
    ///
    /// # Errors
    /// [`AuthenticateError`] if it is no such account.
    fn identity(principal: Principal) -> Result<Self::Identity, AuthenticateError>;

    /// Whether what one lets pass is good for the other: they are clones.
    fn is_same(one: &Self::Authority, other: &Self::Authority) -> bool;

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
        self.mint(&found.user.id, requested, By::System).await
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
        sender: &Sender,
    ) -> Result<TokenResponse, SignInError> {
        service.sign_in_from(login, password, requested, sender).await
    }

    async fn identify(service: &Service, token: &str) -> Result<Principal, AuthenticateError> {
        service.authenticate(token).await
    }

    async fn identify_again(
        service: &Service,
        principal: &Principal,
    ) -> Result<(Principal, Duration), AuthenticateError> {
        service.identify_again(principal).await
    }

    fn identity(principal: Principal) -> Result<Principal, AuthenticateError> {
        Ok(principal)
    }

    fn is_same(one: &Service, other: &Service) -> bool {
        one.is_same(other)
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
pub struct Known<U: StoredUser> {
    /// The user, as the table has it now; perhaps disabled where no sessions are kept.
    pub user: Arc<U>,
    /// The scopes that the token carries.
    pub scopes: Scopes,
    pub(super) proof: Proof<U::Claims>,
}

/// What says that the user may pass.
pub(super) enum Proof<C> {
    /// A token of a session.
    Session(Principal),
    /// A token, where no sessions are kept.
    Token(VerifiedToken<C>),
}

impl<U: StoredUser> Known<U> {
    /// The session and the claims, where sessions are kept.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.proof {
            Proof::Session(principal) => Some(principal),
            Proof::Token(_) => None,
        }
    }
}

impl<U: StoredUser> Clone for Known<U> {
    fn clone(&self) -> Self {
        let proof = match &self.proof {
            Proof::Session(principal) => Proof::Session(principal.clone()),
            Proof::Token(token) => Proof::Token(token.clone()),
        };
        Self { user: Arc::clone(&self.user), scopes: self.scopes.clone(), proof }
    }
}

impl<U: StoredUser + fmt::Debug> fmt::Debug for Known<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("user", &self.user)
            .field("scopes", &self.scopes)
            .field("principal", &self.principal())
            .finish_non_exhaustive()
    }
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
        sender: &Sender,
    ) -> Result<TokenResponse, SignInError> {
        match authority {
            TableAuthority::Service(service) => service.sign_in_from(login, password, requested, sender).await,
            TableAuthority::Stateless(stateless) => stateless.sign_in(login, password, requested, sender).await,
        }
    }

    async fn identify(authority: &TableAuthority<U>, token: &str) -> Result<Known<U>, AuthenticateError> {
        match authority {
            TableAuthority::Service(service) => Self::identity(service.authenticate(token).await?),
            TableAuthority::Stateless(stateless) => stateless.authenticate(token).await,
        }
    }

    async fn identify_again(
        authority: &TableAuthority<U>,
        known: &Known<U>,
    ) -> Result<(Known<U>, Duration), AuthenticateError> {
        match (authority, &known.proof) {
            (TableAuthority::Service(service), Proof::Session(principal)) => {
                let (principal, left) = service.identify_again(principal).await?;
                Ok((Self::identity(principal)?, left))
            }
            (TableAuthority::Stateless(stateless), Proof::Token(token)) => stateless.identify_again(token).await,
            // Each makes its own kind.
            (TableAuthority::Service(_), Proof::Token(_)) | (TableAuthority::Stateless(_), Proof::Session(_)) => {
                Err(AuthenticateError::NoSuchUser)
            }
        }
    }

    fn identity(principal: Principal) -> Result<Known<U>, AuthenticateError> {
        // Made by the same builder that fixed the type of the table.
        let user = principal.row::<U>().ok_or(AuthenticateError::NoSuchUser)?;
        Ok(Known { user, scopes: principal.claims.scope.clone(), proof: Proof::Session(principal) })
    }

    fn is_same(one: &TableAuthority<U>, other: &TableAuthority<U>) -> bool {
        match (one, other) {
            (TableAuthority::Service(one), TableAuthority::Service(other)) => one.is_same(other),
            (TableAuthority::Stateless(one), TableAuthority::Stateless(other)) => one.is_same(other),
            (TableAuthority::Service(_), TableAuthority::Stateless(_))
            | (TableAuthority::Stateless(_), TableAuthority::Service(_)) => false,
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
        match &known.proof {
            Proof::Session(principal) => principal.allows::<S>(),
            Proof::Token(_) => S::satisfied_by(&known.scopes),
        }
    }
}
