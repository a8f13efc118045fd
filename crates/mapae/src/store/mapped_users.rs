//! Accounts of another application's table: finding them, together with what is ours about them. Names of tables and
//! columns come from settings, and go through the query builder, which quotes them.

use mapae_password::HashText;
use mapae_verify::{DeclaredScope as _, Scopes};
use sea_orm::sea_query::{Alias, Expr, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, ExprTrait, Order, QueryFilter, QueryResult};

use super::engine::Turn;
use super::entity::shared_account;
use super::mapped_table::Theirs;
use super::{Store, StoreError, Tx};
use crate::domain::scope::Admin;
use crate::domain::user_mapping::FullNameColumns;
use crate::domain::{UserId, UserMapping};

/// An account of another application's table.
#[derive(Clone, Debug)]
pub struct MappedUser {
    /// Its key there.
    pub id: UserId,
    /// The name for signing in.
    pub username: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// Whether the account may sign in.
    pub is_active: bool,
    /// The stored hash.
    pub hash: HashText,
    /// The fingerprint that was noted of the hash, if one was.
    pub fingerprint: Option<Vec<u8>>,
    /// The scopes that were granted here; `None` for the default ones.
    pub scopes: Option<Scopes>,
}

impl Store {
    /// The account with this key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn mapped_by_id(&self, mapping: &UserMapping, id: &UserId) -> Result<Option<MappedUser>, StoreError> {
        by_id(&self.0.read, self.theirs(mapping).await?, id).await
    }

    /// The account whose name, or address where people sign in with it, is exactly this.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn mapped_by_login(&self, mapping: &UserMapping, login: &str) -> Result<Option<MappedUser>, StoreError> {
        let columns = [mapping.username.as_ref(), mapping.email.as_ref().filter(|_| mapping.email_sign_in)];
        // SQLite ends a text at a NUL when it compares with some functions: no name holds one.
        if login.is_empty() || login.contains('\0') {
            return Ok(None);
        }
        let theirs = self.theirs(mapping).await?;
        for column in columns.into_iter().flatten() {
            let is_login = theirs.column(column).eq(theirs.value(column, login));
            let query = select(theirs).and_where(is_login).limit(2).take();
            let mut rows = self.0.read.query_all(&query).await?;
            match rows.len() {
                0 => {}
                1 => return rows.pop().map(|row| to_user(mapping, &row)).transpose(),
                _ => {
                    tracing::error!(column, "several accounts have this name, which is nobody's therefore");
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// The hashes of the `limit` oldest and the `limit` newest accounts (by key), for what checking them costs.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sample_mapped_hashes(&self, mapping: &UserMapping, limit: u64) -> Result<Vec<HashText>, StoreError> {
        let theirs = self.theirs(mapping).await?;
        let mut hashes = Vec::new();
        for order in [Order::Asc, Order::Desc] {
            let query = Query::select()
                .expr_as(theirs.text(&mapping.password), "password")
                .from(Alias::new(&mapping.table))
                .order_by_expr(theirs.column(&mapping.id), order)
                .limit(limit)
                .take();
            for row in self.0.read.query_all(&query).await? {
                hashes.extend(row.try_get::<Option<String>>("", "password")?.map(HashText::new));
            }
        }
        Ok(hashes)
    }

    /// Whether an active account was granted `mapae:admin`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn has_mapped_administrator(&self, mapping: &UserMapping) -> Result<bool, StoreError> {
        // In the words of the index of them, and with no parameter.
        let maybe = shared_account::Entity::find().filter(Expr::cust("scopes LIKE '%mapae:admin%'"));
        let rows = maybe.all(&self.0.read).await?;
        for row in rows {
            let Some(id) = UserId::new(row.user_id) else { continue };
            let found = self.mapped_by_id(mapping, &id).await?;
            if found
                .is_some_and(|user| user.is_active && user.scopes.is_some_and(|scopes| scopes.contains(Admin::NAME)))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Tx {
    /// Lets no other node decide on these accounts until this transaction ends, and takes care that two transactions that
    /// come to do so later need not wait for each other.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn lock_mapped(&self, ids: &[&UserId]) -> Result<(), StoreError> {
        let mut ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        ids.sort_unstable();
        for id in ids {
            self.take_turn(Turn::Account(id)).await?;
        }
        Ok(())
    }

    /// The account with this key, on which no other node decides until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn mapped_user(&self, mapping: &UserMapping, id: &UserId) -> Result<Option<MappedUser>, StoreError> {
        self.take_turn(Turn::Account(id.as_str())).await?;
        by_id(&self.inner, self.store.theirs(mapping).await?, id).await
    }
}

async fn by_id<C: ConnectionTrait>(db: &C, theirs: Theirs<'_>, id: &UserId) -> Result<Option<MappedUser>, StoreError> {
    let Some(is_id) = theirs.is_id(id) else { return Ok(None) };
    let row = db.query_one(&select(theirs).and_where(is_id).take()).await?;
    let user = row.map(|row| to_user(theirs.mapping, &row)).transpose()?;
    // A column may compare by rules of its own, but an id is exactly the one that a token names.
    Ok(user.filter(|user| user.id == *id))
}

/// Accounts, together with what is ours about them.
pub(super) fn select(theirs: Theirs<'_>) -> SelectStatement {
    use shared_account::{Column, Entity};
    let mut query = select_theirs(theirs);
    let key = theirs.text(&theirs.mapping.id);
    query
        .join(JoinType::LeftJoin, Entity, Expr::col((Entity, Column::UserId)).eq(key))
        .expr_as(Expr::col((Entity, Column::Fingerprint)), "fingerprint")
        .expr_as(Expr::col((Entity, Column::Scopes)), "scopes");
    query
}

/// Accounts, with nothing of ours.
pub(super) fn select_theirs(theirs: Theirs<'_>) -> SelectStatement {
    let mapping = theirs.mapping;
    let mut query = Query::select();
    query
        .from(Alias::new(&mapping.table))
        .expr_as(theirs.text(&mapping.id), "id")
        .expr_as(theirs.text(&mapping.password), "password");
    let mut texts = vec![("username", mapping.username.as_ref()), ("email", mapping.email.as_ref())];
    match &mapping.full_name {
        Some(FullNameColumns::One(name)) => texts.push(("first", Some(name))),
        Some(FullNameColumns::Two(first, last)) => texts.extend([("first", Some(first)), ("last", Some(last))]),
        None => {}
    }
    for (name, column) in texts {
        if let Some(column) = column {
            query.expr_as(theirs.text(column), name);
        }
    }
    if let Some(active) = &mapping.active {
        query.expr_as(theirs.column(active.name()).cast_as("INTEGER"), "active");
    }
    query
}

/// What a row of [`select_theirs`] says.
pub(super) struct TheirRow {
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) is_active: bool,
    pub(super) hash: HashText,
}

