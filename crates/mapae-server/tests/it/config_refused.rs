//! What is refused, by which name, with exit status 2.

use crate::support::{GOOD_KEY, Home};

/// One sentence for people: it names the culprit, and shows nothing of Rust.
fn assert_plain(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    for line in text.lines() {
        assert!(line.starts_with("mapae: ") && line.ends_with('.'), "{line}");
        assert!(!line.contains("Err(") && !line.contains("Some(") && !line.contains("::"), "{line}");
    }
    assert!(!text.is_empty());
}

#[test]
fn unknown_names_in_the_file() {
    for (file, parts) in [
        ("lisen = \"x\"", ["mapae.toml line 1", "\"lisen\"", "\"listen\""]),
        ("\nport = 80", ["mapae.toml line 2", "\"port\"", "\"listen\""]),
        ("[server]\nlisten = \"x\"", ["mapae.toml line 1", "\"server\"", "nearest"]),
        ("Listen = \"x\"", ["mapae.toml line 1", "\"Listen\"", "\"listen\""]),
    ] {
        assert_plain(&Home::new().with("mapae.toml", file).refusal(&[], &[]), &parts);
    }
}

#[test]
fn unknown_flags() {
    for (arguments, part) in [
        (&["serve", "--lisen", "x"][..], "--listen"),
        (&["--secret-key", "x"], "--secret-key"),
        (&["user", "add", "ada", "--password", "hunter2"], "--password"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let ended = Home::new().run(arguments, &[]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
}

#[test]
fn wrong_types_in_the_file() {
    for (file, parts) in [
        ("listen = 8080", ["listen (mapae.toml line 1)", "a string"]),
        ("hash_queue = \"many\"", ["hash_queue (mapae.toml line 1)", "a whole number from 1 to 65536"]),
        ("hash_queue = 0", ["hash_queue (mapae.toml line 1)", "a whole number from 1 to 65536"]),
        ("hash_queue = 1.5", ["hash_queue (mapae.toml line 1)", "is a float"]),
        ("no_migrate = \"yes\"", ["no_migrate (mapae.toml line 1)", "true or false"]),
        ("cors_origins = \"https://a.example\"", ["cors_origins (mapae.toml line 1)", "an array of strings"]),
        ("trusted_proxies = [\"proxy.example\"]", ["trusted_proxies (mapae.toml line 1)", "proxy.example"]),
        ("cors_origins = [1]", ["cors_origins (mapae.toml line 1)", "an array of strings"]),
        ("scopes = [\"items\"]", ["scopes (mapae.toml line 1)", "a table"]),
        ("[scopes]\nitems = 1", ["scopes (mapae.toml line 1)", "strings"]),
        ("algorithm = \"HS512\"", ["algorithm (mapae.toml line 1)", "ES256, EdDSA, RS256, HS256"]),
        ("listen = ", ["mapae.toml line 1", "not valid TOML"]),
        ("hash_queue = 1\nhash_queue = 2", ["mapae.toml line 2", "not valid TOML"]),
    ] {
        assert_plain(&Home::new().with("mapae.toml", file).refusal(&[], &[]), &parts);
    }
}

#[test]
fn wrong_values_in_variables_and_flags() {
    for (variable, value, part) in [
        ("MAPAE_HASH_QUEUE", "many", "a whole number from 1 to 65536"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0", "a whole number from 1 to 525600"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "-5", "a whole number"),
        ("ALGORITHM", "none", "one of ES256"),
        ("ALGORITHM", "hs256", "one of ES256"),
        ("PORT", "http", "a whole number from 0 to 65535"),
        ("PORT", "70000", "a whole number from 0 to 65535"),
        ("MAPAE_LISTEN", ":8080", "127.0.0.1:8080"),
        ("MAPAE_BASE_URL", "auth.example.com", "must be absolute"),
        ("MAPAE_BASE_URL", "https://a.example/?x", "must not hold a query"),
        ("MAPAE_SIGNUP", "yes", "one of open, closed"),
        ("MAPAE_NO_MIGRATE", "perhaps", "true or false"),
        ("MAPAE_CORS_ORIGINS", "app.example.com", "\"app.example.com\", which is not an origin"),
        ("MAPAE_CORS_ORIGINS", "*", "\"*\", which is not an origin"),
        ("MAPAE_SCOPES", "items", "name=description"),
        ("MAPAE_SCOPES", "items=", "no description for \"items\""),
        ("MAPAE_SCOPES", "mapae:admin=x", "is reserved"),
        ("MAPAE_SCOPES", "a b=x", "`a b` is not a scope name"),
        ("MAPAE_DEFAULT_SCOPES", "items", "`items` does not exist; declared scopes"),
        ("MAPAE_DEFAULT_SCOPES", "mapae:admin", "everybody an administrator"),
        ("MAPAE_LOG_LEVEL", "loud", "one of error"),
        ("MAPAE_PASSWORD_MIN_LENGTH", "4", "a whole number from 8 to 128"),
    ] {
        assert_plain(&Home::new().refusal(&[], &[(variable, value)]), &[variable, part]);
    }
    assert_plain(&Home::new().refusal(&["--hash-queue=many"], &[]), &["--hash-queue", "whole number"]);
    assert_plain(&Home::new().with(".env", "\n\nPORT=x").refusal(&[], &[]), &["PORT (.env line 3)", "whole number"]);
}

#[test]
fn what_a_weaker_source_says_wrongly_does_not_matter() {
    let home = Home::new().with(".env", "ALGORITHM=HS512\nMAPAE_HASH_QUEUE=x\n");
    let shown = home.settings(&["--hash-queue", "5"], &[("MAPAE_ALGORITHM", "EdDSA")]);
    assert_eq!((shown.value("algorithm"), shown.value("hash_queue")), (&"EdDSA".into(), &5.into()));
}

#[test]
fn impossible_combinations() {
    for (variables, parts) in [
        (&[("ALGORITHM", "HS256")][..], &["ALGORITHM is HS256", "SECRET_KEY is not set", "mapae secret generate"][..]),
        (
            &[("ALGORITHM", "HS256"), ("SECRET_KEY", GOOD_KEY), ("MAPAE_MASTER_KEY", GOOD_KEY)],
            &["SECRET_KEY and MAPAE_MASTER_KEY are the same"],
        ),
        (&[("MAPAE_ADMIN_EMAIL", "ada@example.com")], &["MAPAE_ADMIN_EMAIL", "without MAPAE_ADMIN_PASSWORD_FILE"]),
        (&[("MAPAE_ADMIN_PASSWORD_FILE", "pw")], &["MAPAE_ADMIN_PASSWORD_FILE", "without MAPAE_ADMIN_EMAIL"]),
        (
            &[("MAPAE_ADMIN_PASSWORD_FILE", "pw"), ("MAPAE_ADMIN_EMAIL", "ada@example.com")],
            &["MAPAE_ADMIN_PASSWORD_FILE", "the file pw, which cannot be read"],
        ),
        (
            &[("MAPAE_ARGON2_MEMORY_KIB", "8"), ("MAPAE_ARGON2_PARALLELISM", "2")],
            &["MAPAE_ARGON2_MEMORY_KIB", "at least 8 KiB of memory (m) for each lane"],
        ),
    ] {
        assert_plain(&Home::new().refusal(&[], variables), parts);
    }
}

#[test]
fn databases_that_this_version_does_not_know() {
    for (url, part) in [
        ("postgresql+asyncpg://app:hunter2@db/app?ssl=require", "sslmode=require"),
        ("mysql+pymysql://app:hunter2@db/app", "mysql"),
        ("mongodb+srv://app:hunter2@db/app", "mongodb"),
        ("sqlite://", "in memory"),
        ("hunter2", "not a database URL"),
    ] {
        let refusal = Home::new().refusal(&[], &[("DATABASE_URL", url)]);
        assert_plain(&refusal, &["DATABASE_URL", part]);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let refusal = Home::new().refusal(&[], &[("PORT", "x"), ("ALGORITHM", "x"), ("MAPAE_SIGNUP", "x")]);
    assert_eq!(refusal.lines().count(), 3, "{refusal}");
}

#[test]
fn show_tells_what_holds_even_when_something_is_wrong() {
    let ended = Home::new().run(&["config", "show"], &[("PORT", "x"), ("MAPAE_HASH_QUEUE", "5")]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stdout.contains("(wrong)") && ended.stdout.contains("environment MAPAE_HASH_QUEUE"), "{ended:?}");
    assert_plain(&ended.stderr, &["PORT is \"x\""]);
}

#[test]
fn bytes_that_are_no_text_are_refused_in_our_variables_alone() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let home = Home::new();
    let run = |name: &str| {
        let mut command = home.command(&["config", "show"], &[]);
        command.env(name, OsStr::from_bytes(b"\xff\xfe"));
        command.output().expect("mapae runs")
    };
    assert!(run("OTHER").status.success());
    let refused = run("MAPAE_LISTEN");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("MAPAE_LISTEN is not valid UTF-8"));
}
