//! "JWT 생성": one route that makes a token, to look at in Swagger UI and to decode by hand.

use aide::axum::ApiRouter;
use aide::axum::routing::post;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use example_support::{Result, database, secret_key, serve};
use mapae::http::fastapi::FastApi;
use mapae::http::{ApiError, ErrorCode, PasswordRequestForm};
use mapae::{Grant, Mapae, StoredUser, TokenClaims, UserStore};
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

type Auth = Mapae<User>;

#[derive(Serialize, JsonSchema)]
struct Token {
    token: String,
}

async fn login(State(auth): State<Auth>, form: PasswordRequestForm) -> std::result::Result<Json<Token>, ApiError> {
    let made = auth.sign_in(&form.username, &form.password, &form.scope).await?;
    Ok(Json(Token { token: made.access_token.expose().to_owned() }))
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = database("token-only").await?;
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await?;
    // 15 minutes is the default; the post's login asks for 20.
    let auth = Auth::stateless(Users(db), secret_key()?).lifetime(20 * 60).build()?;
    let routes = ApiRouter::new().api_route("/token", post(login));
    let app = FastApi::new("Token only", routes);
    let app = app.error(ErrorCode::IncorrectCredentials, StatusCode::NOT_FOUND, "User not found");
    serve(app.finish(auth)).await
}
