//! Pieces that the formats are made of, read strictly and without allocating.

use arrayvec::{ArrayString, ArrayVec};
use base64ct::{Base64Bcrypt, Encoding};

/// A decimal number as every library writes it: digits only, no sign, no leading zero.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// A number behind its name: `name=123`.
pub(super) fn named_number<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    number(text.strip_prefix(name)?.strip_prefix('=')?)
}

/// Bytes in an encoding of base64, at most `N` of them.
pub(super) fn base64<E: Encoding, const N: usize>(text: &str) -> Option<ArrayVec<u8, N>> {
    let mut buffer = [0; N];
    let decoded = E::decode(text, &mut buffer).ok()?;
    decoded.try_into().ok()
}

/// Bytes in hexadecimal, at most `N` of them.
pub(super) fn hexadecimal<const N: usize>(text: &str) -> Option<ArrayVec<u8, N>> {
    let mut buffer = [0; N];
    let bytes = buffer.get_mut(..text.len() / 2)?;
    hex::decode_to_slice(text, bytes).ok()?;
    (*bytes).try_into().ok()
}

/// Bytes in bcrypt's base64. Some old libraries left rubbish in the bits behind the last byte; it is ignored.
pub(super) fn bcrypt_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut canonical: ArrayVec<u8, 64> = text.as_bytes().try_into().ok()?;
    let unused_bits = (text.len() * 6).checked_sub(N * 8)?;
    let last = canonical.last_mut()?;
    let value = ALPHABET.iter().position(|letter| letter == last)?;
    *last = ALPHABET[value >> unused_bits << unused_bits];
    let mut bytes = [0; N];
    let decoded = Base64Bcrypt::decode(&canonical, &mut bytes).ok()?;
    (decoded.len() == N).then_some(bytes)
}

/// Exactly as many parts as asked for.
pub(super) fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut found = [""; N];
    for part in &mut found {
        *part = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// A salt of a library that takes salts as text.
pub(super) type SaltText = ArrayString<128>;

/// 16 random bytes as 22 letters and digits, which is how Django and others write a salt of 128 bits.
pub(super) fn alphanumeric_salt(salt: &[u8; 16]) -> SaltText {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = u128::from_be_bytes(*salt);
    let mut text = SaltText::new();
    for _ in 0..22 {
        text.push(char::from(ALPHABET[(rest % 62) as usize]));
        rest /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(number::<u32>("0"), Some(0));
        assert_eq!(number::<u32>("4294967295"), Some(u32::MAX));
        for wrong in ["", "+1", "-1", "01", " 1", "1 ", "1_0", "0x1", "4294967296", "١"] {
            assert_eq!(number::<u32>(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn parts_are_counted() {
        assert_eq!(parts("a$b", '$'), Some(["a", "b"]));
        assert_eq!(parts::<2>("a", '$'), None);
        assert_eq!(parts::<2>("a$b$", '$'), None);
    }

    #[test]
    fn salts_as_text_hold_all_bits() {
        assert_eq!(alphanumeric_salt(&[0; 16]).as_str(), "0".repeat(22));
        let all = alphanumeric_salt(&[0xff; 16]);
        let value = all.bytes().rev().fold(0u128, |value, letter| {
            let digit = match letter {
                b'0'..=b'9' => letter - b'0',
                b'A'..=b'Z' => letter - b'A' + 10,
                _ => letter - b'a' + 36,
            };
            value * 62 + u128::from(digit)
        });
        assert_eq!((all.len(), value), (22, u128::MAX));
    }

    #[test]
    fn bits_behind_the_last_byte_of_bcrypt_are_ignored() {
        let right = bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCC.");
        assert!(right.is_some());
        assert_eq!(right, bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCC/"));
        assert_ne!(right, bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCCO"));
        assert_eq!(bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCC"), None);
        assert_eq!(bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCC.."), None);
        assert_eq!(bcrypt_base64::<16>("CCCCCCCCCCCCCCCCCCCCC!"), None);
    }
}
