//! Introspection (RFC 7662) and revocation (RFC 7009): what clients ask about tokens, and how they give them up.

use mapae_verify::{Audience, Claims, Scopes, VerifiedToken, VerifierBuilder, VerifyError, inspect};

use super::clients::ClientAuth;
use super::{AuthenticateError, Service, TokenError};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::{Client, ClientType, EndReason, GrantType, PersonalToken, Presented, SecretText, Session, Source};
use crate::store::{NewRevocation, Sessions, StoreError};

/// From so many revoked tokens on, revoking another ends its session. A refresh costs nothing, so one person could
/// otherwise make the revocation feed longer than any verifier reads.
const MOST_SINGLE_TOKENS: u64 = 10_000;

/// What a client learns about a token that is good (RFC 7662 §2.2). Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// What the token carries and its holder still has.
    pub scope: Scopes,
    /// The client that it was issued to.
    pub client_id: String,
    /// Whom it speaks for.
    pub sub: String,
    /// When it ends.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// The session that it belongs to.
    pub sid: Option<String>,
    /// For whom it is meant; a refresh token is for this service alone.
    pub aud: Option<Vec<String>>,
    /// The id of an access token.
    pub jti: Option<String>,
    /// Who acts with a token that was minted from another (RFC 8693 §4.1).
    pub act: Option<mapae_verify::Actor>,
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The client did not prove to be one.
    #[error(transparent)]
    Client(#[from] TokenError),
    /// The token is another client's.
    #[error("the token was issued to another client")]
    NotYours,
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Client(error.into())
    }
}

impl Service {
    /// What a token says and whether it is good, for a confidential client to which it was issued or for which it is
    /// meant. `None`: not good, or not the client's business.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`] if the client is public or did not prove to be it.
    pub async fn introspect(
        &self,
        auth: &ClientAuth,
        token: &SecretText,
        source: Source,
    ) -> Result<Option<Introspection>, TokenError> {
        let client = self.authenticate_client(auth, source).await?;
        if client.client_type == ClientType::Public {
            return Err(TokenError::InvalidClient);
        }
        if let Some(refresh) = self.0.keys.read_refresh_token(token.expose()) {
            return Ok(self.introspect_refresh_token(&client, &refresh.session, refresh.generation).await?);
        }
        if let Some(personal) = PersonalToken::parse(token.expose()) {
            return Ok(self.introspect_personal_token(&client, &personal).await?);
        }
        let Ok(claims) = self.verify_for_anyone(token.expose()) else { return Ok(None) };
        let issued_to_it = claims.client_id == client.id.as_str();
        if !issued_to_it && !is_meant_for(&claims.aud, &client) {
            return Ok(None);
        }
        let scope = match self.still_good(&claims).await {
            Ok(scope) => scope,
            Err(AuthenticateError::Store(error)) => return Err(error.into()),
            Err(
                AuthenticateError::Token(_)
                | AuthenticateError::NotAUser { .. }
                | AuthenticateError::PersonalToken
                | AuthenticateError::Ended
                | AuthenticateError::NoSuchUser,
            ) => return Ok(None),
        };
        Ok(Some(Introspection {
            scope,
            client_id: claims.client_id.clone(),
            sub: claims.sub.as_str().to_owned(),
            exp: claims.exp,
            iat: claims.iat,
            sid: claims.sid.clone(),
            aud: Some(claims.aud.iter().map(str::to_owned).collect()),
            jti: Some(claims.jti.clone()),
            act: claims.act.clone(),
        }))
    }

    /// A personal access token is good for whoever introspects it as an access token would be.
    async fn introspect_personal_token(
        &self,
        client: &Client,
        token: &PersonalToken,
    ) -> Result<Option<Introspection>, StoreError> {
        let Some((session, grantor)) = self.live_personal_token(token).await? else { return Ok(None) };
        let Some(delegation) = session.delegation.as_deref() else { return Ok(None) };
        let audience = delegation.audience.iter().map(String::as_str).collect::<Audience>();
        if session.client_id != client.id.as_str() && !is_meant_for(&audience, client) {
            return Ok(None);
        }
        if let Some(thing) = &delegation.subject
            && !self.may_speak_for(&grantor, None, thing, &session.scope).await
        {
            return Ok(None);
        }
        self.note_use(&session).await?;
        let sub = delegation.subject.as_ref().map_or_else(|| session.user_id.to_string(), ToString::to_string);
        Ok(Some(Introspection {
            scope: session.scope.clone(),
            client_id: session.client_id.clone(),
            sub,
            exp: session.expires_at.timestamp(),
            iat: session.created_at.timestamp(),
            aud: Some(delegation.audience.clone()),
            jti: None,
            act: Some(delegation.actor.clone()),
            sid: Some(session.id),
        }))
    }

    async fn introspect_refresh_token(
        &self,
        client: &Client,
        session: &str,
        generation: i64,
    ) -> Result<Option<Introspection>, StoreError> {
        let session = self.store().session_by_id(session).await?;
        let Some(session) = session.filter(|session| session.client_id == client.id.as_str()) else {
            return Ok(None);
        };
        let Some(refresh) = session.refreshable(self.now()) else { return Ok(None) };
        let account = self.account(&session.user_id).await?;
        let user = account.map(|account| account.user).filter(|user| !user.disabled);
        let outage = self.store().outage_since(refresh.refreshed_at);
        let usable =
            refresh.judge(generation, self.now(), outage) != Presented::Reused && client.may(GrantType::RefreshToken);
        let Some(user) = user.filter(|_| usable) else { return Ok(None) };
        Ok(Some(Introspection {
            scope: self.settings().scopes.still(&session.scope, &user.scopes, &client.scopes),
            sub: session.user_id.to_string(),
            exp: session.ends_at().timestamp(),
            iat: refresh.refreshed_at.timestamp(),
            client_id: session.client_id,
            sid: Some(session.id),
            aud: None,
            jti: None,
            act: None,
        }))
    }

