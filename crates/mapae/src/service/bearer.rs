//! Whoever a bearer token speaks for: a person, a thing, or a client. Most routes want a person
//! ([`authenticate`](super::Service::authenticate)); those that judge tokens for others take any.

use std::sync::Arc;
use std::time::Duration;

use mapae_verify::{Claims, ScopeSet, Scopes, SubjectKind, VerifiedToken};
use uuid::Uuid;

use super::directory::{Account, Directory};
use super::grounds::Grounds;
use super::{AuthenticateError, Principal, Service};
use crate::domain::audit::Actor;
use crate::domain::personal_token;
use crate::domain::{ClientId, GrantType, Session, Source, User};
use crate::store::{RegisteredClient, StoreError};

/// Whoever a good token speaks for.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A person.
    User(Principal),
    /// A thing of the application's own.
    Thing(Thing),
    /// A client, for itself.
    Client {
        /// The client.
        client: Arc<RegisteredClient>,
        /// The token's claims.
        claims: Arc<Claims>,
    },
}

/// A thing of the application's own that a good token speaks for.
#[derive(Clone, Debug)]
pub struct Thing {
    /// The active account that answers for the token.
    pub grantor: Arc<User>,
    /// The live session of the token.
    pub session: Arc<Session>,
    /// The token's claims: `sub` is the thing.
    pub claims: Arc<Claims>,
    /// The token itself, for checking it again.
    pub(super) token: VerifiedToken<Claims>,
}

impl Bearer {
    /// The token's claims.
    pub fn claims(&self) -> &Claims {
        match self {
            Self::User(principal) => &principal.claims,
            Self::Thing(thing) => &thing.claims,
            Self::Client { claims, .. } => claims,
        }
    }

    /// What the token carries and its holder still has.
    pub fn scope(&self) -> Scopes {
        match self {
            Self::User(principal) => principal.claims.scope.intersection(&principal.user.scopes),
            Self::Thing(thing) => thing.claims.scope.intersection(&thing.grantor.scopes),
            Self::Client { client, claims } => claims.scope.intersection(&client.client.scopes),
        }
    }

    /// Whether the token carries the scopes `S`, and its holder still has them.
    pub fn allows<S: ScopeSet>(&self) -> bool {
        S::satisfied_by(&self.scope())
    }

    /// The kind of subject, in a word.
    pub fn kind(&self) -> &str {
        match self.claims().sub.kind() {
            SubjectKind::User(_) => "user",
            SubjectKind::Client(_) => "client",
            SubjectKind::Other { kind, .. } => kind,
        }
    }
}

