//! The help teaches.

use crate::support::Home;

#[test]
fn help_names_every_command_and_shows_examples() {
    let ended = Home::new().run(&["--help"], &[]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    for part in [
        "serve",
        "user",
        "session",
        "client",
        "token",
        "key",
        "secret",
        "config",
        "db",
        "mapae user add ada --admin",
        "--listen",
        "MAPAE_LISTEN",
        "SECRET_KEY",
        "DATABASE_URL",
        "--config",
    ] {
        assert!(ended.stdout.contains(part), "{part} in {}", ended.stdout);
    }
}

#[test]
fn every_command_has_help() {
    for command in [
        "serve",
        "user",
        "user add",
        "user list",
        "user show",
        "user disable",
        "user enable",
        "user passwd",
        "user delete",
        "user grant",
        "user ungrant",
        "user export",
        "user import",
        "password check",
        "password hash",
        "session list",
        "session end",
        "client add",
        "client list",
        "client show",
        "client rotate-secret",
        "client remove",
        "token mint",
        "token inspect",
        "token list",
        "token revoke",
        "key list",
        "key rotate",
        "key revoke",
        "key import",
        "key export-public",
        "secret generate",
        "secret rotate",
        "config show",
        "db migrate",
        "db check",
        "db backup",
        "db copy",
    ] {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let ended = Home::new().run(&arguments, &[]);
        assert_eq!(ended.status, Some(0), "{command}");
        assert!(ended.stdout.contains(&format!("Usage: mapae {command}")), "{command}: {}", ended.stdout);
    }
}

#[test]
fn no_argument_takes_a_password_or_a_key() {
    for command in [&["user", "add"][..], &["user", "passwd"], &["password", "hash"], &["serve"]] {
        let help = Home::new().run(&[command, &["--help"]].concat(), &[]).stdout;
        for word in
            ["--password <", "--secret-key <", "--master-key <", "--password-pepper <", "--password ", "--secret-key "]
        {
            assert!(!help.contains(word), "{word} in {help}");
        }
    }
}

#[test]
fn version() {
    let ended = Home::new().run(&["--version"], &[]);
    assert_eq!(ended.stdout, format!("mapae {}\n", env!("CARGO_PKG_VERSION")));
}
