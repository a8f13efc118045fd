//! What ended before its access tokens expired.

use std::collections::HashSet;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::engine::Turn;
use super::entity::revocation::{self, Column, Entity};
use super::{Change, Store, StoreError, Tx};

/// How long past its `exp` a token may still be accepted somewhere: the most leeway that can be set.
pub(super) const MOST_LEEWAY: TimeDelta = TimeDelta::seconds(300);

/// What a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedKind {
    /// A session (`sid`).
    Session,
    /// One token (`jti`).
    Token,
    /// Tokens of a subject issued before some time.
    Subject,
    /// A signing key (`kid`).
    Key,
}

impl RevokedKind {
    const ALL: [Self; 4] = [Self::Session, Self::Token, Self::Subject, Self::Key];

    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "sid",
            Self::Token => "jti",
            Self::Subject => "sub",
            Self::Key => "kid",
        }
    }
}

impl FromStr for RevokedKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// Something revoked, of which access tokens may still be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Rises with every revocation.
    pub seq: i64,
    /// What `value` is.
    pub kind: RevokedKind,
    /// The session, token, subject or key.
    pub value: String,
    /// For a subject: tokens issued before this time.
    pub before: Option<DateTime<Utc>>,
}

/// A revocation to be noted.
#[derive(Clone, Debug)]
pub struct NewRevocation {
    kind: RevokedKind,
    value: String,
    before: Option<DateTime<Utc>>,
    tokens_expire_at: DateTime<Utc>,
}

impl NewRevocation {
    /// A session whose last access token expires then.
    pub fn session(id: &str, tokens_expire_at: DateTime<Utc>) -> Self {
        Self { kind: RevokedKind::Session, value: id.to_owned(), before: None, tokens_expire_at }
    }

    /// One token.
    pub fn token(jti: &str, tokens_expire_at: DateTime<Utc>) -> Self {
        Self { kind: RevokedKind::Token, value: jti.to_owned(), before: None, tokens_expire_at }
    }

    /// Every token of a subject that was issued before some time.
    pub fn subject(subject: &str, before: DateTime<Utc>, tokens_expire_at: DateTime<Utc>) -> Self {
        Self { kind: RevokedKind::Subject, value: subject.to_owned(), before: Some(before), tokens_expire_at }
    }

    /// Every token of a signing key.
    pub fn key(kid: &str, tokens_expire_at: DateTime<Utc>) -> Self {
        Self { kind: RevokedKind::Key, value: kid.to_owned(), before: None, tokens_expire_at }
    }
}

impl Store {
    /// What is revoked and not yet expired, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        let live = Entity::find().filter(Column::ExpiresAt.gt(self.now())).order_by_asc(Column::Seq);
        live.all(&self.0.read).await?.into_iter().map(to_revocation).collect()
    }

    /// The number of the newest revocation; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn newest_revocation(&self) -> Result<i64, StoreError> {
        newest(&self.0.read).await
    }

    /// Whether this one token was revoked, from memory while this process can see every change, else from the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database had to be asked and failed.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        if self.sees_changes() {
            return Ok(self.is_known_as_revoked(jti));
        }
        // In a box: what is hardly ever done is not to make the future of every request bigger.
        Box::pin(token(jti, &self.0.read)).await
    }

    /// Whether this one token was revoked. Only for who was just given a [`seen_epoch`](Self::seen_epoch): nothing else says
    /// that memory knows.
    pub(crate) fn is_known_as_revoked(&self, jti: &str) -> bool {
        self.0.cache.is_token_revoked(jti)
    }

    /// Reads into memory which tokens are revoked, by way of `db`.
    pub(super) async fn load_revoked_tokens<C: ConnectionTrait>(&self, db: &C) -> Result<(), StoreError> {
        let epoch = self.0.cache.epoch();
        let jtis: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Value)
            .filter(Column::Kind.eq(RevokedKind::Token.as_str()))
            .into_tuple()
            .all(db)
            .await?;
        self.0.cache.set_revoked_tokens(epoch, jtis.into_iter().collect::<HashSet<_>>());
        Ok(())
    }
}

impl Tx {
    /// Notes revocations, except of what has no token left to revoke. They are written as the transaction commits.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revoke(&mut self, mut revoked: Vec<NewRevocation>) -> Result<(), StoreError> {
        let now = self.now();
        revoked.retain(|one| now < one.tokens_expire_at + MOST_LEEWAY);
        let tokens = revoked.iter().filter(|one| one.kind == RevokedKind::Token);
        let changes = tokens.map(|one| Change::Token(one.value.clone())).collect();
        self.revoked.extend(revoked);
        self.changed_all(changes).await
    }

    /// Writes the revocations. Their numbers must become visible in order: whoever has seen one has seen all before it.
    pub(super) async fn write_revocations(&mut self) -> Result<(), StoreError> {
        let revoked = std::mem::take(&mut self.revoked);
        if revoked.is_empty() {
            return Ok(());
        }
        self.take_turn(Turn::Revocations).await?;
        // Past the time itself, which a feed without news may have for a number.
        let first = newest(&self.inner).await?.max(self.now().timestamp_millis()) + 1;
        // Statements have a limited number of parameters.
        for (some, first) in revoked.chunks(1_000).zip((first..).step_by(1_000)) {
            let rows = some.iter().zip(first..).map(|(one, seq)| revocation::ActiveModel {
                seq: Set(seq),
                kind: Set(one.kind.as_str().to_owned()),
                value: Set(one.value.clone()),
                before: Set(one.before),
                expires_at: Set(one.tokens_expire_at + MOST_LEEWAY),
            });
            Entity::insert_many(rows).exec_without_returning(&self.inner).await?;
        }
        Ok(())
    }

    /// Whether this one token was revoked, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        token(jti, &self.inner).await
    }

    /// How many tokens are revoked one by one and have not expired.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revoked_tokens(&self) -> Result<u64, StoreError> {
        let live = Entity::find().filter(Column::ExpiresAt.gt(self.now()));
        Ok(live.filter(Column::Kind.eq(RevokedKind::Token.as_str())).count(&self.inner).await?)
    }
}

async fn token<C: ConnectionTrait>(jti: &str, db: &C) -> Result<bool, StoreError> {
    let found = Entity::find().filter(Column::Value.eq(jti)).filter(Column::Kind.eq(RevokedKind::Token.as_str()));
    Ok(found.one(db).await?.is_some())
}

async fn newest<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let newest: Option<Option<i64>> =
        Entity::find().select_only().column_as(Column::Seq.max(), "newest").into_tuple().one(db).await?;
    Ok(newest.flatten().unwrap_or(0))
}

pub(super) fn to_revocation(row: revocation::Model) -> Result<Revocation, StoreError> {
    let kind = RevokedKind::from_str(&row.kind)
        .map_err(|()| StoreError::Corrupt { table: "mapae_revocation", why: format!("unknown kind {}", row.kind) })?;
    Ok(Revocation { seq: row.seq, kind, value: row.value, before: row.before })
}
