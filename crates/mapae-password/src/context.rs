//! Which formats are written, accepted and replaced.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::formats::{self, Hash};
use crate::limits::Work;
use crate::pepper::{self, PepperId, Peppers};
use crate::{Argon2Params, Costs, Format, FormatSet, HashError, HashText, Limits, Password, Workspace};

/// What to do with password hashes: the format for new ones, those accepted, those to be replaced, and what any may cost.
///
/// [`Context::default`] writes Argon2id, accepts everything, and wants everything else than Argon2id replaced.
#[derive(Clone, Debug)]
pub struct Context {
    /// The format of new hashes. It is always accepted, whatever `accepted` says.
    pub write: Format,
    /// The cost of new Argon2 hashes, in whichever format.
    pub argon2: Argon2Params,
    /// The cost of new hashes in the other formats.
    pub costs: Costs,
    /// The formats that are verified; a hash of any other is refused.
    pub accepted: FormatSet,
    /// Accepted formats whose hashes should be replaced when their password is at hand. `write` is never among them.
    pub deprecated: FormatSet,
    /// What one hash may cost, stored or new.
    pub limits: Limits,
    /// Keys that passwords are HMACed with before they are hashed. Another application that shares the table cannot
    /// verify such hashes.
    pub peppers: Peppers,
}

impl Default for Context {
    fn default() -> Self {
        Self::writing(Format::Argon2id)
    }
}

impl Context {
    /// Writes this format at its default cost, accepts everything, and wants everything else replaced.
    pub fn writing(write: Format) -> Self {
        Self {
            write,
            argon2: Argon2Params::default(),
            costs: Costs::default(),
            accepted: FormatSet::all(),
            deprecated: FormatSet::all().without(write),
            limits: Limits::default(),
            peppers: Peppers::default(),
        }
    }
}

/// What verifying found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The password is the one that was hashed.
    pub matches: bool,
    /// The stored hash is of a deprecated format, weaker than a new one, or made with another pepper (or none where
    /// there is one now). Worth acting on only if `matches`.
    pub needs_rehash: bool,
}

/// A stored text, taken apart.
struct Stored {
    pepper: Option<PepperId>,
    hash: Hash,
}

/// Hashes of one class take the same time: one format, with one set of costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CostClass {
    format: Format,
    work: Work,
}

impl Context {
    /// Hashes a password for storing, as typed. The salt must be random, and new for each hash.
    ///
    /// # Errors
    /// [`HashError::TooExpensive`] if the configured cost is over the configured limits; [`HashError::PasswordTooLong`]
    /// and [`HashError::PasswordHasNul`] where the format cannot hold such a password; [`HashError::NoSignerKey`];
    /// [`HashError::OutOfMemory`].
    pub fn hash(&self, password: &Password, salt: &[u8; 16], workspace: &mut Workspace) -> Result<HashText, HashError> {
        let pepper = self.peppers.current_id();
        let password = self.peppers.apply(pepper, password)?;
        let mut hash = self.blank(salt);
        hash.scheme().check_writable(password.as_bytes())?;
        self.limits.check(hash.scheme().work(password.as_bytes().len()))?;
        let digest = hash.scheme().derive(password.as_bytes(), workspace)?;
        hash.scheme_mut().set_digest(digest);
        Ok(pepper::join(pepper, hash.scheme()))
    }

    /// The longest password that [`Context::hash`] takes, in bytes; `None` if any that [`Password`] holds. With a
    /// pepper no format has a limit of its own.
    pub fn max_password_bytes(&self) -> Option<usize> {
        self.write.max_password_bytes().filter(|_| self.peppers.current.is_none())
    }

    /// Whether the password is the one that was hashed, and whether the hash should be replaced.
    ///
    /// The password is tried as typed and then, only if that is another text, in Unicode normalization form C: people
    /// type the same password on keyboards that compose letters differently. [`Context::verify_as_typed`] does not.
    ///
    /// # Errors
    /// The stored text is refused, without any work, if it is malformed, of an unknown or not accepted scheme, or would
    /// cost more than the limits; see [`HashError`].
    pub fn verify(
        &self,
        stored: &HashText,
        password: &Password,
        workspace: &mut Workspace,
    ) -> Result<Verification, HashError> {
        self.verify_prehashed(stored, password, workspace, Password::clone)
    }

