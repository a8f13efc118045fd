//! The settings of password hashes and of rules for new passwords.

use std::num::NonZeroUsize;

use mapae::domain::SecretText;
use mapae::service::BreachedPasswordFile;
use mapae_password::{Argon2Params, Pepper, Peppers};

use super::super::value::Value;
use super::users::HMAC_KEY;
use super::{Checker, SECRETS_APART};

impl Checker<'_> {
    pub(super) fn hash_threads(&mut self) -> NonZeroUsize {
        if let Some(threads) = NonZeroUsize::new(self.number("hash_threads")) {
            return threads;
        }
        // Cores that cannot be counted are taken for one.
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        if !self.get("hash_threads").is_given() {
            self.set("hash_threads", Value::Integer(cores.get() as u64));
        }
        cores
    }

    pub(super) fn argon2(&mut self) -> Argon2Params {
        let memory_kib: u32 = self.number("argon2_memory_kib");
        let params = Argon2Params::new(memory_kib, self.number("argon2_iterations"), self.number("argon2_parallelism"));
        let refused_already = memory_kib == 0;
        if let (Err(error), false) = (&params, refused_already) {
            self.refuse("argon2_memory_kib", &format!("cannot be used: {error}"));
        } else if (1..7_168).contains(&memory_kib) {
            self.warnings.push(format!(
                "{} is {memory_kib}: less than OWASP advises, so stolen hashes are cheap to guess.",
                self.get("argon2_memory_kib").subject()
            ));
        }
        params.unwrap_or_default()
    }

    pub(super) fn peppers(&mut self) -> Peppers {
        let current = self.secret("password_pepper").and_then(|key| self.current_pepper(&key));
        let old = self.secret("old_password_peppers");
        let old: Vec<_> = old
            .iter()
            .flat_map(|keys| keys.expose().split(SECRETS_APART).filter(|key| !key.is_empty()))
            .map(Pepper::new)
            .collect();
        if old.iter().any(Result::is_err) {
            self.refuse(
                "old_password_peppers",
                &format!("has a pepper of under {} bytes, which never was one", Pepper::MIN_KEY_BYTES),
            );
        }
        let mut old: Vec<_> = old.into_iter().flatten().collect();
        // In the other application's own table no hash names its key, and every one is made with it.
        if self.first_of_users().is_none() {
            old.extend(self.secret(HMAC_KEY).map(|key| Pepper::flask_security(key.expose())));
        }
        Peppers { current, old }
    }

    fn current_pepper(&mut self, key: &SecretText) -> Option<Pepper> {
        self.check_key("password_pepper", key);
        if key.expose().contains(SECRETS_APART) {
            self.refuse("password_pepper", "has a blank, a comma or a line's end, so it could not become an old one");
        }
        for other in ["secret_key", "master_key"] {
            // Two settings of one person: there is nobody to whom the time of this comparison could tell anything.
            if self.secret(other).as_ref() == Some(key) {
                let (one, other) = (self.get("password_pepper").subject(), self.get(other).subject());
                self.problems.push(format!(
                    "{one} and {other} are the same; make another for the first with `mapae secret generate`."
                ));
            }
        }
        // One that is too short was refused above.
        Pepper::new(key.expose()).ok()
    }

    pub(super) fn breached_passwords(&mut self) -> Option<BreachedPasswordFile> {
        let path = self.text("breached_passwords_file")?;
        match BreachedPasswordFile::open(&path) {
            Ok(file) => Some(file),
            Err(error) => {
                let error = error.to_string();
                let error = error.split(" (os error").next().unwrap_or_default();
                self.refuse("breached_passwords_file", &format!("names the file {path}, which {error}"));
                None
            }
        }
    }
}
