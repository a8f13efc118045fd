//! Tokens that must not pass: each gets a 401 that says why, with a challenge.

use mapae_verify::{Algorithm, SigningKey};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};

use crate::forge::{Forge, decode, encode, parts, sign, sign_text, strangers_key, with};
use crate::server::{START, Server, header, problem, text};

/// The token is answered 401 `invalid_token`; why.
async fn refused(server: &Server, token: &str) -> String {
    let response = server.me(token).await;
    let challenge = header(&response, "www-authenticate");
    let body = problem(response, StatusCode::UNAUTHORIZED, "invalid_token").await;
    let why = text(&body["detail"]);
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
    assert!(challenge.ends_with(", scope=\"me\""), "{challenge}");
    assert!(!why.contains(token), "an answer does not repeat the token");
    why
}

async fn forge(server: &Server) -> Forge {
    let (_, token) = server.newcomer("ann").await;
    Forge::from(server, &token).await
}

#[tokio::test]
async fn unsigned_in_every_spelling() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let claims = forge.claims.to_string();
    for spelling in ["none", "None", "NONE", "nOnE", "none ", " none", "", "null", "n\u{f6}ne", "no\u{200b}ne"] {
        let header = with(&forge.header, "alg", json!(spelling));
        for header in [header.clone(), with(&header, "kid", Value::Null), json!({ "alg": spelling, "typ": "at+jwt" })] {
            let unsigned = format!("{}.{}.", encode(header.to_string()), encode(&claims));
            refused(&server, &unsigned).await;
            assert!(refused(&server, &sign_text(&forge.key, &header.to_string(), &claims)).await.contains("algorithm"));
        }
    }
    for header in [
        with(&forge.header, "alg", Value::Null),
        with(&forge.header, "alg", json!(["ES256"])),
        with(&forge.header, "alg", json!(0)),
        with(&forge.header, "alg", json!({ "none": 1 })),
        json!({}),
        json!([]),
        json!("ES256"),
    ] {
        refused(&server, &sign_text(&forge.key, &header.to_string(), &claims)).await;
        refused(&server, &format!("{}.{}.", encode(header.to_string()), encode(&claims))).await;
    }
    let token = forge.sign();
    let cut = &token[..=token.rfind('.').unwrap()];
    refused(&server, cut).await;
}

#[tokio::test]
async fn for_or_by_somebody_else() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let slash = format!("{}/", server.url);
    let upper = server.url.to_uppercase();
    for other in ["https://evil.example", "", " ", &slash, &upper, &server.url[..server.url.len() - 1]] {
        assert_eq!(refused(&server, &forge.with_claim("iss", json!(other))).await, "wrong issuer", "{other:?}");
        assert_eq!(refused(&server, &forge.with_claim("aud", json!(other))).await, "wrong audience", "{other:?}");
        assert_eq!(refused(&server, &forge.with_claim("aud", json!([other]))).await, "wrong audience");
    }
    assert_eq!(refused(&server, &forge.with_claim("aud", json!([]))).await, "wrong audience");
    for odd in [json!([server.url]), json!({ "a": server.url }), json!(1), json!(true)] {
        refused(&server, &forge.with_claim("iss", odd)).await;
    }
    for odd in [json!([1, server.url]), json!({ "a": server.url }), json!([[server.url]]), json!(1)] {
        refused(&server, &forge.with_claim("aud", odd)).await;
    }
    let shared = forge.with_claim("aud", json!(["https://other.example", server.url]));
    assert_eq!(server.status_of_me(&shared).await, 200, "one of several is enough");
}

#[tokio::test]
async fn outside_their_time() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let token = forge.sign();
    let leeway = i64::from(server.settings.leeway);
    server.clock.set(START + 900 + leeway - 1);
    assert_eq!(server.status_of_me(&token).await, 200, "within the leeway");
    server.clock.set(START + 900 + leeway);
    assert_eq!(refused(&server, &token).await, "the token has expired");
    assert_eq!(refused(&server, &forge.with_claim("exp", json!(START))).await, "the token has expired");

    server.clock.set(START);
    for claim in ["nbf", "iat"] {
        let in_time = forge.with_claim(claim, json!(START + leeway));
        assert_eq!(server.status_of_me(&in_time).await, 200);
        let early = forge.with_claim(claim, json!(START + leeway + 1));
        assert_eq!(refused(&server, &early).await, "the token is not valid yet");
        server.clock.advance(1);
        assert_eq!(server.status_of_me(&early).await, 200, "its time has come");
        server.clock.set(START);
    }
    // A longer `exp` than the server gives does not outlive the session.
    let endless = forge.with_claim("exp", json!(START + 1_000_000));
    assert_eq!(server.status_of_me(&endless).await, 200);
    server.clock.set(START + 900 + leeway);
    assert_eq!(refused(&server, &endless).await, "the session has ended");
}

