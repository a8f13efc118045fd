//! Accounts, keys and tokens from the command line.

use serde_json::Value;

use crate::server::PASSWORD;
use crate::support::{Ended, Home};

fn json(ended: &Ended) -> Value {
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn fails(ended: &Ended, status: i32, parts: &[&str]) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
    }
}

#[test]
fn an_account_from_its_making_to_its_end() {
    let home = Home::migrated();
    let made =
        json(&home.add_user(&["ada", "--email", "Ada@Example.com", "--full-name", "Ada L.", "--admin", "--json"]));
    assert_eq!(
        (&made["username"], &made["email"], &made["scope"]),
        (&"ada".into(), &"Ada@Example.com".into(), &"me mapae:admin".into())
    );
    home.add_user(&["bob@example.com"]);

    let list = json(&home.beside(&["user", "list", "--json"]));
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    let list = json(&home.beside(&["user", "list", "--json", "--search", "BOB@"]));
    assert_eq!((list.as_array().map(Vec::len), &list[0]["email"]), (Some(1), &"bob@example.com".into()), "{list}");
    assert_eq!(json(&home.beside(&["user", "list", "--json", "--search", "nobody"])), Value::Array(vec![]));
    let text = home.beside(&["user", "list"]).stdout;
    assert!(text.lines().count() == 2 && text.contains("ada") && text.contains("bob@example.com"), "{text}");

    // By name in any case, by address, by id.
    for name in ["ada", "ADA", "ada@example.com", made["id"].as_str().expect("an id")] {
        assert_eq!(json(&home.beside(&["user", "show", name, "--json"])), made, "{name}");
    }
    let shown = |part: &str| json(&home.beside(&["user", "show", "ada", "--json"]))[part].clone();
    assert_eq!(home.beside(&["user", "disable", "ada"]).status, Some(0));
    assert_eq!(shown("disabled"), true);
    assert_eq!(home.beside(&["user", "enable", "ada"]).status, Some(0));
    assert_eq!(shown("disabled"), false);
    assert_eq!(home.beside(&["user", "ungrant", "ada", "mapae:admin", "me"]).status, Some(0));
    assert_eq!(shown("scope"), "");
    let id = made["id"].as_str().expect("an id");
    for (command, said) in [
        (&["grant", "ada", "me"][..], format!("ada ({id}) holds me.\n")),
        (&["ungrant", "ada", "mapae:admin"], format!("ada ({id}) holds me.\n")),
        (&["disable", "ada"], format!("ada ({id}) is disabled; its sessions have ended.\n")),
        (&["enable", "ada"], format!("ada ({id}) is enabled.\n")),
    ] {
        assert_eq!(home.beside(&[&["user"], command].concat()).stdout, said);
    }
    assert_eq!(shown("scope"), "me");

    let changed =
        home.run_with_input(&["user", "passwd", "ada", "--password-stdin"], &[], "six purple otters sing 9 songs");
    assert_eq!(changed.stdout, format!("ada ({id}) has a new password; its sessions have ended.\n"));

    assert_eq!(home.beside(&["user", "delete", "ada", "--yes"]).stdout, format!("ada ({id}) is deleted.\n"));
    fails(&home.beside(&["user", "show", "ada"]), 1, &["There is no account \"ada\""]);
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let home = Home::migrated();
    home.add_user(&["ada", "--email", "ada@example.com"]);
    let add = |arguments: &[&str], password: &str| {
        home.run_with_input(&[&["user", "add", "--password-stdin"], arguments].concat(), &[], password)
    };
    fails(&add(&["Ada"], PASSWORD), 1, &["This user name is taken."]);
    fails(&add(&["ADA@example.com"], PASSWORD), 1, &["This e-mail address is taken."]);
    fails(&add(&["eve"], "password"), 1, &["assword"]);
    fails(&add(&["eve"], ""), 1, &["There is no password on standard input."]);
    fails(&add(&["eve"], &"x".repeat(2000)), 1, &["at most 1024 bytes"]);
    fails(&add(&["two words"], PASSWORD), 1, &["no spaces"]);
    fails(
        &add(&["eve", "--scope", "nonsense"], PASSWORD),
        1,
        &["`nonsense` does not exist; declared scopes: mapae:admin, me"],
    );
    fails(&add(&["eve@example.com", "--email", "x@example.com"], PASSWORD), 2, &["--email"]);
    fails(&home.beside(&["user", "add", "eve"]), 1, &["--password-stdin"]);
    fails(&home.beside(&["user", "delete", "ada"]), 2, &["--yes"]);
    fails(&home.beside(&["user", "grant", "ada", "nonsense"]), 1, &["`nonsense` does not exist"]);
    fails(&home.beside(&["user", "disable", "eve"]), 1, &["There is no account \"eve\""]);
    fails(&home.beside(&["token", "mint", "eve"]), 1, &["There is no account \"eve\""]);
    fails(&home.beside(&["token", "mint", "ada", "--scope", "mapae:admin"]), 1, &["mapae user grant ada mapae:admin"]);
    let list = json(&home.beside(&["user", "list", "--json"]));
    assert_eq!(list.as_array().map(Vec::len), Some(1), "nothing was made: {list}");
}

