//! The background task: fetches, tells the log, waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::sleep;

use super::KEPT;
use super::fetch::{FetchError, Fetched, Fetcher};
use super::schedule::Schedule;
use super::shared::{Shared, TaskEnds};
use crate::{SharedKeys, SkippedKey};

/// Most keys that one line of the log names.
const SHOWN_KEYS: usize = 16;
/// Longest part of a `kid` in the log, in characters.
const SHOWN_KID: usize = 64;

/// Runs until it is aborted.
pub(super) async fn run(
    shared: Arc<Shared>,
    keys: SharedKeys,
    fetcher: Fetcher,
    schedule: Schedule,
    mut ends: TaskEnds,
) {
    let mut log = Log::new(&fetcher);
    let mut failures = 0;
    loop {
        let outcome = fetcher.fetch_keys().await;
        log.tell(&outcome);
        let pause = match &outcome {
            Ok(fetched) => {
                failures = 0;
                schedule.after_success(fetched.max_age)
            }
            Err(_) => {
                failures += 1;
                schedule.after_failure(failures)
            }
        };
        let kept = outcome.map(|fetched| {
            keys.store(fetched.keys);
            Duration::from_secs(KEPT.into())
        });
        shared.end(kept, &ends.ended);
        select! {
            () = sleep(pause) => {}
            _ = ends.woken.recv() => {}
        }
        shared.begin(&mut ends.woken);
    }
}

/// Tells what changed, not what stayed the same every few minutes.
struct Log {
    url: String,
    keys: Option<Vec<String>>,
    skipped: Vec<SkippedKey>,
}

impl Log {
    fn new(fetcher: &Fetcher) -> Self {
        Self { url: fetcher.shown_url(), keys: None, skipped: Vec::new() }
    }

    fn tell(&mut self, outcome: &Result<Fetched, FetchError>) {
        let fetched = match outcome {
            Ok(fetched) => fetched,
            Err(error) => {
                let url = &self.url;
                tracing::warn!(url, %error, "keys could not be fetched; what was fetched before is kept for a day");
                return;
            }
        };
        let keys: Vec<String> = fetched.keys.iter().take(SHOWN_KEYS).map(|key| shown(key.kid())).collect();
        if self.keys.as_ref() != Some(&keys) {
            tracing::info!(url = self.url, count = fetched.keys.len(), ?keys, "keys fetched");
            self.keys = Some(keys);
        }
        if self.skipped != fetched.skipped {
            for skipped in fetched.skipped.iter().take(SHOWN_KEYS) {
                let kid = shown(skipped.kid.as_deref());
                tracing::warn!(url = self.url, ?kid, reason = %skipped.reason, "a key is skipped");
            }
            self.skipped.clone_from(&fetched.skipped);
        }
    }
}

/// A `kid` for the log, which writes it with `Debug`, so that nothing in it can forge a line.
fn shown(kid: Option<&str>) -> String {
    kid.unwrap_or("(none)").chars().take(SHOWN_KID).collect()
}
