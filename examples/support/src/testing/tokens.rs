//! Which tokens a protected route takes, and what it says about others.

use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::forge::{encode, now, sign, sign_text, sign_with, with};
use super::{Answer, Example, KEY, Refusal};

/// A route that needs a token.
pub struct Protected {
    /// Its method.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// The body that it wants.
    pub body: Option<Value>,
    /// Its status if all is well.
    pub success: u16,
    /// Claims that it believes, without `exp`.
    pub claims: Value,
    /// Claims that name the user, each with a value that names nobody.
    pub identity: Vec<(&'static str, Value)>,
    /// What it says about a token that is not to be believed.
    pub invalid: Refusal,
    /// What it says about one that was.
    pub expired: Refusal,
}

impl Protected {
    async fn call(&self, example: &Example, headers: &[&[u8]]) -> Answer {
        let mut request = example.request(self.method, self.path);
        for header in headers {
            request = request.header(AUTHORIZATION, HeaderValue::from_bytes(header).unwrap());
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        Answer::to(request).await
    }

    /// A call with this `Authorization`.
    pub async fn call_as(&self, example: &Example, authorization: &str) -> Answer {
        self.call(example, &[authorization.as_bytes()]).await
    }

    async fn takes(&self, example: &Example, token: &str, what: &str) {
        let answer = self.call_as(example, &format!("Bearer {token}")).await;
        assert_eq!(answer.status, self.success, "{what}: {}", answer.text());
    }

    async fn refuses(&self, example: &Example, token: &str, what: &str) {
        self.call_as(example, &format!("Bearer {token}")).await.refuses(self.invalid, what);
    }

    /// Claims that are good for a minute.
    fn good(&self) -> Value {
        with(&self.claims, &json!({ "exp": now() + 60 }))
    }
}

/// Everything that an `Authorization` header may hold.
pub async fn tokens(example: &Example, route: &Protected) {
    schemes(example, route).await;
    taken(example, route).await;
    claims_refused(example, route).await;
    headers_refused(example, route).await;
    forms_refused(example, route).await;
    expired(example, route).await;
}

async fn schemes(example: &Example, route: &Protected) {
    let good = sign(&route.good());
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        let answer = route.call_as(example, &format!("{scheme} {good}")).await;
        assert_eq!(answer.status, route.success, "{scheme:?}: {}", answer.text());
    }
    route.call(example, &[]).await.refuses(Refusal::NOT_AUTHENTICATED, "no header");
    let jwt = format!("JWT {good}");
    for other in ["", "Basic am9obmRvZTpzZWNyZXQ=", &good, "Token x", "DPoP x", &jwt, "Bearer\tx", "Bearer:x"] {
        route.call_as(example, other).await.refuses(Refusal::NOT_AUTHENTICATED, other);
    }
    for binary in [&b"Bearer \xff\xfe"[..], b"\xff", "Bearer \u{d55c}.\u{ae00}.x".as_bytes()] {
        route.call(example, &[binary]).await.refuses(Refusal::NOT_AUTHENTICATED, "not ASCII");
    }
    let twice = Refusal::plain(400, "Send one Authorization header, not several.");
    let bearer = format!("Bearer {good}");
    for other in ["Basic x", &bearer, ""] {
        let both = [bearer.as_bytes(), other.as_bytes()];
        route.call(example, &both).await.refuses(twice, other);
        route.call(example, &[both[1], both[0]]).await.refuses(twice, other);
    }
}

async fn taken(example: &Example, route: &Protected) {
    let claims = route.good();
    for header in [
        json!({ "alg": "HS256" }),
        json!({ "typ": "at+jwt", "alg": "HS256" }),
        json!({ "alg": "HS256", "typ": "whatever" }),
        json!({ "alg": "HS256", "typ": "JWT", "kid": "nobody knows it" }),
        json!({ "alg": "HS256", "typ": "JWT", "cty": "x", "unknown": [1] }),
    ] {
        route.takes(example, &sign_with(&header, &claims), &header.to_string()).await;
    }
    let now = now();
    for members in [
        json!({ "exp": now as f64 + 60.368_476 }),
        json!({ "iat": now as f64 - 1.631_525, "nbf": now as f64 - 0.5 }),
        json!({ "iat": now, "nbf": now }),
        json!({ "iss": "anybody", "jti": "1", "more": { "is": [1, null] } }),
    ] {
        route.takes(example, &sign(&with(&claims, &members)), &members.to_string()).await;
    }
    let spaced = format!("{{ \"exp\" : {}e0 ,{}", now + 60, &route.claims.to_string()[1..]);
    route.takes(example, &sign_text(HMAC_SHA256, KEY, "{\"alg\":\n\"HS256\"}", spaced), "white space").await;
}

async fn claims_refused(example: &Example, route: &Protected) {
    let good = route.good();
    let now = now();
    for members in [
        json!({ "exp": null }),
        json!({ "exp": (now + 60).to_string() }),
        json!({ "exp": -1 }),
        json!({ "exp": true }),
        json!({ "exp": [now + 60] }),
        json!({ "iat": now + 60 }),
        json!({ "iat": now as f64 + 30.5 }),
        json!({ "iat": "yesterday" }),
        json!({ "nbf": now + 3 }),
        json!({ "nbf": now as f64 + 30.5 }),
        json!({ "nbf": "0" }),
        json!({ "aud": "somebody" }),
        json!({ "aud": ["somebody", "else"] }),
        json!({ "aud": "" }),
        json!({ "aud": [] }),
        json!({ "sub": 1 }),
        json!({ "sub": ["johndoe"] }),
        json!({ "sub": { "name": "johndoe" } }),
        json!({ "sub": true }),
    ] {
        route.refuses(example, &sign(&with(&good, &members)), &members.to_string()).await;
    }
    for (name, nobody) in &route.identity {
        for value in [Value::Null, nobody.clone(), json!(true), json!(1.5), json!([]), json!({})] {
            let members = json!({ *name: value });
            route.refuses(example, &sign(&with(&good, &members)), &members.to_string()).await;
        }
        let null = good.to_string().replacen(&format!("\"{name}\":{}", good[*name]), &format!("\"{name}\":null"), 1);
        assert!(null.contains(":null"));
        route.refuses(example, &sign_text(HMAC_SHA256, KEY, "{\"alg\":\"HS256\"}", null), "null for a name").await;
    }
    let twice = format!("{{\"exp\":{},{}", now + 90, &good.to_string()[1..]);
    for text in ["[]", "\"johndoe\"", "null", "", "{", &format!("{good}x"), &twice] {
        route.refuses(example, &sign_text(HMAC_SHA256, KEY, "{\"alg\":\"HS256\"}", text), text).await;
    }
    let not_text = [good.to_string().trim_end_matches('}').as_bytes(), b",\"a\":\"\xff\"}"].concat();
    route.refuses(example, &sign_text(HMAC_SHA256, KEY, "{\"alg\":\"HS256\"}", not_text), "not UTF-8").await;
}

async fn headers_refused(example: &Example, route: &Protected) {
    let claims = route.good();
    for header in [
        json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }),
        json!({ "alg": "HS256", "crit": ["x"], "x": 1 }),
        json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "HS256", "crit": [] }),
        json!({ "alg": "HS256", "crit": "x", "x": 1 }),
        json!({ "typ": "JWT" }),
        json!({ "alg": "hs256" }),
        json!({ "alg": ["HS256"] }),
        json!({ "alg": "RS256" }),
        json!([]),
    ] {
        route.refuses(example, &sign_with(&header, &claims), &header.to_string()).await;
    }
    // Each signed as it says, with the right secret: the key is for HS256 alone.
    let algorithms: [(&str, hmac::Algorithm); 2] = [("HS384", HMAC_SHA384), ("HS512", HMAC_SHA512)];
    for (name, algorithm) in algorithms {
        let header = json!({ "alg": name, "typ": "JWT" }).to_string();
        route.refuses(example, &sign_text(algorithm, KEY, &header, claims.to_string()), name).await;
    }
    for name in ["none", "None", "NONE", ""] {
        let signed = sign_with(&json!({ "alg": name, "typ": "JWT" }), &claims);
        let (message, _) = signed.rsplit_once('.').unwrap();
        for token in [&format!("{message}."), message, &signed] {
            route.refuses(example, token, &format!("alg {name}")).await;
        }
    }
    for key in ["", "0123456789abcdef0123456789abcdeF", "secret"] {
        let token = sign_text(HMAC_SHA256, key, "{\"alg\":\"HS256\"}", claims.to_string());
        route.refuses(example, &token, &format!("signed with {key:?}")).await;
    }
}

