//! The background task that asks for the feed.

use std::sync::Arc;

use http::HeaderValue;
use http::header::ETAG;
use tokio::select;
use tokio::time::sleep;

use super::fetch::{Answer, FetchError, Fetcher};
use super::keys::RemoteKeys;
use super::revocations::{FailureMode, State};
use super::schedule::Schedule;
use super::shared::{Reason, TaskEnds};
use crate::revocations::{Feed, FeedError};
use crate::{KeySet, SharedKeys, VerifyError};

/// The keys that may sign a feed.
#[derive(Clone, Debug)]
pub struct FeedKeys(Source);

#[derive(Clone, Debug)]
enum Source {
    Remote(RemoteKeys),
    Given(SharedKeys),
}

impl Default for FeedKeys {
    fn default() -> Self {
        KeySet::default().into()
    }
}

impl From<RemoteKeys> for FeedKeys {
    fn from(keys: RemoteKeys) -> Self {
        Self(Source::Remote(keys))
    }
}

impl From<SharedKeys> for FeedKeys {
    fn from(keys: SharedKeys) -> Self {
        Self(Source::Given(keys))
    }
}

impl From<KeySet> for FeedKeys {
    fn from(keys: KeySet) -> Self {
        SharedKeys::from(keys).into()
    }
}

impl FeedKeys {
    /// A key that is not known yet is asked for, as for tokens.
    async fn verify(&self, verify: impl Fn(&KeySet) -> Result<Feed, FeedError>) -> Result<Feed, FetchError> {
        let keys = match &self.0 {
            Source::Given(keys) => return Ok(verify(&keys.load())?),
            Source::Remote(keys) => keys,
        };
        let seen = keys.shared().finished();
        keys.ready().await?;
        match verify(&keys.shared_keys().load()) {
            Err(FeedError::Jws(VerifyError::UnknownKey { .. }))
                if keys.shared().fetched(Reason::UnknownKey, seen).await =>
            {
                Ok(verify(&keys.shared_keys().load())?)
            }
            verified => Ok(verified?),
        }
    }
}

/// Runs until it is aborted.
pub(super) async fn run(state: Arc<State>, keys: FeedKeys, fetcher: Fetcher, schedule: Schedule, mut ends: TaskEnds) {
    let mut log = Log { url: fetcher.shown_url(), told: Told::Nothing };
    let mut entity_tag = None;
    let mut failures = 0;
    loop {
        let outcome = poll(&state, &keys, &fetcher, &mut entity_tag).await;
        let error = outcome.as_ref().err().cloned();
        state.shared.end(outcome.map(|()| state.kept), &ends.ended);
        log.tell(&state, error.as_ref());
        failures = if error.is_some() { failures + 1 } else { 0 };
        let pause = if failures == 0 { schedule.after_success(None) } else { schedule.after_failure(failures) };
        select! {
            () = sleep(pause) => {}
            _ = ends.woken.recv() => {}
        }
        state.shared.begin(&mut ends.woken);
    }
}

async fn poll(
    state: &State,
    keys: &FeedKeys,
    fetcher: &Fetcher,
    entity_tag: &mut Option<HeaderValue>,
) -> Result<(), FetchError> {
    let held = state.feed.load_full();
    let now = state.shared.now_millis();
    // "Not modified" must not keep alive what has expired.
    let is_current = held.as_ref().is_some_and(|feed| feed.is_current(now));
    let (headers, body) = match fetcher.get("application/jwt", entity_tag.as_ref().filter(|_| is_current)).await? {
        Answer::NotModified => return Ok(()),
        Answer::Content { headers, body } => (headers, body),
    };
    let text = std::str::from_utf8(&body).map_err(|_| FeedError::Malformed("it is not text"))?;
    let now = state.shared.now_millis();
    let feed = keys.verify(|keys| Feed::verify(text, keys, &state.issuer, now, held.as_deref())).await?;
    state.feed.store(Some(Arc::new(feed)));
    *entity_tag = headers.get(ETAG).cloned();
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Fetched,
    Failed,
    TooOld,
}

/// Tells what changed, not what stayed the same every few seconds.
struct Log {
    url: String,
    told: Told,
}

impl Log {
    fn tell(&mut self, state: &State, error: Option<&FetchError>) {
        let now = match error {
            None => Told::Fetched,
            Some(_) if state.shared.is_fresh() => Told::Failed,
            Some(_) => Told::TooOld,
        };
        if std::mem::replace(&mut self.told, now) == now {
            return;
        }
        let url = &self.url;
        match (error, state.failure_mode) {
            (None, _) => tracing::info!(url, "revocations are fetched"),
            (Some(error), _) if now == Told::Failed => {
                let seconds = state.kept.as_secs();
                tracing::warn!(url, %error, seconds, "revocations could not be fetched; the last ones are kept");
            }
            (Some(error), FailureMode::Closed) => {
                tracing::error!(url, %error, "no revocations that are recent enough: tokens are refused");
            }
            (Some(error), FailureMode::Open) => {
                tracing::error!(url, %error, "no revocations that are recent enough: revoked tokens may pass");
            }
        }
    }
}
