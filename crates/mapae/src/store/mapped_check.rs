//! What another application's user table looks like, for checking a mapping against it.

use mapae_password::HashText;
use sea_orm::sea_query::{Alias, Expr, Func, Order, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::user;
use super::{Store, StoreError};
use crate::domain::UserMapping;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// The type that it was declared with.
    pub declared_type: String,
    /// Whether it must hold something.
    pub not_null: bool,
    /// Whether the database fills it by itself.
    pub has_default: bool,
}

/// A table as the database describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableShape {
    /// Its columns; none if there is no such table.
    pub columns: Vec<TableColumn>,
    /// The columns that a unique index covers alone.
    pub unique: Vec<String>,
}

impl TableColumn {
    /// Whether it holds whole numbers.
    pub fn is_integer(&self) -> bool {
        self.declared_type.to_ascii_uppercase().contains("INT")
    }
}

impl TableShape {
    /// The column of this name, in whatever letter case.
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Whether a unique index covers this column alone.
    pub fn is_unique(&self, name: &str) -> bool {
        self.unique.iter().any(|unique| unique.eq_ignore_ascii_case(name))
    }
}

impl Store {
    /// How the database describes this table; without columns if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn table_shape(&self, table: &str) -> Result<TableShape, StoreError> {
        Ok(self.0.connections.engine.table_shape(table, &self.0.read).await?)
    }

    /// How many texts in this column several rows have.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn count_mapped_duplicates(&self, mapping: &UserMapping, column: &str) -> Result<u64, StoreError> {
        let theirs = self.theirs(mapping).await?;
        let several = Query::select()
            .expr_as(theirs.column(column), "several")
            .from(Alias::new(&mapping.table))
            .and_where(theirs.column(column).ne(theirs.value(column, "")))
            .add_group_by([theirs.column(column)])
            .and_having(Expr::expr(Func::count(theirs.column(column))).gt(1))
            .take();
        let query = Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(several, "found").take();
        let row = self.0.read.query_one(&query).await?;
        let count: i64 = row.map(|row| row.try_get("", "count")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Up to `limit` stored hashes in the order of their accounts' ids, after that of `after`; with those ids.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn hashes_after(
        &self,
        mapping: Option<&UserMapping>,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<(String, HashText)>, StoreError> {
        let Some(mapping) = mapping else {
            let mut query = user::Entity::find().select_only().columns([user::Column::Id, user::Column::PasswordHash]);
            if let Some(after) = after {
                query = query.filter(user::Column::Id.gt(after));
            }
            let rows: Vec<(String, String)> =
                query.order_by_asc(user::Column::Id).limit(limit).into_tuple().all(&self.0.read).await?;
            return Ok(rows.into_iter().map(|(id, hash)| (id, HashText::new(hash))).collect());
        };
        let theirs = self.theirs(mapping).await?;
        let mut query = Query::select();
        query
            .expr_as(theirs.text(&mapping.id), "id")
            .expr_as(theirs.text(&mapping.password), "password")
            .from(Alias::new(&mapping.table))
            .order_by_expr(theirs.column(&mapping.id), Order::Asc)
            .limit(limit);
        if let Some(after) = after {
            let Some(is_after) = theirs.is_after(after) else { return Ok(Vec::new()) };
            query.and_where(is_after);
        }
        let rows = self.0.read.query_all(&query).await?;
        let mut hashes = Vec::with_capacity(rows.len());
        for row in rows {
            let hash: Option<String> = row.try_get("", "password")?;
            hashes.push((row.try_get("", "id")?, HashText::new(hash.unwrap_or_default())));
        }
        Ok(hashes)
    }
}
