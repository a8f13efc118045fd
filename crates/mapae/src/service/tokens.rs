//! The one issuer of tokens.

use chrono::TimeDelta;
use mapae_password::Password;
use mapae_verify::{Audience, Claims, NoExtra, Scopes, SignError, Subject};

use super::credentials::{Claimant, CredentialError};
use super::{Mapae, PoolBusy};
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::domain::{SecretText, Session, User, UserId};
use crate::store::{StoreError, Tx};

/// What a sign-in gives (RFC 6749 §5.1).
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: SecretText,
    /// How long it is good, in seconds.
    pub expires_in: u32,
    /// The scopes that it carries.
    pub scope: Scopes,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// There is no such account, or it is disabled.
    #[error("there is no such active account")]
    NoSuchUser,
    /// Signing failed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] SignError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown name, wrong password or disabled account.
    #[error("incorrect username or password")]
    Refused,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The token could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<CredentialError> for SignInError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Refused => Self::Refused,
            CredentialError::Busy(busy) => Self::Busy(busy),
            CredentialError::Store(store) => Self::Issue(store.into()),
        }
    }
}

impl Mapae {
    /// Signs somebody in with a name or address and a password: begins a session and issues its first token, with
    /// the requested scopes among those held (all but explicit ones if none is requested).
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &Password,
        requested: &Scopes,
    ) -> Result<TokenResponse, SignInError> {
        let mut proven = self.check_password(Claimant::Login(login), password).await?;
        let tx = self.begin_proven(&mut proven).await?;
        Ok(self.begin_session(tx, &proven.user, requested).await?)
    }

    /// Issues a token for an account without its password, for the command line and tests.
    ///
    /// # Errors
    /// [`IssueError`].
    pub async fn mint(&self, user: &UserId, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let tx = self.store().begin().await?;
        let user = tx.user(user).await?.filter(|user| !user.disabled).ok_or(IssueError::NoSuchUser)?;
        self.begin_session(tx, &user, requested).await
    }

    /// Begins a session of this account, which is active as the transaction sees it.
    async fn begin_session(&self, mut tx: Tx, user: &User, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let now = self.now();
        let lifetime = i64::from(self.settings().access_token_lifetime);
        let session = Session {
            id: self.ids().uuid_v7().to_string(),
            user_id: user.id.clone(),
            client_id: FIRST_PARTY_CLIENT_ID.to_owned(),
            created_at: now,
            // Without a refresh token a session lasts as long as its one access token may be accepted.
            expires_at: now + TimeDelta::seconds(lifetime + i64::from(self.settings().leeway)),
            ended_at: None,
        };
        let scope = self.settings().scopes.grant(requested, &user.scopes);
        let response = self.issue(user, &session, scope)?;
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(response)
    }

    /// Signs an access token of RFC 9068 §2.2.
    fn issue(&self, user: &User, session: &Session, scope: Scopes) -> Result<TokenResponse, IssueError> {
        let settings = self.settings();
        let iat = self.now().timestamp();
        let claims = Claims {
            iss: settings.base_url.as_str().to_owned(),
            sub: Subject::user(user.id.as_str()).map_err(|_| IssueError::NoSuchUser)?,
            aud: settings.audiences().into_iter().collect::<Audience>(),
            exp: iat + i64::from(settings.access_token_lifetime),
            iat,
            nbf: None,
            jti: self.ids().uuid_v7().to_string(),
            client_id: session.client_id.clone(),
            scope: scope.clone(),
            sid: Some(session.id.clone()),
            extra: NoExtra {},
        };
        let token = self.0.keys.active().sign("at+jwt", &claims)?;
        Ok(TokenResponse { access_token: SecretText::new(token), expires_in: settings.access_token_lifetime, scope })
    }
}
