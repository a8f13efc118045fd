//! Tests of what `mapae-verify` does over HTTP: real servers on this machine's loopback address.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod answers;
mod bad_sets;
mod claims;
mod feeds;
mod fetching;
mod issuer;
mod layers;
mod log;
mod openapi;
mod require;
mod revocations;
mod routes;
mod streams;
mod subjects;
mod support;
mod tls;
mod unavailable;
mod urls;
mod utoipa;