#[test]
fn a_new_password_ends_what_the_old_one_began() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
    assert_eq!(home.beside(&["token", "inspect", &token]).status, Some(0));
    let changed =
        home.run_with_input(&["user", "passwd", "ada", "--password-stdin"], &[], "six purple otters sing 9 songs");
    assert_eq!(changed.status, Some(0), "{changed:?}");
    let inspected = home.beside(&["token", "inspect", &token]);
    assert_eq!(inspected.status, Some(1));
    assert!(inspected.stdout.contains("its session has ended"), "{inspected:?}");
}

#[test]
fn commands_do_not_make_a_database() {
    let home = Home::new();
    for command in
        [&["user", "list"][..], &["user", "add", "ada"], &["key", "list"], &["token", "mint", "ada"], &["db", "check"]]
    {
        fails(&home.beside(command), 1, &["There is no database", "--data-dir"]);
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0);
}

#[test]
fn keys_are_listed_and_rotated() {
    let home = Home::migrated();
    let list = || json(&home.beside(&["key", "list", "--json"]));
    let states = |list: &Value| {
        let keys = list.as_array().expect("a list").iter();
        keys.map(|key| (key["state"].as_str().unwrap().to_owned(), key["kid"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let before = list();
    assert_eq!(before[0]["algorithm"], "ES256");
    let [(active, first), (next, second)] = &states(&before)[..] else { panic!("{before}") };
    assert_eq!((active.as_str(), next.as_str()), ("active", "next"));
    fails(&home.beside(&["key", "rotate"]), 1, &["may sign from", "--now"]);
    assert_eq!(list(), before);

    home.add_user(&["ada"]);
    let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
    assert_eq!(home.beside(&["key", "rotate", "--now"]).status, Some(0));
    let after = states(&list());
    assert!(
        after.contains(&("retiring".to_owned(), first.clone()))
            && after.contains(&("active".to_owned(), second.clone())),
        "{after:?}"
    );
    assert_eq!(home.beside(&["token", "inspect", &token]).status, Some(0), "the old key still verifies");
}

#[test]
fn a_minted_token_carries_what_was_asked_for() {
    let home = Home::migrated();
    home.add_user(&["ada", "--admin"]);
    let minted = |scopes: &[&str]| json(&home.beside(&[&["token", "mint", "ada", "--json"], scopes].concat()));
    assert_eq!(minted(&[])["scope"], "me", "explicit scopes only when named");
    assert_eq!(minted(&["--scope", "mapae:admin"])["scope"], "mapae:admin");
    let both = minted(&["--scope", "me", "--scope", "mapae:admin"]);
    assert_eq!(
        (&both["scope"], &both["token_type"], &both["expires_in"]),
        (&"me mapae:admin".into(), &"bearer".into(), &900.into())
    );
}

#[test]
fn a_token_for_a_guessed_issuer_is_warned_of() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let guessed = home.run(&["token", "mint", "ada"], &[("PORT", "9000")]);
    assert_eq!(guessed.status, Some(0), "{guessed:?}");
    assert!(guessed.stdout.starts_with("ey") && guessed.stdout.lines().count() == 1, "a script reads it: {guessed:?}");
    for part in ["names http://127.0.0.1:9000 as its issuer", "MAPAE_BASE_URL"] {
        assert!(guessed.stderr.contains(part), "{guessed:?}");
    }
    let sure = home.run(&["token", "mint", "ada"], &[("MAPAE_BASE_URL", "https://auth.example.com")]);
    assert_eq!((sure.status, sure.stderr.as_str()), (Some(0), ""), "{sure:?}");
}

#[tokio::test]
async fn a_key_that_retires_stays_for_the_server_whatever_the_commands_lifetime() {
    use sea_orm::{ConnectionTrait, Database};

    let home = Home::migrated();
    assert_eq!(home.beside(&["key", "rotate", "--now"]).status, Some(0));
    let database = Database::connect(format!("sqlite://{}", home.path().join("mapae-data/mapae.db").display()));
    let database = database.await.expect("it opens");
    // An hour ago: past the lifetime that the commands know of, but not past that of the server.
    let sql = "UPDATE mapae_signing_key SET retired_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', retired_at, '-1 hour') \
               WHERE state = 'retiring'";
    let changed = database.execute_unprepared(sql).await.expect("the statement runs");
    assert_eq!(changed.rows_affected(), 1);
    database.close().await.expect("it closes");

    let retiring = |home: &Home, variables: &[(&str, &str)]| {
        let list = home.run(&["key", "list", "--json"], variables);
        let list = json(&list);
        list.as_array().expect("a list").iter().filter(|key| key["state"] == "retiring").count()
    };
    let short = [("ACCESS_TOKEN_EXPIRE_MINUTES", "1")];
    assert_eq!(retiring(&home, &short), 1, "it is there, so it is shown");
    assert_eq!(home.run(&["key", "rotate", "--now"], &short).status, Some(0));
    assert_eq!(retiring(&home, &[("ACCESS_TOKEN_EXPIRE_MINUTES", "120")]), 2, "only the server removes keys");
}
