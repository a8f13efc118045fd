//! Login and one protected route on a user table of your own, with diesel-async.

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};
use axum::{BoxError, Router};
use diesel::SqliteConnection;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use example_support::{Result, database_url, secret_key, serve};
use mapae::http::fastapi::{FastApi, login};
use mapae::{CurrentUser, Mapae, StoredUser, SubjectClaims, UserStore};
use schema::users;

mod schema {
    diesel::table! {
        users (id) {
            id -> BigInt,
            username -> Text,
            hashed_password -> Text,
        }
    }
}

#[derive(Clone, Queryable, Selectable)]
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

type Db = Pool<SyncConnectionWrapper<SqliteConnection>>;

struct Users(Db);

impl UserStore for Users {
    type User = User;
    type Error = BoxError;

    async fn by_login(&self, name: &str) -> std::result::Result<Option<User>, BoxError> {
        let mut db = self.0.get().await?;
        let found = users::table.filter(users::username.eq(name)).select(User::as_select());
        Ok(found.first(&mut db).await.optional()?)
    }

    async fn by_id(&self, id: &str) -> std::result::Result<Option<User>, BoxError> {
        // `07` is no id: each has one form.
        let Some(id) = id.parse::<i64>().ok().filter(|number| number.to_string() == id) else { return Ok(None) };
        let mut db = self.0.get().await?;
        Ok(users::table.find(id).select(User::as_select()).first(&mut db).await.optional()?)
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
    let db = Db::builder(AsyncDieselConnectionManager::new(database_url("own-table-diesel"))).build()?;
    db.get().await?.batch_execute(include_str!("users.sql")).await?;
    serve(app(Mapae::stateless(Users(db), secret_key()?).build()?)).await
}
