//! Minting a token from another one, which can do more and lives longer (RFC 8693, and `/users/me/tokens`).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use mapae_verify::{Actor, Audience, Claims, Scopes, Subject, SubjectKind};
use serde_json::Map;

use super::accounts::ChangeError;
use super::credentials::Proven;
use super::tokens::Holder;
use super::{AuthenticateError, Bearer, IssueError, Principal, Service, TokenResponse};
use crate::domain::audit::{self, Entry, Event};
use crate::domain::delegation::{Bounds, MAX_MADE_FROM_ONE, MAX_MINTED, NarrowError, Narrowing, Rights, TooMany};
use crate::domain::scope::Admin;
use crate::domain::{
    Client, DeclaredScope, Delegation, Device, MintedKind, PersonalToken, SecretText, Session, User, UserId,
};
use crate::store::{StoreError, Tx};

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The token that is shown is not good.
    #[error("The token is not good: {0}.")]
    Token(AuthenticateError),
    /// It is a client's own.
    #[error("A client's own token cannot be passed on. Show a person's, or one that was minted from such a one.")]
    ClientToken,
    /// It was minted itself, and more than a weaker access token is asked for.
    #[error("This needs a token of your own sign-in, not one that was minted from it.")]
    Delegated,
    /// It allows less than what is asked for.
    #[error(transparent)]
    Narrow(#[from] NarrowError),
    /// The application does not let this account speak for this thing.
    #[error("You may not speak for {0}.")]
    MayNotSpeak(Subject),
    /// Too many are good at once.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A personal access token would be good for longer than is allowed here.
    #[error("A personal access token is good for at most {0} days here.")]
    TooLong(u32),
    /// The password that goes with it is missing or wrong, or the session has ended meanwhile.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The token could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for MintError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<AuthenticateError> for MintError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Store(error) => error.into(),
            other @ (AuthenticateError::Token(_)
            | AuthenticateError::NotAUser { .. }
            | AuthenticateError::PersonalToken
            | AuthenticateError::Ended
            | AuthenticateError::NoSuchUser) => Self::Token(other),
        }
    }
}

/// Whose token somebody shows.
pub(super) enum Shown {
    /// A person's or a thing's.
    Parent(Box<Parent>),
    /// A client's own.
    Client(Subject),
}

/// The token that another is minted from.
pub(super) struct Parent {
    /// The account that answers for it.
    pub(super) grantor: Arc<User>,
    /// Its session; none on the command line.
    pub(super) session: Option<Arc<Session>>,
    /// Its id, if it is an access token.
    pub(super) jti: Option<String>,
    pub(super) rights: Rights,
    /// Who acts with it, if it was minted itself.
    pub(super) actor: Option<Actor>,
}

impl Parent {
    /// On whose behalf it speaks.
    fn subject(&self) -> String {
        self.rights.subject.as_ref().map_or_else(|| self.grantor.id.to_string(), ToString::to_string)
    }

    /// Who acts with it.
    fn acting(&self) -> String {
        self.actor.as_ref().map_or_else(|| self.subject(), |actor| actor.sub.clone())
    }

    pub(super) fn of(principal: &Principal) -> Self {
        Self::of_access_token(&principal.user, &principal.session, &principal.claims)
    }

    fn of_access_token(grantor: &Arc<User>, session: &Arc<Session>, claims: &Claims) -> Self {
        let is_thing = matches!(claims.sub.kind(), SubjectKind::Other { .. });
        Self {
            grantor: Arc::clone(grantor),
            session: Some(Arc::clone(session)),
            jti: Some(claims.jti.clone()),
            rights: Rights {
                scope: claims.scope.clone(),
                audience: claims.aud.iter().map(str::to_owned).collect(),
                expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or_default(),
                subject: is_thing.then(|| claims.sub.clone()),
                depth: session.depth(),
                may_name_subject: session.delegation.is_none(),
            },
            actor: claims.act.clone(),
        }
    }

