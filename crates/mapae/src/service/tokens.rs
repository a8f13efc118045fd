//! The one issuer of tokens.

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Audience, Claims, Scopes, SignError, SigningKey, Subject};
use metrics::counter;
use serde::Serialize;
use serde_json::{Map, Value};

use super::credentials::{self, Claimant, CredentialError, Proven};
use super::{By, PoolBusy, Service};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::{Client, Device, GrantType, RefreshState, SecretText, Sender, Session, User, UserId};
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
    /// What gives the next access token, if the client may have one.
    pub refresh_token: Option<SecretText>,
    /// What the device shows at its next sign-in, so that it is not taken for a stranger's.
    pub device_token: Option<SecretText>,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// There is no such account, or it is disabled.
    #[error("there is no such active account")]
    NoSuchUser,
    /// This process may sign no more: its keys have leaked.
    #[error("the keys of this process were given up as leaked: start it again with the new ones")]
    NoKey,
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
    /// There were too many failed attempts.
    #[error("too many failed attempts")]
    Throttled {
        /// Seconds until the next attempt.
        retry_after: u32,
    },
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
            CredentialError::Throttled { retry_after } => Self::Throttled { retry_after },
            CredentialError::Busy(busy) => Self::Busy(busy),
            CredentialError::Store(store) => Self::Issue(store.into()),
        }
    }
}

/// A session to be begun.
pub(super) struct NewSession<'a> {
    /// Whose; active as the transaction sees it.
    pub(super) user: &'a User,
    pub(super) client: &'a Client,
    /// What its tokens may carry.
    pub(super) scope: Scopes,
    pub(super) device: &'a Device,
    /// Whether it gets a refresh token.
    pub(super) refresh: bool,
    /// What is written down of it.
    pub(super) event: Event,
    pub(super) by: &'a Actor,
}

/// For whom an access token is.
pub(super) struct Holder<'a> {
    pub(super) subject: Subject,
    pub(super) client: &'a Client,
    pub(super) sid: Option<&'a str>,
    /// Claims of the application's own.
    pub(super) extra: Map<String, Value>,
    /// For whom the token is meant, if that is not the client's to say.
    pub(super) audience: Option<Audience>,
    /// Who acts, if not the subject.
    pub(super) act: Option<mapae_verify::Actor>,
}

