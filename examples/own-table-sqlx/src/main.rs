//! Login and one protected route on a user table of your own, with sqlx.

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};
use axum::Router;
use example_support::{Result, database, secret_key, serve};
use mapae::http::fastapi::{FastApi, login};
use mapae::{CurrentUser, Mapae, StoredUser, SubjectClaims, UserStore};
use sqlx::{FromRow, SqlitePool};

#[derive(Clone, FromRow)]
struct User {
    id: i64,
    username: String,
    hashed_password: String,
}

impl StoredUser for User {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn password_hash(&self) -> &str {
        &self.hashed_password
    }
}

struct Users(SqlitePool);

impl UserStore for Users {
    type User = User;
    type Error = sqlx::Error;

    async fn by_login(&self, name: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE username = ?").bind(name).fetch_optional(&self.0).await
    }

    async fn by_id(&self, id: &str) -> sqlx::Result<Option<User>> {
        // SQLite takes `07` for 7 too, but an id has one form.
        sqlx::query_as("SELECT * FROM users WHERE id = ?1 AND id || '' = ?1").bind(id).fetch_optional(&self.0).await
    }
}

async fn hello(user: CurrentUser<(), User>) -> String {
    format!("Hello, {}!", user.username)
}

fn app(mapae: Mapae<User>) -> Router {
    let routes = ApiRouter::new().api_route("/token", post(login::<User>)).api_route("/", get(hello));
    FastApi::new("Own table", routes).finish(mapae)
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = database("own-table-sqlx").await?;
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await?;
    serve(app(Mapae::stateless(Users(db), secret_key()?).build()?)).await
}

#[cfg(test)]
mod tests;
