//! What must not serve as an HMAC secret.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::{KeyError, der};

/// Refuses nothing at all and key files: with a public key as the secret, everybody could sign (RFC 8725 §2.1).
pub(crate) fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    if secret.is_empty() {
        return Err(KeyError::EmptySecret);
    }
    if der::looks_like_key(secret) || std::str::from_utf8(secret).is_ok_and(is_key_text) {
        return Err(KeyError::KeyFileAsSecret);
    }
    Ok(())
}

fn is_key_text(text: &str) -> bool {
    const OPENSSH: [&str; 3] = ["ssh-rsa AAAA", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp"];

    let text = text.trim();
    text.contains("-----BEGIN ")
        || OPENSSH.iter().any(|start| text.starts_with(start))
        || is_jwk(text)
        || is_base64_of_der(text)
}

fn is_jwk(text: &str) -> bool {
    serde_json::from_str::<HashMap<String, IgnoredAny>>(text)
        .is_ok_and(|members| members.contains_key("kty") || members.contains_key("keys"))
}

/// A PEM file without its first and last line.
fn is_base64_of_der(text: &str) -> bool {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }));
    let unpadded = packed.as_slice();
    let unpadded = unpadded.strip_suffix(b"=").map_or(unpadded, |rest| rest.strip_suffix(b"=").unwrap_or(rest));
    base64_simd::STANDARD_NO_PAD
        .decode_to_vec(unpadded)
        .map(Zeroizing::new)
        .is_ok_and(|decoded| der::looks_like_key(&decoded))
}
