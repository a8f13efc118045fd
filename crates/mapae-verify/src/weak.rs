//! Public keys that anybody can sign for, or nearly so.

use crate::KeyError;

/// Primes for which moduli made by the faulty generator stand out.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Refuses sizes and exponents that are not acceptable, and moduli that are weak. Both numbers are big-endian.
pub(crate) fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    // Base64urlUInt has the fewest bytes that hold the number (RFC 7518 §2).
    let (Some(&first @ 1..), Some(&last)) = (n.first(), n.last()) else {
        return Err(KeyError::BadMember("n"));
    };
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=8192).contains(&bits) {
        return Err(KeyError::RsaSize { bits });
    }
    let exponent = match e {
        [] | [0, ..] => return Err(KeyError::BadMember("e")),
        [..] if e.len() <= 5 => e.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)),
        [..] => return Err(KeyError::RsaExponent),
    };
    // 33 bits are what AWS-LC reads; larger exponents only cost time.
    if exponent < 3 || exponent % 2 == 0 || exponent >> 33 != 0 {
        return Err(KeyError::RsaExponent);
    }
    if last % 2 == 0 || has_roca_fingerprint(n) {
        return Err(KeyError::RsaWeak);
    }
    Ok(())
}

/// True for moduli of the form that CVE-2017-15361 (ROCA) makes: modulo each small prime a power of 65537. Other
/// moduli have it by chance about once in 2^27.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|&prime| {
        let residue = n.iter().fold(0, |value, &byte| (value << 8 | u32::from(byte)) % prime);
        let mut power = 1;
        loop {
            if power == residue {
                return true;
            }
            power = power * 65537 % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

/// Refuses points of small order: under such a key, one signature can fit every message.
pub(crate) fn check_ed25519(x: &[u8]) -> Result<(), KeyError> {
    // y-coordinates (little-endian, sign bit cleared) of the eight points of small order, with the encodings of
    // 0 and 1 that are not reduced modulo p = 2^255 - 19.
    const SMALL_ORDER: [[u8; 32]; 7] = [
        [0; 32],
        little_endian(1, 0, 0),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        little_endian(0xec, 0xff, 0x7f),
        little_endian(0xed, 0xff, 0x7f),
        little_endian(0xee, 0xff, 0x7f),
    ];
    let Ok(mut y) = <[u8; 32]>::try_from(x) else {
        return Err(KeyError::BadMember("x"));
    };
    y[31] &= 0x7f;
    if SMALL_ORDER.contains(&y) { Err(KeyError::InvalidPoint) } else { Ok(()) }
}

const fn little_endian(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
