//! The first start makes everything, a second changes nothing, and a start that fails leaves nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use sea_orm::{ConnectionTrait, Database};

use crate::server::{PASSWORD, Server};
use crate::support::{Ended, GOOD_KEY, Home, OTHER_KEY, program};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o777
}

/// A start that fails: one sentence that says what to do, and nothing half-made.
fn assert_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let sentences: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("mapae: ")).collect();
    let [sentence] = sentences[..] else { panic!("{ended:?}") };
    for part in parts {
        assert!(sentence.contains(part), "{part:?} in {sentence}");
    }
    assert!(sentence.ends_with('.') && !sentence.contains("Err(") && !sentence.contains("os error"), "{sentence}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Root may read and write everything, so what is forbidden is tried as somebody else.
fn as_somebody_else(mut command: Command) -> Ended {
    if is_root() {
        command.uid(65_534).gid(65_534);
    }
    Ended::of(command.output().expect("mapae runs"))
}

async fn execute(file: &Path, sql: &str) {
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let database = Database::connect(url).await.expect("SQLite opens");
    database.execute_unprepared(sql).await.expect("the statement runs");
    database.close().await.expect("it closes");
}

#[tokio::test]
async fn the_first_start_makes_everything_and_says_where() {
    let home = Home::new();
    let mut server = Server::start(&home, &[]);
    let data = home.path().join("mapae-data");
    assert_eq!(mode(&data), 0o700);
    assert_eq!((mode(&data.join("master.key")), mode(&data.join("mapae.db"))), (0o600, 0o600));

    let said = &server.listening;
    assert_eq!(said["first_start"], true);
    assert_eq!(said["docs"], "http://127.0.0.1/docs");
    assert_eq!(said["make_administrator"], "mapae user add NAME --admin");
    for (name, file) in [("database", "mapae.db"), ("master_key", "master.key")] {
        let path = Path::new(said[name].as_str().expect("a path"));
        assert!(path.is_absolute() && path.ends_with(Path::new("mapae-data").join(file)), "{said}");
    }
    server.wait_for(|line| line["message"].as_str().is_some_and(|text| text.starts_with("back up the master key")));
    let docs = reqwest::get(format!("{}/docs", server.url)).await.expect("an answer");
    assert_eq!(docs.status(), 200);

    let key = fs::read_to_string(data.join("master.key")).expect("a key");
    assert!(key.trim().len() == 43, "256 bits");
    server.stop();
    assert!(!format!("{:?}", server.log()).contains(key.trim()) && !server.stdout().contains(key.trim()));
}

#[test]
fn as_text_the_first_start_prints_what_to_do() {
    let home = Home::new();
    let flags = ["--log-format", "text", "--listen", "127.0.0.1:0", "--data-dir", "my data"];
    let mut child = home.command(&[&["serve"], &flags[..]].concat(), &[]).spawn().expect("mapae runs");
    let stdout = child.stdout.take().expect("piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout)).map_while(Result::ok);
    let text: Vec<_> = lines.by_ref().take_while(|line| !line.contains("First admin")).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let text = text.join("\n");
    for part in ["listens on 127.0.0.1:", "/docs", "my data/mapae.db", "my data/master.key", "Back it up"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn the_command_for_the_first_administrator_finds_the_same_database() {
    let home = Home::new().with("m.toml", "signup = \"closed\"");
    let server = Server::start_with(&home, &["--data-dir", "my data", "--config", "m.toml"], &[]);
    let command = server.listening["make_administrator"].as_str().expect("a command").to_owned();
    assert_eq!(command, "mapae user add NAME --admin --config m.toml --data-dir 'my data'");
    let script = format!("{} --password-stdin", command.replace("mapae ", &format!("{} ", program().display())));
    let added = Command::new("sh")
        .args(["-c", &format!("echo '{PASSWORD}' | {}", script.replace("NAME", "ada"))])
        .current_dir(home.path())
        .output()
        .expect("sh runs");
    assert!(added.status.success(), "{added:?}");
    let (status, body) = server.sign_in("ada", PASSWORD, "mapae:admin").await;
    assert_eq!((status, &body["scope"]), (200, &"mapae:admin".into()), "{body}");
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let home = Home::new();
    let key = home.path().join("mapae-data/master.key");
    let mut server = Server::start(&home, &[]);
    home.add_user(&["ada", "--admin"]);
    let before = (
        fs::read(&key).unwrap(),
        home.beside(&["key", "list", "--json"]).stdout,
        home.beside(&["user", "list"]).stdout,
    );
    server.stop();
    let mut server = Server::start(&home, &[]);
    let after = (
        fs::read(&key).unwrap(),
        home.beside(&["key", "list", "--json"]).stdout,
        home.beside(&["user", "list"]).stdout,
    );
    assert_eq!(before, after);
    assert_eq!(
        (&server.listening["first_start"], &server.listening["make_administrator"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(server.sign_in("ada", PASSWORD, "").await.0, 200);
    server.stop();
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = Home::new();
    let ended = home.run(&["serve", "--listen", &address], &[]);
    assert_refused(&ended, &[&address, "is in use by another program", "--listen"]);
    assert!(!home.path().join("mapae-data").exists());
    let ended = home.run(&["serve", "--listen", "192.0.2.1:8080"], &[]);
    assert_refused(&ended, &["192.0.2.1:8080", "is not an address of this machine"]);
}

#[test]
fn a_directory_that_cannot_be_made_or_written() {
    let home = Home::new().with("file", "x");
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "file/data"], &[]);
    assert_refused(&ended, &["file/data", "cannot be", "--data-dir"]);

    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    let closed = home.path().join("closed");
    fs::create_dir(&closed).expect("a directory");
    allow(home.path(), 0o755);
    allow(&closed, 0o555);
    for data in ["closed", "closed/inner"] {
        let ended = as_somebody_else(home.command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data], &[]));
        assert_refused(&ended, &["Permission denied", "--data-dir"]);
    }
    assert_eq!(fs::read_dir(&closed).expect("readable").count(), 0, "nothing is half-made");
}

#[test]
fn a_key_that_is_unreadable_missing_short_or_another() {
    let home = Home::migrated();
    let serve = || home.command(&["serve", "--listen", "127.0.0.1:0"], &[]);
    let key = home.path().join("mapae-data/master.key");
    let right = fs::read_to_string(&key).expect("a key");
    let run = || Ended::of(serve().output().expect("mapae runs"));

    fs::write(&key, "short\n").expect("written");
    assert_refused(&run(), &["master.key is shorter than 32 bytes", "backup"]);
    fs::write(&key, "").expect("written");
    assert_refused(&run(), &["master.key is empty", "backup"]);
    fs::remove_file(&key).expect("removed");
    assert_refused(&run(), &["master.key is missing", "backup", "MAPAE_MASTER_KEY"]);
    assert!(!key.exists(), "a lost key is never replaced by a new one");

    // It was only migrated so far: the first start binds the key to the database.
    fs::write(&key, &right).expect("written");
    assert_eq!(home.run(&["user", "list"], &[]).status, Some(0));
    fs::write(&key, OTHER_KEY).expect("written");
    assert_refused(&run(), &["is not the one that the database was made with"]);

    fs::write(&key, &right).expect("written");
    for path in [home.path(), &home.path().join("mapae-data")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("permissions");
    }
    for entry in fs::read_dir(home.path().join("mapae-data")).expect("readable") {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o666)).expect("permissions");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o000)).expect("permissions");
    assert_refused(&as_somebody_else(serve()), &["master.key cannot be read: Permission denied"]);
}

