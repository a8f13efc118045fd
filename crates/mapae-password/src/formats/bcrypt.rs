//! bcrypt: by itself (`$2b$12$salt and digest`), behind a name as Django writes it, and over a SHA-256 of the password,
//! in Django's way and in the two of passlib.
//!
//! bcrypt looks at 72 bytes only. A password longer than that is cut there when it is verified, as the libraries did
//! that made such hashes; NUL bytes are hashed like any other, as the Python package bcrypt does. Neither is written.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64ct::{Base64, Base64Bcrypt, Encoding};
use zeroize::Zeroizing;

use super::text::{bcrypt_base64, named_number, number, parts};
use super::{Digest, Hash, Scheme, Strength, zeros};
use crate::cost::BcryptCost;
use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

const MAX_PASSWORD_BYTES: usize = 72;
const DIGEST_BYTES: usize = 23;
/// One of the two to the power of the cost.
const NANOS_PER_ROUND: u64 = 70_000;

pub(crate) struct BcryptHash {
    form: Form,
    ident: Ident,
    cost: BcryptCost,
    salt: [u8; 16],
    digest: Digest,
}

/// What is hashed, and how the result is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The password itself.
    Plain,
    /// The password itself, behind `bcrypt$`.
    Django,
    /// The SHA-256 of the password in hexadecimal, behind `bcrypt_sha256$`.
    DjangoSha256,
    /// The SHA-256 of the password in base64.
    PasslibSha256V1,
    /// The HMAC-SHA256 of the password in base64, keyed with the salt as written.
    PasslibSha256V2,
}

/// The versions differ in bugs that no library here has had since 2014, so they are computed alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ident {
    TwoA,
    TwoB,
    TwoY,
}

impl Ident {
    const ALL: [Self; 3] = [Self::TwoA, Self::TwoB, Self::TwoY];

    const fn as_str(self) -> &'static str {
        match self {
            Self::TwoA => "2a",
            Self::TwoB => "2b",
            Self::TwoY => "2y",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ident| ident.as_str() == text)
    }
}

/// A whole bcrypt string behind Django's name for it.
pub(super) fn parse_behind(form: Form, text: &str) -> Option<Hash> {
    let (ident, rest) = text.strip_prefix('$')?.split_once('$')?;
    parse(form, Ident::parse(ident)?, rest)
}

/// What stands behind `$2b$`: `12$` and 53 letters.
pub(super) fn parse(form: Form, ident: Ident, rest: &str) -> Option<Hash> {
    let [cost, tail] = parts(rest, '$')?;
    if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (salt, digest) = tail.split_at_checked(22)?;
    build(form, ident, cost.parse().ok()?, salt, digest)
}

/// What stands behind `$bcrypt-sha256$`: `v=2,t=2b,r=12$salt$digest`, or `2b,12$salt$digest` in version 1.
pub(super) fn parse_passlib(rest: &str) -> Option<Hash> {
    let [params, salt, digest] = parts(rest, '$')?;
    let (form, ident, cost) = match params.strip_prefix("v=2,") {
        Some(params) => {
            let [ident, cost] = parts(params, ',')?;
            let ident = Ident::parse(ident.strip_prefix("t=")?)?;
            (Form::PasslibSha256V2, ident, named_number(cost, "r")?)
        }
        None => {
            let [ident, cost] = parts(params, ',')?;
            (Form::PasslibSha256V1, Ident::parse(ident)?, number(cost)?)
        }
    };
    build(form, ident, cost, salt, digest)
}

fn build(form: Form, ident: Ident, cost: u32, salt: &str, digest: &str) -> Option<Hash> {
    Some(Hash::Bcrypt(BcryptHash {
        form,
        ident,
        cost: BcryptCost::new(cost).ok()?,
        salt: bcrypt_base64(salt)?,
        digest: bcrypt_base64::<DIGEST_BYTES>(digest)?.into_iter().collect(),
    }))
}

