//! What `cargo xtask bench` compares with: axum and hyper with nothing around one handler. No token is looked at.
//! Usage: `bare ADDRESS CONTENT_TYPE FILE`.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [address, content_type, file] = <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: bare ADDRESS CONTENT_TYPE FILE")?;
    let body = Bytes::from(std::fs::read(file)?);
    let content_type = HeaderValue::try_from(content_type)?;
    let app =
        Router::new().route("/users/me", get(|| async move { ([(CONTENT_TYPE, content_type.clone())], body.clone()) }));

    let listener = TcpListener::bind(address).await?;
    let service = TowerToHyperService::new(app);
    loop {
        // The same loop as the real server's, without its time limits and its graceful stop.
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
    }
}
