//! `mapae db check` on rows that were damaged by hand.

use std::os::unix::fs::PermissionsExt;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::db_copy::crowd;
use crate::everything::{column, copy, file_url, fill, open, sql, tables};
use crate::postgres::OwnDatabase;
use crate::support::{Ended, GOOD_KEY, Home};

const FILE: &str = "mapae-data/mapae.db";

/// A copy of some row with changes, and what must be said of it.
struct Damage {
    table: &'static str,
    /// Which row is copied.
    of: &'static str,
    /// What the copy has otherwise, its key first.
    with: &'static str,
    /// The key of the copy.
    row: &'static str,
    problem: &'static str,
    remedy: &'static str,
}

const fn damage(table: &'static str, of: &'static str, [row, with, problem, remedy]: [&'static str; 4]) -> Damage {
    Damage { table, of, with, row, problem, remedy }
}

const ADA: &str = "username = 'ada'";
const ANY: &str = "true";
const SIGN_IN: &str = "minted IS NULL AND ended_at IS NULL";

/// Damage that both engines let happen. Names are of other people than those who are copied.
const DAMAGES: &[Damage] = &[
    damage(
        "mapae_user",
        ADA,
        [
            "x:1",
            "id = 'x:1', username = 'x1', username_canonical = 'x1', email = NULL, email_canonical = NULL, search = 'x1'",
            "its id can be no account's",
            "stop every server, then run DELETE FROM mapae_user WHERE id = 'x:1'",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x2",
            "id = 'x2', username = 'x2', username_canonical = 'x2', email = NULL, email_canonical = NULL, search = 'x2', scopes = 'a\"b'",
            "its scopes cannot be read",
            "mapae user grant",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x3",
            "id = 'x3', username = 'x3', username_canonical = 'x3', email = NULL, email_canonical = NULL, search = 'x3', password_hash = 'plain text'",
            "its password hash cannot be used",
            "mapae user passwd x3",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x4",
            "id = 'x4', username = 'X4', username_canonical = 'X4', email = NULL, email_canonical = NULL, search = 'x4'",
            "is not stored in the form in which it is compared",
            "SET username_canonical = 'x4' WHERE id = 'x4'",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x5",
            "id = 'x5', username = 'ADA', username_canonical = 'ADA', email = NULL, email_canonical = NULL, search = 'ada'",
            "its user name is that of the account",
            "PATCH /admin/users/x5",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x6",
            "id = 'x6', username = 'x 6', username_canonical = 'x 6', email = NULL, email_canonical = NULL, search = 'x 6'",
            "but no spaces",
            "PATCH /admin/users/x6",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x7",
            "id = 'x7', username = 'x7', username_canonical = 'x7', email = 'X7@Example.com', email_canonical = 'X7@Example.com', search = 'x7\nx7@example.com\nx7@example.com'",
            "its address is not stored in the form",
            "SET email_canonical = 'x7@example.com'",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x8",
            "id = 'x8', username = NULL, username_canonical = 'x8', email = 'x8@example.com', email_canonical = 'x8@example.com', search = 'x8@example.com\nx8@example.com'",
            "signed in to by a user name that it does not show",
            "SET username_canonical = NULL",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x9",
            "id = 'x9', username = 'x9', username_canonical = 'x9', email = NULL, email_canonical = NULL, search = 'x9', updated_at = '2020-01-01 00:00:00+00:00'",
            "is before it was made",
            "the clock was wrong",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "x10",
            "id = 'x10', username = 'x10', username_canonical = 'x10', email = NULL, email_canonical = NULL, search = 'x10', created_at = '2095-01-01 00:00:00+00:00'",
            "which has not come yet",
            "run UPDATE mapae_user SET created_at = updated_at WHERE id = 'x10'",
        ],
    ),
    // The two of them are one name, though neither is stored as it.
    damage(
        "mapae_user",
        ADA,
        [
            "y1",
            "id = 'y1', username = 'Twin', username_canonical = 'Twin', email = NULL, email_canonical = NULL, search = 'twin'",
            "is not stored in the form",
            "SET username_canonical = 'twin'",
        ],
    ),
    damage(
        "mapae_user",
        ADA,
        [
            "y2",
            "id = 'y2', username = 'TWIN', username_canonical = 'TWIN', email = NULL, email_canonical = NULL, search = 'twin'",
            "is that of the account y1 too",
            "or the other one",
        ],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        ["s1", "id = 's1', user_id = 'nobody'", "its account nobody is gone", "mapae session end s1"],
    ),
    damage(
        "mapae_session",
        "minted IS NOT NULL",
        [
            "s2",
            "id = 's2', user_id = 'nobody', token_hash = 'other'",
            "its account nobody is gone",
            "mapae token revoke s2",
        ],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        ["s3", "id = 's3', client_id = 'gone'", "its client gone is gone", "mapae session end s3"],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        ["s4", "id = 's4', scopes = 'a\"b'", "it cannot be read", "DELETE FROM mapae_session WHERE id = 's4'"],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        ["s5", "id = 's5', end_reason = 'boredom'", "the reason of its end is unknown", "DELETE FROM"],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        [
            "s6",
            "id = 's6', expires_at = '2020-01-01 00:00:00+00:00'",
            "its end (2020-01-01 00:00:00 UTC) is before it was made",
            "mapae session end s6",
        ],
    ),
    damage(
        "mapae_session",
        SIGN_IN,
        [
            "s7",
            "id = 's7', created_at = '2095-01-01 00:00:00+00:00', expires_at = '2096-01-01 00:00:00+00:00', idle_expires_at = '2096-01-01 00:00:00+00:00'",
            "which has not come yet",
            "mapae session end s7",
        ],
    ),
    damage(
        "mapae_session",
        "minted IS NOT NULL",
        ["s8", "id = 's8', token_hash = 'third', audience = 'no JSON'", "no audience", "DELETE FROM"],
    ),
    damage(
        "mapae_session",
        "minted IS NOT NULL",
        [
            "s9",
            "id = 's9', token_hash = 'fourth', parent_id = (SELECT min(id) FROM mapae_session WHERE ended_at IS NOT NULL)",
            "which has ended, but it was not ended",
            "mapae token revoke s9",
        ],
    ),
    damage(
        "mapae_session",
        "minted IS NOT NULL",
        [
            "s10",
            "id = 's10', token_hash = 'fifth', parent_id = 'nothing'",
            "it was made from nothing, which is gone, but it was not ended",
            "mapae token revoke s10",
        ],
    ),
    damage("mapae_client", ANY, ["a b", "id = 'a b'", "the id is no client id", "mapae client add"]),
    damage(
        "mapae_client",
        ANY,
        ["c1", "id = 'c1', grants = 'wishes'", "unknown grant", "DELETE FROM mapae_client WHERE id = 'c1'"],
    ),
    damage(
        "mapae_client",
        ANY,
        [
            "c2",
            "id = 'c2', secret_hash = NULL",
            "it is confidential, but has no secret",
            "mapae client rotate-secret c2",
        ],
    ),
    damage(
        "mapae_client",
        ANY,
        ["c3", "id = 'c3', secret_hash = 'sha256:short'", "the hash of its secret cannot be used", "rotate-secret c3"],
    ),
    damage(
        "mapae_client",
        ANY,
        ["c4", "id = 'c4', client_type = 'public'", "it is public, but has a secret", "SET secret_hash = NULL"],
    ),
    damage(
        "mapae_signing_key",
        "state = 'next'",
        [
            "k1",
            "kid = 'k1'",
            "the master key does not open its private half",
            "DELETE FROM mapae_signing_key WHERE kid = 'k1'",
        ],
    ),
    damage(
        "mapae_signing_key",
        "state = 'next'",
        ["k2", "kid = 'k2', state = 'asleep'", "unknown state asleep", "restore the row from a backup"],
    ),
    damage(
        "mapae_signing_key",
        "state = 'next'",
        ["k3", "kid = 'k3', public_jwk = '{'", "its public half cannot be read", "restore"],
    ),
    damage(
        "mapae_signing_key",
        "state = 'active'",
        [
            "k4",
            "kid = 'k4', state = 'retiring', wrapped_private = ''",
            "would be accepted for good",
            "mapae key revoke k4",
        ],
    ),
    damage(
        "mapae_data_key",
        "name = 'check'",
        ["other", "name = 'other'", "the master key does not open it", "restore the row from a backup"],
    ),
    damage(
        "mapae_revocation",
        ANY,
        ["1", "seq = 1, kind = 'wish'", "unknown kind wish", "DELETE FROM mapae_revocation WHERE seq = '1'"],
    ),
    damage(
        "mapae_revocation",
        ANY,
        ["2", "seq = 2, kind = 'sub', before = NULL", "which tokens of the subject", "DELETE FROM"],
    ),
    damage(
        "mapae_ticket",
        ANY,
        ["t1", "hash = 't1', claims = '{}'", "its claims cannot be read", "DELETE FROM mapae_ticket WHERE hash = 't1'"],
    ),
    damage("mapae_audit", ANY, ["a1", "id = 'a1', details = '['", "its details are not JSON", "SET details = NULL"]),
    damage(
        "mapae_shared_account",
        ANY,
        ["z1", "user_id = 'z1', scopes = 'a\"b'", "its scopes cannot be read", "mapae user grant"],
    ),
];

impl Damage {
    /// As a row that some are copied to and changed in before it goes in.
    fn statements(&self) -> String {
        let Self { table, of, with, .. } = self;
        format!(
            "CREATE TEMPORARY TABLE one AS SELECT * FROM {table} WHERE {of} LIMIT 1; UPDATE one SET {with}; \
             INSERT INTO {table} SELECT * FROM one; DROP TABLE one;"
        )
    }
}

fn found(ended: &Ended) -> (Value, Vec<Value>) {
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let rows = shown["rows"].as_array().expect("a list").clone();
    (shown, rows)
}

/// The one fault of this row.
fn fault<'a>(rows: &'a [Value], table: &str, row: &str) -> &'a Value {
    let mut found = rows.iter().filter(|fault| fault["table"] == table && fault["row"] == row);
    let fault = found.next().unwrap_or_else(|| panic!("nothing is said of {table} {row} in {rows:#?}"));
    assert!(found.next().is_none(), "too much is said of {table} {row}: {rows:#?}");
    fault
}

