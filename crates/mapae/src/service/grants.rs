//! The token endpoint (RFC 6749 §3.2). It alone authenticates the client, decides the scope, signs and writes; a grant
//! only says for whom. So no grant can forget a step.

use chrono::{DateTime, Utc};
use mapae_verify::{Scopes, Subject};
use serde_json::Map;

use super::clients::ClientAuth;
use super::credentials::Proven;
use super::minting::{MintError, Minted, Minting, Shown};
use super::tokens::{Holder, NewSession};
use super::{CredentialError, IssueError, PoolBusy, Service, SignInError, TokenResponse};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::delegation::Narrowing;
use crate::domain::session::REFRESH_GRACE;
use crate::domain::{
    Client, EndReason, GrantType, MintedKind, PersonalToken, Presented, RefreshState, SecretText, Sender, Session,
    Source, User,
};
use crate::store::{Advance, Sessions, StoreError, Tx};

/// A request for tokens.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Which client asks, and how it proves that.
    pub client: ClientAuth,
    /// What it shows.
    pub grant: GrantRequest,
    /// The scopes asked for; none means what the grant gives.
    pub scope: Scopes,
    /// Which program asks, and from where.
    pub sender: Sender,
}

/// What a client shows to get tokens.
#[derive(Clone, Debug)]
pub enum GrantRequest {
    /// A person's name and password (RFC 6749 §4.3.2).
    Password {
        /// A user name or an e-mail address.
        username: String,
        /// The password.
        password: SecretText,
    },
    /// A refresh token (RFC 6749 §6).
    RefreshToken(SecretText),
    /// Nothing but its own secret (RFC 6749 §4.4.2).
    ClientCredentials,
    /// Another token (RFC 8693 §2.1).
    TokenExchange(Box<TokenExchange>),
}

/// A token to be exchanged for a weaker one (RFC 8693 §2.1).
#[derive(Clone, Debug)]
pub struct TokenExchange {
    /// On whose behalf, and what can be passed on at most: an access token or a personal one.
    pub subject_token: SecretText,
    /// Who acts, if somebody else than the client.
    pub actor_token: Option<SecretText>,
    /// How the new one is weaker.
    pub narrowing: Narrowing,
}

impl GrantRequest {
    fn grant_type(&self) -> GrantType {
        match self {
            Self::Password { .. } => GrantType::Password,
            Self::RefreshToken(_) => GrantType::RefreshToken,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::TokenExchange(_) => GrantType::TokenExchange,
        }
    }
}

/// Why there are no tokens (RFC 6749 §5.2).
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such client, or it did not prove to be it.
    #[error("the client is unknown, or its secret is wrong or missing")]
    InvalidClient,
    /// The client may not use this grant.
    #[error("this client may not use this grant")]
    UnauthorizedClient,
    /// What was shown is not good; the text says why.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// None of the scopes asked for can be given, or a refresh asks for more than the sign-in gave.
    #[error("{0}")]
    InvalidScope(&'static str),
    /// There were too many failed attempts.
    #[error("Too many failed attempts. Try again later.")]
    Throttled {
        /// Seconds until the next attempt.
        retry_after: u32,
    },
    /// A token cannot be exchanged.
    #[error(transparent)]
    Mint(MintError),
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The tokens could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<SignInError> for TokenError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => CredentialError::Refused.into(),
            SignInError::Throttled { retry_after } => Self::Throttled { retry_after },
            SignInError::Busy(busy) => Self::Busy(busy),
            SignInError::Issue(error) => Self::Issue(error),
        }
    }
}

impl From<MintError> for TokenError {
    fn from(error: MintError) -> Self {
        match error {
            // The account was deleted or disabled meanwhile: the token is good no more.
            MintError::Issue(IssueError::NoSuchUser) => Self::InvalidGrant("The account has ended."),
            MintError::Issue(error) => Self::Issue(error),
            other @ (MintError::Token(_)
            | MintError::ClientToken
            | MintError::Delegated
            | MintError::Narrow(_)
            | MintError::MayNotSpeak(_)
            | MintError::TooMany(_)
            | MintError::Change(_)
            | MintError::TooLong(_)) => Self::Mint(other),
        }
    }
}

