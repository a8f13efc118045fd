//! Accounts in the user table of another application, whose side is played with plain SQL.

use mapae::domain::UserMapping;
use mapae::domain::user_mapping::{ActiveColumn, FullNameColumns, IdType, Preset};
use mapae::service::By;
use mapae::settings::Settings;
use mapae_password::{Context, Format, Password, Pbkdf2Rounds, Workspace};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use crate::oauth::{refresh, refused, sign_in};
use crate::server::{PASSWORD, Server, expect, id_of, problem, refused_fields, text};

const NEW_PASSWORD: &str = "seven purple elephants dancing";

/// Django's own, with names that must be quoted.
const TABLE: &str = r#"CREATE TABLE "auth ""user" (
    id INTEGER PRIMARY KEY AUTOINCREMENT, password varchar(128) NOT NULL, last_login datetime,
    is_superuser bool NOT NULL, "user name" varchar(150) NOT NULL UNIQUE, first_name varchar(150) NOT NULL,
    last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff bool NOT NULL, is_active bool NOT NULL,
    date_joined datetime NOT NULL)"#;

fn mapping() -> UserMapping {
    let username = Some("user name".to_owned());
    UserMapping { table: "auth \"user".to_owned(), username, ..Preset::Django.mapping() }
}

fn context() -> Context {
    let mut context = Context::writing(Format::DjangoPbkdf2Sha256);
    context.costs.pbkdf2 = Some(Pbkdf2Rounds::new(1).unwrap());
    context
}

pub(crate) fn hash(password: &str) -> String {
    let password = Password::new(password).unwrap();
    context().hash(&password, &[7; 16], &mut Workspace::new()).unwrap().into_string()
}

pub(crate) struct Shared {
    pub(crate) server: Server,
    db: SqlitePool,
}

impl Shared {
    pub(crate) async fn start() -> Self {
        Self::start_with(TABLE, mapping(), |_| {}).await
    }

    async fn start_with(table: &str, mapping: UserMapping, change: impl FnOnce(&mut Settings)) -> Self {
        let server = Server::start_with(|settings| {
            settings.passwords = context();
            settings.mapped_users = Some(mapping);
            change(settings);
        })
        .await;
        let options = SqliteConnectOptions::new().filename(server.directory().join("mapae.db"));
        let db = SqlitePool::connect_with(options).await.unwrap();
        let shared = Self { server, db };
        shared.sql(table).await;
        shared
    }

    /// What the other application does.
    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.db).await.unwrap();
    }

    pub(crate) async fn add(&self, name: &str, password: &str) {
        let hash = hash(password);
        self.sql(&format!(
            r#"INSERT INTO "auth ""user" (password, is_superuser, "user name", first_name, last_name, email, is_staff,
               is_active, date_joined) VALUES ('{hash}', 0, '{name}', 'Ann', 'Smith', '{name}@example.com', 0, 1, '2026-01-01')"#
        ))
        .await;
    }

    pub(crate) async fn set(&self, set: &str, name: &str) {
        self.sql(&format!(r#"UPDATE "auth ""user" SET {set} WHERE "user name" = '{name}'"#)).await;
    }

    async fn try_sign_in(&self, name: &str, password: &str) -> Response {
        let form = [("username", name), ("password", password)];
        self.server.post("/token").form(&form).send().await.unwrap()
    }

    async fn sign_in(&self, name: &str, password: &str) -> String {
        text(&expect(self.try_sign_in(name, password).await, StatusCode::OK).await["access_token"])
    }

    async fn refused(&self, name: &str, password: &str) {
        let body = expect(self.try_sign_in(name, password).await, StatusCode::UNAUTHORIZED).await;
        assert_eq!(body, json!({ "detail": "Incorrect username or password" }), "{name:?}");
    }

    async fn status(&self, token: &str) -> u16 {
        self.server.status_of_me(token).await.as_u16()
    }

    async fn sign_up(&self, body: Value) -> Response {
        self.server.post("/users/signup").json(&body).send().await.unwrap()
    }

    async fn change_password(&self, token: &str, from: &str, to: &str) -> u16 {
        let body = json!({ "current_password": from, "new_password": to });
        let request = self.server.post("/users/me/password").bearer_auth(token).json(&body);
        request.send().await.unwrap().status().as_u16()
    }

    async fn one(&self, sql: &str) -> String {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&self.db).await.unwrap()
    }
}