    /// Gives a token up. A refresh token ends its session, and so does a token that was minted from another, which has one
    /// of its own; another access token ends only itself and what was minted from it, as long as not very many are given
    /// up like that. One that is unknown, expired or malformed is as good as revoked.
    ///
    /// # Errors
    /// [`RevokeError`].
    pub async fn revoke(&self, auth: &ClientAuth, token: &SecretText, source: Source) -> Result<(), RevokeError> {
        let client = self.authenticate_client(auth, source).await?;
        let by = Actor::new(Who::Client(client.id.to_string()), source).by_client(client.id.as_str());
        if let Some(refresh) = self.0.keys.read_refresh_token(token.expose()) {
            let mut tx = self.store().begin().await?;
            let Some(session) = tx.session(&refresh.session).await? else { return Ok(()) };
            if session.client_id != client.id.as_str() {
                return Err(RevokeError::NotYours);
            }
            tx.end(Sessions::One(&session.id), EndReason::SignedOut, &by).await?;
            return Ok(tx.commit().await?);
        }
        if let Some(personal) = PersonalToken::parse(token.expose()) {
            let Some(session) = self.store().personal_token(&personal.hash()).await? else { return Ok(()) };
            return self.give_up(&session, &client, &by).await;
        }
        let Ok(claims) = self.verify_for_anyone(token.expose()) else { return Ok(()) };
        if claims.client_id != client.id.as_str() {
            return Err(RevokeError::NotYours);
        }
        if let (Some(_), Some(sid)) = (&claims.act, &claims.sid)
            && let Some(session) = self.store().session_by_id(sid).await?
        {
            return self.give_up(&session, &client, &by).await;
        }
        let expires_at = chrono::DateTime::from_timestamp(claims.exp, 0).unwrap_or_else(|| self.now());
        let mut tx = self.store().begin().await?;
        // Whoever mints from it at this moment comes before, or sees that it is revoked.
        if let Some(session) = &claims.sid {
            tx.lock_session(session).await?;
        }
        if tx.is_token_revoked(&claims.jti).await? {
            return Ok(());
        }
        match &claims.sid {
            Some(session) if tx.revoked_tokens().await? >= MOST_SINGLE_TOKENS => {
                tx.end(Sessions::One(session), EndReason::SignedOut, &by).await?;
            }
            Some(_) | None => {
                tx.revoke(vec![NewRevocation::token(&claims.jti, expires_at)]).await?;
                let entry =
                    Entry { subject: Some(claims.sub.as_str().to_owned()), ..Entry::new(Event::TokenRevoked, &by) };
                tx.record(Entry { session: claims.sid.clone(), ..entry }.detail("jti", claims.jti.as_str())).await?;
                if let Some(session) = &claims.sid {
                    tx.end_minted_by_token(session, &claims.jti, EndReason::SignedOut, &by).await?;
                }
            }
        }
        Ok(tx.commit().await?)
    }

    /// Ends the session of a minted token that its client gives up.
    async fn give_up(&self, session: &Session, client: &Client, by: &Actor) -> Result<(), RevokeError> {
        if session.client_id != client.id.as_str() {
            return Err(RevokeError::NotYours);
        }
        let mut tx = self.store().begin().await?;
        tx.end(Sessions::One(&session.id), EndReason::SignedOut, by).await?;
        Ok(tx.commit().await?)
    }

    /// Verifies a token of this service whoever it is meant for.
    pub(super) fn verify_for_anyone(&self, token: &str) -> Result<VerifiedToken<Claims>, VerifyError> {
        match self.0.verifier.verify_token(token) {
            Err(VerifyError::WrongAudience) => {
                // It names others, and that is for those who ask about it to judge: everything else is checked again.
                let decoded = inspect::decode(token)?;
                let aud = &decoded.claims["aud"];
                let audience = aud.as_str().or_else(|| aud.get(0)?.as_str()).ok_or(VerifyError::WrongAudience)?;
                let settings = self.settings();
                VerifierBuilder::rfc9068(self.0.keys.shared(), settings.base_url.as_str(), audience)
                    .leeway(settings.leeway)
                    .clock(self.0.clock.clone())
                    .build()
                    .verify_token(token)
            }
            verified => verified,
        }
    }

    /// Whether what verified claims name still counts; the scope that is left.
    async fn still_good(&self, token: &VerifiedToken<Claims>) -> Result<Scopes, AuthenticateError> {
        Ok(self.bearer(token.clone(), self.0.clock.now_millis()).await?.scope())
    }
}

/// Whether the token is meant for this client: by its id, or, as a client without grants is a server that only receives
/// tokens, by the audiences that it was registered with.
fn is_meant_for(audience: &Audience, client: &Client) -> bool {
    audience.contains(client.id.as_str()) || (client.grants.is_empty() && audience.contains_any(&client.audiences))
}
