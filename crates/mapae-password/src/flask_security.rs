//! Users of Flask-Security: it does not hash the password itself but an HMAC of it.

use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};

use crate::{Context, HashError, HashText, Password, Verification, Workspace};

/// What Flask-Security hashes instead of the password, `base64(HMAC-SHA512(key, password))`: 88 letters. The key is its
/// setting `SECURITY_PASSWORD_SALT`.
pub fn prehash(password: &Password, key: &[u8]) -> Password {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    let tag = hmac::sign(&key, password.as_bytes());
    Password::from_derived(Base64::encode_string(tag.as_ref()))
}

/// As [`Context::verify`], for a hash that Flask-Security made.
///
/// # Errors
/// As [`Context::verify`].
pub fn verify(
    context: &Context,
    stored: &HashText,
    password: &Password,
    key: &[u8],
    workspace: &mut Workspace,
) -> Result<Verification, HashError> {
    context.verify_prehashed(stored, password, workspace, |form| prehash(form, key))
}

/// As [`Context::hash`], for Flask-Security to read.
///
/// bcrypt gets the first 72 of the 88 letters, which is what it sees at Flask-Security too. Unlike with a password,
/// nothing is lost by that: they hold 432 bits.
///
/// # Errors
/// As [`Context::hash`].
pub fn hash(
    context: &Context,
    password: &Password,
    key: &[u8],
    salt: &[u8; 16],
    workspace: &mut Workspace,
) -> Result<HashText, HashError> {
    let whole = prehash(password, key);
    let seen = match context.max_password_bytes() {
        Some(most) => Password::from_derived(whole.as_str().chars().take(most).collect()),
        None => whole,
    };
    context.hash(&seen, salt, workspace)
}
