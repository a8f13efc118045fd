//! Importing users of Keycloak.
//!
//! Keycloak keeps a password in two pieces of JSON, `credentialData` and `secretData`. As one text, PBKDF2 becomes
//! `$keycloak-pbkdf2-sha256$i=ROUNDS,l=LENGTH$SALT$VALUE` (`$keycloak-pbkdf2$` with SHA-1, `$keycloak-pbkdf2-sha512$`),
//! where LENGTH counts the bytes of the value and salt and value are in base64 without padding; Argon2 becomes a PHC
//! string, `$argon2id$v=19$m=7168,t=5,p=1$SALT$VALUE`.

use crate::{HashError, HashText, formats};

/// A password credential as Keycloak exports it.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// `credentialData.algorithm`: `pbkdf2`, `pbkdf2-sha256`, `pbkdf2-sha512` or `argon2`.
    pub algorithm: &'a str,
    /// `credentialData.hashIterations`.
    pub hash_iterations: u64,
    /// `credentialData.additionalParameters`, each with its first value; Argon2's are `type`, `version`, `memory` and
    /// `parallelism`.
    pub additional_parameters: &'a [(&'a str, &'a str)],
    /// `secretData.salt`, in base64.
    pub salt: &'a str,
    /// `secretData.value`, in base64.
    pub value: &'a str,
}

impl Credential<'_> {
    /// The credential as one text.
    ///
    /// # Errors
    /// [`HashError::UnknownScheme`] for another algorithm, [`HashError::Malformed`] if the parts do not make a hash.
    pub fn to_hash_text(&self) -> Result<HashText, HashError> {
        let text = match self.algorithm {
            "pbkdf2" | "pbkdf2-sha256" | "pbkdf2-sha512" => self.pbkdf2(),
            "argon2" => self.argon2()?,
            _ => return Err(HashError::UnknownScheme),
        };
        let hash = formats::parse(&text)?;
        Ok(HashText::new(hash.scheme().to_string()))
    }

    fn pbkdf2(&self) -> String {
        let (salt, value) = (unpadded(self.salt), unpadded(self.value));
        let length = value.len() * 3 / 4;
        let (algorithm, rounds) = (self.algorithm, self.hash_iterations);
        format!("$keycloak-{algorithm}$i={rounds},l={length}${salt}${value}")
    }

    fn argon2(&self) -> Result<String, HashError> {
        let kind = self.additional("type")?;
        let version = match self.additional("version")? {
            "1.0" => 16,
            "1.3" => 19,
            _ => return Err(HashError::Malformed),
        };
        let (memory, lanes) = (self.additional("memory")?, self.additional("parallelism")?);
        let (passes, salt, value) = (self.hash_iterations, unpadded(self.salt), unpadded(self.value));
        Ok(format!("$argon2{kind}$v={version}$m={memory},t={passes},p={lanes}${salt}${value}"))
    }

    fn additional(&self, name: &str) -> Result<&str, HashError> {
        self.additional_parameters
            .iter()
            .find_map(|(known, value)| (*known == name).then_some(*value))
            .ok_or(HashError::Malformed)
    }
}

/// Not printed: it holds a hash.
impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("algorithm", &self.algorithm)
            .field("hash_iterations", &self.hash_iterations)
            .finish_non_exhaustive()
    }
}

fn unpadded(base64: &str) -> &str {
    base64.trim_end_matches('=')
}
