//! JSON Web Keys (RFC 7517), as far as signatures need them.

use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Algorithm, KeyError, base64};

/// A JSON Web Key. Members that are not listed here, private ones (`d`, `p` …) among them, are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jwk {
    /// Key type: `EC`, `RSA`, `OKP` or `oct` (§4.1).
    pub kty: String,
    /// What it may be used for: `sig` (§4.2).
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub key_use: Option<String>,
    /// Operations it may be used for, such as `verify` (§4.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// The algorithm that it is for (§4.4); text, since sets list keys that are not for us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The key's id (§4.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Curve (RFC 7518 §6.2.1.1, RFC 8037 §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate, or the public key of an `OKP`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA modulus, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA public exponent, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The secret of an `oct` key; read but never written.
    #[serde(skip_serializing)]
    pub k: Option<SecretMember>,
}

/// A secret member of a JWK, as base64url text. Never shown, erased when dropped.
#[derive(Clone, PartialEq, Eq, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretMember(String);

impl SecretMember {
    /// Takes base64url text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SecretMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Jwk {
    pub(crate) fn ec(curve: &str, x: &[u8], y: &[u8]) -> Self {
        Self {
            kty: "EC".to_owned(),
            crv: Some(curve.to_owned()),
            x: Some(base64::encode(x)),
            y: Some(base64::encode(y)),
            ..Self::default()
        }
    }

    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self { kty: "RSA".to_owned(), n: Some(base64::encode(n)), e: Some(base64::encode(e)), ..Self::default() }
    }

    pub(crate) fn ed25519(x: &[u8]) -> Self {
        Self { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x: Some(base64::encode(x)), ..Self::default() }
    }

    /// Only what identifies the public key and says what it is for.
    pub(crate) fn published(&self, algorithm: Algorithm, kid: Option<&str>) -> Self {
        Self {
            kty: self.kty.clone(),
            key_use: Some("sig".to_owned()),
            key_ops: None,
            alg: Some(algorithm.as_str().to_owned()),
            kid: kid.map(str::to_owned),
            crv: self.crv.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            n: self.n.clone(),
            e: self.e.clone(),
            k: None,
        }
    }

    /// The key's SHA-256 thumbprint in base64url (RFC 7638 §3). Of an `oct` key it is a hash of the secret: do not
    /// publish it.
    ///
    /// # Errors
    /// When the type is unknown, or a member that the thumbprint covers is absent or not base64url.
    pub fn thumbprint(&self) -> Result<String, KeyError> {
        let curve = || self.crv.as_deref().filter(|crv| crv.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let curve = || curve().ok_or(KeyError::MissingMember("crv"));
        let mut json = match self.kty.as_str() {
            "EC" => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                curve()?,
                checked(self.x.as_deref(), "x")?,
                checked(self.y.as_deref(), "y")?
            ),
            "RSA" => format!(
                r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                checked(self.e.as_deref(), "e")?,
                checked(self.n.as_deref(), "n")?
            ),
            "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, curve()?, checked(self.x.as_deref(), "x")?),
            "oct" => {
                format!(r#"{{"k":"{}","kty":"oct"}}"#, checked(self.k.as_ref().map(|k| k.0.as_str()), "k")?)
            }
            _ => return Err(KeyError::UnsupportedKeyType),
        };
        let hash = digest::digest(&digest::SHA256, json.as_bytes());
        json.zeroize();
        Ok(base64::encode(hash.as_ref()))
    }

    /// The decoded bytes of a member.
    pub(crate) fn bytes(member: Option<&str>, name: &'static str) -> Result<Vec<u8>, KeyError> {
        let text = member.ok_or(KeyError::MissingMember(name))?;
        base64::decode(text.as_bytes()).filter(|bytes| !bytes.is_empty()).ok_or(KeyError::BadMember(name))
    }
}

fn checked<'a>(member: Option<&'a str>, name: &'static str) -> Result<&'a str, KeyError> {
    let text = member.ok_or(KeyError::MissingMember(name))?;
    Jwk::bytes(member, name)?;
    Ok(text)
}

/// A JWK Set (RFC 7517 §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The keys, in order. One that could not be read at all stands here with an empty `kty`.
    pub keys: Vec<Jwk>,
}

impl<'de> Deserialize<'de> for JwkSet {
    /// A key that is not understood does not spoil the others (§5).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            keys: Vec<Box<RawValue>>,
        }

        let raw = Raw::deserialize(deserializer)?;
        let keys = raw.keys.into_iter().map(|key| {
            // It may hold a secret.
            let text = Zeroizing::new(String::from(Box::<str>::from(key)));
            serde_json::from_str(&text).unwrap_or_default()
        });
        Ok(Self { keys: keys.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_neither_shown_nor_written() {
        let jwk: Jwk = serde_json::from_str(r#"{"kty":"oct","k":"c2VjcmV0","alg":"HS256","d":"cHJpdmF0ZQ"}"#).unwrap();
        assert_eq!(jwk.k.as_ref().unwrap().as_bytes(), b"c2VjcmV0");
        let shown = format!("{jwk:?}");
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("cHJpdmF0ZQ"), "{shown}");
        assert_eq!(serde_json::to_string(&jwk).unwrap(), r#"{"kty":"oct","alg":"HS256"}"#);
    }

    #[test]
    fn duplicate_members_are_errors() {
        assert!(serde_json::from_str::<Jwk>(r#"{"kty":"oct","kty":"EC"}"#).is_err());
    }

    #[test]
    fn one_bad_key_does_not_spoil_the_set() {
        let set: JwkSet =
            serde_json::from_str(r#"{"keys":[{"kty":1},7,{"kty":"OKP","x":{}},{"kty":"EC","new":[]}],"more":1}"#)
                .unwrap();
        assert_eq!(set.keys.iter().map(|key| key.kty.as_str()).collect::<Vec<_>>(), ["", "", "", "EC"]);
        for bad in ["{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(serde_json::from_str::<JwkSet>(bad).is_err(), "{bad}");
        }
    }
}
