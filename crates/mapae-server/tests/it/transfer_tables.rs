//! `mapae user import` straight from the databases of real Django and SQLAlchemy applications.

use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};
use crate::sides::{Place, on_both_engines};
use crate::support::{Ended, Home};

on_both_engines!("import_": django, fastapi_users, sqlalchemy_tutorial, flask_security, a_table_that_does_not_fit);

/// The hidden word in the URLs of databases here.
const IN_THE_URL: &str = "hunter2";

fn import(home: &Home, place: &Place, format: &str, more: &[&str], variables: &[(&str, &str)]) -> Ended {
    std::fs::write(home.path().join("where"), format!("{}\n", place.theirs_as_url())).expect("it is written");
    let arguments = ["user", "import", "--format", format, "--database-file", "where"];
    let ended = home.run(&[&arguments, more].concat(), variables);
    assert!(!format!("{ended:?}").contains(IN_THE_URL), "{ended:?}");
    ended
}

fn done(imported: u32, already_there: u32, refused: u32) -> String {
    format!("Imported {imported}; {already_there} were there already; {refused} were refused.\n")
}

fn imports(home: &Home, place: &Place, format: &str, more: &[&str], variables: &[(&str, &str)], count: u32) {
    // Nothing but a file can be looked at from outside; a server refuses writes by itself.
    let before = std::fs::read(&place.theirs).ok();
    for said in [done(count, 0, 0), done(0, count, 0)] {
        let ended = import(home, place, format, more, variables);
        assert_eq!((ended.status, &ended.stdout, ended.stderr.as_str()), (Some(0), &said, ""), "{ended:?}");
    }
    assert!(std::fs::read(&place.theirs).ok() == before, "their file was changed");
}

