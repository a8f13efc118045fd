//! Tokens whose signature must not pass: none, another key's, another algorithm's, or of another text.

use mapae_verify::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::forge::{decode, encode, forge, refused, sign, sign_text, strangers_key, with};
use crate::server::Server;

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
    let secrets = [
        jwks.clone().into_bytes(),
        jwk.to_string().into(),
        pem("").into(),
        pem("\n").into(),
        der,
        point.clone(),
        point[1..33].to_vec(),
    ];
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
        assert_eq!(
            refused(&server, &sign(&key, &header, &forge.claims)).await,
            "the token's algorithm is not the key's"
        );
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
