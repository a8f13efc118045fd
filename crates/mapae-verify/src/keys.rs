//! Keys that verify. One key fixes exactly one algorithm (RFC 8725 §3.1).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm};
use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use crate::secret::check_secret;
use crate::{Algorithm, Jwk, KeyError, VerifyError, base64, der, pem, weak};

/// A key that verifies signatures of exactly one algorithm.
#[derive(Clone)]
pub struct VerificationKey {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
    public: Option<Jwk>,
    /// Equal for equal key material and algorithm; tells nothing about a secret.
    identity: [u8; 32],
}

#[derive(Clone)]
enum Material {
    /// Shared by clones, so that the secret is in one place.
    Hmac(Arc<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerificationKey {
    /// A shared secret.
    ///
    /// # Errors
    /// When the algorithm is not HMAC, the secret is shorter than the hash (RFC 7518 §3.2), or it is in truth a key
    /// file: a public key must never serve as a secret.
    pub fn hmac(kid: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let key = Self::hmac_allow_short(kid, algorithm, secret)?;
        let needed = hmac_algorithm(algorithm)?.digest_algorithm().output_len();
        if secret.len() < needed {
            return Err(KeyError::ShortSecret { bytes: secret.len(), needed });
        }
        Ok(key)
    }

    /// A shared secret of any length but zero. Short secrets can be guessed from one token; this is only for talking
    /// to programs that have one.
    ///
    /// # Errors
    /// When the algorithm is not HMAC, the secret is empty, or it is in truth a key file.
    pub fn hmac_allow_short(kid: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let hmac_algorithm = hmac_algorithm(algorithm)?;
        check_secret(secret)?;
        let key = Arc::new(hmac::Key::new(hmac_algorithm, secret));
        let mut identity = [0; 32];
        identity.copy_from_slice(&hmac::sign(&key, b"mapae key identity").as_ref()[..32]);
        Ok(Self { kid, algorithm, material: Material::Hmac(key), public: None, identity })
    }

    /// A key from a JWK, with the algorithm that the JWK says or that its curve decides.
    ///
    /// # Errors
    /// When the JWK does not decide the algorithm, or it is not a sound key for verifying.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let algorithm = match (jwk.alg.as_deref(), jwk.kty.as_str(), jwk.crv.as_deref()) {
            (Some(name), _, _) => name.parse().map_err(|_| KeyError::UnsupportedAlgorithm)?,
            (None, "EC", Some("P-256")) => Algorithm::ES256,
            (None, "EC", Some("P-384")) => Algorithm::ES384,
            (None, "EC", Some("P-521")) => Algorithm::ES512,
            (None, "OKP", Some("Ed25519")) => Algorithm::EdDSA,
            (None, "EC" | "OKP", Some(_)) => return Err(KeyError::UnsupportedCurve),
            (None, "EC" | "OKP", None) => return Err(KeyError::MissingMember("crv")),
            (None, "RSA" | "oct", _) => return Err(KeyError::AlgorithmRequired),
            (None, _, _) => return Err(KeyError::UnsupportedKeyType),
        };
        Self::from_jwk_with_algorithm(jwk, algorithm)
    }