#[tokio::test]
async fn with_times_that_are_no_numbers() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for claim in ["exp", "iat", "nbf"] {
        for odd in [
            "\"1767226500\"",
            "1767226500.5",
            "1767226500.0",
            "1.7672265e9",
            "-1",
            "null",
            "true",
            "[]",
            "{}",
            "1e400",
            "9223372036854775807",
            "99999999999999999999999999",
            "\"2026-01-01T00:15:00Z\"",
        ] {
            refused(&server, &forge.with_raw_claim(claim, odd)).await;
        }
    }
    assert_eq!(server.status_of_me(&forge.with_raw_claim("nbf", "1767225600")).await, 200);
}

#[tokio::test]
async fn with_claims_missing_or_twice() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for claim in ["exp", "iss", "aud", "sub", "client_id", "iat", "jti"] {
        assert_eq!(refused(&server, &forge.with_claim(claim, Value::Null)).await, format!("missing claim `{claim}`"));
    }
    let text = forge.claims.to_string();
    for twice in ["\"sub\":\"x\"", "\"exp\":1", "\"e\\u0078p\":9", "\"scope\":\"mapae:admin\""] {
        let doubled = format!("{{{twice},{}", &text[1..]);
        assert!(refused(&server, &sign_text(&forge.key, &forge.header.to_string(), &doubled)).await.contains("twice"));
    }
    for body in ["", "[]", "null", "\"x\"", "{", "{}{}", "{\"exp\":1,}", "\u{feff}{}"] {
        refused(&server, &sign_text(&forge.key, &forge.header.to_string(), body)).await;
    }
}

#[tokio::test]
async fn with_headers_that_ask_for_more_than_a_key() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for crit in [json!(["exp"]), json!([]), json!(["b64"]), json!("exp"), json!(["http://example.com/UNDEFINED"])] {
        assert_eq!(refused(&server, &forge.with_header("crit", crit)).await, "unknown critical header parameter");
    }
    refused(&server, &forge.with_header("b64", json!(false))).await;
    refused(&server, &forge.with_header("zip", json!("DEF"))).await;
    for kid in [
        "../../../../../../dev/null",
        "..\\..\\windows\\win.ini",
        "/proc/self/environ",
        "' OR '1'='1",
        "x'; DROP TABLE mapae_signing_key; --",
        "a' UNION SELECT 'secret",
        "$(id)",
        "\0",
        "",
        &"k".repeat(1000),
    ] {
        assert_eq!(refused(&server, &forge.with_header("kid", json!(kid))).await, "signed by an unknown key");
    }
    for kid in [json!(1), json!([forge.header["kid"]]), json!({})] {
        refused(&server, &forge.with_header("kid", kid)).await;
    }
    // The token brings the key that would verify it.
    let stranger = strangers_key(&forge.header["kid"]);
    let jwk = serde_json::to_value(stranger.public_jwk().unwrap()).unwrap();
    for (name, value) in [("jwk", jwk.clone()), ("jku", json!(format!("{}/keys", server.url))), ("x5c", json!(["MIIB"]))] {
        let own_kid = with(&with(&forge.header, name, value.clone()), "kid", jwk["kid"].clone());
        for header in [with(&forge.header, name, value), own_kid] {
            assert_eq!(refused(&server, &sign(&stranger, &header, &forge.claims)).await, "the signature does not match");
        }
    }
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_another_kind() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    for typ in [json!("JWT"), Value::Null, json!("id+jwt"), json!("logout+jwt"), json!("at+jwt+x"), json!(""), json!("x/at+jwt")] {
        assert_eq!(refused(&server, &forge.with_header("typ", typ)).await, "wrong type of token");
    }
    let spelled = forge.with_header("typ", json!("application/AT+JWT"));
    assert_eq!(server.status_of_me(&spelled).await, 200, "RFC 9068 §4: the media type, in any case");
    let sub = text(&forge.claims["sub"]);
    for other in [format!("client:{sub}"), format!("car:{sub}"), "user:1".into(), sub.to_uppercase(), format!("{sub} "), String::new()] {
        refused(&server, &forge.with_claim("sub", json!(other))).await;
    }
    for odd in [json!(1), json!([sub]), json!({ "id": sub })] {
        refused(&server, &forge.with_claim("sub", odd)).await;
    }
    // Somebody else's session, nobody's session, no session.
    let (_, bobs) = server.newcomer("bob").await;
    let bobs_sid = parts(&bobs).1["sid"].clone();
    for sid in [bobs_sid, json!("0"), json!(""), json!("' OR 1=1 --"), Value::Null] {
        assert_eq!(refused(&server, &forge.with_claim("sid", sid)).await, "the session has ended");
    }
}

