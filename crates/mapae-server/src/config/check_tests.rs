use super::*;

#[test]
fn loopback_urls() {
    for (text, loopback) in [
        ("http://localhost", true),
        ("http://[::1]:1", true),
        ("http://127.9.9.9", true),
        ("http://10.0.0.1", false),
        ("http://localhost.example.com", false),
    ] {
        assert_eq!(is_loopback_url(&BaseUrl::parse(text).unwrap()), loopback, "{text}");
    }
}
