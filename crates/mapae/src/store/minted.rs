//! Sessions of minted tokens: finding them, noting their use, and which end with which.

use chrono::{DateTime, Utc};
use mapae_verify::{Actor, Scopes, Subject};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::session::{ActiveModel, Column, Entity, Model};
use super::keyed::by_key;
use super::revocations::MOST_LEEWAY;
use super::sessions::to_session;
use super::{Store, StoreError, Tx};
use crate::domain::delegation::{ACCESS_TOKEN, LAST_USED_STEP, MAX_MINTED, MAX_MINTED_HERE};
use crate::domain::{Delegation, EndReason, MintedKind, PersonalTokenHash, Session, UserId, audit};

impl Store {
    /// The session of the personal access token with this hash, ended or not.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn personal_token(&self, hash: &PersonalTokenHash) -> Result<Option<Session>, StoreError> {
        let row = by_key(Entity::find().filter(Column::TokenHash.eq(hash.as_str())), &self.0.read).await?;
        row.map(to_session).transpose()
    }

    /// The sessions of minted tokens that are still good, of an account or everybody's, newest first, up to `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn minted(&self, user: Option<&UserId>, limit: u64) -> Result<Vec<Session>, StoreError> {
        let mut which = live(self.now());
        if let Some(user) = user {
            which = which.add(Column::UserId.eq(user.as_str()));
        }
        let query = Entity::find().filter(which).order_by_desc(Column::Id).limit(limit);
        query.all(&self.0.read).await?.into_iter().map(to_session).collect()
    }
}

impl Tx {
    /// The session with this id, which nobody else ends until this transaction does: what is minted from it is seen by
    /// whoever ends it afterwards.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn lock_session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = by_key(Entity::find_by_id(id).lock_exclusive(), &self.inner).await?;
        row.map(to_session).transpose()
    }

    /// How many minted tokens of an account are still good, or ended so early that the revocation feed names them.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn count_minted(&self, user: &UserId) -> Result<u64, StoreError> {
        let which = counting(self.now()).add(Column::UserId.eq(user.as_str()));
        Ok(Entity::find().filter(which).count(&self.inner).await?)
    }

    /// As [`Self::count_minted`], of those that were made from what was handed on as `session` or before it in its chain.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn count_made_from(&self, session: &Session) -> Result<u64, StoreError> {
        let mut first = session.clone();
        while let Some(Delegation { parent: Some(parent), depth: 2.., .. }) = first.delegation.as_deref() {
            let Some(before) = self.session(parent).await? else { break };
            first = before;
        }
        let (mut parents, mut count) = (vec![first.id], 0);
        // Ends: a chain is short.
        while !parents.is_empty() {
            let made = Entity::find().select_only().column(Column::Id).filter(Column::ParentId.is_in(parents));
            parents = made.filter(counting(self.now())).limit(MAX_MINTED).into_tuple().all(&self.inner).await?;
            count += u64::try_from(parents.len()).unwrap_or(u64::MAX);
        }
        Ok(count)
    }

    /// Whether so many access tokens were minted by whomever, and may still be named in the revocation feed, as may be.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn is_feed_full(&self) -> Result<bool, StoreError> {
        let last = Entity::find()
            .select_only()
            .column(Column::Minted)
            .filter(Column::Minted.eq(ACCESS_TOKEN))
            .filter(Column::ExpiresAt.gt(self.now() - MOST_LEEWAY))
            .offset(MAX_MINTED_HERE - 1);
        Ok(last.into_tuple::<Option<String>>().one(&self.inner).await?.is_some())
    }

    /// Notes that a token was used, unless that is noted for about this time. Nothing depends on it, so no cache is told.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn note_use(&mut self, id: &str) -> Result<(), StoreError> {
        let now = self.now();
        let stale =
            Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(now - LAST_USED_STEP));
        let row = ActiveModel { last_used_at: Set(Some(now)), ..Default::default() };
        Entity::update_many().set(row).filter(Column::Id.eq(id)).filter(stale).exec(&self.inner).await?;
        Ok(())
    }

    /// Ends the minted tokens of an account that carry a scope which it does not hold any more.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_minted_beyond(
        &mut self,
        user: &UserId,
        held: &Scopes,
        by: &audit::Actor,
    ) -> Result<(), StoreError> {
        let which = live(self.now()).add(Column::UserId.eq(user.as_str()));
        let carried: Vec<(String, String)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Scopes])
            .filter(which)
            .into_tuple()
            .all(&self.inner)
            .await?;
        // What cannot be read is not held either.
        let is_beyond = |scopes: &str| !Scopes::parse(scopes).is_ok_and(|scopes| held.contains_all(&scopes));
        let beyond = carried.into_iter().filter(|(_, scopes)| is_beyond(scopes)).map(|(id, _)| id).collect();
        self.end_ids(beyond, EndReason::Account, by).await?;
        Ok(())
    }

    /// Ends the sessions with these ids, and with them what was minted from them; how many of these were not ended yet.
    pub(super) async fn end_ids(
        &mut self,
        ids: Vec<String>,
        reason: EndReason,
        by: &audit::Actor,
    ) -> Result<usize, StoreError> {
        let mut ended = Vec::new();
        // Statements have a limited number of parameters.
        for some in ids.chunks(1_000) {
            ended.extend(self.end_where(Condition::all().add(Column::Id.is_in(some)), reason, by).await?);
        }
        let count = ended.len();
        self.end_minted_from(ended, reason, by).await?;
        Ok(count)
    }

    /// Ends what was minted from this one access token of a session, and from that.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_minted_by_token(
        &mut self,
        session: &str,
        jti: &str,
        reason: EndReason,
        by: &audit::Actor,
    ) -> Result<(), StoreError> {
        let which = Condition::all().add(Column::ParentId.eq(session)).add(Column::ParentJti.eq(jti));
        let ended = self.end_where(which, reason, by).await?;
        self.end_minted_from(ended, reason, by).await
    }

    /// Ends what was minted from these sessions, and from that, and so on: a chain is short. If they were stolen, so are
    /// the personal access tokens that were made in them.
    pub(super) async fn end_minted_from(
        &mut self,
        mut parents: Vec<String>,
        reason: EndReason,
        by: &audit::Actor,
    ) -> Result<(), StoreError> {
        while !parents.is_empty() {
            let mut children = Vec::new();
            for some in parents.chunks(1_000) {
                let from = Condition::all().add(Column::ParentId.is_in(some));
                children.extend(self.end_where(from, reason, by).await?);
                if reason == EndReason::Reuse {
                    let made_in = Condition::all().add(Column::MadeInId.is_in(some));
                    children.extend(self.end_where(made_in, reason, by).await?);
                }
            }
            parents = children;
        }
        Ok(())
    }
}

