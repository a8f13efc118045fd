//! Verifies tokens as fast as it can, on one core, for `cargo xtask bench`: Mapae, `jsonwebtoken`, and nothing but the
//! primitive of `aws-lc-rs`.
//!
//! `bench-verify prepare FILE` writes keys and tokens for all who take part. `bench-verify run FILE` then answers each line
//! `CONTESTANT ALGORITHM MILLISECONDS` of standard input with the tokens verified per second.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, signature};
use jsonwebtoken::{DecodingKey, Validation};
use mapae_verify::{
    Algorithm, Audience, Claims, Clock, Jwk, KeySet, NoExtra, Scopes, SigningKey, Subject, SystemClock,
    VerificationKey, VerifierBuilder,
};
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ALGORITHMS: [Algorithm; 4] = [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256];
/// Longer than any run.
const LIFETIME: i64 = 24 * 60 * 60;
/// Tokens between two looks at the clock.
const BATCH: u32 = 20;

/// What everybody verifies.
#[derive(Serialize, Deserialize)]
struct Task {
    secret: String,
    issuer: String,
    audience: String,
    algorithms: BTreeMap<String, Case>,
}

/// One algorithm; the key is the secret if there is no JWK.
#[derive(Serialize, Deserialize)]
struct Case {
    token: String,
    jwk: Option<Jwk>,
}

/// The claims as a program that uses `jsonwebtoken` reads them.
#[derive(Deserialize)]
#[expect(dead_code, reason = "reading them is what is measured")]
struct PlainClaims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: String,
    scope: String,
    sid: Option<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", file] => Ok(std::fs::write(file, serde_json::to_vec(&prepare()?)?)?),
        ["run", file] => answer(&serde_json::from_slice(&std::fs::read(file)?)?),
        _ => Err("usage: bench-verify prepare|run FILE".into()),
    }
}

fn prepare() -> Result<Task> {
    let mut task = Task {
        secret: "an HS256 secret that is of 256 b".to_owned(),
        issuer: "https://auth.example.com".to_owned(),
        audience: "https://api.example.com".to_owned(),
        algorithms: BTreeMap::new(),
    };
    let now = SystemClock.now();
    let claims = Claims {
        iss: task.issuer.clone(),
        sub: Subject::user("0198c0de-7000-7000-8000-000000000001")?,
        aud: Audience::one(task.audience.clone()),
        exp: now + LIFETIME,
        iat: now,
        nbf: None,
        jti: "0198c0de-7000-7000-8000-000000000002".into(),
        client_id: "web".into(),
        scope: Scopes::parse("me items")?,
        sid: Some("0198c0de-7000-7000-8000-000000000003".into()),
        act: None,
        extra: NoExtra {},
    };
    for algorithm in ALGORITHMS {
        let key = if algorithm.is_symmetric() {
            SigningKey::hmac(None, algorithm, task.secret.as_bytes())?
        } else {
            SigningKey::generate(algorithm)?
        };
        let case = Case { token: key.sign("at+jwt", &claims)?, jwk: key.public_jwk() };
        task.algorithms.insert(algorithm.as_str().to_owned(), case);
    }
    Ok(task)
}

fn answer(task: &Task) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [contestant, algorithm, milliseconds] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not a question: {line}").into());
        };
        let case = task.algorithms.get(algorithm).ok_or("another algorithm")?;
        let mut verify = contestant_of(contestant, task, case, algorithm.parse()?)?;
        let rate = measure(Duration::from_millis(milliseconds.parse()?), &mut verify);
        println!("{rate}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

type Verify<'t> = Box<dyn FnMut() + 't>;

/// What verifies the token once, and panics if that fails.
fn contestant_of<'t>(name: &str, task: &'t Task, case: &'t Case, algorithm: Algorithm) -> Result<Verify<'t>> {
    let token = case.token.as_str();
    Ok(match name {
        "mapae" => {
            let key = match &case.jwk {
                Some(jwk) => VerificationKey::from_jwk(jwk)?,
                None => VerificationKey::hmac(None, algorithm, task.secret.as_bytes())?,
            };
            // Nothing is remembered: nobody else does that here.
            let verifier = VerifierBuilder::rfc9068(KeySet::from_keys([key])?, &*task.issuer, &*task.audience).build();
            Box::new(move || drop(black_box(verifier.verify(black_box(token)).expect("a good token"))))
        }
        "jsonwebtoken" => {
            let key = match &case.jwk {
                Some(jwk) => DecodingKey::from_jwk(&serde_json::from_value(serde_json::to_value(jwk)?)?)?,
                None => DecodingKey::from_secret(task.secret.as_bytes()),
            };
            let mut checks = Validation::new(algorithm.as_str().parse()?);
            checks.set_audience(&[&task.audience]);
            checks.set_issuer(&[&task.issuer]);
            checks.set_required_spec_claims(&["exp", "iss", "aud"]);
            Box::new(move || {
                drop(black_box(
                    jsonwebtoken::decode::<PlainClaims>(black_box(token), &key, &checks).expect("a good one"),
                ));
            })
        }
        "primitive" => {
            let (signed, signature) = token.rsplit_once('.').ok_or("not a token")?;
            let signature = decode(signature)?;
            let is_good = primitive(task, case, algorithm)?;
            Box::new(move || assert!(is_good(black_box(signed.as_bytes()), black_box(&signature))))
        }
        _ => return Err(format!("nobody is called {name}").into()),
    })
}

/// Whether a message has this signature.
type IsGood = Box<dyn Fn(&[u8], &[u8]) -> bool>;

fn primitive(task: &Task, case: &Case, algorithm: Algorithm) -> Result<IsGood> {
    let Some(jwk) = &case.jwk else {
        let key = hmac::Key::new(hmac::HMAC_SHA256, task.secret.as_bytes());
        return Ok(Box::new(move |message, tag| hmac::verify(&key, message, tag).is_ok()));
    };
    let member = |member: &Option<String>| decode(member.as_deref().unwrap_or_default());
    let parsed = match algorithm {
        Algorithm::RS256 => signature::RsaPublicKeyComponents { n: member(&jwk.n)?, e: member(&jwk.e)? }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)?,
        Algorithm::ES256 => {
            let point = [&[4][..], &member(&jwk.x)?, &member(&jwk.y)?].concat();
            signature::ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)?
        }
        _ => signature::ParsedPublicKey::new(&signature::ED25519, member(&jwk.x)?)?,
    };
    Ok(Box::new(move |message, signature| parsed.verify_sig(message, signature).is_ok()))
}

fn decode(text: &str) -> Result<Vec<u8>> {
    Ok(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text)?)
}

/// Calls per second.
#[expect(clippy::disallowed_methods, reason = "measuring is what this does")]
fn measure(duration: Duration, verify: &mut dyn FnMut()) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0_u32);
    while begun.elapsed() < duration {
        for _ in 0..BATCH {
            verify();
        }
        calls += BATCH;
    }
    f64::from(calls) / begun.elapsed().as_secs_f64()
}
