//! The one issuer of tokens.

use chrono::TimeDelta;
use mapae_verify::{Audience, Claims, Scopes, SignError, SigningKey, Subject};
use serde::Serialize;

use super::credentials::{self, Claimant, CredentialError};
use super::{PoolBusy, Service};
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

impl Service {
    /// Signs somebody in with a name or address and a password: begins a session and issues its first token, with
    /// the requested scopes among those held (all but explicit ones if none is requested).
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
    ) -> Result<TokenResponse, SignInError> {
        let Some(password) = credentials::given(password) else { return Err(SignInError::Refused) };
        let mut proven = self.check_password(Claimant::Login(login), &password).await?;
        let tx = self.begin_proven(&mut proven).await?;
        let session = self.begin_session(tx, &proven.user).await?;
        self.confirm(&session, Some((&proven.hash, &proven.password))).await?;
        let response = self.issue(&proven.user, &session, requested).await?;
        self.hooks().after_sign_in(&proven.user, &session).await;
        Ok(response)
    }

    /// Issues a token for an account without its password, for the command line and tests.
    ///
    /// # Errors
    /// [`IssueError`].
    pub async fn mint(&self, user: &UserId, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let (tx, found) = self.begin_on(user).await?;
        let user = found.map(|found| found.user).filter(|user| !user.disabled).ok_or(IssueError::NoSuchUser)?;
        let session = self.begin_session(tx, &user).await?;
        match self.confirm(&session, None).await {
            Ok(()) => self.issue(&user, &session, requested).await,
            Err(CredentialError::Store(error)) => Err(error.into()),
            Err(CredentialError::Refused | CredentialError::Busy(_)) => Err(IssueError::NoSuchUser),
        }
    }

    /// Begins a session of this account, which is active as the transaction sees it.
    async fn begin_session(&self, mut tx: Tx, user: &User) -> Result<Session, IssueError> {
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
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// Issues an access token of RFC 9068 §2.2, with the requested scopes among those held. Outside of any transaction:
    /// the application's claims may take time.
    async fn issue(&self, user: &User, session: &Session, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let settings = self.settings();
        let scope = settings.scopes.grant(requested, &user.scopes);
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
            extra: self.hooks().extra_claims(user, &scope).await,
        };
        Ok(sign(&self.0.keys.active(), "at+jwt", &claims, settings.access_token_lifetime, scope)?)
    }
}

/// Signs the claims of a token that lasts `lifetime` seconds: where every token comes from.
pub(super) fn sign(
    key: &SigningKey,
    typ: &str,
    claims: &impl Serialize,
    lifetime: u32,
    scope: Scopes,
) -> Result<TokenResponse, SignError> {
    let access_token = SecretText::new(key.sign(typ, claims)?);
    Ok(TokenResponse { access_token, expires_in: lifetime, scope })
}
