//! What holds, and where it came from.

use serde_json::json;

use crate::support::{GOOD_KEY, Home, OTHER_KEY};

#[test]
fn without_any_source_the_defaults_hold() {
    let shown = Home::new().settings(&[], &[]);
    for (name, value) in [
        ("listen", json!("127.0.0.1:8080")),
        ("base_url", json!("http://127.0.0.1:8080")),
        ("data_dir", json!("./mapae-data")),
        ("database_url", json!("sqlite:///./mapae-data/mapae.db")),
        ("algorithm", json!("ES256")),
        ("secret_key", json!(null)),
        ("master_key", json!(null)),
        ("access_token_expire_minutes", json!(15)),
        ("session_idle_days", json!(30)),
        ("session_max_days", json!(90)),
        ("audience", json!(["http://127.0.0.1:8080"])),
        ("signup", json!("open")),
        ("default_scopes", json!(["me"])),
        ("cors_origins", json!(null)),
        ("trusted_proxies", json!(null)),
        ("argon2_memory_kib", json!(19456)),
        ("argon2_iterations", json!(2)),
        ("argon2_parallelism", json!(1)),
        ("hash_queue", json!(256)),
        ("metrics_listen", json!(null)),
        ("traces_endpoint", json!(null)),
        ("audit_retention_days", json!(365)),
        ("throttle", json!(true)),
        ("throttle_failures", json!(10)),
        ("throttle_account_failures", json!(20)),
        ("throttle_seconds", json!(120)),
        ("throttle_network_failures", json!(100)),
        ("throttle_network_seconds", json!(10)),
        ("log_format", json!("auto")),
        ("no_migrate", json!(false)),
    ] {
        assert_eq!((shown.value(name), shown.source(name)), (&value, "default"), "{name}");
    }
    assert_eq!(shown.warnings(), [""; 0]);
}

#[test]
fn flags_win_over_environment_over_dotenv_over_file() {
    let home = Home::new()
        .with(
            "mapae.toml",
            "access_token_expire_minutes = 11\nhash_queue = 21\nleeway_seconds = 31\nlog_level = \"warn\"\n",
        )
        .with(".env", "ACCESS_TOKEN_EXPIRE_MINUTES=12\nMAPAE_HASH_QUEUE=22\nMAPAE_LEEWAY_SECONDS=32\n");
    let variables = [("MAPAE_HASH_QUEUE", "23"), ("MAPAE_LEEWAY_SECONDS", "33")];
    let shown = home.settings(&["--leeway-seconds", "34"], &variables);
    for (name, value, source, from) in [
        ("log_level", json!("warn"), "file", "mapae.toml line 4"),
        ("access_token_expire_minutes", json!(12), ".env", ".env line 1, ACCESS_TOKEN_EXPIRE_MINUTES"),
        ("hash_queue", json!(23), "environment", "environment MAPAE_HASH_QUEUE"),
        ("leeway_seconds", json!(34), "flag", "flag --leeway-seconds"),
    ] {
        assert_eq!((shown.value(name), shown.source(name), shown.from(name)), (&value, source, vec![from]), "{name}");
    }
}

#[test]
fn the_tutorials_names_work_and_ours_win_over_them() {
    let variables = [
        ("SECRET_KEY", GOOD_KEY),
        ("ALGORITHM", "HS256"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "30"),
        ("DATABASE_URL", "sqlite+aiosqlite:///./planner.db"),
    ];
    let home = Home::new();
    let shown = home.settings(&[], &variables);
    assert_eq!(shown.value("secret_key"), "(set, redacted)");
    assert_eq!(shown.value("algorithm"), "HS256");
    assert_eq!(shown.value("access_token_expire_minutes"), 30);
    assert_eq!(shown.value("database_url"), "sqlite:///./planner.db");

    let ours = [("DATABASE_URL", "postgres://app:hunter2@db/app"), ("MAPAE_DATABASE_URL", "sqlite:////srv/m.db")];
    let shown = home.settings(&[], &ours);
    assert_eq!(shown.value("database_url"), "sqlite:////srv/m.db");
    assert_eq!(shown.from("database_url"), ["environment MAPAE_DATABASE_URL"]);
}

