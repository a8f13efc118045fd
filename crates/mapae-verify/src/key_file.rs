//! Keys from files of other programs, which say themselves what they are.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::jwk::SecretMember;
use crate::signing::{Family, Pair, family};
use crate::{Algorithm, Jwk, KeyError, SigningKey, VerificationKey, base64, der, pem};

/// The private members of a JWK (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Private {
    d: Option<SecretMember>,
    p: Option<SecretMember>,
    q: Option<SecretMember>,
    dp: Option<SecretMember>,
    dq: Option<SecretMember>,
    qi: Option<SecretMember>,
}

impl SigningKey {
    /// A private key as other programs write it: PEM (PKCS#8, PKCS#1 or RFC 5915, unencrypted) or a JWK. The key itself
    /// decides the algorithm: ES256, ES384 and ES512 by its curve, EdDSA for Ed25519, and RS256 for RSA unless `alg` of
    /// a JWK says another. Its id is the JWK's `kid`, or the thumbprint.
    ///
    /// # Errors
    /// When it is no such key, or not a sound one.
    pub fn from_key_file(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        if text.starts_with('{') {
            return Self::from_private_jwk(text);
        }
        let (label, content) = pem::decode(text)?;
        let algorithm = match label {
            "PRIVATE KEY" => der::private_key_algorithm(&content).ok_or(KeyError::Der)?,
            "RSA PRIVATE KEY" => Algorithm::RS256,
            "EC PRIVATE KEY" => {
                let curves = [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512];
                let read = curves.into_iter().find_map(|algorithm| Self::from_pem(algorithm, text).ok());
                return read.ok_or(KeyError::Der);
            }
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(KeyError::Pem("this is a public key, not a private key")),
            _ => return Self::from_pem(Algorithm::ES256, text),
        };
        Self::from_pem(algorithm, text)
    }

    fn from_private_jwk(text: &str) -> Result<Self, KeyError> {
        let public: Jwk = serde_json::from_str(text).map_err(|_| KeyError::Json)?;
        let private: Private = serde_json::from_str(text).map_err(|_| KeyError::Json)?;
        if public.key_use.as_deref().is_some_and(|key_use| key_use != "sig") {
            return Err(KeyError::WrongUse);
        }
        if public.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "sign")) {
            return Err(KeyError::WrongKeyOps);
        }
        let algorithm = algorithm_of(&public)?;
        let number = |member: Option<&str>, name| Jwk::bytes(member, name);
        let pair = match family(algorithm)? {
            Family::Rsa(encoding) => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: Zeroizing::new(number(public.n.as_deref(), "n")?),
                        e: Zeroizing::new(number(public.e.as_deref(), "e")?),
                    },
                    d: secret(private.d.as_ref(), "d")?,
                    p: secret(private.p.as_ref(), "p")?,
                    q: secret(private.q.as_ref(), "q")?,
                    dP: secret(private.dp.as_ref(), "dp")?,
                    dQ: secret(private.dq.as_ref(), "dq")?,
                    qInv: secret(private.qi.as_ref(), "qi")?,
                };
                Pair::Rsa(RsaKeyPair::from_components(&components).map_err(|_| KeyError::Refused)?, encoding)
            }
            Family::Ec(signing, _) => {
                let mut point = vec![0x04];
                point.extend(number(public.x.as_deref(), "x")?);
                point.extend(number(public.y.as_deref(), "y")?);
                let d = secret(private.d.as_ref(), "d")?;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &d, &point);
                Pair::Ec(pair.map_err(|_| KeyError::Refused)?)
            }
            Family::Ed25519 => {
                let (d, x) = (secret(private.d.as_ref(), "d")?, number(public.x.as_deref(), "x")?);
                Pair::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&d, &x).map_err(|_| KeyError::Refused)?)
            }
        };
        let key = Self::from_pair(algorithm, pair)?;
        Ok(match public.kid {
            Some(kid) => key.with_kid(kid),
            None => key,
        })
    }
}

impl VerificationKey {
    /// A public key as other programs write it: PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`) or a JWK; see
    /// [`SigningKey::from_key_file`] for its algorithm and id. The public half of a private key is read too.
    ///
    /// # Errors
    /// When it is no such key, or not a sound one.
    pub fn from_key_file(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        let key = if text.starts_with('{') {
            let jwk: Jwk = serde_json::from_str(text).map_err(|_| KeyError::Json)?;
            if jwk.kty == "oct" {
                return Err(KeyError::Symmetric);
            }
            let algorithm = algorithm_of(&jwk)?;
            // A private JWK lists what the private half may do.
            Self::from_jwk_with_algorithm(&Jwk { key_ops: None, ..jwk }, algorithm)?
        } else {
            let (label, content) = pem::decode(text)?;
            if label.ends_with("PRIVATE KEY") {
                return Ok(SigningKey::from_key_file(text)?.verification_key());
            }
            let public = match label {
                "PUBLIC KEY" => der::subject_public_key_info(&content),
                "RSA PUBLIC KEY" => der::rsa_public_key(&content),
                _ => return Self::from_pem(None, Algorithm::ES256, text),
            };
            Self::from_pem(None, der::public_key_algorithm(&public.ok_or(KeyError::Der)?), text)?
        };
        match (key.kid(), key.jwk()) {
            (None, Some(jwk)) => {
                let kid = jwk.thumbprint()?;
                Ok(key.with_kid(kid))
            }
            _ => Ok(key),
        }
    }
}

fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, KeyError> {
    match (jwk.alg.as_deref(), jwk.kty.as_str()) {
        (None, "RSA") => Ok(Algorithm::RS256),
        (None, "oct") => Err(KeyError::Symmetric),
        (None, _) => match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Ok(Algorithm::ES256),
            ("EC", Some("P-384")) => Ok(Algorithm::ES384),
            ("EC", Some("P-521")) => Ok(Algorithm::ES512),
            ("OKP", Some("Ed25519")) => Ok(Algorithm::EdDSA),
            ("EC" | "OKP", Some(_)) => Err(KeyError::UnsupportedCurve),
            ("EC" | "OKP", None) => Err(KeyError::MissingMember("crv")),
            _ => Err(KeyError::UnsupportedKeyType),
        },
        (Some(name), _) => name.parse().map_err(|_| KeyError::UnsupportedAlgorithm),
    }
}

fn secret(member: Option<&SecretMember>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = member.ok_or(KeyError::MissingMember(name))?;
    let bytes = base64::decode(text.as_bytes()).filter(|bytes| !bytes.is_empty());
    bytes.map(Zeroizing::new).ok_or(KeyError::BadMember(name))
}