/// Still good, or ended so early that the revocation feed names it.
fn counting(now: DateTime<Utc>) -> Condition {
    let in_feed = Condition::all().add(Column::Minted.is_not_null()).add(Column::AccessExpiresAt.gt(now - MOST_LEEWAY));
    Condition::all().add(Condition::any().add(live(now)).add(in_feed))
}

/// As [`Session::is_live`], of minted tokens.
fn live(now: DateTime<Utc>) -> Condition {
    Condition::all().add(Column::Minted.is_not_null()).add(Column::EndedAt.is_null()).add(Column::ExpiresAt.gt(now))
}

/// Sets what makes the row one of a minted token.
pub(super) fn set_delegation(row: &mut ActiveModel, delegation: &Delegation) -> Result<(), StoreError> {
    let json = |written: serde_json::Result<String>| written.map_err(|error| corrupt(&error.to_string()));
    row.minted = Set(Some(delegation.kind.as_str().to_owned()));
    row.parent_id = Set(delegation.parent.clone());
    row.parent_jti = Set(delegation.parent_jti.clone());
    row.made_in_id = Set(delegation.made_in.clone());
    row.depth = Set(Some(i64::from(delegation.depth)));
    row.subject = Set(delegation.subject.as_ref().map(ToString::to_string));
    row.audience = Set(Some(json(serde_json::to_string(&delegation.audience))?));
    row.actor = Set(Some(json(serde_json::to_string(&delegation.actor))?));
    row.label = Set(delegation.label.clone());
    row.last_used_at = Set(delegation.last_used_at);
    row.token_hash = Set(match &delegation.kind {
        MintedKind::AccessToken => None,
        MintedKind::PersonalToken(hash) => Some(hash.as_str().to_owned()),
    });
    Ok(())
}

/// What makes the row one of a minted token, taken out of it; `None` if it is one of a sign-in.
pub(super) fn take_delegation(row: &mut Model) -> Result<Option<Box<Delegation>>, StoreError> {
    let Some(minted) = row.minted.take() else { return Ok(None) };
    let kind = MintedKind::stored(&minted, row.token_hash.take()).ok_or_else(|| corrupt("unknown kind of token"))?;
    let subject = row.subject.take().map(|text| Subject::parse(&text)).transpose();
    let actor = row.actor.as_deref().and_then(|text| serde_json::from_str::<Actor>(text).ok());
    let audience = row.audience.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Ok(Some(Box::new(Delegation {
        kind,
        parent: row.parent_id.take(),
        parent_jti: row.parent_jti.take(),
        made_in: row.made_in_id.take(),
        depth: row.depth.and_then(|depth| u8::try_from(depth).ok()).ok_or_else(|| corrupt("no depth"))?,
        subject: subject.map_err(|error| corrupt(&error.to_string()))?,
        audience: audience.ok_or_else(|| corrupt("no audience"))?,
        actor: actor.ok_or_else(|| corrupt("no actor"))?,
        label: row.label.take(),
        last_used_at: row.last_used_at,
    })))
}

fn corrupt(why: &str) -> StoreError {
    StoreError::Corrupt { table: "mapae_session", why: why.to_owned() }
}
