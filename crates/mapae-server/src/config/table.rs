//! The one table of settings.

use super::setting::{Default, Kind, Setting};

const BASE: Setting = Setting {
    name: "",
    alias: None,
    kind: Kind::Text,
    default: Default::Unset("not set"),
    common: false,
    help: "",
    hints: &[],
};

/// A setting of the user table of another application.
const fn users(name: &'static str, kind: Kind, default: Default, help: &'static str) -> Setting {
    Setting { name, kind, default, help, ..BASE }
}

/// A column of the user table of another application.
const fn users_column(name: &'static str, help: &'static str) -> Setting {
    users(name, Kind::Text, OF_PRESET, help)
}

/// What holds for a setting of that table that is not given.
const OF_PRESET: Default = Default::From("from users_preset");

/// Every setting, in the order in which they are shown.
pub(crate) static SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        alias: Some("PORT"),
        default: Default::Is("127.0.0.1:8080"),
        common: true,
        help: "Address and port to serve on; PORT changes the port alone",
        hints: &["port", "host", "bind", "address", "addr"],
        ..BASE
    },
    Setting {
        name: "base_url",
        default: Default::From("from listen"),
        common: true,
        help: "The URL by which clients reach this server; tokens name it as their issuer",
        hints: &["issuer", "url", "public_url", "external_url", "domain"],
        ..BASE
    },
    Setting {
        name: "data_dir",
        kind: Kind::Path,
        default: Default::Is("./mapae-data"),
        common: true,
        help: "Directory of the database and the master key; made at the first start",
        hints: &["data", "dir", "directory", "path", "home"],
        ..BASE
    },
    Setting {
        name: "database_url",
        alias: Some("DATABASE_URL"),
        kind: Kind::DatabaseUrl,
        default: Default::From("mapae.db in data_dir"),
        common: true,
        help: "Database: sqlite:///relative.db, sqlite:////absolute.db or postgres://user:password@host/name",
        hints: &["database", "db", "db_url"],
    },
    Setting {
        name: "database_direct_url",
        kind: Kind::DatabaseUrl,
        help: "The same PostgreSQL database past a pooler that database_url leads through",
        hints: &["direct_url"],
        ..BASE
    },
    Setting {
        name: "database_connections",
        kind: Kind::Integer { min: 2, max: 1_000 },
        default: Default::Is("20"),
        help: "Most connections to PostgreSQL that requests use; three more see changes",
        hints: &["pool_size", "max_connections", "connections"],
        ..BASE
    },
    Setting {
        name: "database_acquire_timeout_seconds",
        kind: Kind::Integer { min: 1, max: 60 },
        default: Default::Is("5"),
        help: "Longest wait for a connection to PostgreSQL, in seconds",
        hints: &["pool_timeout", "acquire_timeout"],
        ..BASE
    },
    Setting {
        name: "database_statement_timeout_seconds",
        kind: Kind::Integer { min: 1, max: 600 },
        default: Default::Is("10"),
        help: "Longest time for one statement on PostgreSQL, in seconds",
        hints: &["statement_timeout"],
        ..BASE
    },
    Setting {
        name: "algorithm",
        alias: Some("ALGORITHM"),
        kind: Kind::Choice(&["ES256", "EdDSA", "RS256", "HS256"]),
        default: Default::Is("ES256"),
        common: true,
        help: "How access tokens are signed; HS256 signs with SECRET_KEY",
        hints: &["alg", "jwt_algorithm"],
    },
    Setting {
        name: "secret_key",
        alias: Some("SECRET_KEY"),
        kind: Kind::Secret,
        common: true,
        help: "Key of HS256 tokens; with another ALGORITHM it serves as the master key",
        hints: &["secret", "jwt_secret", "key"],
        ..BASE
    },
    Setting {
        name: "old_secret_keys",
        kind: Kind::Secret,
        default: Default::Unset("none"),
        help: "Earlier SECRET_KEYs whose HS256 tokens are still accepted, separated by blanks, commas or line ends",
        hints: &["old_secret_key", "secret_key_old", "secret_key_fallbacks", "previous_secret_key"],
        ..BASE
    },
    Setting {
        name: "master_key",
        kind: Kind::Secret,
        default: Default::Unset("master.key in data_dir"),
        common: true,
        help: "Key that protects the keys in the database",
        hints: &["encryption_key", "master"],
        ..BASE
    },
    Setting {
        name: "key_rotation_days",
        kind: Kind::Integer { min: 0, max: 3_650 },
        default: Default::Is("90"),
        help: "Days for which a signing key signs before the next takes its place by itself; 0 for never",
        hints: &["key_rotation", "rotation", "rotate_keys", "key_lifetime"],
        ..BASE
    },
    Setting {
        name: "access_token_expire_minutes",
        alias: Some("ACCESS_TOKEN_EXPIRE_MINUTES"),
        kind: Kind::Integer { min: 1, max: 525_600 },
        default: Default::Is("15"),
        common: true,
        help: "Lifetime of access tokens in minutes",
        hints: &["expire", "expires", "token_lifetime", "lifetime", "ttl", "jwt_expire_minutes"],
    },
    Setting {
        name: "session_idle_days",
        kind: Kind::Integer { min: 1, max: 3_650 },
        default: Default::Is("30"),
        help: "A session that is not refreshed for so many days is over",
        hints: &["refresh_token_expire_days", "refresh_expire_days", "session_idle", "refresh_lifetime"],
        ..BASE
    },
    Setting {
        name: "session_max_days",
        kind: Kind::Integer { min: 1, max: 3_650 },
        default: Default::Is("90"),
        help: "A session is over after so many days, however often it is refreshed",
        hints: &["session_lifetime", "session_days", "session_max"],
        ..BASE
    },
    Setting {
        name: "personal_token_max_days",
        kind: Kind::Integer { min: 1, max: 3_650 },
        default: Default::Is("365"),
        help: "Longest life of a personal access token, in days",
        hints: &["personal_token_days", "pat_max_days", "personal_token_lifetime"],
        ..BASE
    },
    Setting {
        name: "subject_kinds",
        kind: Kind::List,
        default: Default::Unset("none"),
        help: "Kinds of things of your application, such as car, for which administrators may have tokens minted",
        hints: &["subject_kind", "kinds", "subjects"],
        ..BASE
    },
    Setting {
        name: "audience",
        kind: Kind::List,
        default: Default::From("base_url"),
        help: "Audiences that access tokens are made for",
        hints: &["aud", "audiences"],
        ..BASE
    },
    Setting {
        name: "leeway_seconds",
        kind: Kind::Integer { min: 0, max: 300 },
        default: Default::Is("5"),
        help: "How far another machine's clock may be off when this server checks a token's times, in seconds",
        hints: &["leeway", "clock_skew"],
        ..BASE
    },
    Setting {
        name: "signup",
        kind: Kind::Choice(&["open", "closed"]),
        default: Default::From("open when listen is a loopback address, else closed"),
        common: true,
        help: "Whether anybody may make an account over HTTP",
        hints: &["registration", "register", "allow_signup"],
        ..BASE
    },
    Setting {
        name: "scopes",
        kind: Kind::Scopes,
        default: Default::Unset("me and mapae:admin alone"),
        help: "Scopes of your API with their descriptions; in the environment as name=description;name=description",
        hints: &["scope"],
        ..BASE
    },
    Setting {
        name: "default_scopes",
        kind: Kind::List,
        default: Default::Is("me"),
        help: "Scopes that a new account gets",
        hints: &["default_scope"],
        ..BASE
    },
    Setting {
        name: "cors_origins",
        kind: Kind::List,
        default: Default::Unset("none: CORS is off"),
        common: true,
        help: "Origins of web pages that may call this server, such as https://app.example.com",
        hints: &["cors", "allowed_origins", "origins", "cors_allowed_origins"],
        ..BASE
    },
    Setting {
        name: "trusted_proxies",
        kind: Kind::List,
        default: Default::Unset("none: the client is whoever connects"),
        help: "Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8",
        hints: &["proxies", "trusted_proxy", "forwarded_allow_ips", "proxy_headers"],
        ..BASE
    },
    Setting {
        name: "password_min_length",
        kind: Kind::Integer { min: 8, max: 128 },
        default: Default::Is("8"),
        help: "Fewest characters of a new password",
        hints: &["min_password_length", "password_length"],
        ..BASE
    },
    Setting {
        name: "breached_passwords_file",
        kind: Kind::Path,
        default: Default::Unset("none"),
        help: "File of breached passwords from Have I Been Pwned (SHA-1, sorted by hash), none of which is accepted anew",
        hints: &["breached_passwords", "pwned_passwords", "hibp", "hibp_file"],
        ..BASE
    },
    Setting {
        name: "password_pepper",
        kind: Kind::Secret,
        default: Default::Unset("none"),
        help: "Key without which the password hashes in the database are worth nothing to a thief",
        hints: &["pepper"],
        ..BASE
    },
    Setting {
        name: "old_password_peppers",
        kind: Kind::Secret,
        default: Default::Unset("none"),
        help: "Peppers that stored hashes still need, separated by blanks, commas or line ends",
        hints: &["old_pepper", "old_peppers", "old_password_pepper", "password_peppers"],
        ..BASE
    },
    Setting {
        name: "argon2_memory_kib",
        kind: Kind::Integer { min: 8, max: 4_194_304 },
        default: Default::Is("19456"),
        help: "Argon2id memory of new password hashes, in KiB",
        hints: &["argon2_memory", "memory"],
        ..BASE
    },
    Setting {
        name: "argon2_iterations",
        kind: Kind::Integer { min: 1, max: 1_000 },
        default: Default::Is("2"),
        help: "Argon2id passes of new password hashes",
        hints: &["argon2_time", "argon2_time_cost", "iterations"],
        ..BASE
    },
    Setting {
        name: "argon2_parallelism",
        kind: Kind::Integer { min: 1, max: 64 },
        default: Default::Is("1"),
        help: "Argon2id lanes of new password hashes",
        hints: &["argon2_lanes", "parallelism"],
        ..BASE
    },
    Setting {
        name: "hash_threads",
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: Default::From("cores of this machine"),
        help: "Password hashes computed at once",
        hints: &["threads", "workers"],
        ..BASE
    },
    Setting {
        name: "hash_queue",
        kind: Kind::Integer { min: 1, max: 65_536 },
        default: Default::Is("256"),
        help: "Password checks that may wait before the answer is 503",
        hints: &["queue"],
        ..BASE
    },
    Setting {
        name: "throttle",
        kind: Kind::Switch,
        default: Default::Is("true"),
        help: "Slow down whoever guesses passwords and other secrets",
        hints: &["rate_limit", "ratelimit", "limiter", "lockout"],
        ..BASE
    },
    Setting {
        name: "throttle_failures",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Is("10"),
        help: "Wrong passwords in a row for one name from one network, before the next has to wait",
        hints: &["max_attempts", "max_failures", "login_attempts"],
        ..BASE
    },
    Setting {
        name: "throttle_account_failures",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Is("20"),
        help: "The same for one name from all networks together where its owner is not known",
        ..BASE
    },
    Setting {
        name: "throttle_seconds",
        kind: Kind::Integer { min: 1, max: 86_400 },
        default: Default::Is("120"),
        help: "Seconds after which one wrong password for a name is forgiven",
        hints: &["lockout_seconds", "lockout_time"],
        ..BASE
    },
    Setting {
        name: "throttle_network_failures",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Is("100"),
        help: "Wrong passwords in a row from one network for all names together, and as many other wrong secrets",
        ..BASE
    },
    Setting {
        name: "throttle_network_seconds",
        kind: Kind::Integer { min: 1, max: 86_400 },
        default: Default::Is("10"),
        help: "Seconds after which one of them is forgiven",
        ..BASE
    },
    Setting {
        name: "users_preset",
        kind: Kind::Choice(&["django", "fastapi-users", "sqlalchemy-tutorial", "flask-security"]),
        default: Default::Unset("none: accounts are in a table of Mapae's own"),
        help: "Framework whose user table, in the same database, holds the accounts",
        hints: &["users", "preset", "framework", "django", "user_table"],
        ..BASE
    },
    users_column("users_table", "The table of the other application"),
    users_column("users_id", "Column of the key"),
    users("users_id_type", Kind::Choice(&["integer", "text", "hex-uuid"]), OF_PRESET, "What keys are"),
    users_column("users_username", "Column of the user name; - for none"),
    users("users_username_required", Kind::Switch, OF_PRESET, "New accounts need a user name besides the address"),
    users_column("users_email", "Column of the e-mail address; - for none"),
    users("users_email_sign_in", Kind::Switch, OF_PRESET, "Sign in with the address too; addresses must be unique"),
    users_column("users_password", "Column of the password hash"),
    users_column("users_active", "Column that is true for an account that may sign in; - for none"),
    users_column("users_disabled", "Column that is true for an account that may not sign in"),
    users_column("users_full_name", "Column of the full name; - for none"),
    users_column("users_first_name", "Column of the first name, with users_last_name"),
    users_column("users_last_name", "Column of the last name, with users_first_name"),
    users_column("users_uniquifier", "Column that gets a random value with each new password; - for none"),
    users(
        "users_insert",
        Kind::List,
        OF_PRESET,
        "Further columns of a new account, such as is_staff=false; words are false, true, empty, now, random",
    ),
    users("users_read_only", Kind::Switch, Default::Is("false"), "Write nothing into the other application's table"),
    users(
        "users_rehash",
        Kind::Switch,
        Default::Is("false"),
        "Replace weak hashes of the other application at sign-in",
    ),
    users("users_hash_format", Kind::Text, OF_PRESET, "Format of new hashes in the other application's table"),
    users(
        "users_hash_cost",
        Kind::Integer { min: 1, max: 999_999_999 },
        Default::From("from users_hash_format"),
        "Cost of new hashes there: rounds of PBKDF2 and SHA-crypt, binary logarithm for bcrypt and scrypt",
    ),
    users(
        "users_password_hmac_key",
        Kind::Secret,
        Default::Unset("none: passwords are hashed as they are"),
        "SECURITY_PASSWORD_SALT of Flask-Security, which hashes an HMAC of the password; for imported hashes too",
    ),
    Setting {
        name: "body_limit_kib",
        kind: Kind::Integer { min: 1, max: 10_240 },
        default: Default::Is("64"),
        help: "Largest request body, in KiB",
        hints: &["body_limit", "max_body", "request_body_limit"],
        ..BASE
    },
    Setting {
        name: "request_timeout_seconds",
        kind: Kind::Integer { min: 1, max: 600 },
        default: Default::Is("30"),
        help: "Longest time for one request, in seconds",
        hints: &["timeout", "request_timeout"],
        ..BASE
    },
    Setting {
        name: "shutdown_grace_seconds",
        kind: Kind::Integer { min: 0, max: 600 },
        default: Default::Is("20"),
        help: "How long running requests may take to finish after SIGTERM, in seconds",
        hints: &["grace", "shutdown_timeout", "shutdown_grace"],
        ..BASE
    },
    Setting {
        name: "metrics_listen",
        default: Default::Unset("none: metrics are off"),
        help: "Address and port of /metrics for Prometheus, apart from those of the service, such as 127.0.0.1:9090",
        hints: &["metrics", "prometheus", "metrics_port", "metrics_address"],
        ..BASE
    },
    Setting {
        name: "traces_endpoint",
        alias: Some("OTEL_EXPORTER_OTLP_ENDPOINT"),
        default: Default::Unset("none: no traces are made"),
        help: "OpenTelemetry collector that takes traces by OTLP over HTTP, such as http://127.0.0.1:4318",
        hints: &["traces", "otlp", "otlp_endpoint", "otel", "opentelemetry"],
        ..BASE
    },
    Setting {
        name: "audit_retention_days",
        kind: Kind::Integer { min: 0, max: 36_500 },
        default: Default::Is("365"),
        help: "How long rows of the audit trail are kept, in days; 0 keeps them for good",
        hints: &["audit", "audit_retention", "audit_days", "retention_days"],
        ..BASE
    },
    Setting {
        name: "log_format",
        kind: Kind::Choice(&["auto", "text", "json"]),
        default: Default::Is("auto"),
        help: "Log lines as text or JSON; auto is text on a terminal, else JSON",
        hints: &["log", "logging"],
        ..BASE
    },
    Setting {
        name: "log_level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Default::Is("info"),
        help: "Least important log lines to write",
        hints: &["level", "verbosity", "debug"],
        ..BASE
    },
    Setting {
        name: "admin_email",
        help: "Address of the first administrator, made once at an unattended start",
        hints: &["admin", "first_superuser", "superuser"],
        ..BASE
    },
    Setting {
        name: "admin_password_file",
        kind: Kind::Path,
        help: "File with the password of admin_email",
        hints: &["admin_password", "first_superuser_password"],
        ..BASE
    },
    Setting {
        name: "no_migrate",
        kind: Kind::Switch,
        default: Default::Is("false"),
        help: "Start only if the database needs no migration",
        hints: &["migrate", "auto_migrate"],
        ..BASE
    },
];
