//! The life of signing keys by the clock, in a running server: next → active → retiring → gone.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::load::still_verifies;
use super::make::{self, Keeper};
use super::{Service, StartError, master};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::{KeyState, SigningKeyRecord};
use crate::settings::{Settings, Signing};
use crate::store::StoreError;

/// The clock may jump, and settings of other nodes may differ, so keys are looked at this often in any case.
const LOOK: Duration = Duration::from_secs(60);
/// When the database did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at least, whatever is due.
const PAUSE: Duration = Duration::from_millis(10);

/// From when on the next key may sign: every verifier has seen it by then.
pub(super) fn old_enough(next: &SigningKeyRecord, settings: &Settings) -> DateTime<Utc> {
    next.created_at + TimeDelta::seconds(i64::from(settings.next_key_min_age))
}

/// When the next key takes over by itself; `None` for never. A missing key is due at once.
fn due(records: &[SigningKeyRecord], settings: &Settings) -> Option<DateTime<Utc>> {
    if let Signing::SharedSecret(..) = settings.signing {
        return None;
    }
    let of_state = |state| records.iter().find(move |key| key.state == state);
    let (Some(active), Some(next)) = (of_state(KeyState::Active), of_state(KeyState::Next)) else {
        return Some(DateTime::UNIX_EPOCH);
    };
    let ready = old_enough(next, settings);
    if active.algorithm != next.algorithm {
        return Some(ready);
    }
    let rotation = Some(settings.key_rotation).filter(|seconds| *seconds > 0)?;
    let since = active.activated_at.unwrap_or(active.created_at);
    Some(ready.max(since + TimeDelta::seconds(i64::from(rotation))))
}

impl Service {
    /// What a running server does by itself, whenever it is due and every minute: takes over what changed, removes keys
    /// whose last token has expired, and lets the next key sign. Of several processes on one database one does it. When
    /// the next step is due, if ever.
    ///
    /// # Errors
    /// [`StartError`], if the database fails or the master key was replaced; the next call tries again.
    pub async fn tend_keys(&self) -> Result<Option<DateTime<Utc>>, StartError> {
        let reloaded = self.reload_keys().await;
        if let Err(StartError::MasterKeyLeaked | StartError::SecretLeaked) = reloaded {
            return reloaded.map(|()| None);
        }
        self.remove_gone_keys().await?;
        let records = self.store().signing_keys().await?;
        let at = due(&records, self.settings());
        if at.is_none_or(|at| at > self.now()) {
            // What could not be loaded may have been mended meanwhile, by whoever was faster.
            return match reloaded {
                Ok(()) => Ok(at),
                Err(_) => self.reload_keys().await.map(|()| at),
            };
        }
        // What could not be loaded may be what is missing.
        self.rotate_if_due(&records).await?;
        Ok(due(&self.store().signing_keys().await?, self.settings()))
    }

    /// The scheduled rotation; nothing if another process was faster.
    async fn rotate_if_due(&self, records: &[SigningKeyRecord]) -> Result<(), StartError> {
        let keys = &self.0.keys;
        let (root, settings) = (keys.root.load_full(), self.settings());
        // After its own kind: nodes whose settings differ for a while do not undo each other's work.
        let next_algorithm = |records: &[SigningKeyRecord]| {
            let next = records.iter().find(|key| key.state == KeyState::Next);
            next.map_or(settings.signing.algorithm(), |next| next.algorithm)
        };
        let successor = make::generate(next_algorithm(records)).await?;
        let mut tx = self.store().begin().await?;
        master::lock(&mut tx, &root.master).await?;
        let records = tx.signing_keys().await?;
        let now = self.now();
        let is_due = due(&records, settings).is_some_and(|at| at <= now);
        if !is_due || next_algorithm(&records) != successor.algorithm() {
            return Ok(());
        }
        let mut keeper = Keeper { tx: &mut tx, master: &root.master, rng: keys.rng.as_ref(), now };
        if records.iter().any(|key| key.state != KeyState::Retiring) {
            if let Some(signing) = keeper.promote(&records, &successor).await? {
                let entry = Entry::new(Event::KeyRotated, &Actor::system()).detail("scheduled", true);
                tx.record(entry.key(&signing)).await?;
            }
        } else {
            keeper.ensure(settings.signing.algorithm()).await?;
        }
        tx.commit().await?;
        tracing::info!("signing keys rotated on schedule");
        self.reload_keys().await
    }

