//! FastAPI's tutorial "OAuth2 with Password (and hashing), Bearer with JWT tokens"; with `--scopes` its sequel,
//! "OAuth2 scopes".

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};
use axum::Json;
use axum::http::StatusCode;
use example_support::{Result, database, secret_key, serve};
use mapae::http::ErrorCode;
use mapae::http::fastapi::{FastApi, login};
use mapae::{CurrentUser, DeclaredScope, KnownUser, Mapae, ScopeSet, StoredUser, SubjectClaims, UserStore};
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{FromRow, SqlitePool};

const ACCESS_TOKEN_EXPIRE_MINUTES: u32 = 30;

struct Me;
impl DeclaredScope for Me {
    const NAME: &'static str = "me";
    const DESCRIPTION: &'static str = "Read information about the current user.";
}

struct Items;
impl DeclaredScope for Items {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Read items.";
}

#[derive(Clone, Serialize, JsonSchema, FromRow)]
struct User {
    username: String,
    email: Option<String>,
    full_name: Option<String>,
    disabled: bool,
    #[serde(skip)]
    hashed_password: String,
    #[serde(skip)]
    scopes: String,
}

impl StoredUser for User {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.username.clone()
    }

    fn password_hash(&self) -> &str {
        &self.hashed_password
    }

    fn is_active(&self) -> bool {
        !self.disabled
    }

    fn scopes(&self) -> Scopes {
        Scopes::parse(&self.scopes).unwrap_or_default()
    }
}

/// The user table. `scopes` are what each user holds in the sequel; the main tutorial knows none.
struct Users {
    db: SqlitePool,
    scopes: &'static str,
}

impl UserStore for Users {
    type User = User;
    type Error = sqlx::Error;

    async fn by_login(&self, username: &str) -> sqlx::Result<Option<User>> {
        let query = "SELECT *, ? AS scopes FROM users WHERE username = ?";
        sqlx::query_as(query).bind(self.scopes).bind(username).fetch_optional(&self.db).await
    }

    async fn by_id(&self, username: &str) -> sqlx::Result<Option<User>> {
        self.by_login(username).await
    }
}

type Auth = Mapae<User>;

#[derive(Serialize, JsonSchema)]
struct Item {
    item_id: &'static str,
    owner: String,
}

#[derive(Serialize, JsonSchema)]
struct Status {
    status: &'static str,
}

async fn read_users_me<S: ScopeSet>(user: CurrentUser<S, User>) -> Json<User> {
    Json(User::clone(&user))
}

async fn read_own_items<S: ScopeSet>(user: CurrentUser<S, User>) -> Json<[Item; 1]> {
    Json([Item { item_id: "Foo", owner: user.username.clone() }])
}

async fn read_system_status(_: KnownUser<(), User>) -> Json<Status> {
    Json(Status { status: "ok" })
}

fn tutorial(auth: Auth) -> axum::Router {
    let routes = ApiRouter::new()
        .api_route("/token", post(login::<User>))
        .api_route("/users/me/", get(read_users_me::<()>))
        .api_route("/users/me/items/", get(read_own_items::<()>));
    FastApi::new("Tutorial", routes).finish(auth)
}

fn sequel(auth: Auth) -> axum::Router {
    let routes = ApiRouter::new()
        .api_route("/token", post(login::<User>))
        .api_route("/users/me/", get(read_users_me::<Me>))
        .api_route("/users/me/items/", get(read_own_items::<(Items, Me)>))
        .api_route("/status/", get(read_system_status));
    FastApi::new("Tutorial", routes)
        .scopes::<(Me, Items)>()
        .error(ErrorCode::IncorrectCredentials, StatusCode::BAD_REQUEST, "Incorrect username or password")
        .finish(auth)
}

#[tokio::main]
async fn main() -> Result<()> {
    let with_scopes = std::env::args().any(|argument| argument == "--scopes");
    let db = database("tutorial").await?;
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await?;

    let users = Users { db, scopes: if with_scopes { "me items" } else { "" } };
    let auth = Auth::stateless(users, secret_key()?).lifetime(ACCESS_TOKEN_EXPIRE_MINUTES * 60).build()?;
    serve(if with_scopes { sequel(auth) } else { tutorial(auth) }).await
}
