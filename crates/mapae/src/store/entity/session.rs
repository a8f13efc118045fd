//! `mapae_session`: one row for each sign-in, and for each token that was minted from another. Holds no secret.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapae_session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub user_id: String,
    pub client_id: String,
    pub created_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
    /// What was granted at the sign-in, space separated.
    pub scopes: String,
    pub end_reason: Option<String>,
    /// The number of the current refresh token.
    pub generation: i64,
    pub refreshed_at: Option<DateTimeUtc>,
    /// Empty for a session that cannot be refreshed.
    pub idle_expires_at: Option<DateTimeUtc>,
    pub access_expires_at: Option<DateTimeUtc>,
    pub device_name: Option<String>,
    pub address: Option<String>,
    /// What was minted; empty for a sign-in, and then so is everything below.
    pub minted: Option<String>,
    pub parent_id: Option<String>,
    /// Of the access token that it was minted from.
    pub parent_jti: Option<String>,
    /// Of a personal access token: the sign-in that it was made in.
    pub made_in_id: Option<String>,
    pub depth: Option<i64>,
    /// The thing that it speaks for; empty for its account.
    pub subject: Option<String>,
    /// JSON: a list of texts.
    pub audience: Option<String>,
    /// JSON: the claim `act`.
    pub actor: Option<String>,
    pub label: Option<String>,
    /// Of a personal access token.
    pub token_hash: Option<String>,
    pub last_used_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