impl From<CredentialError> for TokenError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Refused => Self::InvalidGrant("Incorrect username or password"),
            CredentialError::Throttled { retry_after } => Self::Throttled { retry_after },
            CredentialError::Busy(busy) => Self::Busy(busy),
            CredentialError::Store(store) => store.into(),
        }
    }
}

const NOT_OURS: TokenError =
    TokenError::InvalidGrant("The refresh token is malformed, altered, long over, or was given to another client.");
const OVER: TokenError = TokenError::InvalidGrant("The session is over: it was not used for too long. Sign in again.");
const NOTHING_LEFT: TokenError = TokenError::InvalidScope("None of the requested scopes can be granted.");

/// Whom a grant found, in the transaction that sees it.
struct Authorized {
    tx: Tx,
    whom: Whom,
}

enum Whom {
    /// A person who has just proven the password: a new session.
    Person(Box<Proven>),
    /// Whoever showed a good refresh token.
    Refreshing(Box<Refreshing>),
    /// The client itself.
    Client,
    /// Whoever showed a token that can be passed on.
    Delegating(Box<Minting>),
}

/// A refresh that may go on.
struct Refreshing {
    user: User,
    session: Session,
    state: RefreshState,
    /// What the token is worth, and its generation.
    presented: (Presented, i64),
}

