//! Keys over https.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use mapae_verify::remote::{FetchError, RemoteKeys};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::issuer::{published, trusted};
use crate::support::{KEY, token};

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // A client that does not trust us hangs up.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// An authority, as PEM, and an issuer of keys with a certificate of it for `localhost`; its port.
async fn issuer() -> (String, u16) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let set = published(&[&KEY]);
    let app = Router::new().route("/", get(async move || set));
    let listener = TlsListener { tcp, tls: TlsAcceptor::from(Arc::new(config)) };
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (authority.pem(), port)
}

#[tokio::test]
async fn only_a_trusted_certificate_for_the_host_counts() {
    let (authority, port) = issuer().await;
    let (other_authority, _) = issuer().await;
    let url = format!("https://localhost:{port}/");

    let (verifier, _clock) = trusted(RemoteKeys::builder(&url).root_certificate(&authority));
    verifier.verify(&token(&KEY, "me")).await.unwrap();

    for settings in [
        RemoteKeys::builder(&url),
        RemoteKeys::builder(&url).root_certificate(other_authority),
        // The certificate is for another name.
        RemoteKeys::builder(format!("https://127.0.0.1:{port}/")).root_certificate(&authority),
        // Not TLS at all.
        RemoteKeys::builder(format!("http://localhost:{port}/")),
    ] {
        let (verifier, _clock) = trusted(settings);
        let error = verifier.ready().await.unwrap_err();
        assert!(matches!(error, FetchError::NoAnswer(_)), "{error}");
    }
    let (verifier, _clock) = trusted(RemoteKeys::builder(&url));
    let error = verifier.ready().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "the text says why: {error}");
}
