//! Data keys, signing keys, and clients with their secrets.

use mapae_password::HashText;

use super::pages::Pages;
use super::{Check, Place, word};
use crate::domain::{ClientType, KeyState, client_secret};
use crate::store::StoreError;
use crate::store::clients::to_client;
use crate::store::entity::{client, data_key, signing_key};
use crate::store::keys::to_record;

impl Check<'_> {
    pub(super) async fn data_keys(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<data_key::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let at = Place { table: "mapae_data_key", key: "name", row: &row.name };
                if !self.judge.opens_data_key(&row.name, &row.wrapped) {
                    let remedy = format!(
                        "restore the row from a backup; without one {}, and the next start makes another: what depends on \
                         it is lost, so that of refresh-token everybody signs in again",
                        at.delete()
                    );
                    self.fault(&at, "the master key does not open it", remedy);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn signing_keys(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<signing_key::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let kid = row.kid.clone();
                let at = Place { table: "mapae_signing_key", key: "kid", row: &kid };
                let remedy = format!(
                    "restore the row from a backup; without one {}: the next start makes another key, and access tokens \
                     of this one are refused until they are refreshed",
                    at.delete()
                );
                let key = match to_record(row) {
                    Ok(key) => key,
                    Err(error) => {
                        self.corrupt(&at, error, remedy);
                        continue;
                    }
                };
                if let Some(problem) = self.judge.signing_key_problem(&key) {
                    self.fault(&at, problem, remedy.as_str());
                }
                let missing = match key.state {
                    KeyState::Active if key.activated_at.is_none() => Some("it signs, but not since any time"),
                    KeyState::Retiring if key.retired_at.is_none() => {
                        Some("it signs no more, but since no time, so that it would be accepted for good")
                    }
                    KeyState::Next | KeyState::Active | KeyState::Retiring => None,
                };
                if let Some(problem) = missing {
                    self.fault(&at, problem, format!("take it away with `mapae key revoke {}`", word(at.row)));
                }
                // One that was never used here is another program's, and its end is told at its import.
                let retired_at = key.retired_at.filter(|_| key.activated_at.is_some());
                let later = [("its first use", key.activated_at), ("its last use", retired_at)];
                self.times(&at, key.created_at, &later, "the clock was wrong then: rotate with `mapae key rotate`");
            }
        }
        Ok(())
    }

    pub(super) async fn clients(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<client::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let id = row.id.clone();
                let at = Place { table: "mapae_client", key: "id", row: &id };
                let registered = match to_client(row) {
                    Ok(registered) => registered,
                    Err(error) => {
                        let remedy = format!("{}, then register it anew with `mapae client add`", at.delete());
                        self.corrupt(&at, error, remedy);
                        continue;
                    }
                };
                let mut setting = None;
                let problem = match (registered.client.client_type, registered.secret_hash) {
                    (ClientType::Public, None) => None,
                    (ClientType::Public, Some(_)) => Some("it is public, but has a secret".to_owned()),
                    (ClientType::Confidential, None) => Some("it is confidential, but has no secret".to_owned()),
                    (ClientType::Confidential, Some(hash)) if client_secret::is_fast_hash(&hash) => None,
                    (ClientType::Confidential, Some(hash)) => {
                        self.judge.hash_problem(&HashText::new(hash)).map(|found| {
                            setting = found.setting;
                            format!("the hash of its secret cannot be used: {}", found.problem)
                        })
                    }
                };
                if let Some(problem) = problem {
                    match (setting, registered.client.client_type) {
                        (Some(setting), _) => self.setting(&at, problem, setting),
                        (None, ClientType::Public) => self.fault(&at, problem, at.update("secret_hash", "NULL")),
                        (None, ClientType::Confidential) => {
                            let rotate = format!("`mapae client rotate-secret {}`", word(at.row));
                            self.fault(&at, problem, format!("give it another secret with {rotate}"));
                        }
                    }
                }
                let changed = [("its last change", Some(registered.client.updated_at))];
                self.times(&at, registered.client.created_at, &changed, &at.made_when_changed());
            }
        }
        self.settings();
        Ok(())
    }
}