    /// A key from a JWK that is for `algorithm`. If the JWK has an `alg`, it must be the same.
    ///
    /// # Errors
    /// When it is not a sound key for verifying with that algorithm: another `alg` or `use`, `key_ops` without
    /// `verify`, wrong type or curve, badly encoded members, an RSA key outside 2048 to 8192 bits or with a weak
    /// modulus or exponent, a point that is not on the curve, a short secret.
    pub fn from_jwk_with_algorithm(jwk: &Jwk, algorithm: Algorithm) -> Result<Self, KeyError> {
        if jwk.alg.as_deref().is_some_and(|alg| alg != algorithm.as_str()) {
            return Err(KeyError::AlgorithmMismatch(algorithm));
        }
        if jwk.key_use.as_deref().is_some_and(|key_use| key_use != "sig") {
            return Err(KeyError::WrongUse);
        }
        if jwk.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return Err(KeyError::WrongKeyOps);
        }
        if !matches!(jwk.kty.as_str(), "EC" | "RSA" | "OKP" | "oct") {
            return Err(KeyError::UnsupportedKeyType);
        }
        if jwk.kty == "oct" {
            let k = jwk.k.as_ref().ok_or(KeyError::MissingMember("k"))?;
            let secret = Zeroizing::new(base64::decode(k.as_bytes()).ok_or(KeyError::BadMember("k"))?);
            return Self::hmac(jwk.kid.clone(), algorithm, &secret);
        }
        let key = parse_public(jwk, algorithm)?;
        let public = jwk.published(algorithm, jwk.kid.as_deref());
        let thumbprint = public.thumbprint()?;
        let named = format!("{algorithm} {thumbprint}");
        let mut identity = [0; 32];
        identity.copy_from_slice(digest::digest(&digest::SHA256, named.as_bytes()).as_ref());
        Ok(Self { kid: jwk.kid.clone(), algorithm, material: Material::Public(key), public: Some(public), identity })
    }

    /// A public key from PEM: `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    ///
    /// # Errors
    /// When the text is not such a block, or the key is not sound or not for `algorithm`.
    pub fn from_pem(kid: Option<String>, algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let (label, content) = pem::decode(pem)?;
        let key = match label {
            "PUBLIC KEY" => der::subject_public_key_info(&content),
            "RSA PUBLIC KEY" => der::rsa_public_key(&content),
            "CERTIFICATE" => return Err(KeyError::Pem("this is a certificate, not a public key")),
            _ if label.ends_with("PRIVATE KEY") => {
                return Err(KeyError::Pem("this is a private key, not a public key"));
            }
            _ => return Err(KeyError::Pem("this is not a public key")),
        };
        let jwk = to_jwk(&key.ok_or(KeyError::Der)?)?;
        Self::from_jwk_with_algorithm(&Jwk { kid, ..jwk }, algorithm)
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The same key under another id.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        let kid = kid.into();
        if let Some(public) = &mut self.public {
            public.kid = Some(kid.clone());
        }
        self.kid = Some(kid);
        self
    }

    /// The same key without an id.
    #[must_use]
    pub fn without_kid(mut self) -> Self {
        if let Some(public) = &mut self.public {
            public.kid = None;
        }
        self.kid = None;
        self
    }

    /// A shared secret whose tokens name no key.
    pub(crate) const fn is_unnamed_secret(&self) -> bool {
        matches!(self.material, Material::Hmac(_)) && self.kid.is_none()
    }

    pub(crate) const fn hmac_key(&self) -> Option<&Arc<hmac::Key>> {
        match &self.material {
            Material::Hmac(key) => Some(key),
            Material::Public(_) => None,
        }
    }

    /// The only algorithm that the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key, for publishing; `None` for a shared secret.
    #[must_use]
    pub const fn jwk(&self) -> Option<&Jwk> {
        self.public.as_ref()
    }

    /// The public key as PEM (`PUBLIC KEY`, RFC 5280 §4.1.2.7); `None` for a shared secret.
    #[must_use]
    pub fn to_pem(&self) -> Option<String> {
        match &self.material {
            Material::Hmac(_) => None,
            Material::Public(key) => {
                let der: PublicKeyX509Der<'_> = key.as_der().ok()?;
                Some(pem::encode("PUBLIC KEY", der.as_ref()))
            }
        }
    }

    /// True when both verify exactly the same signatures, whatever their ids.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.identity == other.identity
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        match &self.material {
            Material::Hmac(key) => {
                // What `hmac::verify` does, constant time included; but that moves the whole state once more.
                let mut tag = [0; digest::MAX_OUTPUT_LEN];
                hmac::sign_to_buffer(key, message, &mut tag)
                    .and_then(|tag| constant_time::verify_slices_are_equal(tag, signature))
            }
            Material::Public(key) => key.verify_sig(message, signature),
        }
        .map_err(|_| VerifyError::BadSignature)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn hmac_algorithm(algorithm: Algorithm) -> Result<hmac::Algorithm, KeyError> {
    match algorithm {
        Algorithm::HS256 => Ok(hmac::HMAC_SHA256),
        Algorithm::HS384 => Ok(hmac::HMAC_SHA384),
        Algorithm::HS512 => Ok(hmac::HMAC_SHA512),
        _ => Err(KeyError::AlgorithmMismatch(algorithm)),
    }
}