#[tokio::test]
async fn their_people_sign_in_and_are_shown() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let token = shared.sign_in("ann", PASSWORD).await;
    let me = expect(shared.server.me(&token).await, StatusCode::OK).await;
    let shown = json!({
        "id": "1", "username": "ann", "email": "ann@example.com", "full_name": "Ann Smith", "disabled": false,
        "scope": "me",
    });
    assert_eq!(me, shown);
    let (long, before) = ("x".repeat(2000), hash(PASSWORD));
    for (name, password) in [
        ("ANN", PASSWORD),
        ("ann@example.com", PASSWORD),
        ("ann", "wrong"),
        ("nobody", PASSWORD),
        ("ann\0", PASSWORD),
        ("' OR 1 --", PASSWORD),
        ("ann", &long),
    ] {
        shared.refused(name, password).await;
    }
    assert_eq!(shared.one(r#"SELECT password FROM "auth ""user""#).await, before, "no rehash");
}

#[tokio::test]
async fn another_password_over_there_ends_the_sessions_here() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    shared.add("bob", PASSWORD).await;
    let (ann, bob) = (shared.sign_in("ann", PASSWORD).await, shared.sign_in("bob", PASSWORD).await);
    assert_eq!(shared.status(&ann).await, 200);
    let old = hash(PASSWORD);
    shared.set(&format!("password = '{}'", hash(NEW_PASSWORD)), "ann").await;
    assert_eq!((shared.status(&ann).await, shared.status(&bob).await), (401, 200));
    shared.set(&format!("password = '{old}'"), "ann").await;
    assert_eq!(shared.status(&ann).await, 401, "what ended does not come back with the old hash");

    // Nobody comes with the old token before somebody signs in with the new password.
    let before = shared.sign_in("ann", PASSWORD).await;
    shared.set(&format!("password = '{}'", hash(NEW_PASSWORD)), "ann").await;
    let after = shared.sign_in("ann", NEW_PASSWORD).await;
    assert_eq!((shared.status(&before).await, shared.status(&after).await), (401, 200));
    shared.set("\"user name\" = 'anna'", "ann").await;
    assert_eq!(shared.status(&after).await, 200, "another name ends nothing");
}

#[tokio::test]
async fn a_refresh_token_ends_with_the_password_over_there() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let first = sign_in(&shared.server, "ann", "").await;
    let second = refresh(&shared.server, &first.refresh).await;
    shared.set(&format!("password = '{}'", hash(NEW_PASSWORD)), "ann").await;
    refused(&shared.server, &second.refresh).await;
    shared.set(&format!("password = '{}'", hash(PASSWORD)), "ann").await;
    refused(&shared.server, &second.refresh).await;
    assert_eq!((shared.status(&first.access).await, shared.status(&second.access).await), (401, 401));

    let third = sign_in(&shared.server, "ann", "").await;
    shared.set("is_active = 0", "ann").await;
    refused(&shared.server, &third.refresh).await;
}

#[tokio::test]
async fn a_pepper_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = crate::server::settings("http://127.0.0.1");
    settings.mapped_users = Some(mapping());
    settings.passwords.peppers.current = Some(mapae_password::Pepper::new([7; 32]).unwrap());
    let clock = mapae_verify::ManualClock::new(crate::server::START);
    let refused = crate::server::open(directory.path(), settings, &clock).await.err().unwrap();
    assert!(refused.to_string().contains("pepper cannot be used together"), "{refused}");
}

