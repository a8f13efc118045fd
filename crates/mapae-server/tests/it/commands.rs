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
    assert_eq!(home.beside(&["user", "grant", "ada", "me"]).stdout, "ada holds me.\n");
    assert_eq!(shown("scope"), "me");

    assert_eq!(home.beside(&["user", "delete", "ada", "--yes"]).status, Some(0));
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
