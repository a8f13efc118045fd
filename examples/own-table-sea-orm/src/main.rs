//! Login and one protected route on a user table of your own, with SeaORM.

mod user;

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};
use axum::Router;
use example_support::{Result, database, secret_key, serve};
use mapae::http::fastapi::{FastApi, login};
use mapae::{CurrentUser, Mapae, StoredUser, SubjectClaims, UserStore};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, SqlxSqliteConnector};
use user::Model as User;

impl StoredUser for User {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn password_hash(&self) -> &str {
        &self.hashed_password
    }
}

struct Users(DatabaseConnection);

impl UserStore for Users {
    type User = User;
    type Error = DbErr;

    async fn by_login(&self, name: &str) -> std::result::Result<Option<User>, DbErr> {
        user::Entity::find().filter(user::Column::Username.eq(name)).one(&self.0).await
    }

    async fn by_id(&self, id: &str) -> std::result::Result<Option<User>, DbErr> {
        // `07` is no id: each has one form.
        let Some(id) = id.parse::<i64>().ok().filter(|number| number.to_string() == id) else { return Ok(None) };
        user::Entity::find_by_id(id).one(&self.0).await
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
    let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(database("own-table-sea-orm").await?);
    db.execute_unprepared(include_str!("users.sql")).await?;
    serve(app(Mapae::stateless(Users(db), secret_key()?).build()?)).await
}
