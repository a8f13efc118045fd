//! Changes in another application's table, together with what is ours about its accounts. Both are in one database, so
//! both happen or neither.

use mapae_password::HashText;
use mapae_verify::Scopes;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Alias, DynIden, Expr, IntoIden, OnConflict, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, ExprTrait, SqlErr};

use super::entity::shared_account::{ActiveModel, Column, Entity};
use super::mapped_table::Theirs;
use super::{StoreError, Tx};
use crate::domain::audit::Actor;
use crate::domain::user_mapping::{Filling, FullNameColumns, IdType};
use crate::domain::{EmailAddress, UserId, UserMapping, UserName};

/// What a row is made from: checked, the password hashed.
#[derive(Clone, Debug)]
pub struct NewMappedUser {
    /// The name for signing in.
    pub username: Option<UserName>,
    /// The address.
    pub email: Option<EmailAddress>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// The hash to store.
    pub hash: HashText,
    /// A new key, where the database gives out none.
    pub id: uuid::Uuid,
    /// Random values for columns that want one; enough for all of them.
    pub random: [u8; 16],
}

impl Tx {
    /// Makes an active account; its key.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] or [`StoreError::EmailTaken`] if another account has the name or address, in
    /// canonical form or by a rule of theirs.
    pub async fn insert_mapped_user(&self, mapping: &UserMapping, new: NewMappedUser) -> Result<UserId, StoreError> {
        self.mapped_names_are_free(mapping, new.username.as_ref(), new.email.as_ref()).await?;
        let values = self.values(self.store.theirs(mapping).await?, &new);
        let (columns, values): (Vec<DynIden>, Vec<Expr>) =
            values.into_iter().map(|(column, value)| (Alias::new(column).into_iden(), value)).unzip();
        let key = Expr::col(Alias::new(&mapping.id)).cast_as("TEXT");
        let mut query = Query::insert();
        query.into_table(Alias::new(&mapping.table)).columns(columns).values_panic(values);
        query.returning(Query::returning().expr(key));
        let row = self.inner.query_one(&query).await.map_err(|error| taken(mapping, error))?;
        let id: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        id.and_then(UserId::new).ok_or_else(|| StoreError::Corrupt {
            table: "the other application's user table",
            why: "a new row has no key that could be an account's id".to_owned(),
        })
    }

    /// The values of a new row, each column once: those of the account before those that fill.
    fn values(&self, theirs: Theirs<'_>, new: &NewMappedUser) -> Vec<(String, Expr)> {
        let mapping = theirs.mapping;
        let text = |column: &String, text: &str| (column.clone(), theirs.value(column, text));
        let mut values: Vec<(String, Expr)> = vec![text(&mapping.password, new.hash.as_str())];
        match mapping.id_type {
            IdType::Integer => {}
            IdType::Text => values.push(text(&mapping.id, &new.id.to_string())),
            IdType::HexUuid => values.push(text(&mapping.id, &new.id.simple().to_string())),
        }
        let texts = [
            (&mapping.username, new.username.as_ref().map(|name| name.display().to_owned())),
            (&mapping.email, new.email.as_ref().map(|email| email.as_given().to_owned())),
        ];
        values.extend(texts.into_iter().filter_map(|(column, name)| Some(text(column.as_ref()?, &name?))));
        match (&mapping.full_name, &new.full_name) {
            (Some(FullNameColumns::One(column)), Some(name)) => values.push(text(column, name)),
            (Some(FullNameColumns::Two(first, last)), Some(name)) => {
                let (one, two) = name.rsplit_once(' ').unwrap_or((name, ""));
                values.push(text(first, one));
                values.push(text(last, two));
            }
            (_, None) | (None, _) => {}
        }
        values.extend(mapping.active.as_ref().map(|active| {
            let column = active.name();
            (column.to_owned(), theirs.truth(column, active.value(true)))
        }));
        let random = hex::encode(new.random);
        values.extend(mapping.uniquifier.as_ref().map(|column| text(column, &random)));
        for (column, filling) in &mapping.insert {
            if values.iter().all(|(there, _)| there != column) {
                let value: Expr = match filling {
                    Filling::False => theirs.truth(column, false),
                    Filling::True => theirs.truth(column, true),
                    Filling::Empty => theirs.value(column, ""),
                    Filling::Now => theirs.time(column, self.now()),
                    Filling::RandomHex => theirs.value(column, &random),
                };
                values.push((column.clone(), value));
            }
        }
        values
    }

