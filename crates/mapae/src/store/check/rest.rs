//! What passes: revocations, tickets, counters, the audit trail, the log of changes.

use mapae_verify::Claims;
use serde_json::{Map, Value};

use super::pages::Pages;
use super::{Check, Place};
use crate::store::StoreError;
use crate::store::entity::{audit, invalidation, revocation, throttle, ticket};
use crate::store::revocations::{RevokedKind, to_revocation};
use crate::store::throttle::COUNTER_BYTES;

impl Check<'_> {
    pub(super) async fn revocations(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<revocation::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let (seq, value) = (row.seq.to_string(), row.value.clone());
                let at = Place { table: "mapae_revocation", key: "seq", row: &seq };
                let remedy = format!("end {value} again by the command that ended it, then {}", at.delete());
                match to_revocation(row) {
                    Ok(revoked) if revoked.kind == RevokedKind::Subject && revoked.before.is_none() => {
                        self.fault(&at, "it does not say which tokens of the subject are revoked", remedy);
                    }
                    Ok(_) => {}
                    Err(error) => self.corrupt(&at, error, remedy),
                }
            }
        }
        Ok(())
    }

    pub(super) async fn tickets(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<ticket::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let at = Place { table: "mapae_ticket", key: "hash", row: &row.hash };
                let delete = format!("{}: it was good for seconds only", at.delete());
                if let Err(error) = serde_json::from_str::<Claims>(&row.claims) {
                    self.fault(&at, format!("its claims cannot be read: {error}"), delete.as_str());
                }
                self.times(&at, row.created_at, &[("its end", Some(row.expires_at))], &delete);
            }
        }
        Ok(())
    }

    pub(super) async fn counters(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<throttle::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows.into_iter().filter(|row| row.counter.len() != COUNTER_BYTES) {
                let shown = hex::encode(&row.counter);
                let at = Place { table: "mapae_throttle", key: "counter", row: &shown };
                let problem = format!("the name of the counter has not {COUNTER_BYTES} bytes");
                self.fault(&at, problem, "delete the row: at worst somebody may try some more passwords");
            }
        }
        Ok(())
    }

    pub(super) async fn audit(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<audit::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let Some(details) = &row.details else { continue };
                if let Err(error) = serde_json::from_str::<Map<String, Value>>(details) {
                    let at = Place { table: "mapae_audit", key: "id", row: &row.id };
                    self.fault(&at, format!("its details are not JSON: {error}"), at.update("details", "NULL"));
                }
            }
        }
        Ok(())
    }

    /// A kind that is unknown is a newer version's, which is provided for.
    pub(super) async fn invalidations(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<invalidation::Entity>::new();
        while pages.next(self).await?.is_some() {}
        Ok(())
    }
}