#[test]
fn port_changes_the_port_alone() {
    let home = Home::new();
    let listen = |arguments: &[&str], variables: &[(&str, &str)]| {
        let shown = home.settings(arguments, variables);
        (shown.value("listen").as_str().map(str::to_owned), shown.from("listen").join("; "))
    };
    let expect = |address: &str, from: &str| (Some(address.to_owned()), from.to_owned());
    assert_eq!(listen(&[], &[("PORT", "9000")]), expect("127.0.0.1:9000", "environment PORT; default"));
    assert_eq!(
        listen(&[], &[("PORT", "9000"), ("MAPAE_LISTEN", "0.0.0.0"), ("MAPAE_BASE_URL", "https://a.example")]),
        expect("0.0.0.0:9000", "environment PORT; environment MAPAE_LISTEN")
    );
    assert_eq!(listen(&["--listen", "[::1]:7000"], &[("PORT", "9000")]), expect("[::1]:7000", "flag --listen"));
    let home = Home::new().with("mapae.toml", "listen = \"localhost:7000\"");
    let shown = home.settings(&[], &[("PORT", "9000")]);
    assert_eq!(shown.value("listen"), "localhost:9000");
}

#[test]
fn signing_up_is_open_on_loopback_alone_unless_set() {
    let home = Home::new();
    let url = ("MAPAE_BASE_URL", "https://auth.example.com");
    assert_eq!(home.settings(&["--listen", "[::1]:80"], &[url]).value("signup"), "open");
    assert_eq!(home.settings(&["--listen", "0.0.0.0:80"], &[url]).value("signup"), "closed");
    assert_eq!(home.settings(&["--listen", "0.0.0.0:80", "--signup", "open"], &[url]).value("signup"), "open");
    assert_eq!(home.settings(&[], &[("MAPAE_SIGNUP", "closed")]).value("signup"), "closed");
}

#[test]
fn every_setting_has_the_same_word_everywhere() {
    let home = Home::new();
    let shown = home.settings(&[], &[]);
    let settings = shown.0["settings"].as_object().expect("an object");
    assert!(settings.len() > 25, "{settings:?}");
    let help = home.run(&["serve", "--help"], &[]).stdout;
    for (name, entry) in settings {
        assert_eq!(entry["env"], format!("MAPAE_{}", name.to_uppercase()));
        assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}");
        assert!(help.contains(&format!("MAPAE_{}", name.to_uppercase())), "{name}");
    }
}

#[test]
fn lists_scopes_and_switches_have_a_form_in_each_source() {
    let file = "cors_origins = [\"https://a.example\", \"http://localhost:3000\"]\nno_migrate = true\n[scopes]\nitems = \"Read items.\"\n";
    let shown = Home::new().with("mapae.toml", file).settings(&[], &[]);
    assert_eq!(shown.value("cors_origins"), &json!(["https://a.example", "http://localhost:3000"]));
    assert_eq!(shown.value("no_migrate"), &json!(true));
    assert_eq!(shown.value("scopes"), &json!({"items": "Read items."}));

    let variables = [
        ("MAPAE_CORS_ORIGINS", "https://A.example/, http://localhost:3000"),
        ("MAPAE_NO_MIGRATE", "1"),
        ("MAPAE_SCOPES", "items=Read items.; items:write=Write items, with care"),
        ("MAPAE_DEFAULT_SCOPES", "me items"),
    ];
    let shown = Home::new().settings(&[], &variables);
    assert_eq!(shown.value("cors_origins"), &json!(["https://a.example", "http://localhost:3000"]));
    assert_eq!(shown.value("no_migrate"), &json!(true));
    assert_eq!(shown.value("scopes"), &json!({"items": "Read items.", "items:write": "Write items, with care"}));
    assert_eq!(shown.value("default_scopes"), &json!(["me", "items"]));

    let flags = ["--cors-origins", "https://a.example", "--cors-origins", "https://b.example", "--no-migrate"];
    let shown = Home::new().settings(&flags, &[]);
    assert_eq!(shown.value("cors_origins"), &json!(["https://a.example", "https://b.example"]));
    assert_eq!(shown.value("no_migrate"), &json!(true));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let variables = [("SECRET_KEY", ""), ("MAPAE_LISTEN", ""), ("MAPAE_HASH_QUEUE", "")];
    let shown = Home::new().settings(&[], &variables);
    assert_eq!(
        (shown.source("secret_key"), shown.source("listen"), shown.source("hash_queue")),
        ("default", "default", "default")
    );
}

#[test]
fn other_programs_lines_in_dotenv_are_ignored() {
    let env = "DEBUG=yes\nGREETING=don't\nDJANGO_SETTINGS_MODULE=x.y\nBROKEN LINE\nOPEN=\"x\nLATIN=\u{e9}\nMAPAE_SIGNUP=closed\n";
    let mut bytes = env.as_bytes().to_vec();
    bytes.extend(b"RAW=\xff\xfe\n");
    let shown = Home::new().with(".env", bytes).settings(&[], &[]);
    assert_eq!((shown.value("signup"), shown.warnings()), (&json!("closed"), vec![]));
}

#[test]
fn a_directory_called_dotenv_is_somebodys_virtual_environment() {
    let home = Home::new();
    std::fs::create_dir(home.path().join(".env")).unwrap();
    assert_eq!(home.settings(&[], &[]).source("listen"), "default");
}