/// The JWK of a key that came as DER.
pub(crate) fn to_jwk(key: &der::PublicKey<'_>) -> Result<Jwk, KeyError> {
    match *key {
        der::PublicKey::Rsa { n, e } => Ok(Jwk::rsa(n, e)),
        der::PublicKey::Ed25519(x) => Ok(Jwk::ed25519(x)),
        der::PublicKey::Ec { curve, point } => match point {
            [0x04, coordinates @ ..] if coordinates.len() % 2 == 0 => {
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                Ok(Jwk::ec(curve, x, y))
            }
            _ => Err(KeyError::InvalidPoint),
        },
    }
}

enum Family {
    Rsa(&'static RsaParameters),
    Ec { curve: &'static str, coordinate_bytes: usize, verification: &'static dyn VerificationAlgorithm },
    Ed25519,
}

fn family(algorithm: Algorithm) -> Result<Family, KeyError> {
    Ok(match algorithm {
        Algorithm::RS256 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => {
            Family::Ec { curve: "P-256", coordinate_bytes: 32, verification: &signature::ECDSA_P256_SHA256_FIXED }
        }
        Algorithm::ES384 => {
            Family::Ec { curve: "P-384", coordinate_bytes: 48, verification: &signature::ECDSA_P384_SHA384_FIXED }
        }
        Algorithm::ES512 => {
            Family::Ec { curve: "P-521", coordinate_bytes: 66, verification: &signature::ECDSA_P521_SHA512_FIXED }
        }
        Algorithm::EdDSA => Family::Ed25519,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            return Err(KeyError::AlgorithmMismatch(algorithm));
        }
    })
}

fn parse_public(jwk: &Jwk, algorithm: Algorithm) -> Result<ParsedPublicKey, KeyError> {
    let is_curve = |curve: &str| match jwk.crv.as_deref() {
        Some(crv) if crv == curve => Ok(()),
        Some("P-256" | "P-384" | "P-521" | "Ed25519") => Err(KeyError::AlgorithmMismatch(algorithm)),
        Some(_) => Err(KeyError::UnsupportedCurve),
        None => Err(KeyError::MissingMember("crv")),
    };
    match (family(algorithm)?, jwk.kty.as_str()) {
        (Family::Rsa(parameters), "RSA") => {
            let n = Jwk::bytes(jwk.n.as_deref(), "n")?;
            let e = Jwk::bytes(jwk.e.as_deref(), "e")?;
            weak::check_rsa(&n, &e)?;
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| KeyError::Refused)
        }
        (Family::Ec { curve, coordinate_bytes, verification }, "EC") => {
            is_curve(curve)?;
            let mut point = vec![0x04];
            for (member, name) in [(&jwk.x, "x"), (&jwk.y, "y")] {
                let coordinate = Jwk::bytes(member.as_deref(), name)?;
                // The full width of the curve, leading zeros included (RFC 7518 §6.2.1.2).
                if coordinate.len() != coordinate_bytes {
                    return Err(KeyError::BadMember(name));
                }
                point.extend(coordinate);
            }
            ParsedPublicKey::new(verification, point).map_err(|_| KeyError::InvalidPoint)
        }
        (Family::Ed25519, "OKP") => {
            is_curve("Ed25519")?;
            let x = Jwk::bytes(jwk.x.as_deref(), "x")?;
            if x.len() != signature::ED25519_PUBLIC_KEY_LEN {
                return Err(KeyError::BadMember("x"));
            }
            weak::check_ed25519(&x)?;
            ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| KeyError::InvalidPoint)
        }
        _ => Err(KeyError::AlgorithmMismatch(algorithm)),
    }
}
