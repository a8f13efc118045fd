//! The formats of stored hashes.

use std::fmt;
use std::str::FromStr;

macro_rules! formats {
    ($($variant:ident, $name:literal, $made_by:literal, $shape:literal;)*) => {
        /// One way of writing a password hash down. Each can be verified and written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Format {
            $(
                #[doc = concat!($made_by, ": `", $shape, "`.")]
                $variant,
            )*
        }

        impl Format {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in settings and on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The libraries that write this format.
            pub const fn made_by(self) -> &'static str {
                match self {
                    $(Self::$variant => $made_by,)*
                }
            }

            /// What a hash looks like.
            pub const fn shape(self) -> &'static str {
                match self {
                    $(Self::$variant => $shape,)*
                }
            }
        }
    };
}

formats! {
    Argon2id, "argon2id", "argon2-cffi, pwdlib, passlib", "$argon2id$v=19$m=19456,t=2,p=1$salt$tag";
    Argon2i, "argon2i", "argon2-cffi, passlib", "$argon2i$v=19$m=19456,t=2,p=1$salt$tag";
    Argon2d, "argon2d", "argon2-cffi, passlib", "$argon2d$v=19$m=19456,t=2,p=1$salt$tag";
    Bcrypt2a, "bcrypt-2a", "bcrypt, passlib", "$2a$12$salt and digest";
    Bcrypt2b, "bcrypt-2b", "bcrypt, pwdlib, passlib", "$2b$12$salt and digest";
    Bcrypt2y, "bcrypt-2y", "PHP, crypt_blowfish", "$2y$12$salt and digest";
    Scrypt, "scrypt", "passlib, PHC libraries", "$scrypt$ln=16,r=8,p=2$salt$digest";
    Pbkdf2Sha1, "pbkdf2-sha1", "PHC libraries", "$pbkdf2-sha1$i=1300000,l=20$salt$digest";
    Pbkdf2Sha256, "pbkdf2-sha256", "PHC libraries", "$pbkdf2-sha256$i=600000,l=32$salt$digest";
    Pbkdf2Sha512, "pbkdf2-sha512", "PHC libraries", "$pbkdf2-sha512$i=210000,l=64$salt$digest";
    PasslibPbkdf2Sha1, "passlib-pbkdf2-sha1", "passlib", "$pbkdf2$1300000$salt$digest";
    PasslibPbkdf2Sha256, "passlib-pbkdf2-sha256", "passlib", "$pbkdf2-sha256$600000$salt$digest";
    PasslibPbkdf2Sha512, "passlib-pbkdf2-sha512", "passlib", "$pbkdf2-sha512$210000$salt$digest";
    PasslibBcryptSha256, "passlib-bcrypt-sha256", "passlib 1.7.3 and later", "$bcrypt-sha256$v=2,t=2b,r=12$salt$digest";
    PasslibBcryptSha256V1, "passlib-bcrypt-sha256-v1", "passlib before 1.7.3", "$bcrypt-sha256$2b,12$salt$digest";
    Sha256Crypt, "sha256-crypt", "passlib, crypt(3)", "$5$rounds=535000$salt$digest";
    Sha512Crypt, "sha512-crypt", "passlib, crypt(3)", "$6$rounds=656000$salt$digest";
    DjangoPbkdf2Sha1, "django-pbkdf2-sha1", "Django", "pbkdf2_sha1$1000000$salt$digest";
    DjangoPbkdf2Sha256, "django-pbkdf2-sha256", "Django", "pbkdf2_sha256$1000000$salt$digest";
    DjangoArgon2, "django-argon2", "Django", "argon2$argon2id$v=19$m=19456,t=2,p=1$salt$tag";
    DjangoBcrypt, "django-bcrypt", "Django", "bcrypt$$2b$12$salt and digest";
    DjangoBcryptSha256, "django-bcrypt-sha256", "Django", "bcrypt_sha256$$2b$12$salt and digest";
    DjangoScrypt, "django-scrypt", "Django", "scrypt$16384$salt$8$5$digest";
    WerkzeugPbkdf2Sha1, "werkzeug-pbkdf2-sha1", "Werkzeug", "pbkdf2:sha1:1000000$salt$digest";
    WerkzeugPbkdf2Sha256, "werkzeug-pbkdf2-sha256", "Werkzeug", "pbkdf2:sha256:1000000$salt$digest";
    WerkzeugPbkdf2Sha512, "werkzeug-pbkdf2-sha512", "Werkzeug", "pbkdf2:sha512:1000000$salt$digest";
    WerkzeugScrypt, "werkzeug-scrypt", "Werkzeug", "scrypt:32768:8:1$salt$digest";
    FirebaseScrypt, "firebase-scrypt", "Firebase, in the encoding of GoTrue", "$fbscrypt$v=1,n=14,r=8,p=1,ss=separator,sk=signer key$salt$digest";
    KeycloakPbkdf2Sha1, "keycloak-pbkdf2-sha1", "Keycloak, in our encoding", "$keycloak-pbkdf2$i=1300000,l=64$salt$digest";
    KeycloakPbkdf2Sha256, "keycloak-pbkdf2-sha256", "Keycloak, in our encoding", "$keycloak-pbkdf2-sha256$i=600000,l=64$salt$digest";
    KeycloakPbkdf2Sha512, "keycloak-pbkdf2-sha512", "Keycloak, in our encoding", "$keycloak-pbkdf2-sha512$i=210000,l=64$salt$digest";
}

impl Format {
    /// All formats, the recommended one first.
    pub const fn all() -> &'static [Self] {
        Self::ALL
    }

    /// The longest password that can be written in this format, in bytes; `None` if any that [`crate::Password`] holds.
    pub const fn max_password_bytes(self) -> Option<usize> {
        match self {
            Self::Bcrypt2a | Self::Bcrypt2b | Self::Bcrypt2y | Self::DjangoBcrypt => Some(72),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::all().iter().copied().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// No format has this name; [`Format::all`] has those that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such password hash format")
    }
}

impl std::error::Error for UnknownFormat {}

/// A set of formats.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FormatSet(u64);

// One bit for each format.
const _: () = assert!(Format::ALL.len() <= u64::BITS as usize);

impl FormatSet {
    /// No format.
    pub const EMPTY: Self = Self(0);

    /// Every format.
    pub fn all() -> Self {
        Format::all().iter().copied().collect()
    }

    /// Whether the format is in the set.
    pub const fn contains(self, format: Format) -> bool {
        self.0 & Self::bit(format) != 0
    }

    /// The set with this format too.
    #[must_use]
    pub const fn with(self, format: Format) -> Self {
        Self(self.0 | Self::bit(format))
    }

    /// The set without this format.
    #[must_use]
    pub const fn without(self, format: Format) -> Self {
        Self(self.0 & !Self::bit(format))
    }

    /// The formats in the set, in the order of [`Format::all`].
    pub fn iter(self) -> impl Iterator<Item = Format> {
        Format::all().iter().copied().filter(move |format| self.contains(*format))
    }

    const fn bit(format: Format) -> u64 {
        1 << (format as u64)
    }
}

impl FromIterator<Format> for FormatSet {
    fn from_iter<I: IntoIterator<Item = Format>>(formats: I) -> Self {
        formats.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for FormatSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
