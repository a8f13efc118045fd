//! Reading the row that a unique key names.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Select};

/// The row, if it is there. The ORM's `one` would bind its `LIMIT 1` as a parameter, and SQLite compiles a statement with
/// a bound limit anew at every execution, which costs more than the look-up itself.
pub(super) async fn by_key<E: EntityTrait, C: ConnectionTrait>(
    select: Select<E>,
    db: &C,
) -> Result<Option<E::Model>, DbErr> {
    Ok(select.all(db).await?.pop())
}
