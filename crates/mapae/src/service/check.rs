//! Whether every row of the database is in order.

use mapae_password::{Context, HashError, HashText};
use mapae_verify::{Clock, Jwk, SigningKey};

use super::doctor::is_no_password;
use super::{Service, StoreError};
use crate::domain::secret::WrapUse;
use crate::domain::{MasterKey, SigningKeyRecord};
use crate::store::{HashProblem, Judge, RowFault, Snapshot, now_utc};

/// What a check of the rows goes by.
pub struct RowCheck<'a> {
    /// Which password hashes can be used.
    pub passwords: &'a Context,
    /// The master key of the database.
    pub master: &'a MasterKey,
    /// Whether the accounts are this service's own.
    pub own_accounts: bool,
}

impl Service {
    /// Looks at every row of a database that may be in use, and changes nothing; `found` is told of each that is broken, and
    /// should not keep the database waiting. `clock` tells the present time.
    /// It needs no service, since one may not start on what is broken.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_rows(
        snapshot: &Snapshot,
        by: &RowCheck<'_>,
        clock: &dyn Clock,
        found: &mut (dyn FnMut(RowFault) + Send),
    ) -> Result<(), StoreError> {
        snapshot.check_rows(by, now_utc(clock), found).await
    }
}

impl Judge for RowCheck<'_> {
    fn hash_problem(&self, hash: &HashText) -> Option<HashProblem> {
        let error = match self.passwords.examine(hash) {
            Ok(_) => return None,
            Err(HashError::UnknownScheme) if is_no_password(hash) => return None,
            Err(error) => error,
        };
        // Another password would end every session of the account, for the sake of a setting.
        let setting = match error {
            HashError::UnknownPepper { .. } => Some(
                "set the pepper here as the server has it, in MAPAE_PASSWORD_PEPPER or MAPAE_OLD_PASSWORD_PEPPERS, and \
                 check again: the password itself is in order",
            ),
            HashError::NotAccepted | HashError::TooExpensive | HashError::NoSignerKey => Some(
                "set what the server's settings say of passwords here too, and check again; if it is refused there as \
                 well, the account needs another password",
            ),
            _ => None,
        };
        Some(HashProblem { problem: error.to_string(), setting })
    }

    fn signing_key_problem(&self, key: &SigningKeyRecord) -> Option<String> {
        let published: Jwk = match serde_json::from_str(&key.public_jwk) {
            Ok(jwk) => jwk,
            Err(error) => return Some(format!("its public half cannot be read: {error}")),
        };
        // One without a private half is another program's.
        if key.wrapped_private.is_empty() {
            return None;
        }
        let Ok(pkcs8) = self.master.unwrap(WrapUse::SigningKey, &key.kid, &key.wrapped_private) else {
            return Some("the master key does not open its private half".to_owned());
        };
        let pair = match SigningKey::from_pkcs8(key.algorithm, &pkcs8) {
            Ok(pair) => pair.with_kid(&key.kid),
            Err(error) => return Some(format!("its private half cannot be used: {error}")),
        };
        let is_pair =
            pair.public_jwk().is_some_and(|own| (own.x, own.y, own.n) == (published.x, published.y, published.n));
        (!is_pair).then(|| "its public half is another key's".to_owned())
    }

    fn opens_data_key(&self, name: &str, wrapped: &[u8]) -> bool {
        WrapUse::ALL.into_iter().any(|kind| self.master.unwrap(kind, name, wrapped).is_ok())
    }

    fn has_own_accounts(&self) -> bool {
        self.own_accounts
    }
}
