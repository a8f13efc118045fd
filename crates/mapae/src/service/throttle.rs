//! Slowing down who guesses: whether an attempt may be made now.
//!
//! An attempt is counted as a failure before the secret is looked at, and taken back when it was right, so attempts side
//! by side cannot outrun the counters. The rules are in [`crate::domain::throttle`], the order of things in
//! [`queue`].

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mapae_verify::Clock;
use zeroize::Zeroizing;

pub(super) use queue::Permit;
use queue::Queue;

use super::{StartError, keys};
use crate::domain::ids::IdSource;
use crate::domain::secret::WrapUse;
use crate::domain::throttle::{Attempt, Counted, Network, Share, Subject, ThrottleKey};
use crate::domain::{MasterKey, Rng, SecretText, Sender, Source};
use crate::settings::ThrottleSettings;
use crate::store::{Store, StoreError, now_utc};

/// How long the end of the service waits for what is still to be written.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The name of the key among the data keys.
pub(super) const KEY: &str = "throttle";

/// Whose password or typed secret is about to be tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess<'a> {
    /// Of somebody who signs in under this name.
    SignIn { name: &'a str, sender: &'a Sender },
    /// Of the person whose session this is.
    Session(&'a str),
    /// Of an OAuth client.
    Client { id: &'a str, source: Source },
}

/// Why an attempt may not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ThrottleError {
    #[error("too many failed attempts")]
    Throttled {
        retry_after: u32,
        /// Nobody was told of it before, for as long as it lasts: what goes into the audit trail.
        is_news: bool,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counts attempts and says which may be made.
pub(super) struct Throttle {
    settings: Option<ThrottleSettings>,
    key: ThrottleKey,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    /// That it does not know from where somebody signs in.
    has_warned: AtomicBool,
}

impl Throttle {
    /// With counters in the database, which every node shares.
    pub(super) async fn open(
        store: &Store,
        settings: Option<ThrottleSettings>,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
        rng: &dyn Rng,
    ) -> Result<Self, StartError> {
        let key = data_key(store, master, rng).await?;
        let queue = Queue::new(Some(store.clone()), Arc::clone(&clock));
        Ok(Self { settings, key, clock, queue, has_warned: AtomicBool::default() })
    }

    /// With counters in this process alone.
    pub(super) fn in_memory(settings: Option<ThrottleSettings>, clock: Arc<dyn Clock>, rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        let queue = Queue::new(None, Arc::clone(&clock));
        let key = ThrottleKey::new(bytes.as_ref());
        Self { settings, key, clock, queue, has_warned: AtomicBool::default() }
    }

    /// Writes what is still to be written: attempts that were right would else stay counted as failed. A database that does
    /// not answer is not waited for.
    pub(super) async fn settle(&self) {
        if tokio::time::timeout(SETTLE_TIMEOUT, self.queue.until_idle()).await.is_err() {
            tracing::warn!("sign-ins that were right could not be taken back: they count as failed");
        }
    }

    /// Counts an attempt at something that can be guessed.
    pub(super) async fn guess(&self, guess: Guess<'_>) -> Result<Permit, ThrottleError> {
        let Some(settings) = &self.settings else { return Ok(Permit::free()) };
        let (subject, source, device) = match guess {
            Guess::Session(id) => return self.queue.count(self.alone(Counted::Session(id), settings), None).await,
            Guess::Client { id, source } => (Subject::Client(id), source, None),
            Guess::SignIn { name, sender } => {
                let (subject, shown) = (Subject::Person(name), sender.device_token.as_ref());
                let device = shown.and_then(|shown| self.key.device(shown, subject, now_utc(self.clock.as_ref())));
                (subject, sender.source, device)
            }
        };
        let network = source.address.map(Network::from);
        if network.is_none() && matches!(guess, Guess::SignIn { .. }) && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "a sign-in came from an unknown address, so networks are not told apart: serve with \
                 `into_make_service_with_connect_info::<SocketAddr>()`, or pass the address to `sign_in_from`"
            );
        }
        let mut attempt = self.alone(Counted::Place(subject, network), settings);
        // Where addresses are not told, everybody comes from the same place, and so nobody is known there.
        let place = network.map(|_| attempt.own.counter);
        match device {
            Some(device) => {
                attempt.own = self.share(Counted::Device(subject, device), settings);
                // A device is never known itself, so this counts always: whoever had the name before may keep many.
                attempt.unless_known.push(self.share(Counted::Devices(subject), settings));
            }
            None => {
                attempt.unless_known.push(self.share(Counted::Strangers(subject), settings));
                attempt.unless_known.extend(network.map(|network| self.share(Counted::Network(network), settings)));
            }
        }
        self.queue.count(attempt, place).await
    }

    /// Counts a random secret that was wrong. The right one is never refused: nobody guesses 256 bits, so whoever has it
    /// does not wait for those who try.
    pub(super) async fn wrong_secret(&self, source: Source) -> Result<(), ThrottleError> {
        let (Some(settings), Some(address)) = (&self.settings, source.address) else { return Ok(()) };
        let attempt = self.alone(Counted::Secrets(address.into()), settings);
        self.queue.count(attempt, None).await.map(drop)
    }

    /// What a device shows from now on that has just signed somebody in.
    pub(super) fn device_token(&self, name: &str, sender: &Sender, ids: &IdSource) -> Option<SecretText> {
        self.settings?;
        let (now, subject, shown) = (now_utc(self.clock.as_ref()), Subject::Person(name), sender.device_token.as_ref());
        let known = shown.and_then(|shown| self.key.device(shown, subject, now));
        let device = known.unwrap_or_else(|| ids.random());
        Some(self.key.device_token(device, shown, subject, now))
    }

    fn alone(&self, counted: Counted<'_>, settings: &ThrottleSettings) -> Attempt {
        Attempt { own: self.share(counted, settings), unless_known: Vec::new() }
    }

    fn share(&self, counted: Counted<'_>, settings: &ThrottleSettings) -> Share {
        let limit = match counted {
            Counted::Place(..) | Counted::Device(..) | Counted::Session(_) => settings.place,
            Counted::Strangers(_) | Counted::Devices(_) => settings.account,
            Counted::Network(_) | Counted::Secrets(_) => settings.network,
        };
        Share { counter: self.key.counter(counted), limit }
    }
}

/// The key, made if it is missing.
async fn data_key(store: &Store, master: &MasterKey, rng: &dyn Rng) -> Result<ThrottleKey, StartError> {
    let mut tx = store.begin().await?;
    keys::lock(&mut tx, master).await?;
    if let Some(wrapped) = tx.data_key(KEY).await? {
        let key = master.unwrap(WrapUse::Throttle, KEY, &wrapped).map_err(|_| StartError::WrongMasterKey)?;
        return Ok(ThrottleKey::new(&key));
    }
    let (wrapped, key) = new_key(master, rng);
    tx.insert_data_key(KEY, wrapped).await?;
    tx.commit().await?;
    Ok(key)
}

/// A new key, wrapped and as it is used.
pub(super) fn new_key(master: &MasterKey, rng: &dyn Rng) -> (Vec<u8>, ThrottleKey) {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill(key.as_mut());
    (master.wrap(rng, WrapUse::Throttle, KEY, key.as_ref()), ThrottleKey::new(key.as_ref()))
}
