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