    /// As [`Context::verify`], where something else than the password itself was hashed: `prehash` makes that from each
    /// form of the password that is tried.
    ///
    /// # Errors
    /// As [`Context::verify`].
    pub fn verify_prehashed(
        &self,
        stored: &HashText,
        password: &Password,
        workspace: &mut Workspace,
        prehash: impl Fn(&Password) -> Password,
    ) -> Result<Verification, HashError> {
        let hash = self.parse(stored)?;
        let seen = self.verify_one_form(&hash, &prehash(password), workspace)?;
        match password.to_nfc() {
            Some(normalized) if !seen.matches => self.verify_one_form(&hash, &prehash(&normalized), workspace),
            _ => Ok(seen),
        }
    }

    /// As [`Context::verify`], but only of the bytes given: the answer that the library gives which made the hash.
    ///
    /// # Errors
    /// As [`Context::verify`].
    pub fn verify_as_typed(
        &self,
        stored: &HashText,
        password: &Password,
        workspace: &mut Workspace,
    ) -> Result<Verification, HashError> {
        self.verify_one_form(&self.parse(stored)?, password, workspace)
    }

    /// Whether the stored text is a hash that [`Context::verify`] would compute, and of which format.
    ///
    /// # Errors
    /// As [`Context::verify`].
    pub fn examine(&self, stored: &HashText) -> Result<Format, HashError> {
        let Stored { hash, .. } = self.parse(stored)?;
        self.limits.check(hash.scheme().work(TYPICAL_PASSWORD_BYTES))?;
        Ok(hash.format())
    }

    /// What verifying this stored hash takes, to be compared with others.
    ///
    /// # Errors
    /// As [`Context::verify`].
    pub fn cost_class(&self, stored: &HashText) -> Result<CostClass, HashError> {
        let Stored { hash, .. } = self.parse(stored)?;
        let work = hash.scheme().work(TYPICAL_PASSWORD_BYTES);
        self.limits.check(work)?;
        Ok(CostClass { format: hash.format(), work })
    }

    /// A well-formed hash of what a new one costs, which no password matches: verified for unknown names, so that they
    /// take as long as known ones.
    pub fn dummy(&self) -> HashText {
        // A digest of zeros; finding a password for it is as hard as inverting the hash.
        pepper::join(self.peppers.current_id(), self.blank(&[0; 16]).scheme())
    }

    fn parse(&self, stored: &HashText) -> Result<Stored, HashError> {
        let (pepper, text) = pepper::split(stored.as_str())?;
        let hash = formats::parse(text)?;
        let format = hash.format();
        if format != self.write && !self.accepted.contains(format) {
            return Err(HashError::NotAccepted);
        }
        if let Some(id) = pepper {
            self.peppers.get(id)?;
        }
        Ok(Stored { pepper, hash })
    }

    fn verify_one_form(
        &self,
        stored: &Stored,
        password: &Password,
        workspace: &mut Workspace,
    ) -> Result<Verification, HashError> {
        let scheme = stored.hash.scheme();
        let password = self.peppers.apply(stored.pepper, password)?;
        self.limits.check(scheme.work(password.as_bytes().len()))?;
        let digest = scheme.derive(password.as_bytes(), workspace)?;
        Ok(Verification {
            matches: verify_slices_are_equal(&digest, scheme.digest()).is_ok(),
            needs_rehash: self.wants_rehash(stored),
        })
    }

    fn wants_rehash(&self, Stored { pepper, hash }: &Stored) -> bool {
        if *pepper != self.peppers.current_id() {
            return true;
        }
        if hash.format() == self.write {
            hash.weaker_than(&self.blank(&[0; 16]))
        } else {
            self.deprecated.contains(hash.format())
        }
    }

    /// A new hash with everything but the digest.
    fn blank(&self, salt: &[u8; 16]) -> Hash {
        formats::blank(self, salt)
    }
}

/// For estimates where no password is at hand; only the cost of SHA-crypt depends on it.
const TYPICAL_PASSWORD_BYTES: usize = 16;
