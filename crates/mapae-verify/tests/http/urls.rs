//! Where keys may come from.

use mapae_verify::remote::{RemoteError, RemoteKeys, RemoteKeysBuilder};

fn refusal(settings: RemoteKeysBuilder) -> Option<RemoteError> {
    settings.start().err()
}

#[tokio::test]
async fn only_https_or_this_machine() {
    // Port 1 answers nobody, and nothing waits for it.
    for good in [
        "https://auth.example:1/jwks",
        "https://192.0.2.1:1/jwks",
        "http://127.0.0.1:1/jwks",
        "http://127.9.9.9:1/jwks",
        "http://[::1]:1/jwks",
        "http://localhost:1/jwks",
        "HTTP://LOCALHOST:1/jwks?a=b",
    ] {
        assert_eq!(refusal(RemoteKeys::builder(good)), None, "{good}");
    }
    for plain in [
        "http://auth.example/jwks",
        "http://192.0.2.1/jwks",
        "http://[2001:db8::1]/jwks",
        "http://localhost.example/jwks",
        "http://127.0.0.1.example/jwks",
    ] {
        assert_eq!(refusal(RemoteKeys::builder(plain)), Some(RemoteError::NotEncrypted), "{plain}");
    }
    assert_eq!(refusal(RemoteKeys::builder("http://192.0.2.1:1/").allow_plain_http()), None);
    for bad in [
        "",
        "/jwks",
        "auth.example/jwks",
        "https://",
        "ftp://127.0.0.1/jwks",
        "file:///etc/hostname",
        "https://user:secret@auth.example/jwks",
        "https://user@auth.example/jwks",
    ] {
        for settings in [RemoteKeys::builder(bad), RemoteKeys::builder(bad).allow_plain_http()] {
            assert_eq!(refusal(settings), Some(RemoteError::InvalidUrl), "{bad}");
        }
    }
    let text = RemoteKeys::start("https://user:secret@auth.example/").unwrap_err().to_string();
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn certificates_are_checked_at_the_start() {
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "x", bad] {
        let refused = refusal(RemoteKeys::builder("https://localhost:1/").root_certificate(pem));
        assert!(matches!(refused, Some(RemoteError::Tls(_))), "{pem:?}: {refused:?}");
    }
}

#[test]
fn outside_a_runtime() {
    assert_eq!(refusal(RemoteKeys::builder("http://127.0.0.1:1/")), Some(RemoteError::NoRuntime));
}
