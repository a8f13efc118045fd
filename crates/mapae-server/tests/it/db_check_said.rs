//! How `mapae db check` says what it found.

use serde_json::Value;

use crate::everything::{file_url, sql};
use crate::server::{CHEAP, PASSWORD};
use crate::support::Home;

const FILE: &str = "mapae-data/mapae.db";

fn rows(home: &Home, variables: &[(&str, &str)]) -> Vec<Value> {
    let ended = home.run(&["db", "check", "--json"], variables);
    let shown: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    shown["rows"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_missing_here_is_said_once() {
    let home = Home::migrated();
    let pepper = [("MAPAE_PASSWORD_PEPPER", "a-pepper-of-thirty-two-bytes-or-more-for-a-test")];
    for name in ["ada", "bob", "cyd"] {
        let variables = [&CHEAP[..], &pepper].concat();
        let added = home.run_with_input(&["user", "add", name, "--password-stdin"], &variables, PASSWORD);
        assert_eq!(added.status, Some(0), "{added:?}");
    }
    home.add_user(&["dan"]);
    let rows = rows(&home, &[]);
    let [problem, remedy] = ["problem", "to_do"].map(|name| rows[0][name].as_str().expect("text"));
    assert!(rows.len() == 1 && problem.ends_with("; so it is with 2 other rows"), "{rows:#?}");
    assert!(remedy.contains("MAPAE_PASSWORD_PEPPER") && !remedy.contains("passwd"), "{rows:#?}");
    let said = home.run(&["db", "check"], &[]);
    assert_eq!((said.status, said.stderr.as_str()), (Some(1), "mapae: 1 row is broken: do as it says above.\n"));
    assert_eq!(home.run(&["db", "check"], &pepper).status, Some(0));
    // What is wrong with the hash itself is said of each.
    sql(&file_url(&home, FILE), "UPDATE mapae_user SET password_hash = 'x' WHERE username <> 'ada'").await;
    assert_eq!(self::rows(&home, &[]).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_shell_nor_a_terminal_does_what_a_row_says() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let ids = ["'g;rm -rf x'", "'it''s'", "'-h'", "char(27) || '[31m' || char(10) || 'mapae_user u1: all is well'"];
    for id in ids {
        let made = format!(
            "INSERT INTO mapae_session (id, user_id, client_id, created_at, expires_at, scopes) SELECT {id}, 'nobody', \
             'mapae', created_at, '2096-01-01T00:00:00+00:00', 'me' FROM mapae_user"
        );
        sql(&file_url(&home, FILE), &made).await;
    }
    let said = home.run(&["db", "check"], &[]);
    for command in ["end 'g;rm -rf x'`", "end 'it'\\''s'`", "end '-h'`"] {
        assert!(said.stdout.contains(command), "{command} is not in {}", said.stdout);
    }
    assert!(said.stdout.contains("mapae_session \\u{1b}[31m\\nmapae_user u1: all is well: its account"), "{said:?}");
    assert!(said.stdout.lines().all(|line| line.starts_with("mapae_session ") || line.starts_with("    To do: ")));
    assert!(!said.stdout.contains('\u{1b}'), "{said:?}");
}
