//! The tables of both engines, compared: one set of migrations makes the same on each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mapae::store::{Migrate, Store, TableShape};
use mapae_verify::ManualClock;
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::database::{Directory, is_postgres};
use crate::server::START;

/// What a column is, whatever an engine calls it.
fn kind(declared: &str) -> &'static str {
    match declared {
        "text" => "text",
        "blob" | "bytea" => "bytes",
        "boolean" => "boolean",
        "bigint" | "integer" => "number",
        "timestamp_with_timezone_text" | "timestamp with time zone" => "time",
        other => panic!("a type that the engines were not compared for: {other}"),
    }
}

/// For each table its columns, in order: name, kind, and whether it must hold something; and which are unique.
type Tables = BTreeMap<String, (Vec<(String, &'static str, bool)>, BTreeSet<String>)>;

async fn tables(url: &str, names: &str) -> Tables {
    let store = Store::open(url, true, Migrate::Apply, Arc::new(ManualClock::new(START))).await.unwrap();
    let database = Database::connect(url).await.unwrap();
    let names = Statement::from_string(database.get_database_backend(), names);
    let mut tables = Tables::new();
    for row in database.query_all_raw(names).await.unwrap() {
        let name: String = row.try_get_by_index(0).unwrap();
        let TableShape { columns, unique } = store.table_shape(&name).await.unwrap();
        let columns = columns.into_iter().map(|column| {
            let declared = column.declared_type.to_ascii_lowercase();
            // The library that runs migrations makes its own table in its own way.
            let kind = if name == "mapae_migrations" { "" } else { kind(&declared) };
            (column.name, kind, column.not_null)
        });
        tables.insert(name.clone(), (columns.collect(), unique.into_iter().collect()));
    }
    tables
}

async fn indexes(url: &str, query: &str) -> BTreeSet<String> {
    let database = Database::connect(url).await.unwrap();
    let query = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(query).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn both_engines_have_the_same_tables_and_indexes() {
    if !is_postgres() {
        return; // Compared where both are at hand.
    }
    let directory = Directory::new();
    let (file, server) = (format!("sqlite://{}", directory.path().join("other.db").display()), directory.url());
    let of_file = tables(&file, "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mapae_%'").await;
    let of_server = tables(&server, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()").await;
    assert_eq!(of_file.keys().collect::<Vec<_>>(), of_server.keys().collect::<Vec<_>>());
    assert!(of_file.len() > 8, "{:?}", of_file.keys());
    for (name, table) in &of_file {
        assert_eq!(table, &of_server[name], "{name}: SQLite has the left, PostgreSQL the right");
    }
    let of_file = indexes(&file, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").await;
    let of_server = indexes(
        &server,
        "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema() \
                          AND indexname NOT LIKE '%\\_pkey'",
    )
    .await;
    assert_eq!(of_file, of_server);
}

/// On SQLite a test beside the query asks for its plan. Here the server counts what it did.
#[tokio::test]
async fn an_administrator_is_looked_for_by_an_index() {
    if !is_postgres() {
        return;
    }
    let directory = Directory::new();
    let store = Store::open(directory.url(), true, Migrate::Apply, Arc::new(ManualClock::new(START))).await.unwrap();
    let database = Database::connect(directory.url()).await.unwrap();
    let accounts = "INSERT INTO mapae_user (id, search, password_hash, disabled, scopes, created_at, updated_at) \
                    SELECT 'u' || i, '', '', i % 7 = 0, 'me items', now(), now() FROM generate_series(1, 20000) i";
    database.execute_unprepared(accounts).await.unwrap();
    database.execute_unprepared("ANALYZE mapae_user").await.unwrap();
    let scans = async || -> i64 {
        let counted = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'mapae_user_admin_idx'";
        let counted = Statement::from_string(database.get_database_backend(), counted);
        database.query_one_raw(counted).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    // More often than PostgreSQL plans for the values of this time before it plans for any.
    for _ in 0..8 {
        assert!(!store.has_administrator().await.unwrap());
    }
    for (scopes, disabled, is_one) in
        [("me mapae:admin", false, true), ("mapae:admin", true, false), ("mapae:admins x", false, false)]
    {
        let change = format!("UPDATE mapae_user SET scopes = '{scopes}', disabled = {disabled} WHERE id = 'u1'");
        database.execute_unprepared(&change).await.unwrap();
        assert_eq!(store.has_administrator().await.unwrap(), is_one, "{scopes} {disabled}");
    }
    // A connection tells what it did when it is closed.
    store.close().await;
    let began = tokio::time::Instant::now();
    while scans().await < 11 {
        assert!(began.elapsed().as_secs() < 10, "the index was used {} times", scans().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    database.close().await.unwrap();
}