    /// Replaces the hash where `old` is still stored; whether it was. `random` goes into the column that must change
    /// with the password; `None` for the same password in another hash.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_mapped_hash(
        &self,
        mapping: &UserMapping,
        id: &UserId,
        old: &HashText,
        new: &HashText,
        random: Option<[u8; 16]>,
    ) -> Result<bool, StoreError> {
        let (theirs, password) = (self.store.theirs(mapping).await?, &mapping.password);
        let mut query = Query::update();
        query.value(Alias::new(password), theirs.value(password, new.as_str()));
        if let (Some(uniquifier), Some(random)) = (&mapping.uniquifier, random) {
            query.value(Alias::new(uniquifier), theirs.value(uniquifier, &hex::encode(random)));
        }
        query.and_where(theirs.column(password).eq(theirs.value(password, old.as_str())));
        self.update_mapped(theirs, id, query).await
    }

    /// Disables or enables an account; `false` if there is no such account, or nothing that says so.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_mapped_active(
        &self,
        mapping: &UserMapping,
        id: &UserId,
        active: bool,
    ) -> Result<bool, StoreError> {
        let Some(column) = &mapping.active else { return Ok(false) };
        let theirs = self.store.theirs(mapping).await?;
        let mut query = Query::update();
        query.value(Alias::new(column.name()), theirs.truth(column.name(), column.value(active)));
        self.update_mapped(theirs, id, query).await
    }

    async fn update_mapped(
        &self,
        theirs: Theirs<'_>,
        id: &UserId,
        mut query: UpdateStatement,
    ) -> Result<bool, StoreError> {
        let Some(is_id) = theirs.is_id(id) else { return Ok(false) };
        query.table(Alias::new(&theirs.mapping.table)).and_where(is_id);
        Ok(self.inner.execute(&query).await?.rows_affected() == 1)
    }

    /// Notes the fingerprint of the hash under which the account's sessions go on.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn note_fingerprint(&mut self, id: &UserId, fingerprint: Vec<u8>) -> Result<(), StoreError> {
        let row = ActiveModel { fingerprint: Set(Some(fingerprint)), ..Default::default() };
        self.note(id, row, Column::Fingerprint).await
    }

    /// Grants exactly these scopes to an account of another application's table; `None` for the default ones.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_shared_scopes(
        &mut self,
        id: &UserId,
        scopes: Option<&Scopes>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let row = ActiveModel { scopes: Set(scopes.map(ToString::to_string)), ..Default::default() };
        self.note(id, row, Column::Scopes).await?;
        match scopes {
            Some(scopes) => self.end_minted_beyond(id, scopes, by).await,
            // The default ones: what goes beyond them is refused as it is used.
            None => Ok(()),
        }
    }

    async fn note(&mut self, id: &UserId, row: ActiveModel, column: Column) -> Result<(), StoreError> {
        let row = ActiveModel { user_id: Set(id.to_string()), updated_at: Set(self.now()), ..row };
        let known = OnConflict::column(Column::UserId).update_columns([column, Column::UpdatedAt]).to_owned();
        Entity::insert(row).on_conflict(known).exec_without_returning(&self.inner).await?;
        Ok(())
    }
}

/// A unique violation of theirs, by the name of its column or index.
fn taken(mapping: &UserMapping, error: DbErr) -> StoreError {
    let violated = match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => what,
        _ => return error.into(),
    };
    let is = |column: &Option<String>| column.as_deref().is_some_and(|column| violated.contains(column));
    match () {
        () if is(&mapping.username) => StoreError::UsernameTaken,
        () if is(&mapping.email) => StoreError::EmailTaken,
        () => StoreError::Database(error),
    }
}