impl Service {
    /// Answers a request for tokens.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn grant_tokens(&self, request: TokenRequest) -> Result<TokenResponse, TokenError> {
        let client = self.authenticate_client(&request.client, request.sender.source).await?;
        let allowed = |client: &Client| client.may(request.grant.grant_type()).then_some(());
        loop {
            allowed(&client).ok_or(TokenError::UnauthorizedClient)?;
            let authorized = match &request.grant {
                GrantRequest::Password { username, password } => {
                    let (tx, proven) = self.begin_sign_in(username, password, &client, &request.sender).await?;
                    Authorized { tx, whom: Whom::Person(Box::new(proven)) }
                }
                GrantRequest::RefreshToken(token) => {
                    self.by_refresh_token(&client, token, request.sender.source).await?
                }
                GrantRequest::ClientCredentials => Authorized { tx: self.store().begin().await?, whom: Whom::Client },
                GrantRequest::TokenExchange(exchange) => {
                    self.by_exchange(&client, exchange, request.sender.source).await?
                }
            };
            // The client was looked up before the transaction began, perhaps from memory.
            let client = self.client_in(&authorized.tx, &client).await?;
            allowed(&client).ok_or(TokenError::UnauthorizedClient)?;
            if let Some(response) = self.grant_to(authorized, &client, &request).await? {
                return Ok(response);
            }
        }
    }

    /// The table of the book's "Sessions and tokens".
    async fn by_refresh_token(
        &self,
        client: &Client,
        token: &SecretText,
        source: Source,
    ) -> Result<Authorized, TokenError> {
        let Some(token) = self.0.keys.read_refresh_token(token.expose()) else {
            self.wrong_secret(source).await?;
            return Err(NOT_OURS);
        };
        // Whose it is does not change, so that much may be known before the transaction begins, perhaps from memory.
        let known = self.store().cached_session(&token.session).await?.ok_or(NOT_OURS)?;
        let (mut tx, found) = self.begin_in_group_on(&known.user_id).await?;
        let session = tx.session(&token.session).await?;
        let session = session.filter(|session| session.client_id == client.id.as_str()).ok_or(NOT_OURS)?;
        if let Some((_, reason)) = session.ended {
            // Whoever ended it may be in the same group.
            tx.commit().await?;
            return Err(ended(reason));
        }
        let state = session.refreshable(self.now()).ok_or(OVER)?;
        let judged = state.judge(token.generation, self.now(), self.store().outage_since(state.refreshed_at));
        if judged == Presented::Reused {
            // Whose hand it was in is what nobody knows.
            let by = Actor::new(Who::Anonymous, source).by_client(client.id.as_str()).in_session(&session.id);
            tx.record(Entry::new(Event::RefreshTokenReused, &by).user(&session.user_id)).await?;
            tx.end(Sessions::One(&session.id), EndReason::Reuse, &Actor::new(Who::System, source)).await?;
            // The end of the session stays although the request is refused.
            tx.commit().await?;
            tracing::warn!(
                session = session.id, user = %session.user_id, client = session.client_id,
                "an old refresh token was used again: the session was ended"
            );
            return Err(ended(EndReason::Reuse));
        }
        let user = found.map(|found| found.user).filter(|user| !user.disabled);
        let user = user.ok_or_else(|| ended(EndReason::Account))?;
        let presented = (judged, token.generation);
        Ok(Authorized { tx, whom: Whom::Refreshing(Box::new(Refreshing { user, session, state, presented })) })
    }

    async fn by_exchange(
        &self,
        client: &Client,
        exchange: &TokenExchange,
        source: Source,
    ) -> Result<Authorized, TokenError> {
        let by = Actor::new(Who::Anonymous, source).by_client(client.id.as_str());
        let parent = match self.shown(&exchange.subject_token).await {
            Ok(Shown::Parent(parent)) => parent,
            Ok(Shown::Client(_)) => return Err(MintError::ClientToken.into()),
            Err(error) => {
                if let (MintError::Token(_), Some(_)) = (&error, PersonalToken::parse(exchange.subject_token.expose()))
                {
                    self.wrong_secret(source).await?;
                }
                self.note_not_minted(&error, &by, None).await;
                return Err(error.into());
            }
        };
        let (bounds, actor) = ((client, self.access_lifetime(client)), exchange.actor_token.as_ref());
        let begun = self.begin_minting(&parent, &exchange.narrowing, bounds, actor, None).await;
        if let Err(error) = &begun {
            let (by, grantor) = (by.known_as(&parent.grantor.id), Some(&parent.grantor.id));
            let by = match &parent.session {
                Some(session) => by.in_session(&session.id),
                None => by,
            };
            self.note_not_minted(error, &by, grantor).await;
        }
        let (tx, minting) = begun?;
        Ok(Authorized { tx, whom: Whom::Delegating(Box::new(minting)) })
    }

    /// Decides the scope, signs and writes. `None` if another request refreshed the session meanwhile.
    async fn grant_to(
        &self,
        Authorized { mut tx, whom }: Authorized,
        client: &Client,
        request: &TokenRequest,
    ) -> Result<Option<TokenResponse>, TokenError> {
        let held = match &whom {
            Whom::Person(proven) => &proven.user.scopes,
            Whom::Refreshing(refreshing) => &refreshing.user.scopes,
            Whom::Client => &client.scopes,
            Whom::Delegating(minting) => &minting.user.scopes,
        };
        let catalogue = &self.settings().scopes;
        let scope = match &whom {
            Whom::Refreshing(refreshing) => {
                let session = &refreshing.session;
                if !session.scope.contains_all(&request.scope) {
                    return Err(TokenError::InvalidScope("A refresh cannot give more than the sign-in gave."));
                }
                let granted = if request.scope.is_empty() { &session.scope } else { &request.scope };
                catalogue.still(granted, held, &client.scopes)
            }
            Whom::Delegating(minting) => catalogue.still(&minting.rights.scope, held, &client.scopes),
            Whom::Person(_) | Whom::Client => catalogue.grant(&request.scope, held, &client.scopes),
        };
        let source = request.sender.source;
        if scope.is_empty() && !request.scope.is_empty() {
            drop(tx);
            if let Whom::Person(proven) = &whom {
                self.note_refused(&proven.by, &proven.user.id, "no-scope").await;
            }
            return Err(NOTHING_LEFT);
        }
        match whom {
            Whom::Person(proven) => {
                let (device, refresh) = (&request.sender.device(), client.may(GrantType::RefreshToken));
                let (user, event, by) = (&proven.user, Event::SignInSucceeded, &proven.by);
                let new = NewSession { user, client, scope, device, refresh, event, by };
                let session = self.begin_session(tx, new).await?;
                Ok(Some(self.first_tokens(&proven, &session, client).await?))
            }
            Whom::Refreshing(refreshing) => {
                let Refreshing { user, mut session, state, presented } = *refreshing;
                let mut expires_at = session.access_expires_at;
                if let Some((advance, until)) = self.advance(&session, state, presented, client) {
                    if !tx.advance_session(&session.id, advance).await? {
                        return Ok(None);
                    }
                    if presented.0 == Presented::Ahead {
                        let by = Actor::new(Who::User(user.id.clone()), source).by_client(client.id.as_str());
                        let by = by.in_session(&session.id);
                        tx.record(Entry::new(Event::RefreshTokenAhead, &by).user(&user.id)).await?;
                    }
                    tx.commit().await?;
                    (session.refresh, expires_at) = (Some(advance.to), until);
                    if presented.0 == Presented::Ahead {
                        tracing::warn!(
                            session = session.id,
                            "a refresh token newer than the database was accepted: was it restored from a backup?"
                        );
                    }
                } else {
                    // What is given out again is durable first, wherever it comes from.
                    tx.commit().await?;
                }
                self.confirm_account(&session).await.map_err(|error| match error {
                    IssueError::NoSuchUser => ended(EndReason::Account),
                    other @ (IssueError::NoKey | IssueError::Sign(_) | IssueError::Store(_)) => other.into(),
                })?;
                Ok(Some(self.session_tokens(&user, &session, client, scope, expires_at).await?))
            }
            Whom::Client => {
                drop(tx);
                let subject = Subject::client(client.id.as_str()).map_err(|_| TokenError::InvalidClient)?;
                let holder = Holder { subject, client, sid: None, extra: Map::new(), audience: None, act: None };
                let tokens = self.access_token(holder, scope, self.now() + self.access_lifetime(client))?;
                let by = Actor::new(Who::Client(client.id.to_string()), source).by_client(client.id.as_str());
                let entry = Entry::new(Event::ClientTokenIssued, &by).client(&client.id);
                self.note(entry.detail("scope", tokens.scope.to_string())).await;
                Ok(Some(tokens))
            }
            Whom::Delegating(minting) => {
                let (user, device) = (minting.user.clone(), request.sender.device());
                let by = Actor::new(Who::User(user.id.clone()), source).by_client(client.id.as_str());
                let by = &match &minting.parent {
                    Some(parent) => by.in_session(parent),
                    None => by,
                };
                let minted = Minted { client, scope, kind: MintedKind::AccessToken, label: None, device, by };
                let written = self.write_minted(tx, *minting, minted).await;
                if let Err(error) = &written {
                    self.note_not_minted(error, by, Some(&user.id)).await;
                }
                let session = written?;
                Ok(Some(self.minted_access_token(&user, &session, client).await?))
            }
        }
    }

    /// What a refresh writes, and when its access token ends; `None` if everything stays: the successor is given out
    /// again, with a token that ends with the one that may have been lost.
    fn advance(
        &self,
        session: &Session,
        state: RefreshState,
        (judged, generation): (Presented, i64),
        client: &Client,
    ) -> Option<(Advance, DateTime<Utc>)> {
        let now = self.now();
        let to = match judged {
            Presented::Repeated if now < session.access_expires_at - REFRESH_GRACE => return None,
            // Access tokens that live hardly longer than the grace time: only their end moves.
            Presented::Repeated => state,
            Presented::Current | Presented::Ahead | Presented::Reused => RefreshState {
                generation: generation.saturating_add(1),
                refreshed_at: now,
                idle_expires_at: now + self.idle_limit(client),
            },
        };
        let expires_at = (now + self.access_lifetime(client)).min(session.expires_at);
        // Never earlier: the tokens before this one are still about.
        let access_expires_at = expires_at.max(session.access_expires_at);
        Some((Advance { from: state.generation, to, access_expires_at }, expires_at))
    }
}

/// Tells the holder of a session's refresh token why it ended.
fn ended(reason: EndReason) -> TokenError {
    TokenError::InvalidGrant(match reason {
        EndReason::SignedOut => "The session was signed out. Sign in again.",
        EndReason::Account => "The session has ended: the account was disabled or its password changed. Sign in again.",
        EndReason::Administrator => "An administrator ended the session. Sign in again.",
        EndReason::Reuse => {
            "The session was ended because an older refresh token of it was used again: somebody may have a copy. \
             Sign in again."
        }
        EndReason::Client => "The session has ended: its client was removed.",
        EndReason::Leaked => "The session has ended: a key had leaked. Sign in again.",
    })
}
