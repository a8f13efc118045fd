//! What a resource server needs of an issuer, over HTTP (feature `remote`): its public keys (a JWK Set, RFC 7517 §5)
//! and its feed of [revocations](crate::revocations), both kept up to date in the background.
//!
//! ```no_run
//! use mapae_verify::remote::RemoteVerifier;
//!
//! # async fn start(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = RemoteVerifier::builder("https://auth.example").audience("https://api.example").start()?;
//! let claims = verifier.verify(token).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Another issuer, without such a feed, or with other rules for its tokens, is told to [`RemoteKeys`]:
//!
//! ```no_run
//! use mapae_verify::VerifierBuilder;
//! use mapae_verify::remote::{RemoteKeys, RemoteVerifier};
//!
//! # async fn start(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = RemoteKeys::start("https://auth.example/.well-known/jwks.json")?;
//! let verifier: RemoteVerifier =
//!     keys.verifier(|keys| VerifierBuilder::rfc9068(keys, "https://auth.example", "https://api.example"));
//! let claims = verifier.verify(token).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - Keys are fetched at once and then anew every few minutes, as the answer's `Cache-Control: max-age` says; so a key
//!   that the issuer withdraws stops counting here too.
//! - A token with an unknown `kid` makes them be fetched at once, but only once in ten seconds, however many such
//!   tokens come; all of them wait for the same fetch.
//! - When the issuer cannot be reached, or answers anything but a sound set, the keys are kept for up to
//!   [`KEPT`] seconds. After that no token is believed ([`TokenError::Unavailable`](crate::TokenError::Unavailable))
//!   until it answers again.
//! - The feed of revocations is asked for every 5 s, and costs a few bytes when nothing has changed (`ETag`). When it
//!   cannot be fetched, the last one counts for 5 minutes; after that no token is believed, or every good one, as
//!   [`FailureMode`] says. A key that it revokes does not count, whatever the JWK Set says.
//! - Only `https`, or `http` to this machine; redirects are not followed; size and time of an answer are bounded; keys
//!   that cannot be used are skipped and named in the log; a shared secret is never taken from a URL.

mod builder;
mod connection;
mod fetch;
mod issuer;
mod keys;
mod poll;
mod revocations;
mod schedule;
mod shared;
mod task;
mod verifier;

pub use builder::RemoteKeysBuilder;
pub use connection::RemoteError;
pub use fetch::FetchError;
pub use issuer::RemoteVerifierBuilder;
pub use keys::RemoteKeys;
pub use poll::FeedKeys;
pub use revocations::{FailureMode, RemoteRevocations, RemoteRevocationsBuilder};
pub use verifier::RemoteVerifier;

/// How long keys are kept while they cannot be fetched anew, in seconds.
pub const KEPT: u32 = 24 * 60 * 60;
