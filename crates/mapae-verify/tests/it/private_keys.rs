//! Private JWKs of the vectors, written as the DER that the library reads.

use mapae_verify::{Algorithm, SigningKey};
use serde_json::Value;

use crate::support::decode;

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = match length {
        [0, low @ 0..=0x7f] => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    der.extend(content);
    der
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let digits = &bytes[bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - 1)..];
    let sign = if digits[0] >= 0x80 { &[0][..] } else { &[] };
    tagged(0x02, &[sign, digits].concat())
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64_simd::STANDARD.encode_to_string(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// The signing key of a private JWK, without a `kid`.
pub(crate) fn signing_key(jwk: &Value, algorithm: Algorithm) -> SigningKey {
    let member = |name: &str| decode(jwk[name].as_str().unwrap_or_else(|| panic!("{name} of {jwk}")));
    let key = match jwk["kty"].as_str().unwrap() {
        "oct" => SigningKey::hmac(None, algorithm, &member("k")),
        "RSA" => {
            let numbers: Vec<u8> =
                ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().flat_map(|name| integer(&member(name))).collect();
            let der = tagged(0x30, &[integer(&[0]), numbers].concat());
            SigningKey::from_pem(algorithm, &pem("RSA PRIVATE KEY", &der))
        }
        "EC" => {
            let curve: &[u8] = match jwk["crv"].as_str().unwrap() {
                "P-256" => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
                "P-384" => &[0x2b, 0x81, 0x04, 0x00, 0x22],
                "P-521" => &[0x2b, 0x81, 0x04, 0x00, 0x23],
                other => panic!("{other}"),
            };
            let point = [&[0, 4][..], &member("x"), &member("y")].concat();
            let content = [
                integer(&[1]),
                tagged(0x04, &member("d")),
                tagged(0xa0, &tagged(0x06, curve)),
                tagged(0xa1, &tagged(0x03, &point)),
            ]
            .concat();
            SigningKey::from_pem(algorithm, &pem("EC PRIVATE KEY", &tagged(0x30, &content)))
        }
        "OKP" => {
            let algorithm_identifier = tagged(0x30, &tagged(0x06, &[0x2b, 0x65, 0x70]));
            let seed = tagged(0x04, &tagged(0x04, &member("d")));
            SigningKey::from_pkcs8(algorithm, &tagged(0x30, &[integer(&[0]), algorithm_identifier, seed].concat()))
        }
        other => panic!("{other}"),
    };
    key.unwrap().without_kid()
}
