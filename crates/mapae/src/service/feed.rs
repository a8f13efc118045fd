//! The revocation feed: what ended before its access tokens expire, signed, for verifiers elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use base64_simd::URL_SAFE_NO_PAD;
use mapae_verify::SignError;
use mapae_verify::revocations::{Entries, Feed, MAX_FEED_LENGTH};

use super::Service;
use crate::store::{Revocation, RevokedKind, StoreError};

/// A feed is signed again after so many seconds, so that verifiers see that it is fresh.
const RESIGN_SECONDS: i64 = 60;
/// How long a feed is believed, in seconds: some failures to fetch it do no harm yet.
const LIFETIME_SECONDS: i64 = 300;

/// A feed as it is served.
#[derive(Clone, Debug)]
pub struct SignedFeed {
    /// A compact JWS.
    pub text: String,
    /// Changes with the text; without quotes.
    pub etag: String,
    signed_at: i64,
    newest: i64,
    kid: Option<String>,
}

/// The last feed that was signed here.
#[derive(Default)]
pub(super) struct FeedCache {
    last: Mutex<Option<Remembered>>,
    /// Whoever has it asks the database and signs; the others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Remembered {
    feed: Arc<SignedFeed>,
    /// [`Store::seen_epoch`](crate::store::Store) before the database was asked. While it is the same, nothing was revoked
    /// since: not here, and elsewhere not longer ago than news take to arrive, which is under a second.
    epoch: Option<u64>,
}

/// Why there is no feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedFailure {
    /// No server has made the key that signs it.
    #[error("there is no key that signs the revocation feed")]
    NoKey,
    /// Signing failed.
    #[error("the revocation feed could not be signed: {0}")]
    Sign(#[from] SignError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Service {
    /// The feed as of now: signed anew when something was revoked, by whomever, and every minute. However many ask, the
    /// database is asked once after each change. What was revoked here is in it at once, elsewhere within a second.
    ///
    /// # Errors
    /// [`FeedFailure`].
    pub async fn revocation_feed(&self) -> Result<Arc<SignedFeed>, FeedFailure> {
        let seen = || self.store().seen_epoch();
        if let Some(feed) = self.remembered_feed(seen()) {
            return Ok(feed);
        }
        if seen().is_none() {
            // Nobody waits for another here, who may wait for a database that does not answer.
            return self.current_feed(None).await;
        }
        let _turn = self.0.feed.turn.lock().await;
        // Before the database is asked: what changes from now on is news.
        let epoch = seen();
        match self.remembered_feed(epoch) {
            Some(feed) => Ok(feed),
            None => self.current_feed(epoch).await,
        }
    }

    /// The last feed, if nothing has changed since this epoch and it is not too old.
    fn remembered_feed(&self, epoch: Option<u64>) -> Option<Arc<SignedFeed>> {
        let last = self.last_feed()?;
        (epoch.is_some() && last.epoch == epoch && self.is_fresh(&last.feed)).then_some(last.feed)
    }

    fn last_feed(&self) -> Option<Remembered> {
        self.0.feed.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_fresh(&self, feed: &SignedFeed) -> bool {
        let kid = self.0.keys.feed().and_then(|key| key.kid().map(str::to_owned));
        feed.kid == kid && (0..RESIGN_SECONDS).contains(&(self.now().timestamp() - feed.signed_at))
    }

    /// The last feed if the database has no news, else a new one, which is remembered for this epoch.
    async fn current_feed(&self, epoch: Option<u64>) -> Result<Arc<SignedFeed>, FeedFailure> {
        let newest = self.store().newest_revocation().await?;
        let last = self.last_feed().map(|last| last.feed);
        let feed = match last.filter(|feed| feed.newest == newest && self.is_fresh(feed)) {
            Some(feed) => feed,
            None => Arc::new(self.sign_feed(newest).await?),
        };
        let remembered = Remembered { feed: Arc::clone(&feed), epoch };
        *self.0.feed.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
        Ok(feed)
    }

    async fn sign_feed(&self, newest: i64) -> Result<SignedFeed, FeedFailure> {
        let key = self.0.keys.feed().ok_or(FeedFailure::NoKey)?;
        let now = self.now().timestamp();
        let revocations = self.store().revocations().await?;
        // What was read may be newer than what was asked for before.
        let newest = revocations.last().map_or(newest, |last| last.seq.max(newest));
        let feed = Feed {
            iss: self.settings().base_url.as_str().to_owned(),
            iat: now,
            exp: now + LIFETIME_SECONDS,
            seq: seq(newest, now),
            entries: entries(&revocations),
        };
        let text = feed.sign(&key)?;
        if text.len() > MAX_FEED_LENGTH {
            tracing::error!(
                bytes = text.len(),
                "the revocation feed is longer than verifiers read ({MAX_FEED_LENGTH} bytes): they refuse every token, or \
                 go on with the last feed, as they were told, until enough of what ended has expired"
            );
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let etag = URL_SAFE_NO_PAD.encode_to_string(&digest.as_ref()[..16]);
        Ok(SignedFeed { text, etag, signed_at: now, newest, kid: key.kid().map(str::to_owned) })
    }
}

/// Rises with every revocation, and with every minute, so that it does not fall when the database is restored from a
/// backup or when old revocations go. Nodes that see the same revocations agree.
fn seq(newest: i64, now: i64) -> u64 {
    let minute = now.div_euclid(RESIGN_SECONDS) * RESIGN_SECONDS * 1000;
    u64::try_from(newest.max(minute)).unwrap_or(0)
}

fn entries(revocations: &[Revocation]) -> Entries {
    let mut entries = Entries::new();
    for one in revocations {
        match one.kind {
            RevokedKind::Session => entries.end_session(&one.value),
            RevokedKind::Token => entries.revoke_token(&one.value),
            RevokedKind::Key => entries.revoke_key(&one.value),
            RevokedKind::Subject => {
                let before = one.before.map_or(one.seq, |before| before.timestamp_millis());
                entries.end_subject(&one.value, before);
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_never_falls() {
        let now = 1_767_225_630;
        let minute = 1_767_225_600_000;
        assert_eq!(seq(0, now), minute);
        assert_eq!(seq(minute as i64 + 7, now), minute + 7);
        assert_eq!(seq(minute as i64 + 7, now + 30), minute + 60_000, "and with the next minute it rises");
        assert_eq!(seq(0, -1), 0);
    }
}
