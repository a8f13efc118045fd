//! The OAuth2 password form of `/token`.

use reqwest::header::CONTENT_TYPE;
use reqwest::multipart;
use serde_json::{Value, json};

use super::{Answer, Example, Refusal};

/// How an example hands a token out.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// `{"access_token": …, "token_type": "bearer"}`
    AccessToken,
    /// `{"token": …}`
    Token,
}

impl Field {
    /// The token of an answer that is 200 and holds nothing else.
    #[track_caller]
    pub fn token(self, answer: &Answer) -> String {
        let body = answer.json();
        let (name, rest) = match self {
            Self::AccessToken => ("access_token", json!({ "token_type": "bearer" })),
            Self::Token => ("token", json!({})),
        };
        let token = body[name].as_str().unwrap_or_else(|| panic!("{} {body}", answer.status)).to_owned();
        let mut whole = rest;
        whole[name] = Value::from(token.as_str());
        answer.is(200, &whole);
        token
    }
}

/// Whatever the form may look like, for the user johndoe whose password is secret.
pub async fn password_form(example: &Example, field: Field, wrong: Refusal) {
    accepts(example, field).await;
    misses(example).await;
    grant_types(example).await;
    for (name, password) in [("johndoe", "wrong"), ("nobody", "secret"), ("JOHNDOE", "secret"), ("johndoe", "secret ")]
    {
        let answer = example.form("/token", &[("username", name), ("password", password)]).await;
        answer.refuses(wrong, format!("{name} / {password}"));
    }
    super::only(example, "/token", &["POST"]).await;
    super::redirects(example, "/token/", "/token").await;
}

async fn accepts(example: &Example, field: Field) {
    let whole = [
        ("grant_type", "password"),
        ("username", "johndoe"),
        ("password", "secret"),
        ("scope", "a b"),
        ("client_id", "c"),
        ("client_secret", "d"),
        ("unknown", "e"),
    ];
    field.token(&example.form("/token", &whole).await);
    let empty = [("grant_type", ""), ("username", "johndoe"), ("password", "secret"), ("scope", "")];
    field.token(&example.form("/token", &empty).await);

    let parts = multipart::Form::new().text("username", "johndoe").text("password", "secret");
    field.token(&Answer::to(example.request("POST", "/token").multipart(parts)).await);

    let media_type = "Application/X-WWW-Form-URLencoded; charset=utf-8";
    let request = example.request("POST", "/token").header(CONTENT_TYPE, media_type);
    // The last of several wins.
    field.token(&Answer::to(request.body("username=alice&username=johndoe&password=%73ecret")).await);
}

async fn misses(example: &Example) {
    const BOTH: [&str; 2] = ["username", "password"];
    let good = "username=johndoe&password=secret";
    let json = r#"{"username":"johndoe","password":"secret"}"#;
    for (media_type, body) in [("application/json", json), ("text/plain", good), ("application/octet-stream", good)] {
        let request = example.request("POST", "/token").header(CONTENT_TYPE, media_type).body(body);
        Answer::to(request).await.misses(&BOTH, media_type);
    }
    Answer::to(example.request("POST", "/token").body(good)).await.misses(&BOTH, "no content type");
    Answer::to(example.request("POST", "/token")).await.misses(&BOTH, "no body");
    let in_query = example.request("POST", &format!("/token?{good}")).header(CONTENT_TYPE, "application/json");
    Answer::to(in_query).await.misses(&BOTH, "fields in the query");

    example.form("/token", &[]).await.misses(&BOTH, "an empty form");
    example.form("/token", &[("username", ""), ("password", "")]).await.misses(&BOTH, "empty strings");
    example.form("/token", &[("username", "johndoe")]).await.misses(&["password"], "no password");
    example.form("/token", &[("password", "secret")]).await.misses(&["username"], "no name");
    let parts = multipart::Form::new().text("username", "").text("password", "secret");
    let request = example.request("POST", "/token").multipart(parts);
    Answer::to(request).await.misses(&["username"], "multipart with an empty string");
}

async fn grant_types(example: &Example) {
    for wrong in ["client_credentials", "Password", "password ", "passwords"] {
        let fields = [("grant_type", wrong), ("username", "johndoe"), ("password", "secret")];
        let answer = example.form("/token", &fields).await;
        let problem = json!({
            "type": "string_pattern_mismatch",
            "loc": ["body", "grant_type"],
            "msg": "String should match pattern '^password$'",
            "input": wrong,
            "ctx": { "pattern": "^password$" },
        });
        answer.is(422, &json!({ "detail": [problem] }));
    }
}
