//! Tokens of, and for, another library.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use mapae_verify::{Algorithm, Claims, SystemClock, VerifierBuilder, verify_jws};

use crate::support::{AUDIENCE, ISSUER, KEYS, SECRET, claims, set};

/// The claims of [`claims`], good by the system's clock, which the other library reads.
fn current_claims() -> Claims {
    let now = mapae_verify::Clock::now(&SystemClock);
    Claims { iat: now, exp: now + 900, ..claims() }
}

#[test]
fn jsonwebtoken_reads_our_tokens_and_we_read_its() {
    let mut both_ways = 0;
    for key in KEYS.iter() {
        // It has no ES512.
        let Ok(algorithm) = key.algorithm().as_str().parse::<jsonwebtoken::Algorithm>() else {
            assert_eq!(key.algorithm(), Algorithm::ES512);
            continue;
        };
        let decoding = match key.public_jwk() {
            None => DecodingKey::from_secret(SECRET),
            Some(jwk) => {
                let jwk = serde_json::from_value(serde_json::to_value(jwk).unwrap()).unwrap();
                DecodingKey::from_jwk(&jwk).unwrap()
            }
        };
        let claims = current_claims();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let token = key.sign("at+jwt", &claims).unwrap();
        let read = jsonwebtoken::decode::<Claims>(&token, &decoding, &validation).unwrap();
        assert_eq!((read.claims, read.header.typ.as_deref()), (claims.clone(), Some("at+jwt")));

        let encoding = match key.algorithm() {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => EncodingKey::from_secret(SECRET),
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&key.to_pkcs8().unwrap()),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&key.to_pkcs8().unwrap()),
            // It wants PKCS#1 here, which is not written by this library.
            _ => continue,
        };
        let mut header = Header::new(algorithm);
        header.typ = Some("at+jwt".into());
        header.kid = key.kid().map(str::to_owned);
        let token = jsonwebtoken::encode(&header, &claims, &encoding).unwrap();
        let verifier = VerifierBuilder::rfc9068(set(&[key]), ISSUER, AUDIENCE).build();
        assert_eq!(*verifier.verify(&token).unwrap(), claims);
        verify_jws(&token, &set(&[key]), 8192).unwrap();
        both_ways += 1;
    }
    assert_eq!(both_ways, 6);
}
