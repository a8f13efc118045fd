//! Every answer of a protected route, in both styles.

use mapae_verify::axum::{BearerError, ErrorStyle, bearer_token, error_style};
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::routes::app;
use crate::support::{Answer, KEY, NOW, Server, client, new_key, token, token_with};

/// An answer as documented: in both styles its status, challenge and `detail`, and the `code` of the problem.
struct Expected {
    code: &'static str,
    problem: (u16, String, String),
    detail: (u16, &'static str, &'static str),
}

fn not_authenticated() -> Expected {
    Expected {
        code: "not_authenticated",
        problem: (401, "Bearer".into(), "Send an access token: Authorization: Bearer …".into()),
        detail: (401, "Bearer", "Not authenticated"),
    }
}

fn several_headers() -> Expected {
    let text = "Send one Authorization header, not several.";
    Expected {
        code: "invalid_request",
        problem: (400, "Bearer error=\"invalid_request\"".into(), text.into()),
        detail: (400, "", text),
    }
}

/// `scope` is what the route asks for.
fn invalid_token(why: &str, scope: &str) -> Expected {
    let (named, detail) = match scope {
        "" => ("", "Bearer"),
        "items me" => (", scope=\"items me\"", "Bearer scope=\"items me\""),
        other => panic!("{other}"),
    };
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"{named}");
    Expected {
        code: "invalid_token",
        problem: (401, challenge, why.into()),
        detail: (401, detail, "Could not validate credentials"),
    }
}

fn insufficient_scope(scope: &str, detail: &'static str) -> Expected {
    let why = format!("This needs a token with scope: {scope}");
    let challenge = format!("Bearer error=\"insufficient_scope\", error_description=\"{why}\", scope=\"{scope}\"");
    Expected {
        code: "insufficient_scope",
        problem: (403, challenge, why),
        detail: (401, detail, "Not enough permissions"),
    }
}

const TITLES: [(&str, &str); 4] = [
    ("not_authenticated", "Not authenticated"),
    ("invalid_request", "The request is malformed"),
    ("invalid_token", "The token is not valid"),
    ("insufficient_scope", "The token lacks a scope"),
];

/// The same routes in both styles.
struct Styles {
    problem: Server,
    detail: Server,
}

impl Styles {
    async fn start() -> Self {
        Self {
            problem: Server::start(app()).await,
            detail: Server::start(app().layer(error_style(ErrorStyle::Detail))).await,
        }
    }

    /// Sends these `Authorization` headers to both.
    async fn send(&self, path: &str, headers: &[&[u8]]) -> [Response; 2] {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, HeaderValue::from_bytes(header).unwrap());
        }
        let send = async |server: &Server| {
            client().get(format!("{}{path}", server.url)).headers(map.clone()).send().await.unwrap()
        };
        [send(&self.problem).await, send(&self.detail).await]
    }

    async fn check(&self, path: &str, headers: &[&[u8]], expected: Expected) {
        let [problem, detail] = self.send(path, headers).await;
        let (problem, detail) = (Answer::of(problem).await, Answer::of(detail).await);
        let sent: Vec<_> = headers.iter().map(|header| String::from_utf8_lossy(header)).collect();

        let (status, challenge, text) = expected.problem;
        let (_, title) = TITLES.iter().find(|(code, _)| *code == expected.code).unwrap();
        let body = json!({
            "type": "about:blank", "title": title, "status": status, "detail": text, "code": expected.code,
        });
        assert_eq!(serde_json::from_str::<Value>(&problem.body).unwrap(), body, "{path} {sent:?}");
        assert_eq!(
            (problem.status, problem.challenge.as_deref(), problem.media_type.as_str()),
            (status, Some(challenge.as_str()), "application/problem+json"),
            "{path} {sent:?}"
        );

        let (status, challenge, text) = expected.detail;
        let expected = Answer {
            status,
            challenge: (!challenge.is_empty()).then(|| challenge.to_owned()),
            media_type: "application/json".to_owned(),
            body: json!({ "detail": text }).to_string(),
        };
        assert_eq!(detail, expected, "{path} {sent:?}");

        for answer in [problem, detail] {
            for word in sent.iter().flat_map(|header| header.split(' ')).filter(|word| word.len() > 8) {
                let told = format!("{} {:?}", answer.body, answer.challenge);
                assert!(!told.contains(word), "it repeats what was sent: {told}");
            }
        }
    }

    async fn passes(&self, path: &str, headers: &[&[u8]], body: &str) {
        for response in self.send(path, headers).await {
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.text().await.unwrap(), body, "{path}");
        }
    }
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

