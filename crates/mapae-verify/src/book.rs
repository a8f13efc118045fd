//! The book's chapter on verifying, compiled as documentation tests.

#[doc = include_str!("../../../docs/verify.md")]
#[expect(dead_code, reason = "a place for documentation tests")]
struct Verify;
