//! An application with its own user table on a free port of 127.0.0.1: in the same SQLite file as our tables, or, where
//! these tests run on PostgreSQL, in a file beside them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use mapae::domain::{BaseUrl, MasterKey};
use mapae::service::Background;
use mapae::service::builder::Builder;
use mapae::service::user_store::{
    InsertUser, Inserted, NewStoredUser, Profile, SetActive, SetPasswordHash, SubjectClaims,
};
use mapae::store::DatabaseOptions;
use mapae::{CurrentUser, Mapae, StoredUser, UserStore, UserTable, http};
use mapae_password::{Argon2Params, Context, Password, Workspace};
use mapae_verify::{ManualClock, Scopes};
use reqwest::{Client, Response, StatusCode};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{FromRow, SqlitePool};

use crate::database::{Directory, is_postgres, options};
use crate::server::{MASTER_KEY, PASSWORD, START, expect, settings, text};

/// A row of the application's own table.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) login: String,
    pub(crate) mail: Option<String>,
    pub(crate) hash: String,
    pub(crate) active: bool,
    pub(crate) rights: String,
    /// What only the application knows.
    pub(crate) department: String,
}

impl StoredUser for Person {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn password_hash(&self) -> &str {
        &self.hash
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn scopes(&self) -> Scopes {
        Scopes::parse(&self.rights).unwrap()
    }

    fn profile(&self) -> Profile {
        Profile { username: Some(self.login.clone()), email: self.mail.clone(), full_name: None }
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Something that happens elsewhere.
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The application's own table.
#[derive(Clone)]
pub(crate) struct People {
    db: SqlitePool,
    /// SQL that the application runs just before the next change that we ask for.
    pub(crate) just_before: Arc<Mutex<Option<&'static str>>>,
    /// What happens after the next `by_id` has read its row, and before it answers.
    pub(crate) meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    /// What happens after the next change that we ask for is durable, and before that is answered.
    pub(crate) afterwards: Arc<Mutex<Option<Meanwhile>>>,
    /// `by_id` answers with somebody else.
    pub(crate) confuses: Arc<AtomicBool>,
    /// Asks in each call for the file's one write lock, with this connection, and counts how often it does not get free
    /// although the caller waits.
    pub(crate) probe: Option<SqlitePool>,
    pub(crate) not_free: Arc<AtomicU32>,
}

impl People {
    /// On this database; and the tables that it needs.
    pub(crate) fn new(db: SqlitePool) -> (Self, &'static str) {
        let (just_before, meanwhile, afterwards) = (Arc::default(), Arc::default(), Arc::default());
        let (confuses, not_free) = (Arc::default(), Arc::default());
        (Self { db, just_before, meanwhile, afterwards, confuses, probe: None, not_free }, TABLES)
    }

    async fn called(&self) {
        let Some(probe) = &self.probe else { return };
        match sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK").execute(probe).await {
            Ok(_) => {}
            Err(_) => _ = self.not_free.fetch_add(1, Ordering::SeqCst),
        }
    }

    async fn interfere(&self) -> sqlx::Result<()> {
        let sql = self.just_before.lock().unwrap().take();
        if let Some(sql) = sql {
            sqlx::raw_sql(sql).execute(&self.db).await?;
        }
        Ok(())
    }

    async fn change(&self, update: Query<'_>) -> sqlx::Result<bool> {
        let is_done = update.execute(&self.db).await?.rows_affected() == 1;
        let afterwards = self.afterwards.lock().unwrap().take();
        if let Some(afterwards) = afterwards {
            afterwards.await;
        }
        Ok(is_done)
    }
}

impl UserStore for People {
    type User = Person;
    type Error = sqlx::Error;

    async fn by_login(&self, login: &str) -> sqlx::Result<Option<Person>> {
        self.called().await;
        let query = sqlx::query_as("SELECT * FROM people WHERE login = ?1 OR mail = ?1").bind(login);
        query.fetch_optional(&self.db).await
    }

