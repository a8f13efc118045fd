//! Keys: where they may come from, which are refused, and that none is ever shown.

use crate::support::{GOOD_KEY, Home, OTHER_KEY};

#[test]
fn every_secret_may_come_from_a_file() {
    let home = Home::new()
        .with("key", format!("{GOOD_KEY}\n"))
        .with("url", "sqlite:///from-file.db\r\n")
        .with("mapae.toml", "master_key_file = \"master\"")
        .with("master", OTHER_KEY);
    for variables in [
        [("SECRET_KEY_FILE", "key"), ("DATABASE_URL_FILE", "url")],
        [("MAPAE_SECRET_KEY_FILE", "key"), ("MAPAE_DATABASE_URL_FILE", "url")],
    ] {
        let shown = home.settings(&["--algorithm", "HS256"], &variables);
        for secret in ["secret_key", "master_key"] {
            assert_eq!(shown.value(secret), "(set, redacted)", "{secret}");
        }
        assert_eq!(shown.value("database_url"), "sqlite:///from-file.db");
        assert_eq!(shown.from("secret_key"), [format!("environment {}", variables[0].0)]);
        assert_eq!(shown.0["settings"]["secret_key"]["file"], "key");
    }
    let shown = home.settings(&["--algorithm=HS256", "--secret-key-file=key", "--database-url-file=url"], &[]);
    assert_eq!(shown.from("secret_key"), ["flag --secret-key-file"]);
}

#[test]
fn a_secret_given_twice_is_refused_by_name() {
    let home = Home::new().with("key", GOOD_KEY);
    for (first, second) in [
        ("SECRET_KEY", "SECRET_KEY_FILE"),
        ("MAPAE_SECRET_KEY", "MAPAE_SECRET_KEY_FILE"),
        ("MAPAE_MASTER_KEY", "MAPAE_MASTER_KEY_FILE"),
    ] {
        let refusal = home.refusal(&[], &[(first, GOOD_KEY), (second, "key")]);
        assert!(refusal.contains("both given") && refusal.contains(first) && refusal.contains(second), "{refusal}");
        let home = Home::new().with(".env", format!("{first}={GOOD_KEY}\n{second}=key\n")).with("key", GOOD_KEY);
        assert!(home.refusal(&[], &[]).contains("both given"));
    }
    let home = Home::new().with("mapae.toml", format!("secret_key = \"{GOOD_KEY}\"\nsecret_key_file = \"key\""));
    assert!(home.with("key", GOOD_KEY).refusal(&[], &[]).contains("both given"));
}

#[test]
fn files_that_hold_no_secret_are_refused() {
    let home = Home::new().with("empty", "\n").with("binary", [0xff; 32]).with("large", "x".repeat(70_000));
    for (file, part) in [
        ("missing", "cannot be read"),
        ("empty", "is empty"),
        ("binary", "is not text"),
        ("large", "too large"),
        (".", "cannot be read"),
    ] {
        let refusal = home.refusal(&[], &[("MAPAE_MASTER_KEY_FILE", file)]);
        assert!(refusal.contains("MAPAE_MASTER_KEY_FILE") && refusal.contains(part), "{refusal}");
    }
}

/// The keys printed in the tutorials, and others that are printed elsewhere.
const PRINTED: &[&str] = &[
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#",
    "SECRET+FASTAPI",
    "secret",
    "a-string-secret-at-least-256-bits-long",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-256-bit-secret",
];

