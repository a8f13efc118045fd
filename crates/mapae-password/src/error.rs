//! Why a hash could not be verified or written.

use std::fmt;

use crate::PepperId;

/// Why a password could not be hashed or compared.
///
/// None of these says anything about whether the password was right, and none holds any part of a password or hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// The text names a scheme, but is no well-formed hash of it.
    Malformed,
    /// The text belongs to no scheme that is known here.
    UnknownScheme,
    /// The scheme is known, but the context does not accept it.
    NotAccepted,
    /// The text names a pepper that the context does not have.
    UnknownPepper {
        /// The name, which is no secret.
        id: PepperId,
    },
    /// Computing this hash would exceed the limits in memory or time.
    TooExpensive,
    /// The password is longer than is allowed, or than the format to write can hold.
    PasswordTooLong {
        /// The most bytes of UTF-8 that are allowed.
        max_bytes: usize,
    },
    /// The format to write cannot hold a password with a NUL byte in it.
    PasswordHasNul,
    /// Firebase's format is to be written, and the project's parameters are not configured.
    NoSignerKey,
    /// The system did not give the memory that the hash needs.
    OutOfMemory,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the stored password hash is malformed"),
            Self::UnknownScheme => f.write_str("the stored password hash is of no known scheme"),
            Self::NotAccepted => f.write_str("the stored password hash is of a scheme that is not accepted"),
            Self::UnknownPepper { id } => {
                write!(f, "the stored password hash needs the pepper {id}, which is not configured")
            }
            Self::TooExpensive => f.write_str("the password hash would cost more than the limits"),
            Self::PasswordTooLong { max_bytes } => {
                write!(f, "the password is longer than {max_bytes} bytes")
            }
            Self::PasswordHasNul => f.write_str("the password holds a NUL byte"),
            Self::NoSignerKey => f.write_str("the parameters of the Firebase project are missing"),
            Self::OutOfMemory => f.write_str("not enough memory for the password hash"),
        }
    }
}

impl std::error::Error for HashError {}

/// A cost outside what its scheme allows; the text says which and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCost(pub(crate) &'static str);

impl fmt::Display for InvalidCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidCost {}
