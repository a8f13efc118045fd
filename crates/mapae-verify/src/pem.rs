//! Textual encoding of keys (RFC 7468), one block of it.

use zeroize::Zeroizing;

use crate::KeyError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The label and the content of the only block in `text`.
pub(crate) fn decode(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    let text = text.trim_ascii();
    let (label, rest) = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.split_once(DASHES))
        .ok_or(KeyError::Pem("it does not start with -----BEGIN"))?;
    let (body, end) = rest.split_once(END).ok_or(KeyError::Pem("it has no -----END"))?;
    if end.strip_suffix(DASHES) != Some(label) {
        return Err(KeyError::Pem("more than one block, or the end does not match the beginning"));
    }
    // With the whole capacity at once: growing would leave copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
    packed.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let der = base64_simd::STANDARD
        .decode_to_vec(packed.as_slice())
        .map_err(|_| KeyError::Pem("the content is not base64"))?;
    Ok((label, Zeroizing::new(der)))
}

/// A block of this label, in lines of 64 characters (RFC 7468 §3).
pub(crate) fn encode(label: &str, content: &[u8]) -> String {
    let base64 = base64_simd::STANDARD.encode_to_string(content);
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_is_read() {
        let (label, der) =
            decode("\n-----BEGIN PUBLIC KEY-----\r\nAAEC\r\nAw==\r\n-----END PUBLIC KEY-----\r\n").unwrap();
        assert_eq!((label, der.as_slice()), ("PUBLIC KEY", &[0, 1, 2, 3][..]));
    }

    #[test]
    fn anything_else_is_an_error() {
        let block = "-----BEGIN A-----\nAAEC\n-----END A-----\n";
        for text in [
            "",
            "AAEC",
            "-----BEGIN A-----",
            "-----BEGIN A-----\nAAEC\n",
            "-----BEGIN A-----\nAAEC\n-----END B-----",
            "-----BEGIN A-----\nAA*C\n-----END A-----",
            "-----BEGIN A-----\nAAE\n-----END A-----",
            "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END A-----",
            &block.repeat(2),
        ] {
            assert!(matches!(decode(text), Err(KeyError::Pem(_))), "{text:?}");
        }
        assert!(decode(block).is_ok());
    }
}
