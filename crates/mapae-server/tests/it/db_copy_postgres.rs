//! `mapae db copy` from a file to a server, and back; see `postgres` for where the server comes from.

use std::time::Duration;

use serde_json::Value;

use crate::db_copy::{crowd, wait_for_rows};
use crate::everything::{column, copy, file_url, fill, sql, tables};
use crate::postgres::OwnDatabase;
use crate::server::Server;
use crate::support::{Ended, GOOD_KEY, Home};

const SOURCE: &str = "sqlite:///mapae-data/mapae.db";
const TABLES: &str = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_nothing_is_lost() {
    let Some(database) = OwnDatabase::new("copied").await else { return };
    let Some(second) = OwnDatabase::new("copied_again").await else { return };
    let home = Home::new();
    let held = fill(&home, &[]).await;
    crowd(&file_url(&home, "mapae-data/mapae.db"), 1_500).await;
    // As an import may have made it: finer than PostgreSQL keeps it.
    let fine = "UPDATE mapae_user SET created_at = '2025-12-31T23:59:59.123456789+00:00' WHERE id = 'u7'";
    sql(&file_url(&home, "mapae-data/mapae.db"), fine).await;
    let there = copy(&home, SOURCE, &database.url, &["--json"]);
    assert_eq!(there.status, Some(0), "{there:?}");
    let with_password = |text: &str| text.contains(" with its password");
    assert_eq!(with_password(&there.stderr), database.url.contains(":hunter2@"), "{there:?}");
    assert!(!there.stdout.contains("hunter2") && !there.stderr.contains("hunter2"), "{there:?}");
    let sums = |ended: &Ended| -> Value {
        serde_json::from_str::<Value>(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))["tables"].clone()
    };
    let there = sums(&there);
    let across = copy(&home, &database.url, &second.url, &["--json"]);
    assert_eq!((across.status, &sums(&across)), (Some(0), &there), "{across:?}");
    let back = copy(&home, &second.url, "sqlite:///back.db", &["--json"]);
    assert_eq!((back.status, &sums(&back)), (Some(0), &there), "{back:?}");
    assert_eq!(tables(&home, "back.db").await, tables(&home, "mapae-data/mapae.db").await);
    let same = copy(&home, SOURCE, "sqlite:///back.db", &[]);
    assert!(same.stdout.starts_with("There is nothing to do"), "{same:?}");
    assert!(copy(&home, SOURCE, &second.url, &[]).stdout.starts_with("There is nothing to do"));
    let otherwise = database.url.replacen("127.0.0.1", "localhost", 1);
    let itself = copy(&home, &database.url, &otherwise, &[]);
    assert!(itself.status == Some(1) && itself.stderr.contains("the same database"), "{itself:?}");

    // What SQLite makes by itself is numbered on.
    let query = "SELECT nextval(pg_get_serial_sequence('mapae_invalidation', 'id')) - max(id) FROM mapae_invalidation";
    assert_eq!(column::<i64>(&second.url, query).await, [1]);

    let key = home.path().join("mapae-data/master.key").display().to_string();
    for url in [&database.url, &format!("sqlite:///{}", home.path().join("back.db").display())] {
        let variables = [("DATABASE_URL", url.as_str()), ("MAPAE_MASTER_KEY_FILE", key.as_str())];
        let checked = Home::new().run(&["db", "check"], &variables);
        assert_eq!(checked.status, Some(0), "{checked:?}");
        let mut server = Server::start(&Home::new(), &variables);
        held.assert_valid(&server).await;
        let live = copy(&home, url, "sqlite:///live.db", &[]);
        assert!(live.status == Some(1) && live.stderr.contains("most likely in a server ("), "{live:?}");
        server.stop();
        let late = copy(&home, SOURCE, url, &[]);
        assert!(late.status == Some(1) && late.stderr.contains("is not this copy (mapae_audit has "), "{late:?}");
    }
    database.drop().await;
    second.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_leaves_the_server_empty() {
    let Some(database) = OwnDatabase::new("killed_copy").await else { return };
    let home = Home::migrated();
    home.add_user(&["ada"]);
    crowd(&file_url(&home, "mapae-data/mapae.db"), 20_000).await;
    let mut cut = 0;
    for delay in [0, 200, 500] {
        let arguments = ["db", "copy", "--from", SOURCE, "--to", &database.url];
        let mut child = home.command(&arguments, &[]).spawn().expect("mapae runs");
        wait_for_rows(&mut child);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let whole = column::<String>(&database.url, TABLES).await.len();
        assert!(whole == 0 || whole > 10, "half of it is there: {whole} tables");
        cut += u32::from(whole == 0);
    }
    assert!(cut > 0, "none was cut off in the middle");
    let again = copy(&home, SOURCE, &database.url, &[]);
    assert_eq!(again.status, Some(0), "{again:?}");
    assert_eq!(column::<i64>(&database.url, "SELECT count(*) FROM mapae_user").await, [20_001]);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cannot_hold_is_named() {
    let Some(database) = OwnDatabase::new("nul_copy").await else { return };
    let home = Home::migrated();
    home.add_user(&["ada"]);
    sql(&file_url(&home, "mapae-data/mapae.db"), "UPDATE mapae_user SET full_name = 'a' || char(0) || 'b'").await;
    let refused = copy(&home, SOURCE, &database.url, &[]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    for part in ["of mapae_user has a NUL character in full_name", "take it out"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert!(column::<String>(&database.url, TABLES).await.is_empty(), "nothing is kept");

    // Another program's tables, and a service that started there first.
    sql(&database.url, "CREATE TABLE orders (id integer)").await;
    let theirs = copy(&home, SOURCE, &database.url, &[]);
    assert!(theirs.status == Some(1) && theirs.stderr.contains("another program (orders)"), "{theirs:?}");
    sql(&database.url, "DROP TABLE orders").await;
    let variables = [("DATABASE_URL", database.url.as_str()), ("MAPAE_MASTER_KEY", GOOD_KEY)];
    Server::start(&Home::new(), &variables).stop();
    let taken = copy(&home, SOURCE, &database.url, &[]);
    assert!(taken.status == Some(1) && taken.stderr.contains("is not this copy ("), "{taken:?}");
    database.drop().await;
}
