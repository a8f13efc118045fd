//! "FastAPI에서 JWT사용하기-3": a login that gives a token, and a route that reads it.

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};
use axum::Json;
use axum::http::StatusCode;
use example_support::{Result, database, secret_key, serve};
use mapae::http::ErrorCode;
use mapae::http::fastapi::{FastApi, login};
use mapae::{CurrentUser, Grant, Mapae, StoredUser, TokenClaims, UserStore};
use mapae_password::{Context, Format};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqlitePool};

#[derive(Clone, FromRow)]
struct User {
    id: i64,
    username: String,
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

/// What the post's tokens say; one without either is no token of this service.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    id: i64,
    exp: serde_json::Number,
}

impl TokenClaims<User> for Claims {
    fn issue(user: &User, grant: &Grant) -> Self {
        Self { sub: user.username.clone(), id: user.id, exp: grant.exp.into() }
    }

    fn user_id(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

struct Users(SqlitePool);

impl UserStore for Users {
    type User = User;
    type Error = sqlx::Error;

    async fn by_login(&self, username: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE username = ?").bind(username).fetch_optional(&self.0).await
    }

    async fn by_id(&self, id: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE id = ?").bind(id).fetch_optional(&self.0).await
    }
}

#[derive(Serialize, JsonSchema)]
struct Who {
    #[serde(rename = "User")]
    user: Account,
}

#[derive(Serialize, JsonSchema)]
struct Account {
    username: String,
    id: i64,
}

async fn who(user: CurrentUser<(), User>) -> Json<Who> {
    Json(Who { user: Account { username: user.username.clone(), id: user.id } })
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = database("login").await?;
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await?;
    let passwords = Context::writing(Format::Bcrypt2b);
    let auth = Mapae::stateless(Users(db), secret_key()?).lifetime(20 * 60).passwords(passwords).build()?;
    let routes = ApiRouter::new().api_route("/token", post(login::<User>)).api_route("/", get(who));
    let refused = "Could not validate user.";
    let app = FastApi::new("Login", routes)
        .error(ErrorCode::IncorrectCredentials, StatusCode::UNAUTHORIZED, refused)
        .error(ErrorCode::InvalidToken, StatusCode::UNAUTHORIZED, refused);
    serve(app.finish(auth)).await
}