    fn of_personal_token(grantor: Arc<User>, session: Session, delegation: &Delegation) -> Self {
        Self {
            grantor,
            jti: None,
            rights: Rights {
                scope: session.scope.clone(),
                audience: delegation.audience.clone(),
                expires_at: session.expires_at,
                subject: delegation.subject.clone(),
                depth: delegation.depth,
                may_name_subject: true,
            },
            actor: Some(delegation.actor.clone()),
            session: Some(Arc::new(session)),
        }
    }

    /// Who acts with the token that is minted: whoever is named as such, else the client that asks for it, else whoever
    /// acts so far; and who acted before. A thing's tokens always name the grantor.
    fn next_actor(&self, named: Option<String>, client: &Client, rights: &Rights) -> Actor {
        let grantor = self.grantor.id.as_str();
        let sub = match (named, &self.actor) {
            (Some(named), _) => named,
            // Everybody may ask by our own client, so that says nothing of who acts.
            (None, Some(before)) if client.is_built_in() => return before.clone(),
            (None, None) if client.is_built_in() => grantor.to_owned(),
            (None, _) => {
                Subject::client(client.id.as_str()).map_or_else(|_| grantor.to_owned(), |client| client.to_string())
            }
        };
        match &self.actor {
            Some(before) if before.sub == sub => before.clone(),
            Some(before) => Actor { sub, act: Some(Box::new(before.clone())) },
            None if rights.subject.is_some() && sub != grantor => {
                Actor { sub, act: Some(Box::new(Actor::new(grantor))) }
            }
            None => Actor::new(sub),
        }
    }
}

/// A token that may be minted, in the transaction that sees the account and the session that it comes from.
pub(super) struct Minting {
    /// The grantor as the transaction sees him.
    pub(super) user: User,
    pub(super) rights: Rights,
    /// The session of the token that it comes from.
    pub(super) parent: Option<String>,
    parent_jti: Option<String>,
    actor: Actor,
}

/// What the new token is.
pub(super) struct Minted<'a> {
    pub(super) client: &'a Client,
    pub(super) scope: Scopes,
    pub(super) kind: MintedKind,
    pub(super) label: Option<String>,
    pub(super) device: Device,
    /// Who mints it.
    pub(super) by: &'a audit::Actor,
}

impl Service {
    /// Whose token this is: an access token whoever it is meant for, or a personal one.
    pub(super) async fn shown(&self, token: &SecretText) -> Result<Shown, MintError> {
        if let Some(personal) = PersonalToken::parse(token.expose()) {
            let (session, grantor) = self.live_personal_token(&personal).await?.ok_or(AuthenticateError::Ended)?;
            let delegation = session.delegation.clone().ok_or(AuthenticateError::Ended)?;
            let parent = Parent::of_personal_token(grantor, session, &delegation);
            return Ok(Shown::Parent(Box::new(parent)));
        }
        let verified = self.verify_for_anyone(token.expose()).map_err(AuthenticateError::Token)?;
        Ok(match self.bearer(verified, self.0.clock.now_millis()).await? {
            Bearer::User(principal) => Shown::Parent(Box::new(Parent::of(&principal))),
            Bearer::Thing(thing) => {
                let parent = Parent::of_access_token(&thing.grantor, &thing.session, &thing.claims);
                Shown::Parent(Box::new(parent))
            }
            Bearer::Client { claims, .. } => Shown::Client(claims.sub.clone()),
        })
    }

    /// A personal access token that is still good: its session, and the active account that answers for it.
    pub(super) async fn live_personal_token(
        &self,
        token: &PersonalToken,
    ) -> Result<Option<(Session, Arc<User>)>, StoreError> {
        let session = self.store().personal_token(&token.hash()).await?;
        let Some(session) = session.filter(|session| session.is_live(self.now())) else { return Ok(None) };
        match self.account_behind(&session).await? {
            Some(account) => Ok(Some((session, account.user))),
            None => Ok(None),
        }
    }

    /// Notes that a personal access token was used, if that is news.
    pub(super) async fn note_use(&self, session: &Session) -> Result<(), StoreError> {
        if !session.delegation.as_ref().is_some_and(|delegation| delegation.is_use_news(self.now())) {
            return Ok(());
        }
        let mut tx = self.store().begin().await?;
        tx.note_use(&session.id).await?;
        tx.commit().await
    }