impl TheirRow {
    pub(super) fn read(mapping: &UserMapping, row: &QueryResult) -> Result<Self, DbErr> {
        let optional = |there: bool, name: &str| -> Result<Option<String>, DbErr> {
            let value = if there { row.try_get::<Option<String>>("", name)? } else { None };
            Ok(value.filter(|text| !text.is_empty()))
        };
        let names = match mapping.full_name {
            None => Vec::new(),
            Some(FullNameColumns::One(_)) => vec![optional(true, "first")?],
            Some(FullNameColumns::Two(..)) => vec![optional(true, "first")?, optional(true, "last")?],
        };
        let names: Vec<String> = names.into_iter().flatten().collect();
        let is_active = match &mapping.active {
            Some(active) => active.is_active(row.try_get::<Option<i32>>("", "active")?.map(|value| value != 0)),
            None => true,
        };
        Ok(Self {
            username: optional(mapping.username.is_some(), "username")?,
            email: optional(mapping.email.is_some(), "email")?,
            full_name: (!names.is_empty()).then(|| names.join(" ")),
            is_active,
            hash: HashText::new(row.try_get::<Option<String>>("", "password")?.unwrap_or_default()),
        })
    }
}

pub(super) fn to_user(mapping: &UserMapping, row: &QueryResult) -> Result<MappedUser, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { table: "the other application's user table", why };
    let id = row.try_get::<Option<String>>("", "id")?.and_then(UserId::new);
    let scopes = row.try_get::<Option<String>>("", "scopes")?.map(|scopes| Scopes::parse(&scopes)).transpose();
    let TheirRow { username, email, full_name, is_active, hash } = TheirRow::read(mapping, row)?;
    Ok(MappedUser {
        id: id.ok_or_else(|| corrupt("an id is empty, too long, or holds `:`".to_owned()))?,
        username,
        email,
        full_name,
        is_active,
        hash,
        fingerprint: row.try_get("", "fingerprint")?,
        scopes: scopes.map_err(|error| corrupt(error.to_string()))?,
    })
}
