//! The few DER structures that hold public keys (RFC 5280 §4.1.2.7, RFC 8017 §A.1.1, RFC 5480, RFC 8410).

use crate::Algorithm;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const CURVES: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
];

/// A public key as its structure holds it; not yet checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    /// Modulus and exponent without leading zeros.
    Rsa {
        n: &'a [u8],
        e: &'a [u8],
    },
    /// JOSE name of the curve, and the point as SEC 1 writes it.
    Ec {
        curve: &'static str,
        point: &'a [u8],
    },
    Ed25519(&'a [u8]),
}

/// Reads a `SubjectPublicKeyInfo`.
pub(crate) fn subject_public_key_info(der: &[u8]) -> Option<PublicKey<'_>> {
    let mut outer = sequence(der)?;
    let mut algorithm = Reader(outer.read(SEQUENCE)?);
    let [0, key @ ..] = outer.read(BIT_STRING)? else {
        return None;
    };
    outer.end()?;
    let oid = algorithm.read(OID)?;
    if oid == RSA_ENCRYPTION {
        (algorithm.0 == [0x05, 0x00]).then_some(())?;
        rsa_public_key(key)
    } else if oid == EC_PUBLIC_KEY {
        let named = algorithm.read(OID)?;
        algorithm.end()?;
        let (_, curve) = CURVES.into_iter().find(|(oid, _)| *oid == named)?;
        Some(PublicKey::Ec { curve, point: key })
    } else if oid == ED25519 {
        algorithm.end()?;
        Some(PublicKey::Ed25519(key))
    } else {
        None
    }
}

/// Reads a PKCS#1 `RSAPublicKey`.
pub(crate) fn rsa_public_key(der: &[u8]) -> Option<PublicKey<'_>> {
    let mut outer = sequence(der)?;
    let (n, e) = (outer.read_positive()?, outer.read_positive()?);
    outer.end()?;
    Some(PublicKey::Rsa { n, e })
}

/// The kind of private key that a PKCS#8 structure holds (RFC 5208 §5, RFC 5958 §2): the algorithm that such keys sign
/// with here. `None` for other kinds.
pub(crate) fn private_key_algorithm(der: &[u8]) -> Option<Algorithm> {
    let mut outer = sequence(der)?;
    outer.read(INTEGER)?;
    let mut algorithm = Reader(outer.read(SEQUENCE)?);
    match algorithm.read(OID)? {
        RSA_ENCRYPTION => Some(Algorithm::RS256),
        ED25519 => Some(Algorithm::EdDSA),
        EC_PUBLIC_KEY => {
            let named = algorithm.read(OID)?;
            let (_, curve) = CURVES.into_iter().find(|(oid, _)| *oid == named)?;
            Some(ec_algorithm(curve))
        }
        _ => None,
    }
}

/// The algorithm of a public key, as far as its kind decides it; RSA keys are for RS256.
pub(crate) fn public_key_algorithm(key: &PublicKey<'_>) -> Algorithm {
    match key {
        PublicKey::Rsa { .. } => Algorithm::RS256,
        PublicKey::Ed25519(_) => Algorithm::EdDSA,
        PublicKey::Ec { curve, .. } => ec_algorithm(curve),
    }
}

fn ec_algorithm(curve: &str) -> Algorithm {
    match curve {
        "P-384" => Algorithm::ES384,
        "P-521" => Algorithm::ES512,
        _ => Algorithm::ES256,
    }
}

/// True for a DER sequence of two or more elements that begins as keys and certificates do.
pub(crate) fn looks_like_key(der: &[u8]) -> bool {
    let Some(mut outer) = sequence(der) else {
        return false;
    };
    let starts_like_a_key = matches!(outer.0.first(), Some(&(SEQUENCE | INTEGER)));
    let mut elements = 0;
    while !outer.0.is_empty() {
        if outer.read_any().is_none() {
            return false;
        }
        elements += 1;
    }
    starts_like_a_key && elements > 1
}

fn sequence(der: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader(der);
    let content = reader.read(SEQUENCE)?;
    reader.end()?;
    Some(Reader(content))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn read(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.read_any()?;
        (tag == wanted).then_some(content)
    }

    fn read_any(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, first, rest @ ..] = self.0 else {
            return None;
        };
        let (length, rest) = match (first, rest) {
            (0..=0x7f, rest) => (usize::from(*first), rest),
            (0x81, [a @ 0x80..=0xff, rest @ ..]) => (usize::from(*a), rest),
            (0x82, [a @ 1..=0xff, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// An INTEGER greater than zero, without its sign byte.
    fn read_positive(&mut self) -> Option<&'a [u8]> {
        match self.read(INTEGER)? {
            [0, digits @ ..] if matches!(digits, [0x80..=0xff, ..]) => Some(digits),
            digits if matches!(digits, [0x01..=0x7f, ..]) => Some(digits),
            _ => None,
        }
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minimal_definite_lengths_are_read() {
        let key = |n: &[u8]| [&[SEQUENCE, u8::try_from(n.len()).unwrap() + 3][..], n, &[INTEGER, 1, 3]].concat();
        assert_eq!(rsa_public_key(&key(&[INTEGER, 2, 0, 0x81])), Some(PublicKey::Rsa { n: &[0x81], e: &[3] }));
        for n in [
            &[INTEGER, 0][..],
            &[INTEGER, 1, 0],
            &[INTEGER, 1, 0x81],
            &[INTEGER, 2, 0, 0x7f],
            &[INTEGER, 0x81, 1, 5],
            &[INTEGER, 0x80, 5, 0, 0],
            &[INTEGER, 0x84, 0, 0, 0, 1, 5],
            &[BIT_STRING, 1, 5],
            &[INTEGER, 100, 5],
        ] {
            assert_eq!(rsa_public_key(&key(n)), None, "{n:x?}");
        }
        let good = key(&[INTEGER, 1, 5]);
        for end in 0..good.len() {
            assert_eq!(rsa_public_key(&good[..end]), None);
        }
        assert_eq!(rsa_public_key(&[&good[..], &[0]].concat()), None, "something after the end");
    }
}
