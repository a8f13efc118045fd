//! Keys that sign.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys::to_jwk;
use crate::{Algorithm, Jwk, KeyError, SignError, VerificationKey, base64, der, pem};

/// A private key, or a shared secret, that signs with exactly one algorithm. Erased when dropped.
pub struct SigningKey {
    pair: Pair,
    verification: VerificationKey,
}

pub(crate) enum Pair {
    Hmac(Arc<hmac::Key>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) enum Family {
    Rsa(&'static dyn RsaEncoding),
    Ec(&'static EcdsaSigningAlgorithm, &'static str),
    Ed25519,
}

pub(crate) fn family(algorithm: Algorithm) -> Result<Family, KeyError> {
    Ok(match algorithm {
        Algorithm::RS256 => Family::Rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Family::Rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Family::Rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Family::Rsa(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => Family::Rsa(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => Family::Rsa(&signature::RSA_PSS_SHA512),
        Algorithm::ES256 => Family::Ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        Algorithm::ES384 => Family::Ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Algorithm::ES512 => Family::Ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
        Algorithm::EdDSA => Family::Ed25519,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(KeyError::Symmetric),
    })
}

impl SigningKey {
    /// A new key pair from the operating system's randomness. RSA keys have 2048 bits, and take a moment to make.
    ///
    /// # Errors
    /// For HMAC, whose secrets are given, not made here; and when the library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match family(algorithm)? {
            Family::Rsa(encoding) => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Refused)?, encoding)
            }
            Family::Ec(signing, _) => Pair::Ec(EcdsaKeyPair::generate(signing).map_err(|_| KeyError::Refused)?),
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| KeyError::Refused)?),
        };
        Self::from_pair(algorithm, pair)
    }

    /// A shared secret; see [`VerificationKey::hmac`].
    ///
    /// # Errors
    /// As there.
    pub fn hmac(kid: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        VerificationKey::hmac(kid, algorithm, secret).map(Self::from_shared)
    }

    /// A shared secret of any length; see [`VerificationKey::hmac_allow_short`].
    ///
    /// # Errors
    /// As there.
    pub fn hmac_allow_short(kid: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        VerificationKey::hmac_allow_short(kid, algorithm, secret).map(Self::from_shared)
    }

    fn from_shared(verification: VerificationKey) -> Self {
        let key = Arc::clone(verification.hmac_key().expect("made from a shared secret"));
        Self { pair: Pair::Hmac(key), verification }
    }

    /// A private key from an unencrypted PKCS#8 structure in DER.
    ///
    /// # Errors
    /// When it is not a sound key for `algorithm`.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let pair = match family(algorithm)? {
            Family::Rsa(encoding) => Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Der)?, encoding),
            Family::Ec(signing, _) => Pair::Ec(EcdsaKeyPair::from_pkcs8(signing, der).map_err(|_| KeyError::Der)?),
            Family::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::Der)?),
        };
        Self::from_pair(algorithm, pair)
    }

    /// A private key from PEM: `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (RFC 5915),
    /// unencrypted.
    ///
    /// # Errors
    /// When the text is not such a block, or not a sound key for `algorithm`.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let (label, content) = pem::decode(pem)?;
        let pair = match (label, family(algorithm)?) {
            ("PRIVATE KEY", _) => return Self::from_pkcs8(algorithm, &content),
            ("RSA PRIVATE KEY", Family::Rsa(encoding)) => {
                Pair::Rsa(RsaKeyPair::from_der(&content).map_err(|_| KeyError::Der)?, encoding)
            }
            ("EC PRIVATE KEY", Family::Ec(signing, _)) => {
                Pair::Ec(EcdsaKeyPair::from_private_key_der(signing, &content).map_err(|_| KeyError::Der)?)
            }
            ("RSA PRIVATE KEY" | "EC PRIVATE KEY", _) => {
                return Err(KeyError::AlgorithmMismatch(algorithm));
            }
            ("ENCRYPTED PRIVATE KEY", _) => {
                return Err(KeyError::Pem("the private key is encrypted"));
            }
            _ => return Err(KeyError::Pem("this is not a private key")),
        };
        Self::from_pair(algorithm, pair)
    }

    pub(crate) fn from_pair(algorithm: Algorithm, pair: Pair) -> Result<Self, KeyError> {
        let jwk = match (&pair, family(algorithm)?) {
            (Pair::Rsa(pair, _), _) => to_jwk(&der::rsa_public_key(pair.public_key().as_ref()).ok_or(KeyError::Der)?)?,
            (Pair::Ec(pair), Family::Ec(_, curve)) => {
                to_jwk(&der::PublicKey::Ec { curve, point: pair.public_key().as_ref() })?
            }
            (Pair::Ed25519(pair), _) => Jwk::ed25519(pair.public_key().as_ref()),
            _ => return Err(KeyError::AlgorithmMismatch(algorithm)),
        };
        let kid = Some(jwk.thumbprint()?);
        let verification = VerificationKey::from_jwk_with_algorithm(&Jwk { kid, ..jwk }, algorithm)?;
        Ok(Self { pair, verification })
    }

    /// The private key as an unencrypted PKCS#8 structure in DER.
    ///
    /// # Errors
    /// For a shared secret, and when the library fails.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bytes = match &self.pair {
            Pair::Hmac(_) => return Err(KeyError::Symmetric),
            Pair::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Refused)?;
                der.as_ref().to_vec()
            }
            Pair::Ec(pair) => pair.to_pkcs8v1().map_err(|_| KeyError::Refused)?.as_ref().to_vec(),
            // Version 1, which OpenSSL reads too.
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(|_| KeyError::Refused)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// The id that goes into every token: the RFC 7638 thumbprint unless set; of a shared secret, none unless set.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.verification.kid()
    }

    /// The same key under another id.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.verification = self.verification.with_kid(kid);
        self
    }

    /// The same key without an id: tokens then carry no `kid`.
    #[must_use]
    pub fn without_kid(mut self) -> Self {
        self.verification = self.verification.without_kid();
        self
    }

    /// The only algorithm that the key signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.verification.algorithm()
    }

    /// The public key, for publishing; `None` for a shared secret.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Jwk> {
        self.verification.jwk().cloned()
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verification_key(&self) -> VerificationKey {
        self.verification.clone()
    }

    /// Signs claims as a compact JWT whose header has `alg`, this `typ` and the key's `kid`.
    ///
    /// # Errors
    /// When the claims are not a JSON object, or the library fails.
    pub fn sign<C: Serialize + ?Sized>(&self, typ: &str, claims: &C) -> Result<String, SignError> {
        let payload = serde_json::to_vec(claims)?;
        if payload.first() != Some(&b'{') {
            return Err(SignError::NotAnObject);
        }
        self.sign_payload(Some(typ), &payload)
    }

    /// Signs any bytes as a compact JWS (RFC 7515 §7.1) whose header has `alg`, `typ` if given, and the key's `kid`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign_payload(&self, typ: Option<&str>, payload: &[u8]) -> Result<String, SignError> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: Algorithm,
            #[serde(skip_serializing_if = "Option::is_none")]
            typ: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
        }

        let header = serde_json::to_vec(&Header { alg: self.algorithm(), typ, kid: self.kid() })?;
        let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 128);
        base64::encode_append(&header, &mut token);
        token.push('.');
        base64::encode_append(payload, &mut token);
        let signature = self.sign_bytes(token.as_bytes())?;
        token.push('.');
        base64::encode_append(&signature, &mut token);
        Ok(token)
    }

    /// The bare signature of some bytes, in JWS form (RFC 7518 §3). Tokens are made by [`Self::sign`].
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // AWS-LC draws its own randomness; the argument is there for compatibility.
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &rng, message, &mut signature).map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&rng, message).map_err(|_| SignError::Failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| SignError::Failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