fn export(home: &Home, variables: &[(&str, &str)]) -> Vec<Value> {
    let ended = home.run(&["user", "export"], variables);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn django(place: &Place) {
    let mut side = place.start("django_side.py", &["1000"]);
    let hashers = ["pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"];
    let mut ids = Vec::new();
    for hasher in hashers {
        ids.push(side.ask("create", json!({ "name": hasher, "password": PASSWORD, "hasher": hasher })));
    }
    ids.push(side.create("ann", PASSWORD));
    side.set_active("argon2", false);
    let home = Home::migrated();
    imports(&home, place, "django", &[], &[], 6);

    let exported = export(&home, &[]);
    for (name, id) in hashers.iter().chain(&["ann"]).zip(&ids) {
        let row = exported.iter().find(|row| row["username"] == **name).unwrap_or_else(|| panic!("{name}"));
        let theirs = side.row(name);
        assert_eq!((&row["id"], &row["email"]), (&json!(id.to_string()), &theirs["email"]));
        assert_eq!((&row["password_hash"], &row["disabled"]), (&theirs["password"], &json!(*name == "argon2")));
        let year = theirs["joined"].to_string();
        assert!(row["created_at"].as_str().is_some_and(|time| time.starts_with(&year)), "{row}");
    }
    side.ask("refused", json!({}));
    let ended = import(&home, place, "django", &[], &[]);
    assert_eq!((ended.status, &ended.stdout), (Some(1), &done(0, 6, 3)), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [nobody, other, twin] = lines.as_slice() else { panic!("{ended:?}") };
    assert!(nobody.starts_with("mapae: auth_user, id \"7\": The password cannot be checked"), "{nobody}");
    assert!(other.starts_with("mapae: auth_user, id \"8\": ") && other.contains('@'), "{other}");
    let taken = format!("mapae: auth_user, id \"9\": The e-mail address belongs to the account {} already.", ids[5]);
    assert_eq!(*twin, taken);

    let server = Server::start(&home, &[]);
    for name in hashers.iter().chain(&["ann"]) {
        let status = if *name == "argon2" { 401 } else { 200 };
        assert_eq!(server.sign_in(name, PASSWORD, "").await.0, status, "{name}");
    }
    assert_eq!(side.login("ann", PASSWORD), ids[5], "nothing was written over there");
    // Without the column of addresses nobody is in another's way.
    let ended = import(&Home::migrated(), place, "django", &["--column", "email=-"], &[]);
    assert_eq!(ended.stdout, done(7, 0, 2), "{ended:?}");
}

async fn fastapi_users(place: &Place) {
    let mut side = place.start("fastapi_users_side.py", &[]);
    let (ann, bob) = (side.create("ann@example.com", PASSWORD), side.create("bob@example.com", PASSWORD));
    side.set_active("bob@example.com", false);
    let home = Home::migrated();
    imports(&home, place, "fastapi-users", &[], &[], 2);
    let exported = export(&home, &[]);
    let of = |id: &Value| exported.iter().find(|row| row["id"] == *id).unwrap_or_else(|| panic!("{exported:?}"));
    assert_eq!((&of(&ann)["email"], &of(&ann)["disabled"]), (&json!("ann@example.com"), &json!(false)));
    assert_eq!(of(&bob)["disabled"], true);
    let server = Server::start(&home, &[]);
    assert_eq!(server.sign_in("ann@example.com", PASSWORD, "").await.0, 200);
}

async fn sqlalchemy_tutorial(place: &Place) {
    let mut side = place.start("sqlalchemy_tutorial_side.py", &["accounts", "hashed_pw"]);
    side.ask("many", json!({ "count": 2_500, "password": PASSWORD }));
    side.create("ann@example.com", PASSWORD);
    let adapted = ["--table", "accounts", "--column", "password=hashed_pw"];
    let home = Home::migrated();
    imports(&home, place, "sqlalchemy-tutorial", &adapted, &[], 2_501);
    let server = Server::start(&home, &[]);
    for name in ["user0@example.com", "user2499@example.com", "ann@example.com"] {
        assert_eq!(server.sign_in(name, PASSWORD, "").await.0, 200, "{name}");
    }
}

async fn flask_security(place: &Place) {
    let salt = "146585145368132386173505678016728509634";
    let mut side = place.start("flask_security_side.py", &[salt]);
    side.create("ann@example.com", PASSWORD);
    let home = Home::migrated();
    let refused = import(&home, place, "flask-security", &[], &[]);
    assert!(refused.status == Some(2) && refused.stderr.contains("MAPAE_USERS_PASSWORD_HMAC_KEY"), "{refused:?}");
    let key = [("MAPAE_USERS_PASSWORD_HMAC_KEY", salt)];
    imports(&home, place, "flask-security", &[], &key, 1);
    let unknown = home.run(&["doctor"], &[]);
    assert!(unknown.status == Some(1) && unknown.stdout.contains("1 accounts cannot sign in"), "{unknown:?}");
    let doctor = home.run(&["doctor"], &key);
    assert!(doctor.status == Some(0) && doctor.stdout.contains("1 with the pepper "), "{doctor:?}");

    let mut without = Server::start(&home, &[]);
    assert_eq!(without.sign_in("ann@example.com", PASSWORD, "").await.0, 401);
    without.stop();
    let mut server = Server::start(&home, &key);
    assert_eq!(server.sign_in("ann@example.com", "another one altogether", "").await.0, 401);
    assert_eq!(server.sign_in("ann@example.com", PASSWORD, "").await.0, 200);
    server.stop();
    let again = Server::start(&home, &[]);
    assert_eq!(again.sign_in("ann@example.com", PASSWORD, "").await.0, 200, "signing in once replaced the hash");
}

async fn a_table_that_does_not_fit(place: &Place) {
    let mut side = place.start("sqlalchemy_tutorial_side.py", &["users", "hashed_password"]);
    side.create("ann@example.com", PASSWORD);
    let home = Home::migrated();
    let refused = |format: &str, more: &[&str], part: &str| {
        let ended = import(&home, place, format, more, &[]);
        assert!(
            ended.status == Some(2) && ended.stdout.is_empty() && ended.stderr.contains(part),
            "{part} in {ended:?}"
        );
    };
    refused("django", &[], "There is no table auth_user.");
    refused("django", &["--table", "users"], "The table users has no column username (username).");
    refused("django", &["--table", "users"], "The table users has no column date_joined (created_at).");
    refused("django", &["--table", "users"], "--column password=hash");
    refused("sqlalchemy-tutorial", &["--column", "active=email"], "but must be true or false");
    refused("sqlalchemy-tutorial", &["--column", "id=is_active"], "No unique index covers is_active (id)");
    refused("sqlalchemy-tutorial", &["--column", "password"], "--column wants WHAT=NAME");
    refused("sqlalchemy-tutorial", &["--column", "password=-"], "without the column password");
    refused("sqlalchemy-tutorial", &["--column", "hash=x"], "--column knows id, username");
    refused("jsonl", &[], "are for databases");
    assert_eq!(export(&home, &[]), [] as [Value; 0]);

    // Beside their table, in the same database.
    let variables = place.variables(&[]);
    let adopted = place.home.run(&["db", "migrate", "--adopt"], &variables);
    assert_eq!(adopted.status, Some(0), "{adopted:?}");
    let own = import(&place.home, place, "sqlalchemy-tutorial", &[], &variables);
    assert!(own.status == Some(2) && own.stderr.contains("the database that Mapae itself is in"), "{own:?}");
    // What was shared is moved by a file.
    let preset = place.variables(&[("MAPAE_USERS_PRESET", "sqlalchemy-tutorial")]);
    let listed = place.home.run(&["user", "list"], &preset);
    assert!(listed.status == Some(0) && listed.stdout.contains("ann@example.com"), "{listed:?}");
    let exported = place.home.run(&["user", "export"], &preset);
    let into_shared = place.home.run_with_input(&["user", "import"], &preset, &exported.stdout);
    assert!(
        into_shared.status == Some(1) && into_shared.stderr.contains("nothing is imported there"),
        "{into_shared:?}"
    );
    let imported = home.run_with_input(&["user", "import"], &[], &exported.stdout);
    assert_eq!((imported.status, imported.stdout), (Some(0), done(1, 0, 0)), "{}", imported.stderr);
    let server = Server::start(&home, &[]);
    assert_eq!(server.sign_in("ann@example.com", PASSWORD, "").await.0, 200);
}

#[test]
fn databases_are_named_in_several_ways() {
    let home =
        Home::migrated().with("old.db", "").with("text.db", "no database at all, but a text of some length".repeat(99));
    let refused = |arguments: &[&str], input: &str, part: &str| {
        let arguments = [&["user", "import", "--format", "django"], arguments].concat();
        let ended = home.run_with_input(&arguments, &[], input);
        let said = format!("{ended:?}");
        assert!(ended.status != Some(0) && said.contains(part) && !said.contains(IN_THE_URL), "{part} in {said}");
    };
    for name in ["old.db", "./old.db", "sqlite:///old.db", "sqlite+pysqlite:///old.db"] {
        refused(&[name], "", "There is no table auth_user.");
    }
    refused(&["-"], "sqlite:///old.db\n", "There is no table auth_user.");
    refused(&[], "", "Name the database");
    refused(&["nothing.db"], "", "There is no database nothing.db.");
    refused(&["text.db"], "", "cannot be opened");
    refused(&["mysql://u:hunter2@h/db"], "", "asks for mysql");
    refused(&["postgres://u:hunter2@127.0.0.1:1/db"], "", "cannot be opened");
    refused(&["postgres://u:hunter2@127.0.0.1:1/db"], "", "others on this machine can see the password");
    refused(&["--database-file", "nothing"], "", "nothing cannot be read");
    refused(&["mapae-data/mapae.db"], "", "the database that Mapae itself is in");
    let unsaid = home.run(&["user", "import", "postgres://u:hunter2@h/db"], &[]);
    assert!(unsaid.status == Some(2) && unsaid.stderr.contains("--format") && !unsaid.stderr.contains(IN_THE_URL));
    assert!(!home.path().join("nothing.db").exists(), "nothing is made");
}
