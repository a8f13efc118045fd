//! Reading the row that a unique key names.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult as _, QueryTrait as _, Select};

/// The row, if it is there. The ORM's `one` would bind its `LIMIT 1` as a parameter, and SQLite compiles a statement with
/// a bound limit anew at every execution, which costs more than the look-up itself. Its `all` is told of the row and, by
/// another turn of threads each, that there is no second one and that this is the end.
pub(super) async fn by_key<E: EntityTrait, C: ConnectionTrait>(
    select: Select<E>,
    db: &C,
) -> Result<Option<E::Model>, DbErr> {
    let row = db.query_one_raw(select.build(db.get_database_backend())).await?;
    row.map(|row| E::Model::from_query_result(&row, "")).transpose()
}
