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

#[test]
fn origins_are_written_as_browsers_send_them() {
    assert_eq!(origin("https://App.Example.com:443/").as_deref(), Some("https://app.example.com"));
    assert_eq!(origin("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
    for text in ["*", "app.example.com", "https://x/path", "null", "https://*.example.com/x"] {
        assert_eq!(origin(text), None, "{text}");
    }
}
