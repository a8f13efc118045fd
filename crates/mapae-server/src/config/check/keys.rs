//! The keys: what signs tokens, and what protects the keys in the database.

use mapae::domain::SecretText;
use mapae::settings::Signing;
use mapae_verify::Algorithm;

use super::super::weak_keys::weakness;
use super::{Checker, SECRETS_APART};

impl Checker<'_> {
    /// The two roots of trust: what signs HS256 tokens never protects anything else, since every verifier has it.
    pub(super) fn keys(&mut self) -> (Signing, Option<SecretText>) {
        let (secret_key, master_key) = (self.secret("secret_key"), self.secret("master_key"));
        if let Some(key) = &master_key {
            self.check_key("master_key", key);
        }
        let algorithm = match self.text("algorithm").as_deref() {
            Some("HS256") => {
                let secret = self.shared_secret(secret_key, master_key.as_ref());
                return (Signing::SharedSecret(Algorithm::HS256, secret), master_key);
            }
            Some("EdDSA") => Algorithm::EdDSA,
            Some("RS256") => Algorithm::RS256,
            _ => Algorithm::ES256,
        };
        match (&secret_key, &master_key) {
            (Some(_), Some(_)) => {
                let (unused, used) = (self.get("secret_key").subject(), self.get("master_key").subject());
                self.warnings.push(format!("{unused} is not used, since {used} is given and ALGORITHM is not HS256."));
            }
            (Some(key), None) => self.check_key("secret_key", key),
            (None, _) => {}
        }
        (Signing::Generated(algorithm), master_key.or(secret_key))
    }

    fn shared_secret(&mut self, secret_key: Option<SecretText>, master_key: Option<&SecretText>) -> SecretText {
        match &secret_key {
            // Two settings of one person: there is nobody to whom the time of this comparison could tell anything.
            Some(key) if Some(key) == master_key => {
                let (one, other) = (self.get("secret_key").subject(), self.get("master_key").subject());
                self.problems.push(format!(
                    "{one} and {other} are the same; whoever checks HS256 tokens has the first, so make another for \
                     the second with `mapae secret generate`."
                ));
            }
            Some(key) => self.check_key("secret_key", key),
            None if self.get("secret_key").is_given() => {}
            None => self.refuse(
                "algorithm",
                "is HS256, which signs with SECRET_KEY, but SECRET_KEY is not set: set it to what `mapae secret \
                 generate` prints, or leave ALGORITHM unset for a key that Mapae makes itself",
            ),
        }
        secret_key.unwrap_or_else(|| SecretText::new(String::new()))
    }

    pub(super) fn check_key(&mut self, name: &str, key: &SecretText) {
        if let Some(weakness) = weakness(key.expose()) {
            self.refuse(name, &format!("{weakness}. Set it to what `mapae secret generate` prints"));
        }
    }

    /// The secrets that signed before the present one.
    pub(super) fn old_secret_keys(&mut self, signing: &Signing) -> Vec<SecretText> {
        let Some(given) = self.secret("old_secret_keys") else { return Vec::new() };
        let Signing::SharedSecret(_, current) = signing else {
            let subject = self.get("old_secret_keys").subject();
            self.warnings.push(format!("{subject} is not used, since ALGORITHM is not HS256."));
            return Vec::new();
        };
        if current.expose().contains(SECRETS_APART) {
            self.refuse("secret_key", "has a blank, a comma or a line's end, so it could not become an old one");
        }
        let old = given.expose().split(SECRETS_APART).filter(|key| !key.is_empty());
        let old: Vec<_> = old.map(|key| SecretText::new(key.to_owned())).collect();
        // Whoever had a weak one must not be let in by it now.
        for key in &old {
            if let Some(weakness) = weakness(key.expose()) {
                self.refuse("old_secret_keys", &format!("has a key that {weakness}; leave it out"));
            }
        }
        old
    }
}
