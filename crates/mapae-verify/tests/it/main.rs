//! Tests of what `mapae-verify` offers, from outside.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bad_input;
mod cache;
mod claims;
mod cookbook;
mod interop;
mod key_files;
mod keys;
mod latchset;
mod policy;
mod private_keys;
mod properties;
mod revocations;
mod support;
mod wycheproof;