pub(super) fn blank(context: &Context, form: Form, ident: Ident, salt: &[u8; 16]) -> Hash {
    Hash::Bcrypt(BcryptHash {
        form,
        ident,
        cost: context.costs.bcrypt.unwrap_or(BcryptCost::DEFAULT),
        salt: *salt,
        digest: zeros(DIGEST_BYTES),
    })
}

impl BcryptHash {
    fn salt_text(&self) -> String {
        Base64Bcrypt::encode_string(&self.salt)
    }

    /// What bcrypt gets to see of the password.
    fn input(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let sha256 = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes);
        Zeroizing::new(match self.form {
            Form::Plain | Form::Django => password[..password.len().min(MAX_PASSWORD_BYTES)].to_vec(),
            Form::DjangoSha256 => hex::encode(sha256(password)).into_bytes(),
            Form::PasslibSha256V1 => Base64::encode_string(sha256(password).as_ref()).into_bytes(),
            Form::PasslibSha256V2 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.salt_text().as_bytes());
                Base64::encode_string(hmac::sign(&key, password).as_ref()).into_bytes()
            }
        })
    }
}

impl Scheme for BcryptHash {
    fn format(&self) -> Format {
        match (self.form, self.ident) {
            (Form::Plain, Ident::TwoA) => Format::Bcrypt2a,
            (Form::Plain, Ident::TwoB) => Format::Bcrypt2b,
            (Form::Plain, Ident::TwoY) => Format::Bcrypt2y,
            (Form::Django, _) => Format::DjangoBcrypt,
            (Form::DjangoSha256, _) => Format::DjangoBcryptSha256,
            (Form::PasslibSha256V1, _) => Format::PasslibBcryptSha256V1,
            (Form::PasslibSha256V2, _) => Format::PasslibBcryptSha256,
        }
    }

    fn work(&self, _password_bytes: usize) -> Work {
        Work::steps(1 << self.cost.get(), NANOS_PER_ROUND)
    }

    fn derive(&self, password: &[u8], _workspace: &mut Workspace) -> Result<Digest, HashError> {
        let mut input = Zeroizing::new([0; MAX_PASSWORD_BYTES]);
        let password = self.input(password);
        input[..password.len()].copy_from_slice(&password);
        // The password is a C string: with its NUL, as far as that fits.
        let used = (password.len() + 1).min(MAX_PASSWORD_BYTES);
        let output = bcrypt::bcrypt(self.cost.get(), self.salt, &input[..used]);
        Ok(output[..DIGEST_BYTES].iter().copied().collect())
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }

    fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    fn strength(&self) -> Strength {
        [u64::from(self.cost.get()), 0, 0, 0, 0, 0]
    }

    fn check_writable(&self, password: &[u8]) -> Result<(), HashError> {
        if !matches!(self.form, Form::Plain | Form::Django) {
            return Ok(());
        }
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(HashError::PasswordTooLong { max_bytes: MAX_PASSWORD_BYTES });
        }
        if password.contains(&0) {
            return Err(HashError::PasswordHasNul);
        }
        Ok(())
    }
}

impl fmt::Display for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ident = self.ident.as_str();
        let cost = self.cost.get();
        let salt = self.salt_text();
        let digest = Base64Bcrypt::encode_string(&self.digest);
        match self.form {
            Form::Plain => write!(f, "${ident}${cost:02}${salt}{digest}"),
            Form::Django => write!(f, "bcrypt$${ident}${cost:02}${salt}{digest}"),
            Form::DjangoSha256 => write!(f, "bcrypt_sha256$${ident}${cost:02}${salt}{digest}"),
            Form::PasslibSha256V1 => write!(f, "$bcrypt-sha256${ident},{cost}${salt}${digest}"),
            Form::PasslibSha256V2 => {
                write!(f, "$bcrypt-sha256$v=2,t={ident},r={cost}${salt}${digest}")
            }
        }
    }
}
