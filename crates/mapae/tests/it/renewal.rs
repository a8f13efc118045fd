//! Stored hashes that are renewed at sign-in: nobody who knows the password is refused for it.

use std::num::NonZeroUsize;
use std::time::Duration;

use mapae::domain::UserId;
use mapae::settings::Settings;
use mapae_password::{Argon2Params, Password, Workspace};
use reqwest::{RequestBuilder, StatusCode};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;

use crate::server::{PASSWORD, Server};

const NEW_PASSWORD: &str = "twelve yellow giraffes";

fn costlier(settings: &mut Settings) {
    settings.passwords.argon2 = Argon2Params::new(4 * 1024, 3, 1).unwrap();
}

fn sign_in(server: &Server, username: &str) -> RequestBuilder {
    server.post("/users/signin").json(&json!({ "username": username, "password": PASSWORD }))
}

/// Sends all at once; the status of each, in order.
async fn at_once(requests: Vec<RequestBuilder>) -> Vec<u16> {
    let tasks: Vec<_> = requests.into_iter().map(|request| tokio::spawn(request.send())).collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap().unwrap().status().as_u16());
    }
    statuses
}

/// Does this whenever a password hash was replaced.
async fn trigger(database: &DatabaseConnection, name: &str, what: &str) {
    let on = format!("CREATE TRIGGER {name} AFTER UPDATE OF password_hash ON mapae_user FOR EACH ROW");
    let sql = match database.get_database_backend() {
        DbBackend::Sqlite => format!("{on} BEGIN {what}; END"),
        _ => format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {what}; RETURN new; END$$; \
             {on} EXECUTE FUNCTION {name}()"
        ),
    };
    database.execute_unprepared(&sql).await.unwrap();
}

/// The database, past the store.
async fn database(server: &Server) -> DatabaseConnection {
    Database::connect(crate::database::url(server.directory())).await.unwrap()
}

async fn hash(server: &Server, id: &UserId) -> String {
    server.mapae.store().credential_by_id(id).await.unwrap().unwrap().hash.into_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sign_ins_at_once_all_succeed_and_one_renews() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(server.newcomer(&format!("user{number}")).await.0);
    }
    let server = server.restart_with(costlier).await;
    let database = database(&server).await;
    database.execute_unprepared("CREATE TABLE renewed (id TEXT)").await.unwrap();
    trigger(&database, "note", "INSERT INTO renewed VALUES (new.id)").await;
    for (number, id) in ids.iter().enumerate() {
        let username = format!("user{number}");
        assert_eq!(at_once((0..8).map(|_| sign_in(&server, &username)).collect()).await, [200; 8]);
        assert!(hash(&server, id).await.starts_with("$argon2id$v=19$m=4096,t=3,p=1$"));
        let query = format!("SELECT count(*) FROM renewed WHERE id = '{id}'");
        let query = Statement::from_string(database.get_database_backend(), query);
        let count: i64 = database.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(count, 1, "renewed once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grave_changes_succeed_beside_sign_ins_that_renew() {
    let server = Server::start().await;
    let mut tokens = Vec::new();
    for name in ["ann", "bob", "cid"] {
        tokens.push(server.newcomer(name).await.1);
    }
    let server = server.restart_with(costlier).await;
    let mut requests = Vec::new();
    for number in 0..4 {
        let body = json!({ "email": format!("ann{number}@example.com"), "password": PASSWORD });
        requests.push(server.patch("/users/me").bearer_auth(&tokens[0]).json(&body));
        requests.push(sign_in(&server, "ann"));
    }
    assert_eq!(at_once(requests).await, [200; 8]);

    // Those who come after these have the wrong password, or no account.
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let change = server.post("/users/me/password").bearer_auth(&tokens[1]).json(&body);
    let delete = server.delete("/users/me").bearer_auth(&tokens[2]).json(&json!({ "password": PASSWORD }));
    for (grave, name) in [(change, "bob"), (delete, "cid")] {
        let mut requests: Vec<_> = (0..7).map(|_| sign_in(&server, name)).collect();
        requests.insert(3, grave);
        let mut statuses = at_once(requests).await;
        assert_eq!(statuses.remove(3), 204, "{name}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 401)), "{statuses:?}");
        assert_eq!(sign_in(&server, name).send().await.unwrap().status(), 401, "{name}");
    }
}

/// Replaces the stored hash while a request is checked against the old one.
async fn replaced_meanwhile(server: &Server, id: &UserId, with: &str, request: RequestBuilder) -> StatusCode {
    let new = server.settings.passwords.hash(&Password::new(with).unwrap(), &[7; 16], &mut Workspace::new()).unwrap();
    let before = hash(server, id).await;
    let running = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(hash(server, id).await, before);
    assert!(!running.is_finished(), "the hash takes longer than that");
    let mut tx = server.mapae.store().begin().await.unwrap();
    assert!(tx.replace_password_hash(id, None, &new).await.unwrap());
    tx.commit().await.unwrap();
    running.await.unwrap().unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_that_is_stored_in_the_end_decides() {
    let server = Server::start_with(|settings| {
        settings.passwords.argon2 = Argon2Params::new(64 * 1024, 6, 1).unwrap();
        settings.hash_pool.threads = NonZeroUsize::MIN;
    })
    .await;
    for (with, sign_in_status, change_status) in [(PASSWORD, 200, [200, 204]), (NEW_PASSWORD, 401, [403, 403])] {
        let username = if with == PASSWORD { "ann" } else { "bob" };
        let (id, token) = server.newcomer(username).await;
        let email = json!({ "email": format!("{username}@example.com"), "password": PASSWORD });
        let patch = server.patch("/users/me").bearer_auth(&token).json(&email);
        let delete = server.delete("/users/me").bearer_auth(&token).json(&json!({ "password": PASSWORD }));
        let own = server.settings.passwords.hash(&Password::new(PASSWORD).unwrap(), &[8; 16], &mut Workspace::new());
        let own = own.unwrap();
        let requests =
            [(sign_in(&server, username), sign_in_status), (patch, change_status[0]), (delete, change_status[1])];
        for (request, expected) in requests {
            let mut tx = server.mapae.store().begin().await.unwrap();
            tx.replace_password_hash(&id, None, &own).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(replaced_meanwhile(&server, &id, with, request).await, expected, "{username}");
        }
    }
}

#[tokio::test]
async fn a_hash_that_cannot_be_renewed_refuses_nobody() {
    let server = Server::start().await;
    let (id, token) = server.newcomer("ann").await;
    let before = hash(&server, &id).await;
    let server = server.restart_with(costlier).await;
    let database = database(&server).await;
    let refuse = match database.get_database_backend() {
        DbBackend::Sqlite => "SELECT RAISE(ABORT, 'the disk is full')",
        _ => "RAISE EXCEPTION 'the disk is full'",
    };
    trigger(&database, "refuse", refuse).await;
    assert_eq!(sign_in(&server, "ann").send().await.unwrap().status(), 200);
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    assert_eq!(server.patch("/users/me").bearer_auth(&token).json(&body).send().await.unwrap().status(), 200);
    assert_eq!(hash(&server, &id).await, before);
    let all = match database.get_database_backend() {
        DbBackend::Sqlite => "DROP TRIGGER refuse",
        _ => "DROP TRIGGER refuse ON mapae_user",
    };
    database.execute_unprepared(all).await.unwrap();
    assert_eq!(sign_in(&server, "ann").send().await.unwrap().status(), 200);
    assert_ne!(hash(&server, &id).await, before, "the next sign-in renews it");
}
