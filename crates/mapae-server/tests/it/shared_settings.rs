//! Settings of another application's user table, and `mapae doctor`, which checks them against it.

use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};
use crate::support::{GOOD_KEY, Home};

const DJANGO: &str =
    "CREATE TABLE auth_user (id integer NOT NULL PRIMARY KEY AUTOINCREMENT, password varchar(128) NOT NULL,
    last_login datetime, is_superuser bool NOT NULL, username varchar(150) NOT NULL UNIQUE,
    last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff bool NOT NULL, is_active bool NOT NULL,
    date_joined datetime NOT NULL, first_name varchar(150) NOT NULL)";

/// A database with tables of another program, beside which ours are put.
async fn beside(tables: &str) -> Home {
    let home = Home::new();
    let theirs = Database::connect(format!("sqlite://{}?mode=rwc", home.path().join("app.db").display()));
    let theirs = theirs.await.expect("it opens");
    theirs.execute_unprepared(tables).await.expect("tables");
    theirs.close().await.expect("it closes");
    let adopted = home.run(&["db", "migrate", "--adopt"], &[DATABASE]);
    assert_eq!(adopted.status, Some(0), "{adopted:?}");
    home
}

const DATABASE: (&str, &str) = ("DATABASE_URL", "sqlite:///app.db");
const PRESET: (&str, &str) = ("MAPAE_USERS_PRESET", "django");

fn doctor(home: &Home, variables: &[(&str, &str)]) -> (Option<i32>, Vec<String>, Value) {
    let ended = home.run(&["doctor", "--json"], &[&[DATABASE], variables].concat());
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let problems = shown["problems"].as_array().expect("a list");
    assert_eq!(shown["ok"], problems.is_empty());
    (ended.status, problems.iter().map(|text| text.as_str().expect("text").to_owned()).collect(), shown)
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_the_reason() {
    let refused = |variables: &[(&str, &str)], part: &str| {
        let said = Home::new().refusal(&[], variables);
        assert!(said.contains(part), "{part:?} in {said}");
    };
    refused(&[("MAPAE_USERS_PRESET", "rails")], "MAPAE_USERS_PRESET");
    refused(&[("MAPAE_USERS_TABLE", "people")], "MAPAE_USERS_PASSWORD is needed too");
    refused(&[("MAPAE_USERS_REHASH", "true")], "MAPAE_USERS_TABLE is needed too");
    let own = [("MAPAE_USERS_TABLE", "people"), ("MAPAE_USERS_PASSWORD", "hash")];
    refused(&own, "leaves nothing to sign in with");
    let with = |more: (&'static str, &'static str)| [PRESET, more];
    refused(&with(("MAPAE_PASSWORD_PEPPER", GOOD_KEY)), "MAPAE_PASSWORD_PEPPER cannot be used together");
    refused(&with(("MAPAE_OLD_PASSWORD_PEPPERS", GOOD_KEY)), "MAPAE_OLD_PASSWORD_PEPPERS cannot be used together");
    refused(&with(("MAPAE_USERS_HASH_FORMAT", "md5")), "MAPAE_USERS_HASH_FORMAT is \"md5\", which is no format");
    refused(&with(("MAPAE_USERS_INSERT", "is_staff")), "must have column=word");
    refused(&with(("MAPAE_USERS_INSERT", "is_staff=maybe")), "must have column=word");
    refused(&with(("MAPAE_USERS_FIRST_NAME", "first")), "MAPAE_USERS_FIRST_NAME is given alone");
    refused(&[PRESET, ("MAPAE_USERS_ACTIVE", "a"), ("MAPAE_USERS_DISABLED", "b")], "give one of them");
    let bcrypt = ("MAPAE_USERS_HASH_FORMAT", "django-bcrypt-sha256");
    refused(&[PRESET, bcrypt, ("MAPAE_USERS_HASH_COST", "40")], "between 4 and 31");
    let argon2 = ("MAPAE_USERS_HASH_FORMAT", "django-argon2");
    refused(&[PRESET, argon2, ("MAPAE_USERS_HASH_COST", "4")], "is not the cost of Argon2");
}

#[test]
fn a_section_of_the_file_says_the_same() {
    let file = "[users]\npreset = \"django\"\nread_only = true\ninsert = [\"is_staff=false\"]\n";
    let home = Home::new().with("mapae.toml", file);
    let shown = home.settings(&[], &[]);
    assert_eq!((shown.value("users_preset"), shown.value("users_read_only")), (&json!("django"), &json!(true)));
    let home = Home::new().with("mapae.toml", "[users]\ntabel = \"x\"\n");
    let said = home.refusal(&[], &[]);
    assert!(said.contains("line 2") && said.contains("users_table"), "{said}");
}

#[tokio::test]
async fn doctor_says_what_does_not_fit() {
    let home = beside(&format!(
        "{DJANGO}; ALTER TABLE auth_user ADD COLUMN tenant integer NOT NULL DEFAULT 1;
         CREATE TABLE people (id text PRIMARY KEY NOT NULL, mail text, hash varchar(20), state text, tenant integer NOT NULL)"
    ))
    .await;
    assert_eq!(doctor(&home, &[PRESET]).0, Some(0));
    let (status, problems, _) = doctor(&home, &[PRESET, ("MAPAE_USERS_TABLE", "nothing")]);
    assert_eq!((status, problems), (Some(1), vec!["There is no table nothing.".to_owned()]));
    let (_, problems, _) =
        doctor(&home, &[PRESET, ("MAPAE_USERS_USERNAME", "login"), ("MAPAE_USERS_INSERT", "x=true")]);
    for part in ["no column login (username)", "no column x,", "column is_staff of auth_user must not be empty"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part} in {problems:?}");
    }
    let people = [
        ("MAPAE_USERS_TABLE", "people"),
        ("MAPAE_USERS_EMAIL", "mail"),
        ("MAPAE_USERS_PASSWORD", "hash"),
        ("MAPAE_USERS_DISABLED", "state"),
    ];
    let (status, problems, _) = doctor(&home, &people);
    assert_eq!(status, Some(1));
    for part in [
        "column id (id) is TEXT, but must be a whole number",
        "hash (password) is varchar(20), but new hashes have",
        "state (active) is TEXT, but must be true or false",
        "column tenant of people must not be empty",
    ] {
        let part = part.to_lowercase();
        assert!(problems.iter().any(|problem| problem.to_lowercase().contains(&part)), "{part} in {problems:?}");
    }
    let serve = home.run(&["serve", "--listen", "127.0.0.1:0"], &[&[DATABASE][..], &people].concat());
    assert!(serve.status == Some(1) && serve.stderr.contains("The user table does not fit"), "{serve:?}");
    let imported = home.run(&["user", "import"], &[DATABASE, PRESET]);
    assert!(imported.status == Some(1) && imported.stderr.contains("auth_user"), "{imported:?}");
}