/// Damages that database, and has every damage found, and nothing else.
async fn every_damage_is_found(home: &Home, url: &str, variables: &[(&str, &str)]) {
    let healthy = home.run(&["db", "check", "--json"], variables);
    assert_eq!(healthy.status, Some(0), "{healthy:?}");
    assert_eq!(found(&healthy).0, json!({ "ok": true, "problems": [], "rows": [], "more_rows": 0 }));

    let database = open(url).await;
    for damage in DAMAGES {
        database.execute_unprepared(&damage.statements()).await.expect(damage.with);
    }
    let of_ada = column::<String>(url, "SELECT id FROM mapae_user WHERE username = 'ada'").await;
    database.execute_unprepared("UPDATE mapae_user SET search = 'zzz' WHERE username = 'ada'").await.expect("changed");
    database.close().await.expect("it closes");

    let damaged = home.run(&["db", "check", "--json"], variables);
    assert_eq!(damaged.status, Some(1), "{damaged:?}");
    let (shown, rows) = found(&damaged);
    assert_eq!((&shown["ok"], &shown["problems"]), (&json!(false), &json!([])), "{shown:#}");
    for damage in DAMAGES {
        let fault = fault(&rows, damage.table, damage.row);
        let (problem, remedy) = (fault["problem"].as_str().expect("text"), fault["to_do"].as_str().expect("text"));
        assert!(problem.contains(damage.problem), "{:?} is not said: {fault:#}", damage.problem);
        assert!(remedy.contains(damage.remedy), "{:?} is not said: {fault:#}", damage.remedy);
    }
    let search = fault(&rows, "mapae_user", &of_ada[0]);
    assert!(search["problem"].as_str().expect("text").contains("a search does not find it"), "{search:#}");
    assert_eq!(rows.len(), DAMAGES.len() + 1, "{rows:#?}");

    let said = home.run(&["db", "check"], variables);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert_eq!(said.stderr, format!("mapae: {} rows are broken: do as each says above.\n", rows.len()));
    assert!(
        said.stdout.contains("mapae_session s1: its account nobody is gone, but it was not ended.\n    To do: end")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rows_are_found_in_a_file() {
    let home = Home::new();
    fill(&home, &[]).await;
    every_damage_is_found(&home, &file_url(&home, FILE), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rows_are_found_on_a_server() {
    let Some(database) = OwnDatabase::new("broken_rows").await else { return };
    let home = Home::new();
    let variables = [("DATABASE_URL", database.url.as_str()), ("MAPAE_MASTER_KEY", GOOD_KEY)];
    fill(&home, &variables).await;
    every_damage_is_found(&home, &database.url, &variables).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_any_table_that_cannot_be_read_is_named() {
    let home = Home::new();
    fill(&home, &[]).await;
    let url = file_url(&home, FILE);
    let names = tables(&home, FILE).await;
    assert!(names.len() > 10, "{names:?}");
    let mut spoilt = Vec::new();
    for table in &names {
        // SQLite takes anything anywhere.
        let time = format!("SELECT name FROM pragma_table_info('{table}') WHERE type LIKE '%timestamp%' AND [notnull]");
        let time = column::<String>(&url, &time).await.first().unwrap_or_else(|| panic!("{table} has no time")).clone();
        let key = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk = 1");
        let key = column::<String>(&url, &key).await[0].clone();
        let last = format!("{key} = (SELECT max({key}) FROM {table})");
        sql(&url, &format!("UPDATE {table} SET {time} = 'yesterday' WHERE {last}")).await;
        let shown = match table.as_str() {
            "mapae_throttle" => format!("lower(hex({key}))"),
            _ => format!("CAST({key} AS TEXT)"),
        };
        let row: Vec<String> = column(&url, &format!("SELECT {shown} FROM {table} WHERE {last}")).await;
        spoilt.push((table, row[0].clone(), time));
    }
    let (_, rows) = found(&home.run(&["db", "check", "--json"], &[]));
    for (table, row, time) in spoilt {
        let fault = fault(&rows, table, &row);
        let problem = fault["problem"].as_str().expect("text");
        assert!(problem.contains("not of its type") && problem.contains(&time), "{fault:#}");
    }
    // A copy would only carry it on.
    let copied = copy(&home, "sqlite:///mapae-data/mapae.db", "sqlite:///new.db", &[]);
    assert!(copied.status == Some(1) && copied.stderr.contains("`mapae db check` there tells which row"), "{copied:?}");
    assert!(!home.path().join("new.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_leaves_the_file_as_it_is() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    assert_eq!(home.run(&["db", "backup", "b.db"], &[]).status, Some(0));
    let file = home.path().join("b.db");
    let before = std::fs::read(&file).expect("the file");
    let url = format!("sqlite:///{}", file.display());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).expect("changed");
    let entries = || std::fs::read_dir(home.path()).expect("readable").count();
    let there = entries();
    let checked = home.run(&["db", "check"], &[("DATABASE_URL", &url)]);
    assert_eq!(checked.status, Some(0), "{checked:?}");
    assert!(std::fs::read(&file).expect("the file") == before, "the file was changed");
    assert_eq!(entries(), there, "something was left beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_not_called_damaged() {
    let home = Home::new();
    let variables = [("DATABASE_URL", "postgres://mapae@127.0.0.1:1/mapae"), ("MAPAE_MASTER_KEY", GOOD_KEY)];
    for arguments in [&["db", "check"][..], &["db", "check", "--json"]] {
        let ended = home.run(arguments, &variables);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains("it is not known whether it is in order"), "{ended:?}");
        assert!(!ended.stderr.contains("damaged") && !ended.stderr.contains("backup"), "{ended:?}");
    }
    // Locked by another for longer than anybody waits.
    let home = Home::migrated();
    let holder = open(&file_url(&home, FILE)).await;
    holder.execute_unprepared("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").await.expect("locked");
    let ended = home.run(&["db", "check"], &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("locked") && !ended.stderr.contains("damaged"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_broken_rows_are_counted() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    crowd(&file_url(&home, FILE), 2_500).await;
    sql(&file_url(&home, FILE), "UPDATE mapae_user SET search = '' WHERE id <> 'u1'; DELETE FROM mapae_session").await;
    let (shown, rows) = found(&home.run(&["db", "check", "--json"], &[]));
    assert_eq!((rows.len(), &shown["more_rows"]), (1_000, &json!(1_500)));
}
