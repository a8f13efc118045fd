//! Accounts of another application's table, a page at a time.

use sea_orm::sea_query::{BinOper, Expr, Func, LikeExpr};
use sea_orm::{ConnectionTrait, ExprTrait, Order};

use super::mapped_table::Theirs;
use super::mapped_users::{select, to_user};
use super::{MappedUser, Store, StoreError};
use crate::domain::user_mapping::FullNameColumns;
use crate::domain::{UserId, UserMapping};

impl Store {
    /// Up to `limit` accounts after `after`, ordered by key, whose name, address or full name contains `search`; and
    /// where the next page begins, if there is one.
    ///
    /// Letter case makes no difference as far as the database folds it: SQLite does so with ASCII alone. What is no key
    /// there comes after all others.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn list_mapped(
        &self,
        mapping: &UserMapping,
        search: Option<&str>,
        after: Option<&UserId>,
        limit: u64,
    ) -> Result<(Vec<MappedUser>, Option<UserId>), StoreError> {
        let theirs = self.theirs(mapping).await?;
        let mut query = select(theirs);
        query.order_by_expr(theirs.column(&mapping.id), Order::Asc).limit(limit + 1);
        if let Some(after) = after {
            let Some(is_after) = theirs.is_after(after.as_str()) else { return Ok((Vec::new(), None)) };
            query.and_where(is_after);
        }
        if let Some(search) = search {
            // PostgreSQL takes no text with a NUL; no account has one.
            let found = contains(theirs, search).filter(|_| !search.contains('\0'));
            let Some(found) = found else { return Ok((Vec::new(), None)) };
            query.and_where(found);
        }
        let mut rows = self.0.read.query_all(&query).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let users = rows.iter().map(|row| to_user(mapping, row)).collect::<Result<Vec<_>, _>>()?;
        let next = if more { users.last().map(|user| user.id.clone()) } else { None };
        Ok((users, next))
    }
}

/// The condition that a name, address or full name contains this; `None` if there are no such columns.
fn contains(theirs: Theirs<'_>, search: &str) -> Option<Expr> {
    let mapping = theirs.mapping;
    let mut texts: Vec<Expr> =
        [&mapping.username, &mapping.email].into_iter().flatten().map(|column| theirs.text(column)).collect();
    texts.extend(mapping.full_name.as_ref().map(|names| match names {
        FullNameColumns::One(name) => theirs.text(name),
        FullNameColumns::Two(first, last) => {
            let or_empty = |column| Expr::expr(Func::coalesce([theirs.text(column), Expr::val("")]));
            let joined = |one: Expr, other: Expr| one.binary(BinOper::Custom("||"), other);
            joined(joined(or_empty(first), Expr::val(" ")), or_empty(last))
        }
    }));
    let escaped = search.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let pattern = format!("%{escaped}%");
    let found = |text| Expr::expr(Func::lower(text)).like(LikeExpr::new(pattern.as_str()).escape('\\'));
    texts.into_iter().map(found).reduce(|one, other| one.or(other))
}
