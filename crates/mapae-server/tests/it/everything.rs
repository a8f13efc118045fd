//! A database with one of everything in it, to be copied, backed up, and checked; and SQL on databases from outside.

use reqwest::Client;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::server::{CHEAP, PASSWORD, Server};
use crate::support::{Ended, Home};

/// The table that only accounts of another application fill.
const SHARED_ACCOUNT: &str = "INSERT INTO mapae_shared_account (user_id, scopes, updated_at) \
                              VALUES ('17', 'me', '2026-01-01T00:00:00+00:00')";

/// What the people of that database hold.
pub(crate) struct Held {
    /// An access token and the refresh token of a session that goes on.
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// An access token of a session that has ended.
    pub(crate) ended: String,
    /// Of an account that is disabled.
    pub(crate) disabled: String,
    /// A personal access token.
    pub(crate) personal: String,
    /// The secret of the client `job`.
    pub(crate) secret: String,
    /// The public keys.
    pub(crate) jwks: Value,
}

/// Fills the database of these variables, in whose home nothing runs afterwards.
pub(crate) async fn fill(home: &Home, variables: &[(&str, &str)]) -> Held {
    let variables = [&[("MAPAE_SIGNUP", "open")], variables].concat();
    let mut server = Server::start(home, &variables);
    let client = Client::new();
    for name in ["ada", "bob"] {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        let answer = client.post(format!("{}/users/signup", server.url)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 201, "{name}");
    }
    let (_, kept) = server.sign_in("ada", PASSWORD, "").await;
    let (ended, disabled) = (access(&server, "ada").await, access(&server, "bob").await);
    let signout = client.post(format!("{}/users/signout", server.url)).bearer_auth(&ended).send().await;
    assert_eq!(signout.expect("an answer").status(), 204);
    assert_eq!(server.sign_in("ada", "wrong", "").await.0, 401);
    let access = text(&kept["access_token"]);
    let ticket = client.post(format!("{}/users/me/tickets", server.url)).bearer_auth(&access).json(&json!({}));
    assert_eq!(ticket.send().await.expect("an answer").status(), 201);
    let jwks = jwks(&server).await;

    let beside = |arguments: &[&str]| {
        let ended = home.run(arguments, &[&CHEAP[..], &[crate::server::BASE_URL], &variables].concat());
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        ended.stdout
    };
    beside(&["user", "disable", "bob"]);
    let add = ["client", "add", "--id", "job", "--confidential", "--grants", "client_credentials", "--scopes", "me"];
    let added: Value = serde_json::from_str(&beside(&[&add[..], &["--json"]].concat())).expect("JSON");
    let personal = beside(&["token", "mint", "ada", "--personal", "--scope", "me"]);
    let personal = personal.lines().find(|line| line.starts_with("mp_")).expect("a token").to_owned();
    server.stop();
    sql(&url_of(home, &variables), SHARED_ACCOUNT).await;
    let refresh = text(&kept["refresh_token"]);
    Held { access, refresh, ended, disabled, personal, secret: text(&added["client_secret"]), jwks }
}

impl Held {
    /// All of it is worth the same on this server, which goes on from there. The refresh token is used up.
    pub(crate) async fn assert_valid(&self, server: &Server) {
        let client = Client::new();
        assert_eq!(server.status(&client, "/users/me", &self.access).await, 200);
        assert_eq!(server.status(&client, "/users/me", &self.ended).await, 401);
        assert_eq!(server.status(&client, "/users/me", &self.disabled).await, 401);
        assert_eq!(server.sign_in("bob", PASSWORD, "").await.0, 401);
        let first: Vec<_> = self.jwks["keys"].as_array().expect("keys").clone();
        let now = jwks(server).await;
        assert!(!first.is_empty() && first.iter().all(|key| now["keys"].as_array().expect("keys").contains(key)));

        let refresh = |token: String| async move {
            token_endpoint(
                server,
                &[("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", "mapae")],
            )
            .await
        };
        let (status, next) = refresh(self.refresh.clone()).await;
        assert_eq!(status, 200, "{next}");
        assert_eq!(server.status(&client, "/users/me", &text(&next["access_token"])).await, 200);
        assert_eq!(refresh(text(&next["refresh_token"])).await.0, 200);

        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", &self.personal),
            ("client_id", "mapae"),
        ];
        assert_eq!(token_endpoint(server, &exchange).await.0, 200);
        let job = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", &self.secret)];
        assert_eq!(token_endpoint(server, &job).await.0, 200);
        // New rows find their numbers.
        let access = access(server, "ada").await;
        let signout = client.post(format!("{}/users/signout", server.url)).bearer_auth(&access).send().await;
        assert_eq!(signout.expect("an answer").status(), 204);
        assert_eq!(server.status(&client, "/users/me", &access).await, 401);
    }
}

/// `POST /oauth2/token`; status and body.
pub(crate) async fn token_endpoint(server: &Server, form: &[(&str, &str)]) -> (u16, Value) {
    let request = Client::new().post(format!("{}/oauth2/token", server.url)).form(form);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

async fn access(server: &Server, name: &str) -> String {
    let (status, body) = server.sign_in(name, PASSWORD, "").await;
    assert_eq!(status, 200, "{body}");
    text(&body["access_token"])
}

async fn jwks(server: &Server) -> Value {
    let answer = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// As a library opens it.
fn url_of(home: &Home, variables: &[(&str, &str)]) -> String {
    match variables.iter().find(|(name, _)| *name == "DATABASE_URL") {
        Some((_, url)) => (*url).to_owned(),
        None => file_url(home, "mapae-data/mapae.db"),
    }
}

/// A file in that home, as a library opens it.
pub(crate) fn file_url(home: &Home, name: &str) -> String {
    format!("sqlite://{}", home.path().join(name).display())
}

pub(crate) async fn open(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("it opens")
}

/// Runs these statements.
pub(crate) async fn sql(url: &str, statements: &str) {
    let database = open(url).await;
    database.execute_unprepared(statements).await.expect(statements);
    database.close().await.expect("it closes");
}

/// The first column of every row.
pub(crate) async fn column<T: sea_orm::TryGetable>(url: &str, query: &str) -> Vec<T> {
    let database = open(url).await;
    let statement = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(statement).await.expect(query);
    let values = rows.iter().map(|row| row.try_get_by_index(0).expect(query)).collect();
    database.close().await.expect("it closes");
    values
}

/// The tables of ours in a SQLite file, but the one of migrations.
pub(crate) async fn tables(home: &Home, name: &str) -> Vec<String> {
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mapae_%' \
                 AND name <> 'mapae_migrations' ORDER BY name";
    column(&file_url(home, name), query).await
}

/// `mapae db copy` in this home, with its key.
pub(crate) fn copy(home: &Home, from: &str, to: &str, more: &[&str]) -> Ended {
    home.run(&[&["db", "copy", "--from", from, "--to", to], more].concat(), &[])
}
