//! `mapae_shared_account`: what is ours about an account in another application's table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_shared_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
    /// Of the password hash under which the account's sessions began; `None` before the first.
    pub fingerprint: Option<Vec<u8>>,
    /// Space separated; `None` for the default ones.
    pub scopes: Option<String>,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