#[tokio::test]
async fn a_password_changed_here_keeps_this_session_and_ends_the_others() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let (one, other) = (shared.sign_in("ann", PASSWORD).await, shared.sign_in("ann", PASSWORD).await);
    assert_eq!(shared.change_password(&one, "wrong", NEW_PASSWORD).await, 403);
    assert_eq!(shared.change_password(&one, PASSWORD, NEW_PASSWORD).await, 204);
    assert_eq!((shared.status(&one).await, shared.status(&other).await), (200, 401));
    shared.refused("ann", PASSWORD).await;
    shared.sign_in("ann", NEW_PASSWORD).await;
    assert!(shared.one(r#"SELECT password FROM "auth ""user""#).await.starts_with("pbkdf2_sha256$1$"));
}

#[tokio::test]
async fn disabled_on_one_side_is_refused_on_the_other() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let token = shared.sign_in("ann", PASSWORD).await;
    shared.set("is_active = 0", "ann").await;
    assert_eq!(shared.status(&token).await, 401);
    shared.refused("ann", PASSWORD).await;
    shared.set("is_active = 1", "ann").await;

    shared.add("root", PASSWORD).await;
    let id = shared.server.mapae.find_account("root").await.unwrap().id;
    let grant = mapae::service::accounts::AdminChange {
        grant: mapae_verify::Scopes::parse("mapae:admin").unwrap(),
        ..Default::default()
    };
    shared.server.mapae.administer(&id, grant, By::System).await.unwrap();
    let form = [("username", "root"), ("password", PASSWORD), ("scope", "mapae:admin me")];
    let admin = shared.server.post("/token").form(&form).send().await.unwrap();
    let admin = text(&expect(admin, StatusCode::OK).await["access_token"]);
    let change = |body: Value| shared.server.patch("/admin/users/1").bearer_auth(&admin).json(&body).send();
    let disabled = expect(change(json!({ "disabled": true })).await.unwrap(), StatusCode::OK).await;
    assert_eq!(disabled["disabled"], true);
    assert_eq!(shared.one(r#"SELECT CAST(is_active AS TEXT) FROM "auth ""user" WHERE id = 1"#).await, "0");
    assert_eq!(shared.status(&token).await, 401);
    let body = json!({ "disabled": false, "grant": "items" });
    let enabled = expect(change(body).await.unwrap(), StatusCode::OK).await;
    assert_eq!((&enabled["disabled"], &enabled["scope"]), (&json!(false), &json!("me items")));
    assert_eq!(shared.status(&token).await, 401, "its sessions ended");
    let withdrawn = expect(change(json!({ "withdraw": "me items" })).await.unwrap(), StatusCode::OK).await;
    assert_eq!(withdrawn["scope"], "");
    for id in ["0", "01", "1.0", "x", "9"] {
        let request = shared.server.patch(&format!("/admin/users/{id}")).bearer_auth(&admin);
        problem(request.json(&json!({})).send().await.unwrap(), StatusCode::NOT_FOUND, "user_not_found").await;
    }
}

#[tokio::test]
async fn somebody_new_with_an_old_id_has_nothing_of_the_one_before() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let grant = mapae::service::accounts::AdminChange {
        grant: mapae_verify::Scopes::parse("items").unwrap(),
        ..Default::default()
    };
    let id = shared.server.mapae.find_account("ann").await.unwrap().id;
    shared.server.mapae.administer(&id, grant, By::System).await.unwrap();
    let token = shared.sign_in("ann", PASSWORD).await;
    shared.sql(r#"DELETE FROM "auth ""user"; DELETE FROM sqlite_sequence"#).await;
    assert_eq!(shared.status(&token).await, 401);
    shared.add("eve", NEW_PASSWORD).await;
    assert_eq!(shared.status(&token).await, 401, "the id is somebody else's");
    let eve = shared.server.mapae.account_by_id(&id).await.unwrap();
    assert_eq!((eve.username.as_deref(), eve.scopes.to_string().as_str()), (Some("eve"), "me"));
    let eve = shared.sign_in("eve", NEW_PASSWORD).await;
    assert_eq!(expect(shared.server.me(&eve).await, StatusCode::OK).await["scope"], "me");
    assert_eq!(shared.status(&token).await, 401);
}

#[tokio::test]
async fn people_sign_up_into_their_table() {
    let shared = Shared::start().await;
    shared.add("Ann", PASSWORD).await;
    shared.add("Stra\u{df}e", PASSWORD).await;
    let bob = json!({
        "username": "bob", "email": "Bob@Example.com", "full_name": "Bob van Dyck", "password": PASSWORD,
    });
    let made = expect(shared.sign_up(bob).await, StatusCode::CREATED).await;
    assert_eq!((&made["id"], &made["full_name"], &made["scope"]), (&json!("3"), &json!("Bob van Dyck"), &json!("me")));
    let row = r#"SELECT first_name || '|' || last_name || '|' || email || '|' || is_active || is_staff || is_superuser
        || '|' || date_joined FROM "auth ""user" WHERE id = 3"#;
    assert_eq!(shared.one(row).await, "Bob van|Dyck|Bob@Example.com|100|2026-01-01 00:00:00");
    assert_eq!(shared.status(&shared.sign_in("bob", PASSWORD).await).await, 200);

    for taken in ["bob", "BOB", "ann", "\u{ff21}nn", "STRA\u{df}E"] {
        let body = json!({ "username": taken, "password": PASSWORD });
        problem(shared.sign_up(body).await, StatusCode::CONFLICT, "username_taken").await;
    }
    for taken in ["bob@example.com", "ann@EXAMPLE.com"] {
        let body = json!({ "username": "new", "email": taken, "password": PASSWORD });
        problem(shared.sign_up(body).await, StatusCode::CONFLICT, "email_taken").await;
    }
    let only_email = shared.sign_up(json!({ "email": "new@example.com", "password": PASSWORD })).await;
    assert_eq!(refused_fields(only_email).await, [("username".to_owned(), "missing".to_owned())]);
    let id = id_of(
        &expect(shared.sign_up(json!({ "username": "new", "password": PASSWORD })).await, StatusCode::CREATED).await,
    );
    assert_eq!(shared.server.mapae.account_by_id(&id).await.unwrap().email, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_changed_on_both_sides_at_once_leave_no_stale_session() {
    let shared = std::sync::Arc::new(Shared::start().await);
    shared.add("ann", PASSWORD).await;
    for _ in 0..8 {
        let token = shared.sign_in("ann", PASSWORD).await;
        let theirs = hash("a password from over there");
        let (ours, _) = tokio::join!(shared.change_password(&token, PASSWORD, NEW_PASSWORD), async {
            shared.set(&format!("password = '{theirs}'"), "ann").await
        });
        let stored = shared.one(r#"SELECT password FROM "auth ""user""#).await;
        // Theirs is written without looking, so it wins unless it came first and ours was refused.
        let alive = shared.status(&token).await == 200;
        assert_eq!(alive, stored != theirs, "ours was answered {ours}, and {stored} is stored");
        shared.set(&format!("password = '{}'", hash(PASSWORD)), "ann").await;
        assert_eq!(shared.status(&token).await, 401);
    }
}

#[tokio::test]
async fn a_table_that_is_only_read_keeps_what_it_has() {
    let mapping = UserMapping { read_only: true, ..mapping() };
    let shared = Shared::start_with(TABLE, mapping, |_| {}).await;
    shared.add("ann", PASSWORD).await;
    let token = shared.sign_in("ann", PASSWORD).await;
    assert_eq!(shared.change_password(&token, PASSWORD, NEW_PASSWORD).await, 404);
    assert_eq!(shared.sign_up(json!({ "username": "bob", "password": PASSWORD })).await.status(), 404);
    let id = shared.server.mapae.find_account("ann").await.unwrap().id;
    let mapae = &shared.server.mapae;
    assert!(mapae.administer(&id, crate::server::disable(true), By::System).await.is_err());
    let grant = mapae::service::accounts::AdminChange {
        grant: mapae_verify::Scopes::parse("items").unwrap(),
        ..Default::default()
    };
    assert_eq!(mapae.administer(&id, grant, By::System).await.unwrap().scopes.to_string(), "me items");
    assert!(
        mapae.set_password(&id, &mapae::domain::SecretText::new(NEW_PASSWORD.to_owned()), By::System).await.is_err()
    );
    assert_eq!(shared.one(r#"SELECT password FROM "auth ""user""#).await, hash(PASSWORD));
}

#[tokio::test]
async fn text_ids_a_disabled_column_and_addresses_work_too() {
    let table =
        "CREATE TABLE users (key CHAR(32) PRIMARY KEY, mail TEXT, name TEXT, hashed_password TEXT, off BOOLEAN)";
    let mapping = UserMapping {
        id: "key".to_owned(),
        id_type: IdType::HexUuid,
        email: Some("mail".to_owned()),
        full_name: Some(FullNameColumns::One("name".to_owned())),
        active: Some(ActiveColumn::Disabled("off".to_owned())),
        rehash: true,
        ..Preset::SqlalchemyTutorial.mapping()
    };
    let shared = Shared::start_with(table, mapping, |settings| {
        settings.passwords.costs.pbkdf2 = Some(Pbkdf2Rounds::new(2).unwrap());
    })
    .await;
    let body = json!({ "email": "ann@example.com", "full_name": "Ann", "password": PASSWORD });
    let made = expect(shared.sign_up(body).await, StatusCode::CREATED).await;
    assert_eq!((text(&made["id"]).len(), &made["full_name"]), (32, &json!("Ann")));
    let named = json!({ "username": "ann", "email": "x@example.com", "password": PASSWORD });
    assert_eq!(refused_fields(shared.sign_up(named).await).await, [("username".to_owned(), "not_kept".to_owned())]);

    let (weak, insert) = (hash(PASSWORD), "INSERT INTO users (key, mail, hashed_password)");
    shared.sql(&format!("{insert} VALUES ('b', 'bob@example.com', '{weak}')")).await;
    let before = shared.sign_in("bob@example.com", PASSWORD).await;
    let renewed = shared.one("SELECT hashed_password FROM users WHERE key = 'b'").await;
    assert!(renewed.starts_with("pbkdf2_sha256$2$"), "{renewed}");
    assert_eq!(shared.status(&before).await, 200);
    shared.sign_in("bob@example.com", PASSWORD).await;
    assert_eq!(shared.status(&before).await, 200, "a hash that we renewed is no other password");

    shared.sql(&format!("{insert} VALUES ('c', 'bob@example.com', '{weak}')")).await;
    shared.refused("bob@example.com", PASSWORD).await;
    shared.sql("DELETE FROM users WHERE key = 'c'; UPDATE users SET off = 1 WHERE key = 'b'").await;
    assert_eq!(shared.status(&before).await, 401);
}