#[test]
fn weak_keys_stop_the_start_and_say_how_to_make_a_good_one() {
    for key in PRINTED {
        let refusal = Home::new().refusal(&[], &[("SECRET_KEY", key), ("ALGORITHM", "HS256")]);
        assert!(refusal.contains("SECRET_KEY is printed in public documentation"), "{key}: {refusal}");
        assert!(refusal.contains("`mapae secret generate`"), "{refusal}");
        assert!(*key == "secret" || !refusal.contains(key), "{refusal}");
    }
    for (key, part) in [
        ("only-31-bytes-of-anything-at-al", "shorter than 32 bytes"),
        ("django-insecure-8w!v2k#0q^p7$x6m1z&c4b5n9d3f", "placeholder"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats"),
    ] {
        for variable in ["SECRET_KEY", "MAPAE_MASTER_KEY"] {
            let refusal = Home::new().refusal(&[], &[(variable, key)]);
            assert!(refusal.contains(variable) && refusal.contains(part), "{refusal}");
        }
    }
    let dotenv = Home::new().with(".env", "SECRET_KEY=SECRET+FASTAPI\n");
    assert!(dotenv.refusal(&[], &[]).contains("SECRET_KEY (.env line 1) is printed"));
}

#[test]
fn no_output_holds_any_part_of_a_secret() {
    let pieces = |key: &str| [key[..8].to_owned(), key[key.len() - 8..].to_owned()];
    let secrets: Vec<_> = [GOOD_KEY, OTHER_KEY].into_iter().flat_map(pieces).collect();
    let homes = [
        Home::new().with(".env", format!("SECRET_KEY={GOOD_KEY}\nMAPAE_MASTER_KEY={OTHER_KEY}\n")),
        Home::new().with("mapae.toml", format!("secret_key = \"{GOOD_KEY}\"\nmaster_key = \"{OTHER_KEY}\"\n")),
        // A broken line, a wrong type, an unknown name, a wrong URL, an unclosed quote: none is quoted back.
        Home::new().with("mapae.toml", format!("secret_key = \"{GOOD_KEY}\nmaster_key = 1")),
        Home::new().with("mapae.toml", format!("master_key = [\"{OTHER_KEY}\"]")),
        Home::new().with("mapae.toml", format!("secretkey = \"{GOOD_KEY}\"")),
        Home::new().with(".env", format!("DATABASE_URL={GOOD_KEY}\nSECRET_KEY='{OTHER_KEY}\n")),
        Home::new().with(".env", format!("MAPAE_SECRETKEY={GOOD_KEY}\nMAPAE_MASTER_KEY=\"{OTHER_KEY}${{X}}\"\n")),
    ];
    for (number, home) in homes.iter().enumerate() {
        for arguments in
            [&["config", "show"][..], &["config", "show", "--json"], &["config", "show", "--algorithm=HS256"]]
        {
            let ended = home.run(arguments, &[]);
            for secret in &secrets {
                assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{number}: {ended:?}");
            }
        }
    }
    // The check is able to fail: the keys are really read there.
    assert_eq!(homes[0].settings(&[], &[]).value("secret_key"), "(set, redacted)");
}

#[test]
fn secret_generate_makes_keys_that_are_accepted() {
    // Even where the configuration is refused: it is the way out.
    let home = Home::new().with("mapae.toml", "nonsense");
    let keys: Vec<_> = (0..2).map(|_| home.run(&["secret", "generate"], &[("SECRET_KEY", "secret")])).collect();
    for key in &keys {
        assert_eq!((key.status, key.stderr.as_str()), (Some(0), ""));
        let text = key.stdout.strip_suffix('\n').expect("one line");
        assert!(text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
        let shown = Home::new().settings(&[], &[("SECRET_KEY", text), ("ALGORITHM", "HS256")]);
        assert_eq!(shown.source("secret_key"), "environment");
    }
    assert_ne!(keys[0].stdout, keys[1].stdout);
}

#[test]
fn a_password_in_a_url_is_never_quoted() {
    for (variable, value, part) in [
        ("MAPAE_BASE_URL", "https://user:hunter2@auth.example.com", "without a user name or password"),
        ("MAPAE_BASE_URL", "https://user:hunter2/x@auth.example.com", "without a user name or password"),
        ("MAPAE_BASE_URL", "user:hunter2@auth.example.com", "without a user name or password"),
        ("MAPAE_CORS_ORIGINS", "https://user:hunter2@app.example.com", "not an origin"),
        ("MAPAE_LISTEN", "https://user:hunter2@auth.example.com", "must be an address with a port"),
        ("PORT", "https://user:hunter2@auth.example.com", "whole number"),
        ("ALGORITHM", "https://user:hunter2@auth.example.com", "must be one of"),
        ("MAPAE_NO_MIGRATE", "https://user:hunter2@auth.example.com", "must be true or false"),
        ("DATABASE_URL", "mysql://user:hunter2@db.example.com/x", "stores in SQLite or PostgreSQL"),
    ] {
        let home = Home::new();
        let refusal = home.refusal(&[], &[(variable, value)]);
        assert!(refusal.contains(variable) && refusal.contains(part), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
        for command in [&["config", "show"][..], &["config", "show", "--json"], &["token", "inspect", "e30.e30."]] {
            let ended = home.run(command, &[(variable, value)]);
            assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
        }
    }
    let shown = Home::new().run(&["config", "show"], &[("MAPAE_BASE_URL", "https://user:hunter2@auth.example.com")]);
    assert!(shown.stdout.lines().any(|line| line.starts_with("base_url") && line.contains("(wrong)")), "{shown:?}");
    // One without a password is quoted, since that helps.
    let refusal = Home::new().refusal(&[], &[("MAPAE_BASE_URL", "ftp://auth.example.com")]);
    assert!(refusal.contains("`ftp://auth.example.com`"), "{refusal}");
}
