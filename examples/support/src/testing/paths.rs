//! Addresses that are not a route, and methods that a route does not take.

use reqwest::Url;
use serde_json::json;

use super::{Answer, Example, Refusal};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];

/// `from` leads to `to`: for every method, before authentication, with the query, by a relative address.
pub async fn redirects(example: &Example, from: &str, to: &str) {
    for method in METHODS {
        for query in ["", "?a=b&c=%20d"] {
            let answer = Answer::to(example.request(method, &format!("{from}{query}")).body("x=y")).await;
            assert_eq!(answer.status, 307, "{method} {from}{query}");
            assert_eq!(answer.header("www-authenticate"), None, "{method} {from}");
            let location = answer.header("location").unwrap();
            assert!(!location.starts_with('/') && !location.contains(':'), "{location} is not relative");
            let base = Url::parse(&format!("http://127.0.0.1{from}")).unwrap();
            assert_eq!(base.join(location).unwrap().as_str(), format!("http://127.0.0.1{to}{query}"));
        }
    }
}

/// The route takes `methods` and nothing else.
pub async fn only(example: &Example, path: &str, methods: &[&str]) {
    for method in METHODS.iter().filter(|method| !methods.contains(method)) {
        let answer = Answer::to(example.request(method, path)).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, methods, "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), None);
        if *method != "HEAD" {
            assert_eq!(answer.json(), json!({ "detail": "Method Not Allowed" }));
        }
    }
}

/// There is nothing here, for any method.
pub async fn not_found(example: &Example, paths: &[&str]) {
    for path in paths {
        for method in METHODS.iter().filter(|method| **method != "HEAD") {
            let answer = Answer::to(example.request(method, path)).await;
            answer.refuses(Refusal::plain(404, "Not Found"), format!("{method} {path}"));
        }
    }
}
