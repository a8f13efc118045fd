//! What `cargo xtask bench` compares with: axum with nothing around one handler. No token is looked at.
//! Usage: `bench-bare ADDRESS CONTENT_TYPE FILE`.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, content_type, file] =
        <[String; 3]>::try_from(arguments).map_err(|_| "usage: bench-bare ADDRESS CONTENT_TYPE FILE")?;
    let body = Bytes::from(std::fs::read(file)?);
    let content_type = HeaderValue::try_from(content_type)?;
    let app =
        Router::new().route("/users/me", get(|| async move { ([(CONTENT_TYPE, content_type.clone())], body.clone()) }));

    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        // As the real server does; a socket that refuses this works without.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}