    /// Decides what may be minted from a token, and begins the transaction in which that is done: the grantor is active
    /// there, and the session of the token lives. A person who has just repeated the password is `proven`.
    pub(super) async fn begin_minting(
        &self,
        parent: &Parent,
        asked: &Narrowing,
        (client, longest): (&Client, TimeDelta),
        actor_token: Option<&SecretText>,
        proven: Option<(&Principal, Proven)>,
    ) -> Result<(Tx, Minting), MintError> {
        let named = match actor_token {
            None => None,
            Some(token) => Some(match self.shown(token).await? {
                Shown::Parent(actor) => actor.acting(),
                Shown::Client(client) => client.to_string(),
            }),
        };
        let bounds = Bounds {
            held: &parent.grantor.scopes,
            allowed: &client.scopes,
            catalogue: &self.settings().scopes,
            now: self.now(),
            lifetime: longest,
        };
        let rights = parent.rights.narrow(asked, bounds)?;
        if let Some(thing) = &rights.subject {
            // A thing that the token speaks for already is asked about again: that may have changed.
            let carried = parent.rights.subject.is_none().then_some(&parent.rights.scope);
            if !self.may_speak_for(&parent.grantor, carried, thing, &rights.scope).await {
                return Err(MintError::MayNotSpeak(thing.clone()));
            }
        }
        let actor = parent.next_actor(named, client, &rights);
        let (mut tx, user) = match proven {
            Some((principal, mut proven)) => (self.begin_own(principal, &mut proven).await?, proven.user),
            None => {
                let (tx, found) = self.begin_on(&parent.grantor.id).await?;
                let user = found.map(|found| found.user).filter(|user| !user.disabled);
                (tx, user.ok_or(AuthenticateError::Ended)?)
            }
        };
        if let Some(session) = &parent.session {
            let now = tx.lock_session(&session.id).await?.filter(|session| session.is_live(self.now()));
            let now = now.filter(|session| !session.has_lost_scopes(&user.scopes)).ok_or(AuthenticateError::Ended)?;
            // Looked at after the lock: whoever revokes it meanwhile waits for it, and then ends what is minted here.
            if let Some(jti) = &parent.jti
                && tx.is_token_revoked(jti).await?
            {
                return Err(AuthenticateError::Ended.into());
            }
            if let Some(delegation) = &now.delegation {
                if tx.count_made_from(&now).await? >= MAX_MADE_FROM_ONE {
                    return Err(TooMany::FromOne.into());
                }
                if delegation.is_use_news(self.now()) {
                    tx.note_use(&session.id).await?;
                }
            }
        }
        if tx.count_minted(&user.id).await? >= MAX_MINTED {
            return Err(TooMany::OfAccount.into());
        }
        if tx.is_feed_full().await? {
            return Err(TooMany::Here.into());
        }
        let id = parent.session.as_ref().map(|session| session.id.clone());
        Ok((tx, Minting { user, rights, parent: id, parent_jti: parent.jti.clone(), actor }))
    }

    /// Whether the application lets this account speak for a thing. Administrators speak for the kinds that are declared;
    /// with a token that carries `mapae:admin`, if they ask for the first time.
    pub(super) async fn may_speak_for(
        &self,
        grantor: &User,
        carried: Option<&Scopes>,
        thing: &Subject,
        scope: &Scopes,
    ) -> bool {
        let SubjectKind::Other { kind, .. } = thing.kind() else { return false };
        let is_admin = |scopes: &Scopes| scopes.contains(Admin::NAME);
        let by_admin = is_admin(&grantor.scopes) && carried.is_none_or(is_admin);
        (by_admin && self.settings().subject_kinds.contains(kind))
            || self.hooks().may_speak_for(grantor, thing, scope).await
    }

