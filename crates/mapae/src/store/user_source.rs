//! The user table of another application in a database of its own: read a page at a time, and never written.

use mapae_password::HashText;
use sea_orm::sea_query::{Alias, Expr, Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, ExprTrait, Order, QueryResult};

use super::engine::Engine;
use super::mapped_table::{ColumnTypes, Theirs};
use super::mapped_users::{TheirRow, select_theirs};
use super::open::engine_of;
use super::{DatabaseOptions, OpenError, Store, StoreError, TableShape};
use crate::domain::UserMapping;
use crate::domain::user_mapping::IdType;

/// One connection that only reads.
pub struct UserSource {
    engine: Engine,
    db: DatabaseConnection,
    mapping: UserMapping,
    created_at: Option<String>,
    shape: TableShape,
    types: ColumnTypes,
}

/// A row.
pub struct SourceUser {
    /// Its key there, as text.
    pub id: String,
    /// The rest; an error if a value is not what its column should hold.
    pub account: Result<SourceAccount, StoreError>,
}

/// What a row says.
pub struct SourceAccount {
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
    /// When it was made, as the database writes it.
    pub created_at: Option<String>,
}

impl std::fmt::Debug for UserSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserSource").field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

impl UserSource {
    /// Connects, and looks at the table. `created_at` is the column of the time at which an account was made. What keys
    /// are is taken from the database, whatever the mapping says.
    ///
    /// # Errors
    /// [`OpenError`] if there is no such database. That there is no such table is for [`Self::shape`] to say.
    pub async fn open(
        options: impl Into<DatabaseOptions>,
        mapping: UserMapping,
        created_at: Option<String>,
    ) -> Result<Self, OpenError> {
        let options = options.into();
        let engine = engine_of(&options)?;
        let db = engine.connect_to_read(&options).await?;
        let shape = match engine.table_shape(&mapping.table, &db).await {
            Ok(shape) => shape,
            // Here a file shows that it is no database.
            Err(source) => return Err(OpenError::Connect { url: options.shown(), source }),
        };
        let types = engine.column_types(&shape);
        let is_integer = shape.column(&mapping.id).is_some_and(|id| id.is_integer());
        let id_type = if is_integer { IdType::Integer } else { IdType::Text };
        let mapping = UserMapping { id_type, read_only: true, ..mapping };
        Ok(Self { engine, db, mapping, created_at, shape, types })
    }

    /// The table and its columns, as they are read.
    pub const fn mapping(&self) -> &UserMapping {
        &self.mapping
    }

    /// The column of the time at which an account was made.
    pub fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }

    /// How the database describes the table; without columns if there is none.
    pub const fn shape(&self) -> &TableShape {
        &self.shape
    }

    /// How many rows there are, and how many of them have no key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn count(&self) -> Result<(u64, u64), StoreError> {
        let keys = Func::count(self.theirs().column(&self.mapping.id));
        let query = Query::select()
            .expr_as(Expr::cust("COUNT(*)"), "rows")
            .expr_as(Expr::expr(keys), "keys")
            .from(Alias::new(&self.mapping.table))
            .take();
        let Some(row) = self.db.query_one(&query).await? else { return Ok((0, 0)) };
        let number = |name| -> Result<u64, DbErr> { Ok(u64::try_from(row.try_get::<i64>("", name)?).unwrap_or(0)) };
        let (rows, keys) = (number("rows")?, number("keys")?);
        Ok((rows, rows.saturating_sub(keys)))
    }

    /// Up to `limit` rows in the order of their keys, after the key `after`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn page(&self, after: Option<&str>, limit: u64) -> Result<Vec<SourceUser>, StoreError> {
        let theirs = self.theirs();
        let mut query = select_theirs(theirs);
        query.order_by_expr(theirs.column(&self.mapping.id), Order::Asc).limit(limit);
        match after {
            None => query.and_where(theirs.column(&self.mapping.id).is_not_null()),
            Some(after) => match theirs.is_after(after) {
                Some(is_after) => query.and_where(is_after),
                None => return Ok(Vec::new()),
            },
        };
        if let Some(created_at) = &self.created_at {
            query.expr_as(theirs.text(created_at), "created_at");
        }
        let rows = self.db.query_all(&query).await?;
        let user = |row: &QueryResult| {
            Ok(SourceUser { id: row.try_get("", "id")?, account: self.account(row).map_err(StoreError::from) })
        };
        rows.iter().map(user).collect()
    }

    fn account(&self, row: &QueryResult) -> Result<SourceAccount, DbErr> {
        let TheirRow { username, email, full_name, is_active, hash } = TheirRow::read(&self.mapping, row)?;
        let created_at = match &self.created_at {
            Some(_) => row.try_get("", "created_at")?,
            None => None,
        };
        Ok(SourceAccount { username, email, full_name, is_active, hash, created_at })
    }

    /// Closes the connection.
    pub async fn close(self) {
        if let Err(error) = self.db.close().await {
            tracing::warn!(%error, "a database connection did not close cleanly");
        }
    }

    fn theirs(&self) -> Theirs<'_> {
        Theirs::new(&self.mapping, &self.types)
    }
}

impl Store {
    /// Whether this table is in our own database.
    ///
    /// # Errors
    /// [`StoreError`] if a database fails.
    pub async fn holds(&self, source: &UserSource) -> Result<bool, StoreError> {
        let engine = self.0.connections.engine;
        if engine != source.engine {
            return Ok(false);
        }
        Ok(engine.identity(&self.0.read).await? == engine.identity(&source.db).await?)
    }
}