async fn forms_refused(example: &Example, route: &Protected) {
    let good = sign(&route.good());
    route.takes(example, &good, "the token that is altered below").await;
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let later = encode(with(&route.good(), &json!({ "exp": now() + 3600 })).to_string());
    let other_header = encode("{\"alg\":\"HS256\"}");
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for token in [
        "",
        " ",
        "xyz",
        ".",
        "..",
        "a.b.c",
        "null",
        &format!("{header}.{claims}"),
        &format!("{header}.{claims}."),
        &format!(".{claims}.{signature}"),
        &format!("{header}..{signature}"),
        &format!("{header}.{later}.{signature}"),
        &format!("{other_header}.{claims}.{signature}"),
        &format!("{header}.{claims}.{flipped}{}", &signature[1..]),
        &format!("{header}.{claims}.{}", &signature[..signature.len() - 4]),
        &format!("{good}AAAA"),
        &format!("{good}="),
        &format!("{good}."),
        &format!("{good}.{signature}"),
        &format!("{header} .{claims}.{signature}"),
        &format!("{good} {good}"),
        &format!("{good} x"),
        &format!("x {good}"),
        &format!("\"{good}\""),
        &format!("{good},{good}"),
    ] {
        route.refuses(example, token, token).await;
    }
    for size in [8 * 1024, 24 * 1024] {
        let long = with(&route.good(), &json!({ "padding": "x".repeat(size) }));
        route.refuses(example, &sign(&long), &format!("{size} bytes")).await;
    }
}

/// Not a second longer than said, also for a token that was taken before.
async fn expired(example: &Example, route: &Protected) {
    let began = now();
    let short = sign(&with(&route.good(), &json!({ "exp": began + 3 })));
    route.takes(example, &short, "good for three seconds").await;
    for exp in [json!(began), json!(began - 1), json!(began as f64 - 0.25), json!(1), json!(0)] {
        let claims = with(&route.good(), &json!({ "exp": exp }));
        let token = sign(&claims);
        route.call_as(example, &format!("Bearer {token}")).await.refuses(route.expired, format!("exp {exp}"));
        let forged = sign_text(HMAC_SHA256, "another key", "{\"alg\":\"HS256\"}", claims.to_string());
        route.refuses(example, &forged, "expired, and not ours").await;
    }
    while now() < began + 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    route.call_as(example, &format!("Bearer {short}")).await.refuses(route.expired, "after three seconds");
}
