//! What nobody needs any more is removed, however much there is, and nothing else.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait};
use tokio::time::{Instant, sleep};

use crate::database::{is_postgres, say, url};
use crate::oauth::{refresh, sign_in};
use crate::server::Server;

const DAY: i64 = 24 * 60 * 60;
/// More than two transactions remove.
const MANY: i64 = 2_500;

async fn count(database: &DatabaseConnection, from: &str) -> i64 {
    let statement = Statement::from_string(database.get_database_backend(), format!("SELECT count(*) FROM {from}"));
    database.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Copies every session that begins with what is not `s` many times, with ids between each other's. `times` are what the
/// copies have for `expires_at` and `idle_expires_at`.
async fn copy_sessions(database: &DatabaseConnection, as_what: &str, [expires, idle]: [&str; 2]) {
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
         INSERT INTO mapae_session (id, user_id, client_id, created_at, expires_at, scopes, generation, refreshed_at, \
         idle_expires_at, access_expires_at) \
         SELECT 's' || (10000 + i) || '{as_what}', user_id, client_id, created_at, {expires}, scopes, generation, \
         refreshed_at, {idle}, access_expires_at \
         FROM mapae_session, n WHERE id NOT LIKE 's%' AND created_at = (SELECT max(created_at) FROM mapae_session)"
    );
    database.execute_unprepared(&sql).await.unwrap();
    assert_eq!(count(database, &format!("mapae_session WHERE id LIKE 's%{as_what}'")).await, MANY);
}

async fn until_gone(database: &DatabaseConnection, what: &[&str]) {
    let began = Instant::now();
    loop {
        let mut left = 0;
        for from in what {
            left += count(database, from).await;
        }
        if left == 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{left} are left of {what:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_sessions_go_in_steps_beside_live_ones() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let database = Database::connect(url(server.directory())).await.unwrap();
    sign_in(&server, "ann", "").await;
    copy_sessions(&database, "idle", ["expires_at", "idle_expires_at"]).await;
    copy_sessions(&database, "over", ["created_at", "NULL"]).await;
    // Past the time for refreshing, and the day for which they are kept, but not past the end of all sessions.
    server.clock.advance(31 * DAY + 3_600);
    let live = sign_in(&server, "ann", "").await;
    copy_sessions(&database, "live", ["expires_at", "idle_expires_at"]).await;

    // Several nodes at the same moment.
    let (one, two) = (server.another_process().await, server.another_process().await);
    let (server, one, two) = tokio::join!(server.restart_with(|_| {}), one.watch(), two.watch());
    let _watching = (one.unwrap(), two.unwrap());
    until_gone(&database, &["mapae_session WHERE id LIKE 's%idle'", "mapae_session WHERE id LIKE 's%over'"]).await;
    until_gone(&database, &["mapae_session WHERE id NOT LIKE 's%' AND access_expires_at < '2026-01-15'"]).await;
    assert_eq!(count(&database, "mapae_session").await, MANY + 1);
    assert_eq!(server.status_of_me(&live.access).await, 200);
    refresh(&server, &live.refresh).await;
    // Just before its time is over, and a day after that.
    server.clock.advance(30 * DAY + 1);
    let server = server.restart_with(|_| {}).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&database, "mapae_session").await, MANY + 1, "a day more is kept");
    server.clock.advance(DAY);
    let _server = server.restart_with(|_| {}).await;
    until_gone(&database, &["mapae_session"]).await;
    database.close().await.unwrap();
}

/// As another node has what it is removing itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_locked_is_passed_over() {
    if !is_postgres() {
        return say("not run on SQLite, which locks no rows: what others have locked is passed over");
    }
    let server = Server::start().await;
    server.sign_up("ann").await;
    let database = Database::connect(url(server.directory())).await.unwrap();
    sign_in(&server, "ann", "").await;
    copy_sessions(&database, "over", ["created_at", "NULL"]).await;
    server.clock.advance(2 * DAY);
    // More than one transaction removes, at both ends and in the middle.
    let locked = "mapae_session WHERE id LIKE 's%0over' OR id LIKE 's10%over' OR id LIKE 's12%over'";
    let held = database.begin().await.unwrap();
    let rows = held.execute_unprepared(&format!("SELECT id FROM {locked} FOR UPDATE")).await.unwrap().rows_affected();
    assert!(rows > 1_000, "{rows}");

    let began = Instant::now();
    let server = server.restart_with(|_| {}).await;
    until_gone(&database, &[&format!("mapae_session WHERE id LIKE 's%' AND id NOT IN (SELECT id FROM {locked})")])
        .await;
    // What waited for a lock would have been given up after five.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(count(&database, locked).await, i64::try_from(rows).unwrap());
    held.rollback().await.unwrap();
    let _server = server.restart_with(|_| {}).await;
    until_gone(&database, &["mapae_session WHERE id LIKE 's%'"]).await;
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_does_not_keep_the_rest() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let token = server.sign_in("ann").await;
    server.post("/users/signout").bearer_auth(&token).send().await.unwrap();
    server.post("/token").form(&[("username", "ann"), ("password", "wrong")]).send().await.unwrap();
    let database = Database::connect(url(server.directory())).await.unwrap();
    let all = ["mapae_session", "mapae_invalidation", "mapae_revocation", "mapae_throttle"];
    for table in all {
        assert!(count(&database, table).await > 0, "{table}");
    }
    database.execute_unprepared("ALTER TABLE mapae_ticket RENAME TO mapae_elsewhere").await.unwrap();
    server.clock.advance(365 * DAY);
    let _server = server.restart_with(|_| {}).await;
    // The start itself changes signing keys, which are a year old.
    let all = all.map(|table| match table {
        "mapae_invalidation" => "mapae_invalidation WHERE kind = 'session'",
        other => other,
    });
    until_gone(&database, &all).await;
    database.close().await.unwrap();
}
