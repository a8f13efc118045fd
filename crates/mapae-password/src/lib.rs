//! Password hashes of every ecosystem: parse, verify and write them, with limits on what a stored hash may cost.
//!
//! This crate does no I/O, starts no threads and asks for neither time nor randomness: salts are passed in. Hashing is
//! slow on purpose; run it where it blocks nobody.
//!
//! ```
//! use mapae_password::{Context, HashText, Password, Workspace};
//!
//! let context = Context::default();
//! let mut workspace = Workspace::new();
//! let salt = [7; 16]; // 16 random bytes in earnest
//! let stored = context.hash(&Password::new("correct horse")?, &salt, &mut workspace)?;
//! assert!(context.verify(&stored, &Password::new("correct horse")?, &mut workspace)?.matches);
//!
//! let elsewhere = HashText::new("$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu");
//! let seen = context.verify(&elsewhere, &Password::new("secret")?, &mut workspace)?;
//! assert!(seen.matches && seen.needs_rehash);
//! # Ok::<(), mapae_password::HashError>(())
//! ```

mod context;
mod cost;
mod error;
pub mod flask_security;
mod format;
mod formats;
pub mod keycloak;
mod large_pages;
mod limits;
mod pepper;
pub mod policy;
mod secret;
mod workspace;

/// Importing users of Firebase.
pub mod firebase {
    pub use crate::formats::firebase::FirebaseParams;
}

pub use context::{Context, CostClass, Verification};
pub use cost::{Argon2Params, BcryptCost, Costs, Pbkdf2Rounds, ScryptCost, ShaCryptRounds};
pub use error::{HashError, InvalidCost};
pub use format::{Format, FormatSet, UnknownFormat};
pub use limits::Limits;
pub use pepper::{Pepper, PepperId, PepperTooShort, Peppers};
pub use secret::{HashText, Password};
pub use workspace::Workspace;