    /// Removes retired keys whose last token has expired. Only who issues the tokens knows when that is: a command may
    /// have been given another lifetime than the server.
    async fn remove_gone_keys(&self) -> Result<(), StoreError> {
        let is_gone = |key: &SigningKeyRecord| !still_verifies(key, self.settings(), self.now());
        if !self.store().signing_keys().await?.iter().any(is_gone) {
            return Ok(());
        }
        let mut tx = self.store().begin().await?;
        for key in tx.signing_keys().await?.iter().filter(|key| is_gone(key)) {
            tx.remove_signing_key(&key.kid).await?;
        }
        tx.commit().await
    }

    /// Tends the keys now, whenever they change, here or elsewhere, and whenever something is due.
    pub(in crate::service) async fn follow_keys(&self, mut changed: tokio::sync::watch::Receiver<u64>) {
        loop {
            let pause = match self.tend_keys().await {
                Ok(due) => self.until(due),
                Err(error @ (StartError::MasterKeyLeaked | StartError::SecretLeaked)) => {
                    tracing::error!(%error, "no token is accepted or issued any more");
                    LOOK
                }
                Err(error) => {
                    tracing::error!(%error, "signing keys could not be looked after; those in memory stay");
                    // What changed may be that a key was revoked.
                    if let StartError::Store(_) = error { AGAIN } else { LOOK }
                }
            };
            tokio::select! {
                alive = changed.changed() => if alive.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn until(&self, due: Option<DateTime<Utc>>) -> Duration {
        let rest = due.map_or(LOOK, |due| (due - self.now()).to_std().unwrap_or(PAUSE));
        rest.clamp(PAUSE, LOOK)
    }
}

#[cfg(test)]
mod tests {
    use mapae_verify::Algorithm;

    use super::*;
    use crate::domain::BaseUrl;

    const DAY: i64 = 24 * 60 * 60;

    fn key(state: KeyState, algorithm: Algorithm, second: i64) -> SigningKeyRecord {
        let at = DateTime::from_timestamp_secs(second).unwrap();
        SigningKeyRecord {
            kid: format!("{state:?}"),
            algorithm,
            state,
            public_jwk: String::new(),
            wrapped_private: Vec::new(),
            created_at: at,
            activated_at: (state == KeyState::Active).then_some(at),
            retired_at: None,
        }
    }

    #[test]
    fn a_key_signs_for_its_time_and_none_before_it_is_known() {
        let mut settings = Settings::new(BaseUrl::parse("http://127.0.0.1").unwrap());
        let second =
            |records: &[SigningKeyRecord], settings: &Settings| due(records, settings).map(|due| due.timestamp());
        let active = key(KeyState::Active, Algorithm::ES256, 1_000);
        let next = |second| key(KeyState::Next, Algorithm::ES256, second);
        assert_eq!(second(&[active.clone(), next(1_000)], &settings), Some(1_000 + 90 * DAY));
        let young = 1_000 + 90 * DAY - 60;
        assert_eq!(second(&[active.clone(), next(young)], &settings), Some(young + 3_600));
        assert_eq!(second(std::slice::from_ref(&active), &settings), Some(0), "a missing key is made at once");
        let other = key(KeyState::Next, Algorithm::EdDSA, 2_000);
        assert_eq!(second(&[active.clone(), other], &settings), Some(2_000 + 3_600));
        settings.key_rotation = 0;
        assert_eq!(second(&[active, next(1_000)], &settings), None);
    }
}
