//! The library in an application: all of the service's routes, and beside them `/open`, which asks for no token and
//! answers, within the same layers, the bytes that `/users/me` answered. The server itself has no such route, so that no
//! setting can open one.
//! Usage: `bench-embedded ADDRESS DATABASE_FILE ALGORITHM ANSWER_FILE`, with `SECRET_KEY` for HS256. The file with the
//! answer is read when `/open` is first asked for.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use mapae::Mapae;
use mapae::domain::{BaseUrl, MasterKey, Rng, SecretText, SystemRng};
use mapae::settings::{Signing, Signup};
use mapae_password::Argon2Params;
use mapae_verify::Algorithm;
use tokio::net::TcpListener;

static ANSWER: OnceLock<Bytes> = OnceLock::new();

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, database, algorithm, answer] = <[String; 4]>::try_from(arguments)
        .map_err(|_| "usage: bench-embedded ADDRESS DATABASE_FILE ALGORITHM ANSWER_FILE")?;
    let algorithm: Algorithm = algorithm.parse()?;
    let signing = match std::env::var("SECRET_KEY") {
        Ok(secret) => Signing::SharedSecret(algorithm, SecretText::new(secret)),
        Err(_) => Signing::Generated(algorithm),
    };
    // The database is as new as the process.
    let mut master_key = [0; 32];
    SystemRng.fill(&mut master_key);
    let cheap = Argon2Params::new(64, 1, 1)?;
    let mapae: Mapae = Mapae::builder(BaseUrl::parse(&format!("http://{address}"))?)
        .database(format!("sqlite://{database}"))
        .master_key(MasterKey::new(master_key.to_vec())?)
        .signup(Signup::Open)
        .settings(|settings| {
            settings.signing = signing;
            settings.access_token_lifetime = 60 * 60;
            settings.passwords.argon2 = cheap;
        })
        .build()
        .await?;
    let _background = mapae.watch().await?;

    let answer = PathBuf::from(answer);
    let open = mapae.surround(Router::new().route("/open", get(move || std::future::ready(open(&answer)))));
    let app = mapae::http::app(mapae).merge(open);
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        // As the server does; a socket that refuses this works without.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}

fn open(answer: &PathBuf) -> impl IntoResponse + use<> {
    if let Some(answer) = ANSWER.get() {
        return ([(CONTENT_TYPE, "application/json")], answer.clone()).into_response();
    }
    match std::fs::read(answer) {
        Ok(bytes) => {
            let bytes = ANSWER.get_or_init(|| bytes.into());
            ([(CONTENT_TYPE, "application/json")], bytes.clone()).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