#[tokio::test]
async fn a_database_from_a_newer_version() {
    let home = Home::migrated();
    let file = home.path().join("mapae-data/mapae.db");
    execute(&file, "INSERT INTO mapae_migrations (version, applied_at) VALUES ('m9999_future', 0)").await;
    let before = fs::read(&file).expect("readable");
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_refused(&ended, &["newer version", "m9999_future"]);
    assert_eq!(before, fs::read(&file).expect("readable"), "nothing is touched");
}

#[tokio::test]
async fn another_programs_database_is_taken_only_when_adopted() {
    let home = Home::new();
    execute(&home.path().join("app.db"), "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").await;
    let variables = [("DATABASE_URL", "sqlite:///./app.db")];
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["db", "migrate"], &["user", "list"]] {
        assert_refused(&home.run(command, &variables), &["another program (users)", "`mapae db migrate --adopt`"]);
        assert!(!home.path().join("mapae-data").exists(), "nothing is half-made");
    }
    let adopted = home.run(&["db", "migrate", "--adopt"], &variables);
    assert_eq!(adopted.status, Some(0), "{adopted:?}");
    let mut server = Server::start(&home, &variables);
    server.stop();
    execute(&home.path().join("app.db"), "INSERT INTO users (name) VALUES ('still mine')").await;
}

#[test]
fn no_migrate_makes_nothing() {
    let home = Home::new();
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0", "--no-migrate"], &[]);
    assert_refused(&ended, &["lacks migrations", "`mapae db migrate`"]);
    assert!(!home.path().join("mapae-data").exists());
    let home = Home::migrated();
    Server::start_with(&home, &["--no-migrate"], &[]).stop();
}

