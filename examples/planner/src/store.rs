//! The planner's two tables.

use mapae::http::ApiError;
use mapae::{Grant, StoredUser, TokenClaims, UserStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{FromRow, SqlitePool};

#[derive(Clone, FromRow)]
pub(crate) struct User {
    pub(crate) id: i64,
    email: String,
    hashed_password: String,
}

impl StoredUser for User {
    type Claims = Claims;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn password_hash(&self) -> &str {
        &self.hashed_password
    }
}

/// What the post's tokens say.
#[derive(Serialize, Deserialize)]
pub(crate) struct Claims {
    user: String,
    user_id: i64,
    iat: serde_json::Number,
    exp: serde_json::Number,
}

impl TokenClaims<User> for Claims {
    fn issue(user: &User, grant: &Grant) -> Self {
        Self { user: user.email.clone(), user_id: user.id, iat: grant.iat.into(), exp: grant.exp.into() }
    }

    fn user_id(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewEvent {
    title: String,
    image: String,
    description: String,
    tags: Vec<String>,
    location: String,
}

#[derive(Serialize, JsonSchema, FromRow)]
pub(crate) struct Event {
    id: i64,
    title: String,
    image: String,
    description: String,
    #[schemars(with = "Vec<String>")]
    tags: Json<Vec<String>>,
    location: String,
    user_id: i64,
}

#[derive(Clone)]
pub(crate) struct Planner(SqlitePool);

impl Planner {
    pub(crate) async fn open(db: SqlitePool) -> sqlx::Result<Self> {
        sqlx::raw_sql(include_str!("tables.sql")).execute(&db).await?;
        Ok(Self(db))
    }

    /// `false` if somebody has the address.
    pub(crate) async fn add_user(&self, email: &str, username: &str, hash: &str) -> Result<bool, ApiError> {
        let insert = "INSERT INTO users (email, username, hashed_password) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let done = sqlx::query(insert).bind(email).bind(username).bind(hash).execute(&self.0).await;
        Ok(done.map_err(|error| ApiError::unavailable(&error))?.rows_affected() == 1)
    }

    pub(crate) async fn add_event(&self, user_id: i64, new: NewEvent) -> Result<Event, ApiError> {
        let insert = "INSERT INTO events (title, image, description, tags, location, user_id)
                      VALUES (?, ?, ?, ?, ?, ?) RETURNING *";
        let row = sqlx::query_as(insert)
            .bind(new.title)
            .bind(new.image)
            .bind(new.description)
            .bind(Json(new.tags))
            .bind(new.location)
            .bind(user_id);
        row.fetch_one(&self.0).await.map_err(|error| ApiError::unavailable(&error))
    }

    pub(crate) async fn events(&self) -> Result<Vec<Event>, ApiError> {
        let rows = sqlx::query_as("SELECT * FROM events ORDER BY id").fetch_all(&self.0).await;
        rows.map_err(|error| ApiError::unavailable(&error))
    }
}

impl UserStore for Planner {
    type User = User;
    type Error = sqlx::Error;

    async fn by_login(&self, email: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE email = ?").bind(email).fetch_optional(&self.0).await
    }

    async fn by_id(&self, id: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE id = ?").bind(id).fetch_optional(&self.0).await
    }
}
