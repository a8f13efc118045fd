//! `mapae secret …`

use base64_simd::URL_SAFE_NO_PAD;
use mapae::domain::{Rng, SystemRng};
use zeroize::Zeroizing;

use super::{Failure, print};

/// Prints a key of 256 random bits as 43 characters that need no quoting anywhere.
pub(super) fn generate() -> Result<(), Failure> {
    let mut key = Zeroizing::new([0; 32]);
    SystemRng.fill(key.as_mut());
    let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(key.as_ref()));
    text.push('\n');
    print(&text)
}
