//! Into what `mapae db copy` and `mapae db backup` write, which key they name, and what they leave to others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::db_copy::{SOURCE, assert_same, beside, refused};
use crate::everything::{copy, file_url, sql};
use crate::support::{Home, OTHER_KEY};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_becomes_one_that_only_its_owner_reads() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let file = home.path().join("new.db");
    fs::write(&file, "").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("changed");
    // By whatever name.
    std::os::unix::fs::symlink("new.db", home.path().join("link.db")).expect("linked");
    let copied = copy(&home, SOURCE, "sqlite:///link.db", &[]);
    assert_eq!(copied.status, Some(0), "{copied:?}");
    assert_eq!(fs::metadata(&file).expect("the copy").permissions().mode() & 0o777, 0o600);
    assert_same(&home, "mapae-data/mapae.db", "new.db").await;
    let mut left = beside(&home);
    left.sort_unstable();
    assert_eq!(left, ["link.db", "new.db"]);

    // One with tables is written where it is.
    let other = Home::migrated();
    let file = other.path().join("mapae-data/mapae.db");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("changed");
    sql(&file_url(&other, "mapae-data/mapae.db"), "DELETE FROM mapae_data_key; DELETE FROM mapae_signing_key").await;
    sql(&file_url(&other, "mapae-data/mapae.db"), "DELETE FROM mapae_audit; DELETE FROM mapae_invalidation").await;
    let copied = copy(&home, SOURCE, &format!("sqlite:///{}", file.display()), &[]);
    assert!(copied.status == Some(0) && copied.stderr.contains("can be read by other users"), "{copied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_named() {
    let home = Home::new();
    sql(&format!("{}?mode=rwc", file_url(&home, "app.db")), "CREATE TABLE orders (id INTEGER)").await;
    for number in 0..11 {
        sql(&file_url(&home, "app.db"), &format!("CREATE TABLE line_{number:02} (id INTEGER)")).await;
    }
    let url = "sqlite:///app.db";
    let migrated = home.run(&["db", "migrate", "--adopt"], &[("DATABASE_URL", url)]);
    assert_eq!(migrated.status, Some(0), "{migrated:?}");
    let key = [("MAPAE_MASTER_KEY", OTHER_KEY)];
    let copied = home.run(&["db", "copy", "--from", url, "--to", "sqlite:///new.db", "--json"], &key);
    assert_eq!(copied.status, Some(0), "{copied:?}");
    let shown: Value = serde_json::from_str(&copied.stdout).expect("JSON");
    let lines = (0..11).map(|number| format!("line_{number:02}")).chain(["orders".to_owned()]);
    assert_eq!(shown["not_copied"], json!(lines.collect::<Vec<_>>()));
    assert!(copied.stderr.contains("Not copied, since another program made them: line_00, "), "{copied:?}");
    assert!(copied.stderr.contains("line_09 and 2 more.") && !copied.stderr.contains("orders"), "{copied:?}");
    let again = home.run(&["db", "copy", "--from", "sqlite:///new.db", "--to", "sqlite:///newer.db"], &key);
    assert!(again.status == Some(0) && !again.stderr.contains("Not copied"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_takes_a_name_of_what_belongs_to_the_database() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    std::os::unix::fs::symlink("mapae-data", home.path().join("data")).expect("linked");
    std::os::unix::fs::symlink("mapae-data/mapae.db", home.path().join("link.db")).expect("linked");
    let entries = || fs::read_dir(home.path().join("mapae-data")).expect("readable").count();
    let there = entries();
    for name in ["mapae.db-wal", "mapae.db-shm", "mapae.db-journal", "mapae.db-lock", "master.key.new", "start.lock"] {
        for directory in ["mapae-data", "data"] {
            let place = format!("{directory}/{name}");
            let part = "is a name of what belongs to the database or its key";
            refused(&home.run(&["db", "backup", &place], &[]), 1, &[part]);
            refused(&copy(&home, SOURCE, &format!("sqlite:///{place}"), &[]), 1, &[part]);
            assert_eq!(entries(), there, "{place} was made");
        }
    }
    // Through a link SQLite looks beside the file, but a start beside the link.
    let variables = [("DATABASE_URL", "sqlite:///link.db")];
    for place in ["mapae-data/mapae.db-journal", "link.db-lock"] {
        refused(&home.run(&["db", "backup", place], &variables), 1, &["is a name of what belongs to"]);
    }
    assert_eq!(home.run(&["db", "backup", "mapae-data/mapae.db-copy"], &[]).status, Some(0));
}

/// As where somebody has moved a database away, but not all of it.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_put_beside_what_is_left_of_another() {
    let home = Home::migrated();
    for left in ["new.db-wal", "new.db-journal"] {
        fs::write(home.path().join(left), "old").expect("written");
        let part = format!("{left} is left of another database of this name");
        refused(&home.run(&["db", "backup", "new.db"], &[]), 1, &[&part]);
        refused(&copy(&home, SOURCE, "sqlite:///new.db", &[]), 1, &[&part]);
        assert_eq!(beside(&home), [left]);
        fs::remove_file(home.path().join(left)).expect("removed");
    }
    assert_eq!(home.run(&["db", "backup", "new.db"], &[]).status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_is_named_is_the_one_that_fits() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let (key, new) = (home.path().join("mapae-data/master.key"), home.path().join("mapae-data/master.key.new"));
    // Cut off after the commit, when the new key has not its name yet.
    fs::rename(&key, &new).expect("renamed");
    fs::write(&key, OTHER_KEY).expect("written");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("changed");
    let took = home.run(&["db", "backup", "copy.db"], &[]);
    assert!(took.status == Some(0) && took.stdout.contains(&format!("back up {} too", new.display())), "{took:?}");
    let copied = copy(&home, SOURCE, "sqlite:///new.db", &[]);
    assert_eq!(copied.status, Some(0), "{copied:?}");
    assert!(copied.stderr.contains(&format!("MAPAE_MASTER_KEY_FILE={}", new.display())), "{copied:?}");

    fs::remove_file(&new).expect("removed");
    let took = home.run(&["db", "backup", "other.db"], &[]);
    let other = format!("{} is another, so find the one", key.display());
    assert!(took.status == Some(0) && took.stdout.contains(&other), "{took:?}");
    fs::remove_file(&key).expect("removed");
    let took = home.run(&["db", "backup", "none.db"], &[]);
    assert!(took.status == Some(0) && took.stdout.contains("it is not at "), "{took:?}");
}

#[test]
fn a_url_is_read_from_a_file_of_its_length() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    for file in ["/dev/zero", "long"] {
        fs::write(home.path().join("long"), "x".repeat(5_000)).expect("written");
        let ended = home.run(&["db", "copy", "--from", SOURCE, "--to-file", file], &[]);
        refused(&ended, 1, &["holds no URL of a database."]);
    }
    let url = format!("sqlite:///new.db{}", " ".repeat(4_080));
    fs::write(home.path().join("url"), url).expect("written");
    let copied = home.run(&["db", "copy", "--from", SOURCE, "--to-file", "url"], &[]);
    assert_eq!(copied.status, Some(0), "{copied:?}");
}

#[test]
fn the_command_for_a_server_can_be_pasted() {
    let home = Home::new();
    let url = "postgres://ann@pool.example:6432/app?password=hunter2&sslmode=verify-full";
    let ended = home.run(&["db", "backup", "my copy's.dump"], &[("DATABASE_URL", url)]);
    let command = "pg_dump --format=custom --file='my copy'\\''s.dump' \
                   'postgres://ann@pool.example:6432/app?sslmode=verify-full'.";
    refused(&ended, 1, &[command]);
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    // Past the pooler.
    let direct = ("MAPAE_DATABASE_DIRECT_URL", "postgres://ann:hunter2@db.example/app");
    let ended = home.run(&["db", "backup", "copy.dump"], &[("DATABASE_URL", url), direct]);
    refused(&ended, 1, &["--file=copy.dump 'postgres://ann@db.example/app'."]);
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}
