//! Strict base64url without padding (RFC 7515 §2): no other characters, no stray bits in the last one.

use std::mem::MaybeUninit;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

/// Where decoded bytes go: on the stack while they fit into `N`, else on the heap.
pub(crate) struct Buffer<const N: usize> {
    stack: [MaybeUninit<u8>; N],
    heap: Vec<u8>,
}

impl<const N: usize> Buffer<N> {
    pub(crate) const fn new() -> Self {
        Self { stack: [const { MaybeUninit::uninit() }; N], heap: Vec::new() }
    }

    /// The decoded bytes; `None` when the text is not strict base64url.
    pub(crate) fn decode(&mut self, text: &[u8]) -> Option<&[u8]> {
        if URL_SAFE_NO_PAD.estimated_decoded_length(text.len()) <= N {
            URL_SAFE_NO_PAD.decode(text, self.stack.as_mut_slice().as_out()).ok().map(|bytes| &*bytes)
        } else {
            self.heap = decode(text)?;
            Some(&self.heap)
        }
    }
}

/// The decoded bytes; `None` when the text is not strict base64url.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(crate) fn encode_append(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    fn is_strict(text: &[u8]) -> bool {
        let value = |byte: u8| ALPHABET.iter().position(|&c| c == byte);
        let Some(values) = text.iter().map(|&byte| value(byte)).collect::<Option<Vec<_>>>() else {
            return false;
        };
        match (values.len() % 4, values.last()) {
            (0, _) => true,
            (2, Some(last)) => last & 0x0f == 0,
            (3, Some(last)) => last & 0x03 == 0,
            _ => false,
        }
    }

    /// Every byte at every place of texts that reach each of the library's code paths.
    #[test]
    fn only_strict_base64url_is_read() {
        for length in (0..80).chain([127, 128, 129, 1000, 1001, 1002, 1003]) {
            let text = vec![b'A'; length];
            assert_eq!(decode(&text).is_some(), is_strict(&text), "length {length}");
            for place in 0..length {
                if length > 200 && place % 61 != 0 && place + 4 < length {
                    continue;
                }
                for byte in 0..=255 {
                    let mut text = text.clone();
                    text[place] = byte;
                    let expected = is_strict(&text);
                    assert_eq!(decode(&text).is_some(), expected, "byte {byte} at {place} of {length}");
                    assert_eq!(
                        Buffer::<64>::new().decode(&text).is_some(),
                        expected,
                        "byte {byte} at {place} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn stack_and_heap_agree() {
        for length in 0..200_usize {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let text = encode(&bytes);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(&bytes[..]));
            assert_eq!(Buffer::<100>::new().decode(text.as_bytes()), Some(&bytes[..]));
        }
    }
}
