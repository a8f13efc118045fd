//! What every example reads at its start: `PORT`, `SECRET_KEY` and `DATABASE_URL`, from the environment or `.env`.

#[cfg(feature = "testing")]
pub mod testing;

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use mapae::domain::{Rng, SystemRng};
use mapae_verify::{Algorithm, SigningKey};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

/// Any error ends an example with its text.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Keys under this many bytes can be guessed offline.
const GOOD_KEY_BYTES: usize = 32;

/// Keys of that length that tutorials print.
const PRINTED_KEYS: [&str; 2] =
    ["09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#"];

/// A variable of the environment, else of the file `.env` in the working directory.
fn variable(name: &str) -> Option<String> {
    let in_file = || dotenvy::dotenv_iter().ok()?.filter_map(|pair| pair.ok()).find(|(key, _)| key == name);
    std::env::var(name).ok().or_else(|| in_file().map(|(_, value)| value)).filter(|value| !value.is_empty())
}

/// The key of HS256 tokens: `SECRET_KEY` as its UTF-8 bytes. Without one a key is made that lasts as long as the
/// process. Examples exist to be compared, so they take a bad key, but not silently.
pub fn secret_key() -> Result<SigningKey> {
    let secret = variable("SECRET_KEY").map(String::into_bytes).unwrap_or_else(|| {
        eprintln!("SECRET_KEY is not set: tokens end with this process. `mapae secret generate` makes a good key.");
        let mut random = vec![0; GOOD_KEY_BYTES];
        SystemRng.fill(&mut random);
        random
    });
    if secret.len() < GOOD_KEY_BYTES || PRINTED_KEYS.iter().any(|printed| printed.as_bytes() == secret) {
        eprintln!("WARNING: this SECRET_KEY is short or printed in a tutorial: ANYBODY CAN FORGE TOKENS.");
        eprintln!("WARNING: never use it for anything real. `mapae secret generate` makes a good key.");
    }
    Ok(SigningKey::hmac_allow_short(None, Algorithm::HS256, &secret)?)
}

/// `DATABASE_URL`, by default a SQLite file named after the example.
pub fn database_url(name: &str) -> String {
    variable("DATABASE_URL").unwrap_or_else(|| format!("sqlite://example-{name}.db"))
}

/// The SQLite database at [`database_url`], made if it is missing.
pub async fn database(name: &str) -> Result<SqlitePool> {
    let options = database_url(name).parse::<SqliteConnectOptions>()?.create_if_missing(true);
    Ok(SqlitePool::connect_with(options).await?)
}

/// Serves on `PORT` (8000 unless set) of 127.0.0.1.
pub async fn serve(app: Router) -> Result<()> {
    let port = variable("PORT").unwrap_or_else(|| "8000".to_owned());
    let port: u16 = port.parse().map_err(|_| format!("PORT={port} is no port"))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.map_err(|error| format!("127.0.0.1:{port}: {error}; PORT sets another port"))?;
    println!("http://{0}  docs: http://{0}/docs", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