#[tokio::test]
async fn doctor_counts_hashes_and_names_that_are_not_unique() {
    let row = |name: &str, hash: &str| {
        format!(
            "INSERT INTO auth_user (password, is_superuser, username, last_name, email, is_staff, is_active, date_joined,
             first_name) VALUES ('{hash}', 0, '{name}', '', 'same@example.com', 0, 1, '2026-01-01', '');"
        )
    };
    let good = "pbkdf2_sha256$1$c2FsdA$KLDYaC5hPqTfnFAZKvKSBYhPzAx3KqGHDRoKbJ8QJ3U=";
    let rows = [row("a", good), row("b", good), row("c", "!unusable"), row("d", "md5$x$y"), row("e", "")].concat();
    let home = beside(&format!("{DJANGO}; {rows}")).await;
    let (status, problems, shown) = doctor(&home, &[PRESET]);
    assert_eq!((status, &shown["accounts"], &shown["without_password"]), (Some(1), &json!(5), &json!(2)), "{shown}");
    assert_eq!(shown["formats"], json!({ "django-pbkdf2-sha256": 2 }));
    assert!(problems.len() == 1 && problems[0].starts_with("1 accounts cannot sign in"), "{problems:?}");
    let (_, problems, _) = doctor(&home, &[PRESET, ("MAPAE_USERS_EMAIL_SIGN_IN", "true")]);
    for part in ["1 values of email belong to several accounts", "No unique index covers email"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part} in {problems:?}");
    }
    let by_email = [DATABASE, PRESET, ("MAPAE_USERS_EMAIL_SIGN_IN", "true")];
    let serve = home.run(&["serve", "--listen", "127.0.0.1:0"], &by_email);
    assert!(serve.status == Some(1) && serve.stderr.contains("No unique index covers email"), "{serve:?}");
}

#[test]
fn doctor_counts_the_peppers_of_our_own_table() {
    let home = Home::migrated();
    home.add_user(&["ann"]);
    let pepper = [("MAPAE_PASSWORD_PEPPER", GOOD_KEY), ("MAPAE_ARGON2_MEMORY_KIB", "8")];
    let added = home.run_with_input(&["user", "add", "bob", "--password-stdin"], &pepper, PASSWORD);
    assert_eq!(added.status, Some(0), "{added:?}");
    let ended = home.run(&["doctor", "--json"], &pepper);
    let shown: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((ended.status, &shown["accounts"]), (Some(0), &json!(2)), "{shown}");
    assert_eq!(shown["peppers"].as_object().expect("an object").values().collect::<Vec<_>>(), [&json!(1)]);
    let without = home.run(&["doctor"], &[]);
    assert!(without.status == Some(1) && without.stdout.contains("Problem: 1 accounts cannot sign in"), "{without:?}");
}

#[tokio::test]
async fn scopes_are_granted_on_the_command_line() {
    let home = beside(DJANGO).await;
    let cost = ("MAPAE_USERS_HASH_COST", "1");
    let variables = [DATABASE, PRESET, cost];
    let added = home.run_with_input(&["user", "add", "ann", "--admin", "--password-stdin"], &variables, PASSWORD);
    assert_eq!(added.status, Some(0), "{added:?}");
    let server = Server::start(&home, &variables);
    assert_eq!(server.sign_in("ann", PASSWORD, "mapae:admin me").await.1["scope"], "mapae:admin me");
    let ungranted = home.run(&["user", "ungrant", "ann", "mapae:admin"], &variables);
    assert!(ungranted.stdout.contains("holds me"), "{ungranted:?}");
    assert_eq!(server.sign_in("ann", PASSWORD, "mapae:admin me").await.1["scope"], "me");
    let granted = home.run(&["user", "grant", "ann", "mapae:admin"], &variables);
    assert!(granted.stdout.contains("holds me mapae:admin"), "{granted:?}");
    let again = home.run_with_input(&["user", "passwd", "ann", "--password-stdin"], &variables, "a new one 4 ann here");
    assert_eq!(again.status, Some(0), "{again:?}");
    assert_eq!(server.sign_in("ann", PASSWORD, "").await.0, 401);
    assert_eq!(server.sign_in("ann", "a new one 4 ann here", "").await.0, 200);
}
