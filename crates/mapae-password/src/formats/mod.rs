//! The schemes, one file for each family, behind one type.

mod argon2;
mod bcrypt;
pub(crate) mod firebase;
mod pbkdf2;
mod scrypt;
mod sha_crypt;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use ::argon2::Algorithm;
use arrayvec::ArrayVec;

use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

/// The longest text that is looked at; nothing that any library writes comes near.
const MAX_TEXT_BYTES: usize = 1024;

/// The result of a hash, of the scheme's own length.
pub(crate) type Digest = ArrayVec<u8, 128>;

fn zeros(length: usize) -> Digest {
    std::iter::repeat_n(0, length).collect()
}

/// What a scheme has to say. Parsing is apart: it does not allocate, so refusing costs nothing.
pub(crate) trait Scheme: fmt::Display {
    fn format(&self) -> Format;

    /// The estimated cost for a password of this many bytes, from the parameters alone.
    fn work(&self, password_bytes: usize) -> Work;

    /// Computes the digest of a password, in full and of the scheme's own length.
    fn derive(&self, password: &[u8], workspace: &mut Workspace) -> Result<Digest, HashError>;

    fn digest(&self) -> &[u8];

    fn set_digest(&mut self, digest: Digest);

    /// What makes a hash strong, in whatever order; one is weaker than another if any of these is less.
    fn strength(&self) -> Strength;

    /// Whether a new hash of this password may be written.
    fn check_writable(&self, _password: &[u8]) -> Result<(), HashError> {
        Ok(())
    }
}

pub(crate) type Strength = [u64; 6];

/// A stored hash, taken apart.
pub(crate) enum Hash {
    Argon2(argon2::Argon2Hash),
    Bcrypt(bcrypt::BcryptHash),
    Scrypt(scrypt::ScryptHash),
    Pbkdf2(pbkdf2::Pbkdf2Hash),
    ShaCrypt(sha_crypt::ShaCryptHash),
    Firebase(firebase::FirebaseHash),
}

impl Hash {
    pub(crate) fn scheme(&self) -> &dyn Scheme {
        match self {
            Self::Argon2(hash) => hash,
            Self::Bcrypt(hash) => hash,
            Self::Scrypt(hash) => hash,
            Self::Pbkdf2(hash) => hash,
            Self::ShaCrypt(hash) => hash,
            Self::Firebase(hash) => hash,
        }
    }

    pub(crate) fn scheme_mut(&mut self) -> &mut dyn Scheme {
        match self {
            Self::Argon2(hash) => hash,
            Self::Bcrypt(hash) => hash,
            Self::Scrypt(hash) => hash,
            Self::Pbkdf2(hash) => hash,
            Self::ShaCrypt(hash) => hash,
            Self::Firebase(hash) => hash,
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.scheme().format()
    }

    pub(crate) fn weaker_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.scheme().strength(), other.scheme().strength());
        mine.iter().zip(theirs).any(|(mine, theirs)| *mine < theirs)
    }
}

/// Takes the rest of a text apart, behind the prefix.
type Parser = fn(&str) -> Option<Hash>;

/// The prefix that names the scheme. None of them is the beginning of another.
const SCHEMES: &[(&str, Parser)] = &[
    ("$argon2id$", |rest| argon2::parse_phc(Algorithm::Argon2id, rest)),
    ("$argon2i$", |rest| argon2::parse_phc(Algorithm::Argon2i, rest)),
    ("$argon2d$", |rest| argon2::parse_phc(Algorithm::Argon2d, rest)),
    ("argon2$", argon2::parse_django),
    ("$2a$", |rest| bcrypt::parse(bcrypt::Form::Plain, bcrypt::Ident::TwoA, rest)),
    ("$2b$", |rest| bcrypt::parse(bcrypt::Form::Plain, bcrypt::Ident::TwoB, rest)),
    ("$2y$", |rest| bcrypt::parse(bcrypt::Form::Plain, bcrypt::Ident::TwoY, rest)),
    ("bcrypt$", |rest| bcrypt::parse_behind(bcrypt::Form::Django, rest)),
    ("bcrypt_sha256$", |rest| bcrypt::parse_behind(bcrypt::Form::DjangoSha256, rest)),
    ("$bcrypt-sha256$", bcrypt::parse_passlib),
    ("$scrypt$", scrypt::parse_phc),
    ("scrypt$", scrypt::parse_django),
    ("scrypt:", scrypt::parse_werkzeug),
    ("$pbkdf2$", |rest| pbkdf2::parse_passlib(pbkdf2::Prf::Sha1, rest)),
    ("$pbkdf2-sha1$", |rest| pbkdf2::parse_named(pbkdf2::Form::Phc, pbkdf2::Prf::Sha1, rest)),
    ("$pbkdf2-sha256$", |rest| pbkdf2::parse_dollar(pbkdf2::Prf::Sha256, rest)),
    ("$pbkdf2-sha512$", |rest| pbkdf2::parse_dollar(pbkdf2::Prf::Sha512, rest)),
    ("pbkdf2_sha1$", |rest| pbkdf2::parse_django(pbkdf2::Prf::Sha1, rest)),
    ("pbkdf2_sha256$", |rest| pbkdf2::parse_django(pbkdf2::Prf::Sha256, rest)),
    ("pbkdf2:", pbkdf2::parse_werkzeug),
    ("$keycloak-pbkdf2$", |rest| pbkdf2::parse_named(pbkdf2::Form::Keycloak, pbkdf2::Prf::Sha1, rest)),
    ("$keycloak-pbkdf2-sha256$", |rest| pbkdf2::parse_named(pbkdf2::Form::Keycloak, pbkdf2::Prf::Sha256, rest)),
    ("$keycloak-pbkdf2-sha512$", |rest| pbkdf2::parse_named(pbkdf2::Form::Keycloak, pbkdf2::Prf::Sha512, rest)),
    ("$5$", |rest| sha_crypt::parse(sha_crypt::Variant::Sha256, rest)),
    ("$6$", |rest| sha_crypt::parse(sha_crypt::Variant::Sha512, rest)),
    ("$fbscrypt$", firebase::parse),
];

