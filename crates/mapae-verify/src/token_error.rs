//! Why a token is refused, where checking it may need keys from elsewhere.

use crate::VerifyError;

/// Why a token was not accepted by something that may have to fetch keys first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is not to be believed.
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// There is nothing to check it with: keys or revocations could not be fetched, or not for too long. Says nothing
    /// about the token.
    #[error("nothing to check tokens with")]
    Unavailable,
}