#[tokio::test]
async fn signed_by_another_key_or_algorithm() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let stranger = strangers_key(&forge.header["kid"]);
    assert_eq!(refused(&server, &sign(&stranger, &forge.header, &forge.claims)).await, "the signature does not match");

    // The public key, in every form in which a library might take it for a secret.
    let jwks = server.get("/.well-known/jwks.json").send().await.unwrap().text().await.unwrap();
    let set: Value = serde_json::from_str(&jwks).unwrap();
    let jwk = set["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == forge.header["kid"]).unwrap();
    let point = [&[4][..], &decode(jwk["x"].as_str().unwrap()), &decode(jwk["y"].as_str().unwrap())].concat();
    let der = [&hex("3059301306072a8648ce3d020106082a8648ce3d030107034200")[..], &point].concat();
    let pem = |end: &str| {
        let text = base64_simd::STANDARD.encode_to_string(&der);
        format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----{end}", &text[..64], &text[64..])
    };
    let secrets =
        [jwks.clone().into_bytes(), jwk.to_string().into(), pem("").into(), pem("\n").into(), der, point.clone(), point[1..33].to_vec()];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let message = {
                let header = with(&forge.header, "alg", json!(algorithm.as_str()));
                format!("{}.{}", encode(header.to_string()), encode(forge.claims.to_string()))
            };
            let mac = mac(algorithm, &secret, message.as_bytes());
            let why = refused(&server, &format!("{message}.{}", encode(mac))).await;
            assert_eq!(why, "the token's algorithm is not the key's");
        }
    }
    for algorithm in [Algorithm::ES384, Algorithm::EdDSA] {
        let key = SigningKey::generate(algorithm).unwrap();
        let header = with(&forge.header, "alg", json!(algorithm.as_str()));
        assert_eq!(refused(&server, &sign(&key, &header, &forge.claims)).await, "the token's algorithm is not the key's");
        let header = with(&header, "kid", Value::Null);
        assert_eq!(refused(&server, &sign(&key, &header, &forge.claims)).await, "signed by an unknown key");
    }
    let text = forge.sign();
    let (message, _) = text.rsplit_once('.').unwrap();
    for signature in [vec![0; 64], vec![0xff; 64], Vec::new(), vec![1], vec![0; 4096]] {
        refused(&server, &format!("{message}.{}", encode(signature))).await;
    }
}

#[tokio::test]
async fn altered_anywhere() {
    let server = Server::start().await;
    let forge = forge(&server).await;
    let token = forge.sign();
    assert_eq!(server.status_of_me(&token).await, 200);
    // Its own characters moved by one place in the alphabet: every part, and the dots.
    for at in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        if altered != token.as_bytes() {
            refused(&server, std::str::from_utf8(&altered).unwrap()).await;
        }
    }
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    for odd in [
        format!("{header}.{claims}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}.x"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}A"),
        format!("{claims}.{header}.{signature}"),
        format!("{header} .{claims}.{signature}"),
        format!("{token},{token}"),
        format!("\"{token}\""),
        "x".into(),
        ".".into(),
        "..".into(),
        "null".into(),
        "a.b.c".into(),
    ] {
        refused(&server, &odd).await;
    }
}

#[tokio::test]
async fn in_a_header_that_is_not_a_bearer_token() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let send = async |value: &[u8]| {
        let value = HeaderValue::from_bytes(value).unwrap();
        server.get("/users/me").header(AUTHORIZATION, value).send().await.unwrap()
    };
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        assert_eq!(send(format!("{scheme} {token}").as_bytes()).await.status(), 200, "RFC 9110 §11.1: {scheme:?}");
    }
    let basic = format!("Basic {}", encode("ann:password"));
    for other in ["", "Basic YTpi", &basic, &token, "Token x", "DPoP x", "Bearer\tx", &format!("Bearer:{token}"), &format!("JWT {token}")] {
        let response = send(other.as_bytes()).await;
        assert_eq!(header(&response, "www-authenticate"), "Bearer", "{other}");
        problem(response, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    for empty in ["Bearer", "Bearer ", "bearer   "] {
        problem(send(empty.as_bytes()).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
    for binary in [&b"Bearer \xff\xfe"[..], b"Bearer \xe2\x82", b"\xff", "Bearer \u{e9}.\u{e9}.\u{e9}".as_bytes()] {
        let response = send(binary).await;
        assert!(header(&response, "www-authenticate").starts_with("Bearer"));
        assert_eq!(response.status(), 401);
    }
    let both = server.get("/users/me").header(AUTHORIZATION, format!("Bearer {token}")).header(AUTHORIZATION, "Basic YTpi");
    let twice = server.get("/users/me").bearer_auth(&token).header(AUTHORIZATION, format!("Bearer {token}"));
    for request in [both, twice] {
        let response = request.send().await.unwrap();
        assert!(header(&response, "www-authenticate").starts_with("Bearer error=\"invalid_request\""));
        problem(response, StatusCode::BAD_REQUEST, "invalid_request").await;
    }
    for elsewhere in [format!("/users/me?access_token={token}"), format!("/users/me?token={token}")] {
        assert_eq!(server.get(&elsewhere).send().await.unwrap().status(), 401, "not from the address");
    }
}

fn mac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key, sign};
    let algorithm = match algorithm {
        Algorithm::HS256 => HMAC_SHA256,
        Algorithm::HS384 => HMAC_SHA384,
        _ => HMAC_SHA512,
    };
    sign(&Key::new(algorithm, secret), message).as_ref().to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
