//! `mapae db …`

use serde_json::Value;

use crate::support::Home;

#[test]
fn migrate_makes_everything_and_then_nothing() {
    let home = Home::new();
    let sql = home.run(&["db", "migrate", "--sql"], &[]);
    assert_eq!(sql.status, Some(0), "{sql:?}");
    assert!(sql.stdout.contains("CREATE TABLE \"mapae_user\""), "{}", sql.stdout);
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0, "printing makes nothing");

    let first = home.run(&["db", "migrate"], &[]);
    assert!(first.status == Some(0) && first.stdout.starts_with("Applied m0001"), "{first:?}");
    assert!(home.path().join("mapae-data/master.key").exists(), "made together with the tables");
    assert_eq!(home.run(&["db", "migrate"], &[]).stdout, "The database is up to date.\n");
    assert!(!home.run(&["db", "migrate", "--sql"], &[]).stdout.contains("CREATE"));
}

#[test]
fn check_finds_damage() {
    let home = Home::migrated();
    let check = |arguments: &[&str]| home.run(&[&["db", "check"], arguments].concat(), &[]);
    assert_eq!(check(&[]).stdout, "The database is in order, and the master key fits.\n");
    let shown: Value = serde_json::from_str(&check(&["--json"]).stdout).expect("JSON");
    assert_eq!(shown, serde_json::json!({ "ok": true, "problems": [], "rows": [], "more_rows": 0 }));

    for index in 0..200 {
        if index % 50 == 0 {
            home.add_user(&[&format!("user{index}"), "--full-name", &"x".repeat(200)]);
        }
    }
    let file = home.path().join("mapae-data/mapae.db");
    let mut bytes = std::fs::read(&file).expect("readable");
    let (page, middle) = (4096, bytes.len() / 4096 / 2);
    for byte in bytes.iter_mut().skip(middle * page).take(page) {
        *byte = 0xa5;
    }
    std::fs::write(&file, bytes).expect("written");
    let damaged = check(&["--json"]);
    assert_eq!(damaged.status, Some(1), "{damaged:?}");
    let shown: Value = serde_json::from_str(&damaged.stdout).expect("JSON");
    assert_eq!(
        (&shown["ok"], shown["problems"].as_array().is_some_and(|list| !list.is_empty())),
        (&false.into(), true),
        "{shown}"
    );
    let damaged = check(&[]);
    assert_eq!((damaged.status, damaged.stdout.as_str()), (Some(1), ""), "{damaged:?}");
    assert!(damaged.stderr.starts_with("mapae: "), "{damaged:?}");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_exactly_as_it_is() {
    use sea_orm::{ConnectionTrait, Database};

    let home = Home::new();
    let file = home.path().join("theirs.db");
    let theirs = Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await.expect("it opens");
    theirs.execute_unprepared("CREATE TABLE orders (id INTEGER)").await.expect("a table");
    theirs.close().await.expect("it closes");
    let before = std::fs::read(&file).expect("the file");
    let url = format!("sqlite+aiosqlite:///{}", file.display());
    let variables = [("DATABASE_URL", url.as_str())];

    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["db", "migrate"]] {
        let refused = home.run(arguments, &variables);
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("another program (orders)"), "{refused:?}");
        assert!(refused.stderr.contains("mapae db migrate --adopt"), "{refused:?}");
    }
    let sql = home.run(&["db", "migrate", "--sql"], &variables);
    assert!(sql.stdout.contains("CREATE TABLE \"mapae_user\""), "{sql:?}");
    assert!(!sql.stdout.contains("orders"), "{sql:?}");
    assert!(std::fs::read(&file).expect("the file") == before, "the file was changed");
    assert!(!home.path().join("mapae-data/master.key").exists(), "a key was made for nothing");

    let adopted = home.run(&["db", "migrate", "--adopt"], &variables);
    assert_eq!(adopted.status, Some(0), "{adopted:?}");
    let listed = home.run(&["user", "list"], &variables);
    assert_eq!(listed.status, Some(0), "{listed:?}");
}
