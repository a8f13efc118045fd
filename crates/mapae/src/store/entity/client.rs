//! `mapae_client`: OAuth clients. Secrets only hashed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_client")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub client_type: String,
    /// Space separated.
    pub grants: String,
    /// Space separated, as in a token.
    pub scopes: String,
    /// Space separated.
    pub audiences: String,
    pub access_token_seconds: Option<i64>,
    pub session_idle_seconds: Option<i64>,
    pub session_seconds: Option<i64>,
    pub secret_hash: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
