//! "FastAPI에서 JWT 사용하기": one route that gives a token. The post takes anybody's password; this checks a stored hash.

use aide::axum::ApiRouter;
use aide::axum::routing::post;
use axum::http::StatusCode;
use example_support::{Result, database, secret_key, serve};
use mapae::http::ErrorCode;
use mapae::http::fastapi::{FastApi, login};
use mapae::{Mapae, StoredUser, SubjectClaims, UserStore};
use sqlx::{FromRow, SqlitePool};

const ACCESS_TOKEN_EXPIRE_MINUTES: u32 = 30;

#[derive(Clone, FromRow)]
struct User {
    username: String,
    hashed_password: String,
}

impl StoredUser for User {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.username.clone()
    }

    fn password_hash(&self) -> &str {
        &self.hashed_password
    }
}

struct Users(SqlitePool);

impl UserStore for Users {
    type User = User;
    type Error = sqlx::Error;

    async fn by_login(&self, username: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE username = ?").bind(username).fetch_optional(&self.0).await
    }

    async fn by_id(&self, username: &str) -> sqlx::Result<Option<User>> {
        self.by_login(username).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = database("minimal").await?;
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await?;
    let auth = Mapae::stateless(Users(db), secret_key()?).lifetime(ACCESS_TOKEN_EXPIRE_MINUTES * 60).build()?;
    let routes = ApiRouter::new().api_route("/token", post(login::<User>));
    let app = FastApi::new("Minimal", routes).error(
        ErrorCode::IncorrectCredentials,
        StatusCode::BAD_REQUEST,
        "Incorrect username or password",
    );
    serve(app.finish(auth)).await
}