impl Service {
    /// Checks a token of a person, a thing or a client.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    pub async fn authenticate_bearer(&self, token: &str) -> Result<Bearer, AuthenticateError> {
        if token.starts_with(personal_token::PREFIX) {
            return Err(AuthenticateError::PersonalToken);
        }
        let now = self.0.clock.now_millis();
        self.bearer(self.0.verifier.verify_token_at(token, now)?, now).await
    }

    /// As [`Self::authenticate_bearer`] would answer now, for a token of a person or a thing that was good before; and how
    /// long it is until the token expires.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count any more.
    pub async fn bearer_again(&self, bearer: &Bearer) -> Result<(Bearer, Duration), AuthenticateError> {
        let token = match bearer {
            Bearer::User(principal) => &principal.token,
            Bearer::Thing(thing) => &thing.token,
            Bearer::Client { .. } => return Err(AuthenticateError::NotAUser { kind: "client".to_owned() }),
        };
        self.0.verifier.check_again(token)?;
        Ok((self.bearer(token.clone(), self.0.clock.now_millis()).await?, self.0.verifier.expires_in(token)))
    }

    /// Whoever a verified token names, if session and account still count. `now` is when the token was verified, in
    /// milliseconds since 1970.
    pub(super) async fn bearer(&self, token: VerifiedToken<Claims>, now: i64) -> Result<Bearer, AuthenticateError> {
        let claims = Arc::clone(token.claims());
        let is_user = match claims.sub.kind() {
            SubjectKind::User(_) => true,
            SubjectKind::Other { .. } => false,
            SubjectKind::Client(_) => return Box::pin(self.still_bears(claims)).await,
        };
        let epoch = self.store().seen_epoch();
        // Nothing is known while changes can't be seen; and rows of the application's own table may change without a word.
        let epoch = epoch.filter(|_| matches!(self.directory(), Directory::Own));
        let (session, Account { user, row }, noted) = match self.known_grounds(&token, now, epoch)? {
            Some(known) => {
                let account = Account { user: Arc::clone(&known.user), row: None };
                (Arc::clone(&known.session), account, Some(known))
            }
            // In a box: what is seldom done is not to make the future of every request bigger.
            None => Box::pin(self.look_for_grounds(&token, epoch)).await?,
        };
        Ok(if is_user {
            Bearer::User(Principal { user, session, claims, source: Source::default(), row, token, noted })
        } else {
            Bearer::Thing(Thing { grantor: user, session, claims, token })
        })
    }

    /// What a token of a person or a thing stands on, its live session and the active account that answers for it, if that is
    /// known. `epoch` is how far this process has just seen every change.
    fn known_grounds(
        &self,
        token: &VerifiedToken<Claims>,
        now: i64,
        epoch: Option<u64>,
    ) -> Result<Option<Arc<Grounds>>, AuthenticateError> {
        let Some(epoch) = epoch else { return Ok(None) };
        let is_shared = token.is_shared();
        let noted = if is_shared { token.note::<Grounds>() } else { None };
        let noted = noted.filter(|noted| noted.epoch == epoch);
        let is_new = noted.is_none();
        let claims = token.claims();
        // What is known of the session serves its other tokens too, but for what differs between them.
        let known = noted.or_else(|| self.0.grounds.get(claims.sid.as_deref()?, epoch));
        let Some(known) = known else { return Ok(None) };
        // What is in memory counts: the epoch says so.
        let counts =
            !is_new || (known.session.speaks_for(&claims.sub) && !self.store().is_known_as_revoked(&claims.jti));
        if !counts || !known.hold_at(now) {
            return Err(AuthenticateError::Ended);
        }
        if is_new && is_shared {
            token.set_note(Arc::clone(&known));
        }
        Ok(Some(known))
    }

    /// Looks for what a token stands on, and keeps it for as long as nothing changes, if that can be seen.
    async fn look_for_grounds(
        &self,
        token: &VerifiedToken<Claims>,
        epoch: Option<u64>,
    ) -> Result<(Arc<Session>, Account, Option<Arc<Grounds>>), AuthenticateError> {
        let claims = token.claims();
        let sid = claims.sid.as_deref().ok_or(AuthenticateError::Ended)?;
        if self.store().is_token_revoked(&claims.jti).await? {
            return Err(AuthenticateError::Ended);
        }
        let session = self.store().cached_session(sid).await?.ok_or(AuthenticateError::Ended)?;
        if !session.is_live(self.now()) || !session.speaks_for(&claims.sub) {
            return Err(AuthenticateError::Ended);
        }
        let account = self.account_behind(&session).await?.ok_or(AuthenticateError::Ended)?;
        let known = epoch.map(|epoch| Arc::new(Grounds::new(epoch, Arc::clone(&session), Arc::clone(&account.user))));
        if let Some(known) = &known {
            self.0.grounds.insert(known);
            token.set_note(Arc::clone(known));
        }
        Ok((session, account, known))
    }

    /// The account of a session, if that is active and holds what a minted token carries. A minted token whose account
    /// does not is ended for good: where the application's own table says so, nobody else does, and verifiers elsewhere
    /// are to hear of it.
    pub(super) async fn account_behind(&self, session: &Session) -> Result<Option<Account>, StoreError> {
        let account = self.account(&session.user_id).await?;
        let account =
            account.filter(|account| !account.user.disabled && !session.has_lost_scopes(&account.user.scopes));
        if account.is_none()
            && session.delegation.is_some()
            && let Err(error) = self.end_minted(session).await
        {
            tracing::warn!(%error, session = session.id, "a token that counts no more could not be ended");
        }
        Ok(account)
    }

    async fn end_minted(&self, session: &Session) -> Result<(), StoreError> {
        let mut tx = self.store().begin().await?;
        tx.end_session(&session.id, &Actor::system()).await?;
        tx.commit().await
    }

    /// The client that these verified claims name, if it may still speak for itself.
    async fn still_bears(&self, claims: Arc<Claims>) -> Result<Bearer, AuthenticateError> {
        let id = claims.sub.as_client().and_then(ClientId::parse).ok_or(AuthenticateError::Ended)?;
        if self.store().is_token_revoked(&claims.jti).await? {
            return Err(AuthenticateError::Ended);
        }
        let client = self.store().cached_client(&id).await?.ok_or(AuthenticateError::Ended)?;
        // Another client may have been registered under the id of one that was removed.
        let same = issued_at_millis(&claims) >= client.client.created_at.timestamp_millis();
        if !same || !client.client.may(GrantType::ClientCredentials) {
            return Err(AuthenticateError::Ended);
        }
        Ok(Bearer::Client { client, claims })
    }
}

/// When a token of this service was issued, in milliseconds since 1970. `iat` knows the second alone; `jti` is a UUID
/// version 7, which begins with the time.
fn issued_at_millis(claims: &Claims) -> i64 {
    let timestamp = Uuid::parse_str(&claims.jti).ok().and_then(|jti| jti.get_timestamp());
    let millis = timestamp.and_then(|time| {
        let (seconds, nanos) = time.to_unix();
        i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))
    });
    millis.unwrap_or_else(|| claims.iat.saturating_mul(1_000))
}