#[tokio::test]
async fn an_unattended_start_makes_the_administrator_once() {
    let home = Home::new().with("password", format!("{PASSWORD}\n"));
    let variables = [("MAPAE_ADMIN_EMAIL", "Ada@example.com"), ("MAPAE_ADMIN_PASSWORD_FILE", "password")];
    let mut server = Server::start(&home, &variables);
    let (status, body) = server.sign_in("ada@example.com", PASSWORD, "mapae:admin me").await;
    assert_eq!((status, &body["scope"]), (200, &"mapae:admin me".into()), "{body}");
    assert_eq!(server.listening["make_administrator"], serde_json::Value::Null);
    server.stop();
    let log = format!("{:?}", server.log());
    assert!(!log.contains(PASSWORD) && !log.to_lowercase().contains("ada@example"), "{log}");

    // Neither the password nor the account comes back.
    let other = "an entirely different 4 words";
    let changed = home.run_with_input(&["user", "passwd", "ada@example.com", "--password-stdin"], &[], other);
    assert_eq!(changed.status, Some(0), "{changed:?}");
    home.add_user(&["eve", "--admin"]);
    let mut server = Server::start(&home, &variables);
    assert_eq!(server.sign_in("ada@example.com", PASSWORD, "").await.0, 401);
    assert_eq!(server.sign_in("ada@example.com", other, "").await.0, 200);
    server.stop();
    assert_eq!(home.beside(&["user", "delete", "ada@example.com", "--yes"]).status, Some(0));
    let mut server = Server::start(&home, &variables);
    assert_eq!(server.sign_in("ada@example.com", PASSWORD, "").await.0, 401);
    server.stop();
}

#[tokio::test]
async fn an_account_that_somebody_made_is_not_raised() {
    let home = Home::migrated().with("password", PASSWORD);
    home.add_user(&["ada@example.com"]);
    let variables = [("MAPAE_ADMIN_EMAIL", "ada@example.com"), ("MAPAE_ADMIN_PASSWORD_FILE", "password")];
    let server = Server::start(&home, &variables);
    let (_, body) = server.sign_in("ada@example.com", PASSWORD, "mapae:admin me").await;
    assert_eq!(body["scope"], "me", "{body}");
    assert!(server.listening["make_administrator"].is_string());
}

#[test]
fn an_administrators_password_must_be_good_too() {
    let home = Home::new().with("password", "password");
    let variables = [("MAPAE_ADMIN_EMAIL", "ada@example.com"), ("MAPAE_ADMIN_PASSWORD_FILE", "password")];
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0"], &variables);
    assert_refused(&ended, &["MAPAE_ADMIN_EMAIL cannot be made"]);
    assert!(!home.path().join("mapae-data").exists(), "nothing is half-made");
}

#[tokio::test]
async fn a_given_key_makes_no_key_file() {
    let home = Home::new();
    for variables in [&[("SECRET_KEY", GOOD_KEY)][..], &[("MAPAE_MASTER_KEY", GOOD_KEY)]] {
        let mut server = Server::start(&home, variables);
        assert_eq!(server.listening["master_key"], serde_json::Value::Null);
        server.stop();
        assert!(!home.path().join("mapae-data/master.key").exists());
    }
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0"], &[("SECRET_KEY", OTHER_KEY)]);
    assert_refused(&ended, &["is not the one that the database was made with"]);
}

#[test]
fn a_first_start_that_was_killed_does_not_stop_the_next() {
    let home = Home::new();
    for delay in (0..40).step_by(2) {
        let mut child = home.command(&["serve", "--listen", "127.0.0.1:0"], &[]).spawn().expect("mapae runs");
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        // As if it had happened at the worst moments: only the key is there, or an empty database beside it.
        if delay % 8 == 0 {
            for name in ["mapae.db", "mapae.db-wal", "mapae.db-shm"] {
                let _ = fs::remove_file(home.path().join("mapae-data").join(name));
            }
        }
    }
    fs::write(home.path().join("mapae-data/mapae.db"), "").expect("written");
    let mut server = Server::start(&home, &[]);
    server.stop();
}

#[test]
fn a_database_in_a_directory_that_does_not_exist() {
    let home = Home::new();
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0"], &[("DATABASE_URL", "sqlite:///gone/x.db")]);
    assert_refused(&ended, &["gone/x.db cannot be made", "directory must exist"]);
    assert!(!home.path().join("mapae-data").exists(), "nothing is half-made");
}
