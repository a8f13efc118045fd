//! `mapae_throttle`: counters of failed attempts, by a keyed hash of what they count.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_throttle")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub counter: Vec<u8>,
    pub clear_at: DateTimeUtc,
    pub known_until: Option<DateTimeUtc>,
    pub expires_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
