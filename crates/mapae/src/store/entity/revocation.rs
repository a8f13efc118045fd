//! `mapae_revocation`: what ended before its access tokens expired, until they would have.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_revocation")]
pub struct Model {
    /// Rises with every row, also past rows that are gone: milliseconds since 1970 where there is no greater one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub kind: String,
    pub value: String,
    /// For a subject: tokens issued before this time.
    pub before: Option<DateTimeUtc>,
    pub expires_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
