//! How long one token takes to verify on one core, against the bare primitive and against `jsonwebtoken`.
//!
//! `cargo bench -p mapae-verify` measures everything, `cargo bench -p mapae-verify -- HS256` only that. The other
//! languages' libraries are in `cargo xtask bench`.
#![expect(clippy::unwrap_used, reason = "a failure is to stop the measurement")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use mapae_verify::revocations::Entries;
use mapae_verify::{
    Algorithm, Audience, Claims, Clock, KeySet, NoExtra, Scopes, SigningKey, Subject, SystemClock, VerificationKey,
    VerifierBuilder, verify_jws,
};

const WARM_UP: Duration = Duration::from_millis(300);
const MEASUREMENT: Duration = Duration::from_secs(1);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn claims() -> Claims {
    let now = SystemClock.now();
    Claims {
        iss: "https://auth.example.com".into(),
        sub: Subject::user("0198c0de-7000-7000-8000-000000000001").unwrap(),
        aud: Audience::one("https://api.example.com"),
        exp: now + 900,
        iat: now,
        nbf: None,
        jti: "0198c0de-7000-7000-8000-000000000002".into(),
        client_id: "web".into(),
        scope: Scopes::parse("me items").unwrap(),
        sid: Some("0198c0de-7000-7000-8000-000000000003".into()),
        act: None,
        extra: NoExtra {},
    }
}

/// 10,000 revocations of every kind.
fn entries() -> Entries {
    let mut entries = Entries::new();
    for number in 0..2500 {
        let value = format!("0198c0de-7000-7000-8000-1{number:011}");
        entries.end_session(&value);
        entries.revoke_token(&value);
        entries.revoke_key(&value);
        entries.end_subject(&value, SystemClock.now_millis());
    }
    entries
}

fn bench(criterion: &mut Criterion, algorithm: Algorithm) {
    let key = if algorithm.is_symmetric() {
        SigningKey::hmac(Some("k".into()), algorithm, SECRET).unwrap()
    } else {
        SigningKey::generate(algorithm).unwrap()
    };
    let token = key.sign("at+jwt", &claims()).unwrap();
    let keys = || KeySet::from_keys([key.verification_key()]).unwrap();
    let builder = || VerifierBuilder::rfc9068(keys(), "https://auth.example.com", "https://api.example.com");
    let plain = builder().build();
    let cached = builder().cache_bytes(1 << 20).build();
    let revoking = builder().cache_bytes(1 << 20).revocations(Arc::new(entries())).build();
    let open = plain.verify_token(&token).unwrap();
    let generic = builder().claims::<Claims<serde_json::Value>>().build();
    let set = keys();

    let (decoding, peer) = jsonwebtoken_key(&key, algorithm);
    let mut validation = Validation::new(peer);
    validation.set_audience(&["https://api.example.com"]);
    validation.set_issuer(&["https://auth.example.com"]);

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
    let primitive = primitive(&key.verification_key(), algorithm);

    let mut group = criterion.benchmark_group(algorithm.as_str());
    let mut measure = |name: &str, run: &dyn Fn()| {
        group.bench_function(name, |bencher| bencher.iter(run));
    };
    measure("primitive", &|| assert!(primitive(black_box(signed.as_bytes()), black_box(&signature))));
    measure("verify", &|| drop(black_box(plain.verify(black_box(&token)).unwrap())));
    measure("verify, generic claims", &|| drop(black_box(generic.verify(black_box(&token)).unwrap())));
    measure("verify, cached", &|| drop(black_box(cached.verify(black_box(&token)).unwrap())));
    measure("verify, cached, with revocations", &|| drop(black_box(revoking.verify(black_box(&token)).unwrap())));
    measure("signature only", &|| drop(black_box(verify_jws(black_box(&token), &set, 8192).unwrap())));
    measure("check again", &|| plain.check_again(black_box(&open)).unwrap());
    measure("jsonwebtoken", &|| {
        drop(black_box(jsonwebtoken::decode::<Claims>(black_box(&token), &decoding, &validation).unwrap()));
    });
    measure("sign", &|| drop(black_box(key.sign("at+jwt", &black_box(claims())).unwrap())));
    group.finish();
}

fn jsonwebtoken_key(key: &SigningKey, algorithm: Algorithm) -> (DecodingKey, jsonwebtoken::Algorithm) {
    let peer = algorithm.as_str().parse().unwrap();
    let decoding = match key.public_jwk() {
        None => DecodingKey::from_secret(EncodingKey::from_secret(SECRET).as_bytes()),
        Some(jwk) => {
            let jwk = serde_json::from_value(serde_json::to_value(jwk).unwrap()).unwrap();
            DecodingKey::from_jwk(&jwk).unwrap()
        }
    };
    (decoding, peer)
}

type Primitive = Box<dyn Fn(&[u8], &[u8]) -> bool>;

fn primitive(key: &VerificationKey, algorithm: Algorithm) -> Primitive {
    use aws_lc_rs::{hmac, signature};

    let bytes = |member: &Option<String>| base64_simd::URL_SAFE_NO_PAD.decode_to_vec(member.as_ref().unwrap()).unwrap();
    let parsed = match (algorithm, key.jwk()) {
        (Algorithm::HS256, _) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
            return Box::new(move |message, tag| hmac::verify(&key, message, tag).is_ok());
        }
        (Algorithm::RS256, Some(jwk)) => signature::RsaPublicKeyComponents { n: bytes(&jwk.n), e: bytes(&jwk.e) }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::ES256, Some(jwk)) => {
            let point = [&[4][..], &bytes(&jwk.x), &bytes(&jwk.y)].concat();
            signature::ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
        }
        (_, Some(jwk)) => signature::ParsedPublicKey::new(&signature::ED25519, bytes(&jwk.x)),
        (_, None) => unreachable!("only HS256 is measured"),
    };
    let parsed = parsed.unwrap();
    Box::new(move |message, signature| parsed.verify_sig(message, signature).is_ok())
}

fn main() {
    let criterion = Criterion::default().without_plots().warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    let mut criterion = criterion.configure_from_args();
    for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        bench(&mut criterion, algorithm);
    }
    criterion.final_summary();
}
