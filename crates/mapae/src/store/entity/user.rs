//! `mapae_user`: accounts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_user")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub username: Option<String>,
    pub username_canonical: Option<String>,
    pub email: Option<String>,
    pub email_canonical: Option<String>,
    pub full_name: Option<String>,
    /// Every name and the address, folded, one on each line: where a search looks.
    pub search: String,
    pub password_hash: String,
    pub disabled: bool,
    /// Space separated, as in a token.
    pub scopes: String,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
