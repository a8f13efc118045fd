//! Whether every row of the database is in order.

use mapae_password::{Context, HashError, HashText};
use mapae_verify::{Jwk, SigningKey};

use super::doctor::is_no_password;
use super::{Service, StoreError};
use crate::domain::secret::WrapUse;
use crate::domain::{MasterKey, SigningKeyRecord};
use crate::store::{Judge, RowFault, Store};

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
    /// Looks at every row of a database that may be in use, and changes nothing; `found` is told of each that is broken.
    /// It needs no service, since one may not start on what is broken.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_rows(
        store: &Store,
        by: &RowCheck<'_>,
        found: &mut (dyn FnMut(RowFault) + Send),
    ) -> Result<(), StoreError> {
        store.check_rows(by, found).await
    }
}

impl Judge for RowCheck<'_> {
    fn hash_problem(&self, hash: &HashText) -> Option<String> {
        match self.passwords.examine(hash) {
            Ok(_) => None,
            Err(HashError::UnknownScheme) if is_no_password(hash) => None,
            Err(error) => Some(error.to_string()),
        }
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