/// Takes a stored hash apart.
pub(crate) fn parse(text: &str) -> Result<Hash, HashError> {
    let (rest, parser) = SCHEMES
        .iter()
        .find_map(|(prefix, parser)| Some((text.strip_prefix(prefix)?, parser)))
        .ok_or(HashError::UnknownScheme)?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(HashError::Malformed);
    }
    parser(rest).ok_or(HashError::Malformed)
}

/// A new hash in the format to write, with a digest of zeros.
pub(crate) fn blank(context: &Context, salt: &[u8; 16]) -> Hash {
    use bcrypt::{Form as Bcrypt, Ident};
    use pbkdf2::{Form as Pbkdf2, Prf};
    use sha_crypt::Variant;

    match context.write {
        Format::Argon2id => argon2::blank(context, Algorithm::Argon2id, salt),
        Format::Argon2i => argon2::blank(context, Algorithm::Argon2i, salt),
        Format::Argon2d => argon2::blank(context, Algorithm::Argon2d, salt),
        Format::DjangoArgon2 => argon2::blank_django(context, salt),
        Format::Bcrypt2a => bcrypt::blank(context, Bcrypt::Plain, Ident::TwoA, salt),
        Format::Bcrypt2b => bcrypt::blank(context, Bcrypt::Plain, Ident::TwoB, salt),
        Format::Bcrypt2y => bcrypt::blank(context, Bcrypt::Plain, Ident::TwoY, salt),
        Format::DjangoBcrypt => bcrypt::blank(context, Bcrypt::Django, Ident::TwoB, salt),
        Format::DjangoBcryptSha256 => bcrypt::blank(context, Bcrypt::DjangoSha256, Ident::TwoB, salt),
        Format::PasslibBcryptSha256 => bcrypt::blank(context, Bcrypt::PasslibSha256V2, Ident::TwoB, salt),
        Format::PasslibBcryptSha256V1 => bcrypt::blank(context, Bcrypt::PasslibSha256V1, Ident::TwoB, salt),
        format @ (Format::Scrypt | Format::DjangoScrypt | Format::WerkzeugScrypt) => {
            scrypt::blank(context, format, salt)
        }
        Format::Pbkdf2Sha1 => pbkdf2::blank(context, Pbkdf2::Phc, Prf::Sha1, salt),
        Format::Pbkdf2Sha256 => pbkdf2::blank(context, Pbkdf2::Phc, Prf::Sha256, salt),
        Format::Pbkdf2Sha512 => pbkdf2::blank(context, Pbkdf2::Phc, Prf::Sha512, salt),
        Format::PasslibPbkdf2Sha1 => pbkdf2::blank(context, Pbkdf2::Passlib, Prf::Sha1, salt),
        Format::PasslibPbkdf2Sha256 => pbkdf2::blank(context, Pbkdf2::Passlib, Prf::Sha256, salt),
        Format::PasslibPbkdf2Sha512 => pbkdf2::blank(context, Pbkdf2::Passlib, Prf::Sha512, salt),
        Format::DjangoPbkdf2Sha1 => pbkdf2::blank(context, Pbkdf2::Django, Prf::Sha1, salt),
        Format::DjangoPbkdf2Sha256 => pbkdf2::blank(context, Pbkdf2::Django, Prf::Sha256, salt),
        Format::WerkzeugPbkdf2Sha1 => pbkdf2::blank(context, Pbkdf2::Werkzeug, Prf::Sha1, salt),
        Format::WerkzeugPbkdf2Sha256 => pbkdf2::blank(context, Pbkdf2::Werkzeug, Prf::Sha256, salt),
        Format::WerkzeugPbkdf2Sha512 => pbkdf2::blank(context, Pbkdf2::Werkzeug, Prf::Sha512, salt),
        Format::KeycloakPbkdf2Sha1 => pbkdf2::blank(context, Pbkdf2::Keycloak, Prf::Sha1, salt),
        Format::KeycloakPbkdf2Sha256 => pbkdf2::blank(context, Pbkdf2::Keycloak, Prf::Sha256, salt),
        Format::KeycloakPbkdf2Sha512 => pbkdf2::blank(context, Pbkdf2::Keycloak, Prf::Sha512, salt),
        Format::Sha256Crypt => sha_crypt::blank(context, Variant::Sha256, salt),
        Format::Sha512Crypt => sha_crypt::blank(context, Variant::Sha512, salt),
        Format::FirebaseScrypt => firebase::blank(context, salt),
    }
}