#[tokio::test]
async fn a_good_token_passes() {
    let styles = Styles::start().await;
    let good = token(&KEY, "me items");
    styles.passes("/any", &[&bearer(&good)], "0198c0de may me items").await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "] {
        styles.passes("/both", &[format!("{scheme} {good}").as_bytes()], "both").await;
    }
    styles.passes("/open", &[], "open").await;
    styles.passes("/open", &[b"Bearer x"], "open").await;
}

#[tokio::test]
async fn without_a_bearer_token() {
    let styles = Styles::start().await;
    let good = token(&KEY, "me items");
    let basic: &[u8] = b"Basic dXNlcjpwYXNzd29yZA==";
    let others: [&[u8]; 9] = [
        basic,
        b"basic",
        b"Digest username=\"a\"",
        b"",
        b"Bearer\xff",
        b"Bearer caf\xc3\xa9.token.here",
        b"Bearer \xff\xfe",
        b"Bearerx",
        good.as_bytes(),
    ];
    // Plain even where scopes are needed.
    for path in ["/any", "/me", "/both"] {
        styles.check(path, &[], not_authenticated()).await;
        for header in others {
            styles.check(path, &[header], not_authenticated()).await;
        }
    }
}

#[tokio::test]
async fn several_authorization_headers() {
    let styles = Styles::start().await;
    let good = bearer(&token(&KEY, "me items"));
    for path in ["/any", "/both", "/optional"] {
        styles.check(path, &[&good, &good], several_headers()).await;
        styles.check(path, &[b"Basic YTpi", &good], several_headers()).await;
        styles.check(path, &[&good, b""], several_headers()).await;
    }
}

#[tokio::test]
async fn bad_tokens() {
    let styles = Styles::start().await;
    let good = token(&KEY, "me items");
    let (head, _) = good.rsplit_once('.').unwrap();
    let with = |changes: Value| token_with(&KEY, &changes);
    let cases = [
        (String::new(), "malformed token: not three parts"),
        (format!("{good} {good}"), "malformed token: "),
        (format!("{} {}", &good[..20], &good[20..]), "malformed token: "),
        ("x".to_owned(), "malformed token: "),
        ("a.b.c".to_owned(), "malformed token: "),
        (format!("{head}.{}", "A".repeat(86)), "the signature does not match"),
        (token(&new_key(), "me items"), "signed by an unknown key"),
        (with(json!({ "exp": NOW - 60 })), "the token has expired"),
        (with(json!({ "iat": NOW + 60 })), "the token is not valid yet"),
        (with(json!({ "aud": "https://other.example" })), "wrong audience"),
        (with(json!({ "iss": "https://other.example" })), "wrong issuer"),
        (with(json!({ "scope": ["me", "items"] })), "invalid claim `scope`"),
        (with(json!({ "scope": 7 })), "invalid claim `scope`"),
        (with(json!({ "scope": null })), "invalid claim `scope`"),
        (with(json!({ "scope": "me\u{7f}items" })), "invalid claim `scope`"),
        (with(json!({ "sub": 7 })), "invalid claim `sub`"),
        ("A".repeat(9000), "the token is too long"),
    ];
    for (token, why) in cases {
        let why =
            if why.ends_with(": ") || token.is_empty() { malformed(&styles, &token).await } else { why.to_owned() };
        styles.check("/any", &[&bearer(&token)], invalid_token(&why, "")).await;
        styles.check("/both", &[&bearer(&token)], invalid_token(&why, "items me")).await;
        styles.check("/optional", &[&bearer(&token)], invalid_token(&why, "")).await;
    }
    let empty = malformed(&styles, "").await;
    for header in ["Bearer", "bearer", "Bearer ", "Bearer    "] {
        styles.check("/any", &[header.as_bytes()], invalid_token(&empty, "")).await;
    }
}