impl Service {
    /// Signs somebody in with a name or address and a password: begins a session and issues its first tokens, with
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
        self.sign_in_from(login, password, requested, &Sender::default()).await
    }

    /// As [`Self::sign_in`], and notes from where.
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
        let client = &self.built_in_client();
        let (tx, proven) = self.begin_sign_in(login, password, client, sender).await?;
        let user = &proven.user;
        let scope = self.settings().scopes.grant(requested, &user.scopes, &client.scopes);
        let refresh = client.may(GrantType::RefreshToken);
        let (device, event) = (&sender.device(), Event::SignInSucceeded);
        let new = NewSession { user, client, scope, device, refresh, event, by: &proven.by };
        let session = self.begin_session(tx, new).await?;
        self.first_tokens(&proven, &session, client).await
    }

    /// Checks the password of somebody who signs in through this client, and begins the transaction that sees them.
    pub(super) async fn begin_sign_in(
        &self,
        login: &str,
        password: &SecretText,
        client: &Client,
        sender: &Sender,
    ) -> Result<(Tx, Proven), CredentialError> {
        let by = Actor::new(Who::Anonymous, sender.source).by_client(client.id.as_str());
        let Some(password) = credentials::given(password) else {
            // It costs no hash, so it is not counted as a password, but neither is it free.
            let refused = || Entry::new(Event::SignInRefused, &by);
            self.wrong_secret_of(sender.source, refused).await?;
            self.note(refused().detail("reason", "password-too-long")).await;
            return Err(CredentialError::Refused);
        };
        let mut proven = self.check_password(Claimant::Login(login, sender), &password, by).await?;
        match self.begin_proven(&mut proven).await {
            Ok(tx) => Ok((tx, proven)),
            Err(error) => {
                if let CredentialError::Refused = error {
                    self.note_refused(&proven.by, &proven.user.id, "changed-meanwhile").await;
                }
                Err(error)
            }
        }
    }

    /// Issues an access token for an account without its password, for the command line, applications and tests.
    ///
    /// # Errors
    /// [`IssueError`].
    pub async fn mint(&self, user: &UserId, requested: &Scopes, by: By<'_>) -> Result<TokenResponse, IssueError> {
        let (tx, found) = self.begin_on(user).await?;
        let user = found.map(|found| found.user).filter(|user| !user.disabled).ok_or(IssueError::NoSuchUser)?;
        let (client, device) = (&self.built_in_client(), &Device::default());
        let scope = self.settings().scopes.grant(requested, &user.scopes, &client.scopes);
        let by = &by.actor();
        let new = NewSession { user: &user, client, scope, device, refresh: false, event: Event::SessionStarted, by };
        let session = self.begin_session(tx, new).await?;
        self.confirm_account(&session).await?;
        let scope = session.scope.clone();
        self.session_tokens(&user, &session, client, scope, session.access_expires_at).await
    }

    /// This service's own sign-in, as a client.
    pub(super) fn built_in_client(&self) -> Client {
        Client::built_in(&self.settings().scopes)
    }

    /// Begins a session of this account.
    pub(super) async fn begin_session(&self, mut tx: Tx, new: NewSession<'_>) -> Result<Session, IssueError> {
        let NewSession { user, client, scope, device, refresh, event, by } = new;
        let now = self.now();
        // The last access token is good to its end, and for what a server tolerates longer.
        let with_token = self.access_lifetime(client) + TimeDelta::seconds(i64::from(self.settings().leeway));
        let limit = seconds(client.lifetimes.session, self.settings().session_lifetime);
        let session = Session {
            id: self.ids().uuid_v7().to_string(),
            user_id: user.id.clone(),
            client_id: client.id.to_string(),
            scope,
            created_at: now,
            // Without a refresh token a session lasts as long as its one access token may be accepted.
            expires_at: now + if refresh { limit.max(with_token) } else { with_token },
            ended: None,
            refresh: refresh.then(|| RefreshState {
                generation: 0,
                refreshed_at: now,
                idle_expires_at: now + self.idle_limit(client),
            }),
            access_expires_at: now + self.access_lifetime(client),
            device: device.clone(),
            delegation: None,
        };
        tx.insert_session(&session).await?;
        let entry = Entry::new(event, by).user(&user.id).session(&session.id, &session.client_id);
        tx.record(entry.detail("scope", session.scope.to_string())).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// The tokens of a session that a password has just begun.
    pub(super) async fn first_tokens(
        &self,
        proven: &Proven,
        session: &Session,
        client: &Client,
    ) -> Result<TokenResponse, SignInError> {
        if let Err(error) = self.confirm(session, Some((&proven.hash, &proven.password))).await {
            if let CredentialError::Refused = error {
                self.note_refused(&proven.by, &proven.user.id, "changed-meanwhile").await;
            }
            return Err(error.into());
        }
        let (user, expires_at) = (&proven.user, session.access_expires_at);
        let response = self.session_tokens(user, session, client, session.scope.clone(), expires_at).await?;
        self.hooks().after_sign_in(user, session).await;
        Ok(TokenResponse { device_token: proven.device_token.clone(), ..response })
    }

    /// As [`Self::confirm`], for a session that goes on without a password.
    pub(super) async fn confirm_account(&self, session: &Session) -> Result<(), IssueError> {
        self.confirm(session, None).await.map_err(|error| match error {
            CredentialError::Store(error) => error.into(),
            CredentialError::Refused | CredentialError::Throttled { .. } | CredentialError::Busy(_) => {
                IssueError::NoSuchUser
            }
        })
    }

    /// The tokens of a session in its present state. Outside of any transaction: the application's claims may take
    /// time.
    pub(super) async fn session_tokens(
        &self,
        user: &User,
        session: &Session,
        client: &Client,
        scope: Scopes,
        expires_at: DateTime<Utc>,
    ) -> Result<TokenResponse, IssueError> {
        let holder = Holder {
            subject: Subject::user(user.id.as_str()).map_err(|_| IssueError::NoSuchUser)?,
            client,
            sid: Some(&session.id),
            extra: self.hooks().extra_claims(user, &scope).await,
            audience: None,
            act: None,
        };
        let response = self.access_token(holder, scope, expires_at)?;
        let keys = &self.0.keys;
        let refresh_token = session.refresh.and_then(|refresh| keys.refresh_token(&session.id, refresh.generation));
        Ok(TokenResponse { refresh_token, ..response })
    }

    /// Issues an access token of RFC 9068 §2.2.
    pub(super) fn access_token(
        &self,
        holder: Holder<'_>,
        scope: Scopes,
        expires_at: DateTime<Utc>,
    ) -> Result<TokenResponse, IssueError> {
        let settings = self.settings();
        let Holder { subject, client, sid, extra, audience, act } = holder;
        let usual = || match client.audiences.as_slice() {
            [] => settings.audiences().into_iter().collect(),
            own => own.iter().map(String::as_str).collect(),
        };
        let iat = self.now().timestamp();
        let exp = expires_at.timestamp();
        let claims = Claims {
            iss: settings.base_url.as_str().to_owned(),
            sub: subject,
            aud: audience.unwrap_or_else(usual),
            exp,
            iat,
            nbf: None,
            jti: self.ids().uuid_v7().to_string(),
            client_id: client.id.to_string(),
            scope: scope.clone(),
            sid: sid.map(str::to_owned),
            act,
            extra,
        };
        let lifetime = u32::try_from(exp - iat).unwrap_or(0);
        let key = self.0.keys.active().ok_or(IssueError::NoKey)?;
        Ok(sign(&key, "at+jwt", &claims, lifetime, scope)?)
    }

    /// How long an access token of this client is good.
    pub(super) fn access_lifetime(&self, client: &Client) -> TimeDelta {
        seconds(client.lifetimes.access_token, self.settings().access_token_lifetime)
    }

    /// How long a session of this client lasts without a refresh.
    pub(super) fn idle_limit(&self, client: &Client) -> TimeDelta {
        seconds(client.lifetimes.session_idle, self.settings().session_idle)
    }
}

/// A client's lifetime, which is at most the service's.
fn seconds(of_client: Option<u32>, of_service: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(of_client.unwrap_or(of_service).min(of_service)))
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
    counter!("mapae_tokens_issued_total").increment(1);
    Ok(TokenResponse { access_token, expires_in: lifetime, scope, refresh_token: None, device_token: None })
}