#[test]
fn unknown_variables_of_ours_warn_with_the_nearest_name() {
    let variables = [
        ("MAPAE_LISEN", "x"),
        ("MAPAE_PORT", "8080"),
        ("MAPAE_ACCESS_TOKEN_EXPIRES_MINUTES", "5"),
        ("MAPAE_ADMIN_PASSWORD", "hunter2hunter2"),
        ("OTHER_LISEN", "x"),
    ];
    let shown = Home::new().with(".env", "MAPAE_DATADIR=x\n").settings(&[], &variables);
    let mut warnings = shown.warnings();
    warnings.sort_unstable();
    let expected = [
        ("MAPAE_ACCESS_TOKEN_EXPIRES_MINUTES", "MAPAE_ACCESS_TOKEN_EXPIRE_MINUTES"),
        ("MAPAE_ADMIN_PASSWORD", "MAPAE_ADMIN_PASSWORD_FILE"),
        ("MAPAE_DATADIR", "MAPAE_DATA_DIR"),
        ("MAPAE_LISEN", "MAPAE_LISTEN"),
        ("MAPAE_PORT", "MAPAE_LISTEN (or PORT)"),
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, (unknown, nearest)) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(&format!("{unknown} (")), "{warning}");
        assert!(warning.ends_with(&format!("the nearest is {nearest}.")), "{warning}");
        assert!(!warning.contains("hunter2"), "{warning}");
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_called_mapae_is_ignored() {
    let variables = [
        ("MAPAE_SERVICE_HOST", "10.0.0.7"),
        ("MAPAE_SERVICE_PORT", "80"),
        ("MAPAE_SERVICE_PORT_HTTP", "80"),
        ("MAPAE_PORT", "tcp://10.0.0.7:80"),
        ("MAPAE_PORT_8080_TCP", "tcp://10.0.0.7:80"),
        ("MAPAE_PORT_8080_TCP_PROTO", "tcp"),
        ("MAPAE_PORT_8080_TCP_PORT", "80"),
        ("MAPAE_PORT_8080_TCP_ADDR", "10.0.0.7"),
    ];
    assert_eq!(Home::new().settings(&[], &variables).warnings(), [""; 0]);
}

#[test]
fn doubtful_values_warn() {
    for (variable, value, part) in [
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "61", "60 or fewer"),
        ("MAPAE_LISTEN", "0.0.0.0:8080", "set MAPAE_BASE_URL"),
        ("MAPAE_BASE_URL", "http://auth.example.com", "not https"),
        ("MAPAE_ARGON2_MEMORY_KIB", "1024", "OWASP"),
        ("DATABASE_URL", "sqlite:///x.db?timeout=5", "parameters"),
    ] {
        let shown = Home::new().settings(&[], &[(variable, value)]);
        let [warning] = shown.warnings()[..] else { panic!("{variable}: {:?}", shown.warnings()) };
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(Home::new().settings(&[], &[("ACCESS_TOKEN_EXPIRE_MINUTES", "60")]).warnings(), [""; 0]);
    let both = [("SECRET_KEY", GOOD_KEY), ("MAPAE_MASTER_KEY", OTHER_KEY)];
    let shown = Home::new().settings(&[], &both);
    assert!(shown.warnings()[0].contains("SECRET_KEY is not used"), "{:?}", shown.warnings());
}

#[test]
fn the_configuration_file_may_be_elsewhere() {
    let home = Home::new().with("other.toml", "hash_queue = 7").with("mapae.toml", "hash_queue = 8");
    assert_eq!(home.settings(&["--config", "other.toml"], &[]).value("hash_queue"), 7);
    assert_eq!(home.settings(&[], &[("MAPAE_CONFIG", "other.toml")]).value("hash_queue"), 7);
    assert_eq!(home.settings(&[], &[]).value("hash_queue"), 8);
    assert!(home.refusal(&["--config", "gone.toml"], &[]).contains("gone.toml cannot be read"));
}

#[test]
fn the_text_form_names_every_setting_and_its_source() {
    let ended = Home::new().run(&["config", "show"], &[("PORT", "9000"), ("SECRET_KEY", GOOD_KEY)]);
    assert_eq!(ended.status, Some(0));
    let line = |name: &str| {
        ended.stdout.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}"))
    };
    assert!(line("listen").contains("127.0.0.1:9000") && line("listen").contains("environment PORT"));
    assert!(line("secret_key").contains("(set, redacted)") && line("secret_key").contains("environment SECRET_KEY"));
    assert!(line("hash_queue").contains("256") && line("hash_queue").contains("(default)"));
    assert!(
        line("signup").contains("open") && line("signup").contains("default, open when listen is a loopback address")
    );
}
