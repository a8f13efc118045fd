//! Keys that everybody knows or can guess, and the check that no key is one of them.

use std::fmt;

/// Fewest bytes of a key: HS256 asks for as many as SHA-256 gives (RFC 7518 section 3.2).
pub(crate) const MINIMUM_BYTES: usize = 32;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// Printed in a document for everybody to read.
    Published,
    /// Made by a framework to be replaced.
    Placeholder,
    /// Under [`MINIMUM_BYTES`].
    Short,
    /// The same few characters over and over.
    Repetitive,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => f.write_str("is printed in public documentation, so everybody knows it"),
            Self::Placeholder => f.write_str("is a placeholder to be replaced, and others can guess it"),
            Self::Short => write!(f, "is shorter than {MINIMUM_BYTES} bytes, so it can be guessed"),
            Self::Repetitive => f.write_str("repeats very few characters, so it can be guessed"),
        }
    }
}

/// What is wrong with the key, if anything.
pub(crate) fn weakness(key: &str) -> Option<Weakness> {
    let lower = key.trim().to_ascii_lowercase();
    // These keys are public, so comparing them in constant time would hide nothing.
    if PUBLISHED.iter().any(|known| lower == known.to_ascii_lowercase()) {
        return Some(Weakness::Published);
    }
    let letters: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    if PLACEHOLDERS.iter().any(|words| letters.contains(words)) {
        return Some(Weakness::Placeholder);
    }
    if key.len() < MINIMUM_BYTES {
        return Some(Weakness::Short);
    }
    let mut bytes = key.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    (bytes.len() < 8).then_some(Weakness::Repetitive)
}

/// Words of placeholders, without anything but letters and digits. No random key has them.
const PLACEHOLDERS: &[&str] = &[
    "djangoinsecure",
    "changeme",
    "changethis",
    "changeit",
    "pleasechange",
    "replaceme",
    "replacethis",
    "replacewith",
    "placeholder",
    "tobemodified",
    "yoursecret",
    "yoursuper",
    "yourvery",
    "yourjwt",
    "yourkey",
    "yourown",
    "yourencryption",
    "your256",
    "your512",
    "mysecret",
    "mysuper",
    "supersecret",
    "topsecret",
    "atleast32",
    "atleast256",
    "atleast512",
    "32character",
    "bitslong",
    "characterslong",
    "charslong",
    "charsmin",
    "ultralong",
    "donotuse",
    "notsecure",
    "veryinsecure",
];

/// Keys as printed. The first five are those of the tutorials that this server's API follows.
const PUBLISHED: &[&str] = &[
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#",
    "SECRET+FASTAPI",
    "secret",
    "생성한 secret_key 입력",
    // JWT debuggers
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    // Supabase
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq",
    "your-32-character-encryption-key",
    "your-encryption-key-32-chars-min",
    // PostgREST, Hasura, Flask, Rocket
    "reallyreallyreallyreallyverysafe",
    "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "_5#y2L\"F4Q8z\\n\\xec]/",
    "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=",
    // Spring tutorials
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "======================BezKoder=Spring===========================",
    "bezKoderSecretKey",
    "my-32-character-ultra-secure-and-ultra-long-secret",
    // FastAPI's template, Ory
    "changethis",
    "youReallyNeedToChangeThis",
    // Examples of RFC 7515, RFC 7517 and RFC 7520
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "-ebuDNsVZ2iJtoZ-akfXTSCt4UO2cruLCsbWlBinggE",
    // Sequences that people type when they need enough characters
    "0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "abcdefghijklmnopqrstuvwxyz123456",
    "abcdefghijklmnopqrstuvwxyz012345",
    "12345678901234567890123456789012",
    "01234567890123456789012345678901",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_keys_are_refused_in_any_case() {
        for key in PUBLISHED {
            assert_eq!(weakness(key), Some(Weakness::Published), "{key}");
            assert_eq!(weakness(&format!(" {} \n", key.to_ascii_uppercase())), Some(Weakness::Published), "{key}");
        }
    }

    #[test]
    fn other_weak_keys_are_refused() {
        assert_eq!(weakness("django-insecure-8w!v2k#0q^p7$x6m1z&c4b5n9d3f"), Some(Weakness::Placeholder));
        assert_eq!(weakness("CHANGE_ME_please_0f8a7c6b5d4e3f2a1b0c9d8e"), Some(Weakness::Placeholder));
        assert_eq!(weakness("kX9vQ2mB7nL4pR8sT1wY6zA3cD5eF0g"), Some(Weakness::Short));
        assert_eq!(weakness(""), Some(Weakness::Short));
        assert_eq!(weakness(&"ab".repeat(40)), Some(Weakness::Repetitive));
    }

    #[test]
    fn random_keys_pass() {
        for key in [
            "b1c0e7f4a92d4f6c8e3a5b7d9f10263748596a7b8c9daebfc0d1e2f304152637",
            "hX2vQ9mB7nL4pR8sT1wY6zA3cD5eF0gKjU-_iOoPlMn",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZg==",
        ] {
            assert_eq!(weakness(key), None, "{key}");
        }
    }
}
