//! `mapae db copy` between files; see `db_copy_postgres` for servers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use crate::everything::{column, copy, file_url, fill, open, sql, tables};
use crate::server::Server;
use crate::support::{Ended, Home, OTHER_KEY};

/// The database of a server in its home.
pub(crate) const SOURCE: &str = "sqlite:///mapae-data/mapae.db";

pub(crate) fn refused(ended: &Ended, status: i32, parts: &[&str]) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
}

/// The names in this home, but that of the data directory.
pub(crate) fn beside(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path()).expect("readable");
    let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"));
    names.filter(|name| name != "mapae-data").collect()
}

/// Every table of both files, row by row, as SQLite itself compares them.
pub(crate) async fn assert_same(home: &Home, one: &str, other: &str) {
    let names = tables(home, one).await;
    assert_eq!(names, tables(home, other).await);
    let attach = format!("ATTACH '{}' AS other;", home.path().join(other).display());
    for name in names {
        for (left, right) in [("main", "other"), ("other", "main")] {
            let query =
                format!("SELECT count(*) FROM (SELECT * FROM {left}.{name} EXCEPT SELECT * FROM {right}.{name})");
            let database = open(&file_url(home, one)).await;
            database.execute_unprepared(&attach).await.expect("attached");
            let statement = Statement::from_string(database.get_database_backend(), query);
            let row = database.query_one_raw(statement).await.expect("compared").expect("a row");
            assert_eq!(row.try_get_by_index::<i64>(0).expect("a number"), 0, "{name}: {left} has what {right} has not");
            database.close().await.expect("it closes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_everything_and_goes_on() {
    let home = Home::new();
    let held = fill(&home, &[]).await;
    let file = home.path().join("mapae-data/mapae.db");
    let before = std::fs::read(&file).expect("the source");
    let copied = copy(&home, SOURCE, "sqlite:///new.db", &["--json"]);
    assert_eq!(copied.status, Some(0), "{copied:?}");
    assert!(copied.stderr.contains("copying ") && copied.stderr.contains("comparing "), "{copied:?}");
    assert!(copied.stderr.contains("with the same master key (MAPAE_MASTER_KEY_FILE=/"), "{copied:?}");
    assert!(std::fs::read(&file).expect("the source") == before, "the source was changed");

    // Whatever tables there are: one that a later migration makes must be copied, and filled by this test.
    let shown: Value = serde_json::from_str(&copied.stdout).expect("JSON");
    assert_eq!(shown["copied"], true);
    let listed = shown["tables"].as_array().expect("a list");
    let names: Vec<&str> = listed.iter().map(|table| table["table"].as_str().expect("a name")).collect();
    assert_eq!(names, tables(&home, "mapae-data/mapae.db").await);
    for table in listed {
        assert!(table["rows"].as_u64() > Some(0), "nothing fills this table: {table}");
    }
    assert_same(&home, "mapae-data/mapae.db", "new.db").await;

    let again = copy(&home, SOURCE, "sqlite:///new.db", &[]);
    assert!(again.status == Some(0) && again.stdout.starts_with("There is nothing to do: "), "{again:?}");

    let key = home.path().join("mapae-data/master.key").display().to_string();
    let database = format!("sqlite:///{}", home.path().join("new.db").display());
    let variables = [("DATABASE_URL", database.as_str()), ("MAPAE_MASTER_KEY_FILE", key.as_str())];
    let elsewhere = Home::new();
    let checked = elsewhere.run(&["db", "check"], &variables);
    assert_eq!(checked.status, Some(0), "{checked:?}");
    let mut server = Server::start(&elsewhere, &variables);
    held.assert_valid(&server).await;
    server.stop();
    // It has its own life now.
    let late = copy(&home, SOURCE, "sqlite:///new.db", &[]);
    refused(&late, 1, &["The target holds data that is not this copy (mapae_audit has ", "empty database"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_told_of() {
    let home = Home::new();
    let mut server = Server::start(&home, &[]);
    home.add_user(&["ada"]);
    let live = copy(&home, SOURCE, "sqlite:///new.db", &[]);
    refused(&live, 1, &["The source is open, most likely in a server (process ", "stop it first", "--live"]);
    assert!(!home.path().join("new.db").exists());
    let trial = copy(&home, SOURCE, "sqlite:///new.db", &["--live"]);
    assert!(trial.status == Some(0) && trial.stdout.contains("mapae_user "), "{trial:?}");
    server.stop();
    assert!(copy(&home, SOURCE, "sqlite:///new.db", &[]).stdout.starts_with("There is nothing to do"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_starts_on_the_source_while_it_is_copied() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    crowd(&file_url(&home, "mapae-data/mapae.db"), 5_000).await;
    let arguments = ["db", "copy", "--from", SOURCE, "--to", "sqlite:///new.db"];
    let mut child = home.command(&arguments, &[]).spawn().expect("mapae runs");
    wait_for_rows(&mut child);
    // It waits for the copy, which therefore has been made when its account is.
    home.add_user(&["late"]);
    assert!(child.try_wait().expect("it can be asked").is_some_and(|status| status.success()), "the copy goes on");
    let names = "SELECT count(*) FROM mapae_user WHERE username = 'late'";
    assert_eq!(column::<i64>(&file_url(&home, "new.db"), names).await, [0]);
    assert_eq!(column::<i64>(&file_url(&home, "mapae-data/mapae.db"), names).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_source_or_target_is_refused_and_left_alone() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    std::fs::write(home.path().join("text.db"), "no database at all, but long enough to be one of some kind")
        .expect("written");
    std::os::unix::fs::symlink("mapae-data/mapae.db", home.path().join("link.db")).expect("linked");
    sql(&format!("{}?mode=rwc", file_url(&home, "theirs.db")), "CREATE TABLE orders (id INTEGER)").await;
    let theirs = std::fs::read(home.path().join("theirs.db")).expect("the file");
    std::fs::write(home.path().join("empty.db"), "").expect("written");
    let target = "sqlite:///new.db";
    for (from, to, status, parts) in [
        (SOURCE, SOURCE, 1, &["the same database"][..]),
        (SOURCE, "sqlite:///link.db", 1, &["the same database"]),
        ("sqlite:///gone.db", target, 1, &["There is no database gone.db."]),
        ("sqlite:///text.db/x.db", target, 1, &["There is no database"]),
        ("sqlite:///mapae-data", target, 1, &["is a directory"]),
        ("sqlite:///text.db", target, 1, &["Of the source: ", "not a database"]),
        ("sqlite:///theirs.db", target, 1, &["Of the source: ", "another program (orders)"]),
        ("sqlite:///empty.db", target, 1, &["no tables of Mapae"]),
        (SOURCE, "sqlite:///mapae-data", 1, &["is a directory"]),
        (SOURCE, "sqlite:///no-such-place/new.db", 1, &["cannot be made", "directory must exist"]),
        (SOURCE, "sqlite:///theirs.db", 1, &["Of the target: ", "another program (orders)", "--adopt"]),
        (SOURCE, "sqlite:///text.db", 1, &["Of the target: ", "not a database"]),
        (SOURCE, "mysql://u:hunter2@h/db", 2, &["The URL of --to asks for mysql"]),
        ("hunter2", target, 2, &["The URL of --from is not a database URL"]),
        (SOURCE, "postgres://u:hunter2@127.0.0.1:1/db", 1, &["Of the target: ", "--to-file keeps it from them"]),
        ("postgres://u@127.0.0.1:1/db?password=hunter2", target, 1, &["Of the source: ", "--from-file keeps it"]),
    ] {
        let ended = copy(&home, from, to, &[]);
        refused(&ended, status, parts);
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
        for name in ["new.db", "gone.db", "new.db-lock"] {
            assert!(!home.path().join(name).exists(), "{from} to {to} made {name}");
        }
    }
    assert!(std::fs::read(home.path().join("theirs.db")).expect("the file") == theirs, "the file was changed");
    let named = home.run(&["db", "copy", "--from", SOURCE], &[]);
    assert!(named.status == Some(2) && named.stderr.contains("--to"), "{named:?}");

    // A URL in a file is kept from everybody.
    std::fs::write(home.path().join("url"), "postgres://u:hunter2@127.0.0.1:1/db\n").expect("written");
    let ended = home.run(&["db", "copy", "--from", SOURCE, "--to-file", "url"], &[]);
    refused(&ended, 1, &["Of the target: "]);
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("others on this machine"), "{ended:?}");
    refused(&home.run(&["db", "copy", "--from-file", "nothing", "--to", target], &[]), 1, &["nothing cannot be read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_and_another_version_are_refused() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let copy_with =
        |variables: &[(&str, &str)]| home.run(&["db", "copy", "--from", SOURCE, "--to", "sqlite:///new.db"], variables);
    refused(&copy_with(&[("MAPAE_MASTER_KEY", OTHER_KEY)]), 1, &["not the one that the database was made with"]);
    refused(&copy_with(&[("MAPAE_DATA_DIR", "elsewhere")]), 1, &["cannot be checked", "MAPAE_MASTER_KEY_FILE"]);

    let source = file_url(&home, "mapae-data/mapae.db");
    let versions: Vec<String> = column(&source, "SELECT version FROM mapae_migrations ORDER BY version").await;
    let last = versions.last().expect("migrations");
    sql(&source, "INSERT INTO mapae_migrations VALUES ('m9999_future', 0)").await;
    refused(&copy_with(&[]), 1, &["Of the source: ", "newer version of mapae", "m9999_future"]);
    sql(&source, &format!("DELETE FROM mapae_migrations WHERE version IN ('m9999_future', '{last}')")).await;
    refused(&copy_with(&[]), 1, &["Of the source: ", "lacks migrations", "`mapae db migrate`", last]);
    sql(&source, &format!("INSERT INTO mapae_migrations VALUES ('{last}', 0)")).await;

    // Neither into what a newer version made, nor into another service's.
    let other = Home::migrated();
    other.add_user(&["bob"]);
    let into = format!("sqlite:///{}", other.path().join("mapae-data/mapae.db").display());
    refused(&copy(&home, SOURCE, &into, &[]), 1, &["is not this copy (", "empty database"]);
    sql(&file_url(&other, "mapae-data/mapae.db"), "INSERT INTO mapae_migrations VALUES ('m9999_future', 0)").await;
    refused(&copy(&home, SOURCE, &into, &[]), 1, &["Of the target: ", "newer version of mapae"]);
    let names: Vec<String> = column(&file_url(&other, "mapae-data/mapae.db"), "SELECT username FROM mapae_user").await;
    assert_eq!(names, ["bob"]);
    assert!(!home.path().join("new.db").exists());

    // Tables that are there already are as good as none, also beside another program's.
    let adopted = Home::new();
    sql(&format!("{}?mode=rwc", file_url(&adopted, "app.db")), "CREATE TABLE orders (id INTEGER)").await;
    let url = format!("sqlite:///{}", adopted.path().join("app.db").display());
    assert_eq!(adopted.run(&["db", "migrate", "--adopt"], &[("DATABASE_URL", &url)]).status, Some(0));
    assert_eq!(copy(&home, SOURCE, &url, &[]).status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_yield_all_its_rows_is_refused() {
    let damaged = |home: &Home, part: &str| {
        let ended = copy(home, SOURCE, "sqlite:///new.db", &[]);
        refused(&ended, 1, &["The source is damaged (", part, "`mapae db check` there"]);
        assert!(!home.path().join("new.db").exists());
    };
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let source = file_url(&home, "mapae-data/mapae.db");
    crowd(&source, 1_500).await;
    // A damaged disk: the index by which the sessions are read leads to one that is empty.
    let lost = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema \
                WHERE name = 'sqlite_autoindex_mapae_ticket_1') WHERE name = 'sqlite_autoindex_mapae_session_1'";
    sql(&source, lost).await;
    assert_eq!(column::<i64>(&source, "SELECT count(*) FROM mapae_session NOT INDEXED").await, [1_501]);
    damaged(&home, "missing from index sqlite_autoindex_mapae_session_1");

    // Made anew by hand, by another order: SQLite finds nothing wrong, but two rows are one to it, a page apart.
    let home = Home::migrated();
    let source = file_url(&home, "mapae-data/mapae.db");
    let made = "DROP TABLE mapae_ticket; \
                CREATE TABLE mapae_ticket (hash TEXT COLLATE NOCASE NOT NULL, kid TEXT NOT NULL, claims TEXT NOT NULL, \
                    created_at TEXT NOT NULL, expires_at TEXT NOT NULL, used_at TEXT); \
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
                INSERT INTO mapae_ticket (hash, kid, claims, created_at, expires_at) SELECT printf('a%04d', i), 'k', '{}', \
                    '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n; \
                INSERT INTO mapae_ticket SELECT 'k', kid, claims, created_at, expires_at, NULL FROM mapae_ticket LIMIT 1; \
                INSERT INTO mapae_ticket SELECT 'K', kid, claims, created_at, expires_at, NULL FROM mapae_ticket LIMIT 1";
    sql(&source, made).await;
    damaged(&home, "mapae_ticket holds 1001 rows, but 1000 are read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_other_rows_is_noticed() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    // What is written is changed there.
    std::fs::write(home.path().join("new.db"), "").expect("written");
    let target = file_url(&home, "new.db");
    let url = format!("sqlite:///{}", home.path().join("new.db").display());
    assert_eq!(home.run(&["db", "migrate"], &[("DATABASE_URL", &url)]).status, Some(0));
    let trigger = "CREATE TRIGGER other AFTER INSERT ON mapae_user \
                   BEGIN UPDATE mapae_user SET full_name = 'Eve' WHERE id = new.id; END";
    sql(&target, trigger).await;
    refused(&copy(&home, SOURCE, &url, &[]), 1, &["The table mapae_user is not in the target as in the source"]);
    assert_eq!(column::<i64>(&target, "SELECT count(*) FROM mapae_user").await, [0]);
    sql(&target, "DROP TRIGGER other").await;
    assert!(copy(&home, SOURCE, &url, &[]).stdout.starts_with("Copied "));

    // As many rows, but one of them is another.
    for (change, back) in [
        ("UPDATE mapae_user SET full_name = 'Eve'", "UPDATE mapae_user SET full_name = NULL"),
        ("UPDATE mapae_data_key SET wrapped = wrapped || x'00'", ""),
    ] {
        sql(&target, change).await;
        refused(&copy(&home, SOURCE, &url, &[]), 1, &["not this copy (the same number of rows, but other ones)"]);
        sql(&target, back).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_leaves_nothing_and_is_made_again() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    crowd(&file_url(&home, "mapae-data/mapae.db"), 20_000).await;
    let (mut cut, mut whole) = (0, 0);
    for delay in 0..8 {
        let arguments = ["db", "copy", "--from", SOURCE, "--to", "sqlite:///new.db"];
        let mut child = home.command(&arguments, &[]).spawn().expect("mapae runs");
        wait_for_rows(&mut child);
        std::thread::sleep(Duration::from_millis(150 * delay));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        if home.path().join("new.db").exists() {
            whole += 1;
            assert_same(&home, "mapae-data/mapae.db", "new.db").await;
            std::fs::remove_file(home.path().join("new.db")).expect("removed");
        } else {
            cut += 1;
        }
        // What is left of it says by its name that it is no database.
        for name in beside(&home) {
            assert!(name.starts_with("new.db.") && name.contains(".part") || name == "new.db-lock", "{name} is left");
            std::fs::remove_file(home.path().join(name)).expect("removed");
        }
    }
    assert!(cut > 1, "none was cut off in the middle: {cut} cut, {whole} whole");
    let again = copy(&home, SOURCE, "sqlite:///new.db", &[]);
    assert!(again.status == Some(0) && again.stdout.starts_with("Copied "), "{again:?}");
    assert_same(&home, "mapae-data/mapae.db", "new.db").await;
}

/// Whoever stops it by hand finds nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_interrupted_takes_everything_back() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    crowd(&file_url(&home, "mapae-data/mapae.db"), 20_000).await;
    for signal in ["-INT", "-TERM"] {
        let mut child = home
            .command(&["db", "copy", "--from", SOURCE, "--to", "sqlite:///new.db"], &[])
            .spawn()
            .expect("mapae runs");
        wait_for_rows(&mut child);
        let sent = Command::new("sh").args(["-c", &format!("kill {signal} {}", child.id())]).status();
        assert!(sent.expect("sh runs").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{signal}");
        assert_eq!(beside(&home), [""; 0], "{signal}");
    }
}

/// Makes many accounts, each with a session.
pub(crate) async fn crowd(url: &str, people: u32) {
    let made = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people}) \
         INSERT INTO mapae_user (id, username, username_canonical, search, password_hash, disabled, scopes, created_at, \
             updated_at) \
         SELECT 'u' || i, 'User' || i, 'user' || i, 'user' || i, (SELECT password_hash FROM mapae_user LIMIT 1), false, \
             'me', '2026-01-01T00:00:00.123456+00:00', '2026-01-01T00:00:00+00:00' FROM n; \
         INSERT INTO mapae_session (id, user_id, client_id, created_at, expires_at, scopes) \
         SELECT 's' || id, id, 'mapae', created_at, '2096-01-01T00:00:00+00:00', scopes FROM mapae_user"
    );
    sql(url, &made).await;
}

/// Waits until a copy says that it has begun to copy.
pub(crate) fn wait_for_rows(child: &mut Child) {
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let line = stderr.lines().map_while(Result::ok).find(|line| line.starts_with("copying "));
    assert!(line.is_some(), "it does not copy");
}