    /// Writes the session of a minted token; it is durable then.
    pub(super) async fn write_minted(
        &self,
        mut tx: Tx,
        minting: Minting,
        minted: Minted<'_>,
    ) -> Result<Session, MintError> {
        let (now, Minting { user, rights, parent, parent_jti, actor }) = (self.now(), minting);
        let Minted { client, scope, kind, label, device, by } = minted;
        let is_personal = matches!(kind, MintedKind::PersonalToken(_));
        let expires_at = rights.expires_at;
        let session = Session {
            id: self.ids().uuid_v7().to_string(),
            user_id: user.id.clone(),
            client_id: client.id.to_string(),
            scope,
            created_at: now,
            expires_at: if is_personal { expires_at } else { expires_at + self.leeway() },
            ended: None,
            refresh: None,
            access_expires_at: if is_personal { now } else { expires_at },
            device,
            delegation: Some(Box::new(Delegation {
                kind,
                // A personal access token outlives the sign-in that it was made in.
                parent: parent.clone().filter(|_| !is_personal),
                parent_jti: parent_jti.filter(|_| !is_personal),
                made_in: parent.clone().filter(|_| is_personal),
                depth: rights.depth,
                subject: rights.subject,
                audience: rights.audience,
                actor,
                label,
                last_used_at: None,
            })),
        };
        tx.insert_session(&session).await?;
        let entry = Entry::new(Event::TokenMinted, by).user(&session.user_id).session(&session.id, &session.client_id);
        let mut entry = entry.detail("scope", session.scope.to_string()).detail("personal", is_personal);
        let thing = session.delegation.as_ref().and_then(|delegation| delegation.subject.as_ref());
        if let Some(thing) = thing {
            entry = entry.detail("subject", thing.to_string());
        }
        if let Some(delegation) = &session.delegation {
            entry = entry.detail("act", serde_json::to_value(&delegation.actor).unwrap_or_default());
        }
        if let Some(parent) = parent {
            entry = entry.detail("parent", parent);
        }
        tx.record(entry).await?;
        tx.commit().await?;
        self.confirm_account(&session).await?;
        // Whoever takes the thing away ends its tokens afterwards: a change that this does not see finds this one.
        if let Some(thing) = thing
            && !self.may_speak_for(&user, None, thing, &session.scope).await
        {
            let mut tx = self.store().begin().await?;
            tx.end_session(&session.id, &audit::Actor::system()).await?;
            tx.commit().await?;
            return Err(MintError::MayNotSpeak(thing.clone()));
        }
        Ok(session)
    }

    /// Writes down that no token was minted, where that may be somebody's attempt.
    pub(super) async fn note_not_minted(&self, error: &MintError, by: &audit::Actor, grantor: Option<&UserId>) {
        let reason = match error {
            MintError::Token(_) => "bad-token",
            MintError::MayNotSpeak(_) => "may-not-speak",
            MintError::TooMany(_) => "too-many",
            MintError::ClientToken
            | MintError::Delegated
            | MintError::Narrow(_)
            | MintError::TooLong(_)
            | MintError::Change(_)
            | MintError::Issue(_) => return,
        };
        self.note(Entry::new(Event::TokenRefused, by).maybe_user(grantor).detail("reason", reason)).await;
    }

    /// The access token of a session that [`Self::write_minted`] wrote.
    pub(super) async fn minted_access_token(
        &self,
        user: &User,
        session: &Session,
        client: &Client,
    ) -> Result<TokenResponse, IssueError> {
        let scope = session.scope.clone();
        let delegation = session.delegation.as_ref().ok_or(IssueError::NoSuchUser)?;
        let (subject, extra) = match &delegation.subject {
            Some(thing) => (thing.clone(), Map::new()),
            None => {
                let subject = Subject::user(user.id.as_str()).map_err(|_| IssueError::NoSuchUser)?;
                (subject, self.hooks().extra_claims(user, &scope).await)
            }
        };
        let audience = delegation.audience.iter().map(String::as_str).collect::<Audience>();
        let (sid, act) = (Some(session.id.as_str()), Some(delegation.actor.clone()));
        let holder = Holder { subject, client, sid, extra, audience: Some(audience), act };
        self.access_token(holder, scope, session.access_expires_at)
    }

    fn leeway(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.settings().leeway))
    }
}
