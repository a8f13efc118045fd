//! Who presents a token, and whether it still counts here.

use std::sync::Arc;
use std::time::Duration;

use mapae_verify::{Claims, ScopeSet, VerifiedToken, VerifyError};

use super::accounts::ChangeError;
use super::directory::AnyRow;
use super::grounds::Grounds;
use super::{Bearer, Service};
use crate::domain::{Session, Source, User, UserId};
use crate::store::{StoreError, Tx};

/// Whoever a good token speaks for.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The active account.
    pub user: Arc<User>,
    /// The live session that the token belongs to.
    pub session: Arc<Session>,
    /// The token's claims.
    pub claims: Arc<Claims>,
    /// From where they ask.
    pub source: Source,
    /// The row of the application's own table that the account is.
    pub(super) row: Option<AnyRow>,
    /// The token itself, for checking it again.
    pub(super) token: VerifiedToken<Claims>,
    /// What is known of the session, where that may be kept.
    pub(super) noted: Option<Arc<Grounds>>,
}

impl Principal {
    /// Whether the token was minted from another one: it is in the hands of somebody else, perhaps, and never passes where
    /// accounts, sessions and tokens are managed.
    pub fn is_delegated(&self) -> bool {
        self.session.delegation.is_some()
    }

    /// Whether the token carries the scopes `S`, and the account still holds them: a scope withdrawn from the account is
    /// gone from its tokens here at once.
    pub fn allows<S: ScopeSet>(&self) -> bool {
        S::satisfied_by(&self.claims.scope) && S::satisfied_by(&self.user.scopes)
    }

    /// The row of the application's own table, if accounts are there and this is its type.
    pub fn row<U: Send + Sync + 'static>(&self) -> Option<Arc<U>> {
        self.row.clone()?.downcast().ok()
    }
}

/// Why a token does not speak for an active account.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token itself is not to be believed.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The token speaks for another kind of subject than a user.
    #[error("this takes a user's token, and the one sent speaks for a {kind}")]
    NotAUser {
        /// The kind that it speaks for.
        kind: String,
    },
    /// It is a personal access token, which is no access token.
    #[error(
        "this is a personal access token, which no route takes: exchange it for an access token first, at \
         /oauth2/token"
    )]
    PersonalToken,
    /// Its session was ended, or its account disabled or deleted.
    #[error("the session has ended")]
    Ended,
    /// It names nobody of the user table.
    #[error("the token names nobody here")]
    NoSuchUser,
    /// The database had to be asked and failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Service {
    /// Checks a token, its session and its account. Usually from memory; what ends here or in another process is
    /// seen at once or within a tenth of a second.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        user(self.authenticate_bearer(token).await?)
    }

    /// As [`Self::authenticate`] would answer now, without the token's text and its signature; and how long it is until the
    /// token expires.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count any more.
    pub async fn identify_again(&self, principal: &Principal) -> Result<(Principal, Duration), AuthenticateError> {
        let principal = self.authenticate_again(principal.token.clone()).await?;
        let left = self.0.verifier.expires_in(&principal.token);
        Ok((principal, left))
    }

    /// Checks a token that was verified before.
    pub(super) async fn authenticate_again(
        &self,
        token: VerifiedToken<Claims>,
    ) -> Result<Principal, AuthenticateError> {
        self.0.verifier.check_again(&token)?;
        self.principal(token).await
    }

    /// The person whom a verified token names, if session and account still count.
    async fn principal(&self, token: VerifiedToken<Claims>) -> Result<Principal, AuthenticateError> {
        user(self.bearer(token, self.0.clock.now_millis()).await?)
    }

    /// Begins the transaction in which somebody does what asks for `scope`, if that is still allowed.
    pub(super) async fn begin_as(&self, principal: &Principal, scope: &'static str) -> Result<Tx, ChangeError> {
        self.begin_as_on(principal, scope, None).await
    }

    /// As [`Self::begin_as`], for a change of this account.
    pub(super) async fn begin_as_on(
        &self,
        principal: &Principal,
        scope: &'static str,
        changed: Option<&UserId>,
    ) -> Result<Tx, ChangeError> {
        let (tx, found) = self.begin_on_both(&principal.user.id, changed).await?;
        self.still(&tx, found.map(|found| found.user).as_ref(), principal, scope).await?;
        Ok(tx)
    }

    /// Whether a token that was good when the request began may still be acted on: the session lives as the transaction
    /// sees it, and `user`, the account that was found as it began, is active and holds the scope, which the token
    /// carries. A request may take long, and what was known at its beginning may have come from memory.
    pub(super) async fn still(
        &self,
        tx: &Tx,
        user: Option<&User>,
        principal: &Principal,
        scope: &'static str,
    ) -> Result<(), ChangeError> {
        if principal.is_delegated() {
            return Err(ChangeError::Delegated);
        }
        let session = tx.session(&principal.session.id).await?.filter(|session| session.is_live(self.now()));
        let (Some(_), Some(user)) = (session, user.filter(|user| !user.disabled)) else {
            return Err(ChangeError::Ended { scope });
        };
        if !principal.claims.scope.contains(scope) || !user.scopes.contains(scope) {
            return Err(ChangeError::InsufficientScope { scope });
        }
        Ok(())
    }
}

/// The person of a token; whatever else it speaks for is none.
fn user(bearer: Bearer) -> Result<Principal, AuthenticateError> {
    match bearer {
        Bearer::User(principal) => Ok(principal),
        other @ (Bearer::Thing(_) | Bearer::Client { .. }) => {
            Err(AuthenticateError::NotAUser { kind: other.kind().to_owned() })
        }
    }
}
