//! `mapae_audit`: who did what to whom. Holds no secret, no name and no address of mail.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_audit")]
pub struct Model {
    /// UUID version 7, of the time `at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub at: DateTimeUtc,
    pub event: String,
    pub actor_kind: String,
    pub actor: Option<String>,
    pub subject: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub session_id: Option<String>,
    pub client_id: Option<String>,
    /// A JSON object; empty if there is nothing more to say.
    pub details: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