    async fn by_id(&self, id: &str) -> sqlx::Result<Option<Person>> {
        self.called().await;
        let is = if self.confuses.load(Ordering::SeqCst) { "<>" } else { "=" };
        let query = sqlx::AssertSqlSafe(format!("SELECT * FROM people WHERE id {is} ?"));
        let found = sqlx::query_as(query).bind(id).fetch_optional(&self.db).await;
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        found
    }
}

impl InsertUser for People {
    async fn insert(&self, new: NewStoredUser) -> sqlx::Result<Inserted<Person>> {
        self.called().await;
        self.interfere().await?;
        let insert = "INSERT INTO people (id, login, mail, hash, rights)
                      VALUES (coalesce('id-' || ?1, lower(hex(randomblob(8)))), ?1, ?2, ?3, ?4) RETURNING *";
        let query = sqlx::query_as(insert)
            .bind(new.username.as_ref().map(|name| name.canonical().to_owned()))
            .bind(new.email.as_ref().map(|email| email.canonical().to_owned()))
            .bind(new.password_hash.as_str().to_owned())
            .bind(new.scopes.to_string());
        match query.fetch_one(&self.db).await {
            Ok(person) => Ok(Inserted::Made(person)),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                if error.message().contains("people.mail") {
                    Ok(Inserted::EmailTaken)
                } else {
                    Ok(Inserted::UsernameTaken)
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl SetPasswordHash for People {
    async fn set_password_hash(&self, id: &str, old: &str, new: &str) -> sqlx::Result<bool> {
        self.called().await;
        self.interfere().await?;
        let update = sqlx::query("UPDATE people SET hash = ? WHERE id = ? AND hash = ?").bind(new).bind(id).bind(old);
        self.change(update).await
    }
}

impl SetActive for People {
    async fn set_active(&self, id: &str, active: bool) -> sqlx::Result<bool> {
        self.called().await;
        let update = sqlx::query("UPDATE people SET active = ? WHERE id = ?").bind(active).bind(id);
        self.change(update).await
    }
}

/// Whatever the table can do.
pub(crate) fn able(people: People) -> UserTable<People> {
    UserTable::new(people).inserts().sets_password_hash().sets_active()
}

/// What the application's handlers get.
#[derive(Clone)]
struct AppState {
    mapae: Mapae<Person>,
    db: SqlitePool,
}

impl FromRef<AppState> for Mapae<Person> {
    fn from_ref(state: &AppState) -> Self {
        state.mapae.clone()
    }
}

impl FromRef<AppState> for SqlitePool {
    fn from_ref(state: &AppState) -> Self {
        state.db.clone()
    }
}

async fn whoami(user: CurrentUser<mapae::domain::scope::Me, Person>) -> Json<Value> {
    Json(json!({ "login": user.login, "department": user.department, "rights": user.rights }))
}

/// A write of the application's own, in a transaction that takes the file's write lock and keeps it a while.
async fn order(user: CurrentUser<(), Person>, State(db): State<SqlitePool>) -> StatusCode {
    let ordered = async {
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO orders (person) VALUES (?)").bind(&user.id).execute(&mut *tx).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        tx.commit().await
    };
    let ordered: sqlx::Result<()> = ordered.await;
    match ordered {
        Ok(()) => StatusCode::CREATED,
        Err(error) => panic!("the application could not write: {error}"),
    }
}

/// How an [`OwnApp`] is started.
pub(crate) struct Start {
    /// Connections of the application's own pool.
    pub(crate) connections: u32,
    /// Ask in each call of the table for the write lock; then nothing runs in the background.
    pub(crate) probe: bool,
    pub(crate) table: fn(People) -> UserTable<People>,
    pub(crate) change: fn(Builder<Person>) -> Builder<Person>,
}

impl Default for Start {
    fn default() -> Self {
        Self { connections: 4, probe: false, table: able, change: |builder| builder }
    }
}

pub(crate) struct OwnApp {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) clock: ManualClock,
    pub(crate) mapae: Mapae<Person>,
    pub(crate) db: SqlitePool,
    pub(crate) people: People,
    start: Start,
    directory: Arc<Directory>,
    /// Looks into our tables.
    ours: DatabaseConnection,
    _background: Option<Background>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for OwnApp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

const TABLES: &str = "
    CREATE TABLE people (
        id TEXT PRIMARY KEY, login TEXT UNIQUE, mail TEXT UNIQUE, hash TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 1, rights TEXT NOT NULL DEFAULT 'me items',
        department TEXT NOT NULL DEFAULT 'none yet'
    );
    CREATE TABLE orders (id INTEGER PRIMARY KEY, person TEXT NOT NULL);";

async fn pool(path: &std::path::Path, connections: u32, busy_timeout: Duration) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(busy_timeout);
    SqlitePoolOptions::new().max_connections(connections).connect_with(options).await.unwrap()
}

impl OwnApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(Start::default()).await
    }

    pub(crate) async fn start_with(start: Start) -> Self {
        let directory = Arc::new(Directory::new());
        let path = directory.path().join("app.db");
        let db = pool(&path, start.connections, Duration::from_secs(5)).await;
        let (mut people, tables) = People::new(db.clone());
        sqlx::raw_sql(tables).execute(&db).await.unwrap();
        if start.probe {
            // A transaction that was dropped is undone by a thread of its own, within a moment.
            people.probe = Some(pool(&path, 1, Duration::from_secs(1)).await);
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = ManualClock::new(START);
        let mapae = build(&url, &directory, &clock, &people, &start).await;
        let ours = Database::connect(looked_into(&directory)).await.unwrap();
        let service = mapae.service().unwrap().clone();
        let background = if start.probe { None } else { Some(service.watch().await.unwrap()) };
        let state = AppState { mapae: mapae.clone(), db: db.clone() };
        let routes = Router::new().route("/whoami", get(whoami)).route("/orders", post(order)).with_state(state);
        let app = http::app(service).merge(routes);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let app = Self {
            url,
            client: Client::new(),
            clock,
            mapae,
            db,
            people,
            start,
            directory,
            ours,
            _background: background,
            serving,
        };
        app.add("ann", "me items").await;
        app
    }

    /// Another process on the same database, in effect.
    pub(crate) async fn another_process(&self) -> Mapae<Person> {
        build(&self.url, &self.directory, &self.clock, &self.people, &self.start).await
    }

    /// The application adds a person, whose id is `id-` and the name, with the usual password.
    pub(crate) async fn add(&self, login: &str, rights: &str) {
        let insert = "INSERT INTO people (id, login, mail, hash, rights, department) VALUES (?, ?, ?, ?, ?, 'sales')";
        let query = sqlx::query(insert)
            .bind(format!("id-{login}"))
            .bind(login)
            .bind(format!("{login}@example.com"))
            .bind(hash(PASSWORD, 8))
            .bind(rights);
        query.execute(&self.db).await.unwrap();
    }

    /// The application does something to its own database.
    pub(crate) async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db).await.unwrap();
    }