/// What exactly is malformed about a token; that it is told and how is not for this test to fix.
async fn malformed(styles: &Styles, token: &str) -> String {
    let response = styles.problem.get("/any", token).await;
    let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("malformed token: "), "{detail}");
    detail
}

#[tokio::test]
async fn missing_scopes() {
    let styles = Styles::start().await;
    let both: &[&str] = &["", "me", "items", "item me", "ITEMS ME", "itemsme"];
    for scope in both {
        let expected = insufficient_scope("items me", "Bearer scope=\"items me\"");
        styles.check("/both", &[&bearer(&token(&KEY, scope))], expected).await;
    }
    let me = || insufficient_scope("me", "Bearer scope=\"me\"");
    styles.check("/me", &[&bearer(&token(&KEY, "items"))], me()).await;
    styles.check("/optional-me", &[&bearer(&token(&KEY, "items"))], me()).await;
    let absent = {
        let mut claims = serde_json::to_value(crate::support::claims("me")).unwrap();
        claims.as_object_mut().unwrap().remove("scope");
        KEY.sign("at+jwt", &claims).unwrap()
    };
    styles.check("/me", &[&bearer(&absent)], me()).await;
    styles.passes("/any", &[&bearer(&absent)], "0198c0de may ").await;
}

#[tokio::test]
async fn any_of_several_scopes() {
    let styles = Styles::start().await;
    for scope in ["items", "admin", "me admin items"] {
        styles.passes("/one-of", &[&bearer(&token(&KEY, scope))], "one of").await;
    }
    let expected = insufficient_scope("items admin", "Bearer scope=\"items admin\"");
    styles.check("/one-of", &[&bearer(&token(&KEY, "me"))], expected).await;
    styles.passes("/nested", &[&bearer(&token(&KEY, "me admin"))], "nested").await;
    for scope in ["me", "items admin"] {
        let expected = insufficient_scope("me items admin", "Bearer scope=\"me items admin\"");
        styles.check("/nested", &[&bearer(&token(&KEY, scope))], expected).await;
    }
}

#[tokio::test]
async fn an_optional_token() {
    let styles = Styles::start().await;
    styles.passes("/optional", &[], "stranger").await;
    styles.passes("/optional", &[&bearer(&token(&KEY, ""))], "0198c0de").await;
    styles.passes("/optional-me", &[], "stranger").await;
    styles.passes("/optional-me", &[&bearer(&token(&KEY, "me"))], "me").await;
    // Whoever sends something must send something good.
    for header in [&b"Basic YTpi"[..], b"", b"Bearer \xff", b"Bearerx"] {
        styles.check("/optional", &[header], not_authenticated()).await;
        styles.check("/optional-me", &[header], not_authenticated()).await;
    }
}

#[test]
fn a_token_is_read_from_headers() {
    let of = |text: &str| {
        let map = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(text.as_bytes()).unwrap())]);
        bearer_token(&map).map(str::to_owned)
    };
    let long = "a".repeat(1_000);
    for (text, token) in [
        ("bEARER  a b ", "a b"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("bearer  ", ""),
        ("Bearer a Bearer b", "a Bearer b"),
        (&format!("Bearer {long}"), &long),
    ] {
        assert_eq!(of(text).as_deref(), Ok(token), "{text}");
    }
    for text in [
        "",
        " ",
        "Bear",
        "Bear a",
        "Bearer\ta",
        "Bearera",
        " Bearer a",
        "Basic a",
        "Bearer é",
        "Bearé a",
        &format!("Bearer {long}é"),
    ] {
        assert_eq!(of(text), Err(BearerError::NotAuthenticated), "{text}");
    }
}
