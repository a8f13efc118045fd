//! Whether a new account's name is free in another application's table, which compares names after rules of its own.

use sea_orm::sea_query::{Alias, Expr, Func, Query};
use sea_orm::{ConnectionTrait, ExprTrait};

use super::engine::Turn;
use super::mapped_table::Theirs;
use super::{Store, StoreError, Tx};
use crate::domain::user::folded;
use crate::domain::{EmailAddress, UserMapping, UserName};

impl Store {
    /// Refuses a name or address that is another's in canonical form. Looks at the whole table.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] or [`StoreError::EmailTaken`].
    pub async fn mapped_names_are_free(
        &self,
        mapping: &UserMapping,
        username: Option<&UserName>,
        email: Option<&EmailAddress>,
    ) -> Result<(), StoreError> {
        are_free(&self.0.read, self.theirs(mapping).await?, username, email).await
    }
}

impl Tx {
    /// As [`Store::mapped_names_are_free`], while no other node looks for the same reason.
    pub(super) async fn mapped_names_are_free(
        &self,
        mapping: &UserMapping,
        username: Option<&UserName>,
        email: Option<&EmailAddress>,
    ) -> Result<(), StoreError> {
        self.take_turn(Turn::Names).await?;
        are_free(&self.inner, self.store.theirs(mapping).await?, username, email).await
    }
}

async fn are_free<C: ConnectionTrait>(
    db: &C,
    theirs: Theirs<'_>,
    username: Option<&UserName>,
    email: Option<&EmailAddress>,
) -> Result<(), StoreError> {
    let mapping = theirs.mapping;
    if let (Some(column), Some(name)) = (&mapping.username, username) {
        let canonical = |text: &str| UserName::parse(text).ok().map(|name| name.canonical().to_owned());
        if is_taken(db, theirs, column, name.canonical(), canonical).await? {
            return Err(StoreError::UsernameTaken);
        }
    }
    if let (Some(column), Some(email)) = (&mapping.email, email) {
        let canonical = |text: &str| EmailAddress::parse(text).ok().map(|email| email.canonical().to_owned());
        if is_taken(db, theirs, column, email.canonical(), canonical).await? {
            return Err(StoreError::EmailTaken);
        }
    }
    Ok(())
}

/// The database finds equal texts of ASCII, whose canonical form is their lower case, and hands out all others.
async fn is_taken<C: ConnectionTrait>(
    db: &C,
    theirs: Theirs<'_>,
    column: &str,
    wanted: &str,
    canonical: impl Fn(&str) -> Option<String>,
) -> Result<bool, StoreError> {
    let length = |function: &'static str| Expr::expr(Func::cust(function).arg(theirs.text(column)));
    let query = Query::select()
        .expr_as(theirs.text(column), "name")
        .from(Alias::new(&theirs.mapping.table))
        .and_where(
            Expr::expr(Func::lower(theirs.text(column))).eq(wanted).or(length("octet_length").ne(length("length"))),
        )
        .take();
    for row in db.query_all(&query).await? {
        let name: String = row.try_get("", "name")?;
        if canonical(&name).unwrap_or_else(|| folded(&name)) == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}