    pub(crate) async fn stored_hash(&self, login: &str) -> String {
        sqlx::query_scalar("SELECT hash FROM people WHERE login = ?").bind(login).fetch_one(&self.db).await.unwrap()
    }

    /// Sessions that were not ended.
    pub(crate) async fn open_sessions(&self) -> i64 {
        let asked = sea_orm::Statement::from_string(
            self.ours.get_database_backend(),
            "SELECT count(*) FROM mapae_session WHERE ended_at IS NULL",
        );
        self.ours.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    pub(crate) async fn try_sign_in(&self, login: &str, password: &str) -> Response {
        let body = json!({ "username": login, "password": password });
        self.request("POST", "/users/signin").json(&body).send().await.unwrap()
    }

    pub(crate) async fn sign_in(&self, login: &str) -> String {
        let body = expect(self.try_sign_in(login, PASSWORD).await, StatusCode::OK).await;
        text(&body["access_token"])
    }

    /// A token of the administrator `root`, who is added.
    pub(crate) async fn administrator(&self) -> String {
        self.add("root", "me mapae:admin").await;
        let body = json!({ "username": "root", "password": PASSWORD, "scope": "me mapae:admin" });
        let answer = self.request("POST", "/users/signin").json(&body).send().await.unwrap();
        text(&expect(answer, StatusCode::OK).await["access_token"])
    }

    pub(crate) async fn whoami(&self, token: &str) -> Response {
        self.request("GET", "/whoami").bearer_auth(token).send().await.unwrap()
    }

    pub(crate) async fn status(&self, token: &str) -> u16 {
        self.whoami(token).await.status().as_u16()
    }

    pub(crate) async fn change_password(&self, token: &str, new: &str) -> Response {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        self.request("POST", "/users/me/password").bearer_auth(token).json(&body).send().await.unwrap()
    }
}

/// Where our tables are.
fn tables_of(directory: &Directory) -> DatabaseOptions {
    match is_postgres() {
        true => options(directory.path()),
        false => DatabaseOptions::new(format!("sqlite://{}", directory.path().join("app.db").display())),
    }
}

fn looked_into(directory: &Directory) -> String {
    let tables = tables_of(directory);
    tables.direct_url.unwrap_or(tables.url)
}

async fn build(url: &str, directory: &Directory, clock: &ManualClock, people: &People, start: &Start) -> Mapae<Person> {
    let builder = Mapae::builder(BaseUrl::parse(url).unwrap())
        .database(tables_of(directory))
        .master_key(MasterKey::new(MASTER_KEY.to_vec()).unwrap())
        .clock(Arc::new(clock.clone()))
        .settings(|own| *own = settings(url))
        .users((start.table)(people.clone()));
    (start.change)(builder).build().await.unwrap()
}

/// A hash of a password, at this many KiB of Argon2.
pub(crate) fn hash(password: &str, kib: u32) -> String {
    let context = Context { argon2: Argon2Params::new(kib, 1, 1).unwrap(), ..Context::default() };
    let password = Password::new(password).unwrap();
    context.hash(&password, &[7; 16], &mut Workspace::new()).unwrap().into_string()
}
