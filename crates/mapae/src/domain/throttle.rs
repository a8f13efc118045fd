//! Slowing down who guesses: what is counted, and how many failures there may be.
//!
//! Each counter is a leaky bucket kept as one time (the generic cell rate algorithm): when all its failures will be
//! forgiven. An attempt adds its failure before the secret is looked at, and takes it back if it was right.

use std::collections::HashMap;
use std::net::IpAddr;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};

/// How long a place that somebody signed in from is known.
pub const KNOWN_FOR: TimeDelta = TimeDelta::days(30);

/// How far the clocks of nodes may be apart: what a counter says beyond that was written by a clock that was wrong.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);

/// Bound into every counter's id, so that the key could serve another use without confusion.
const LABEL: &[u8] = b"mapae/v1/counter";

/// How many failures there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In a row, before the next attempt has to wait.
    pub failures: u32,
    /// After so many seconds one is forgiven.
    pub seconds: u32,
}

impl Limit {
    fn each(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds.into())
    }

    /// How far ahead the counter's time may be.
    fn most(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.seconds) * i64::from(self.failures))
    }
}

/// The network that an address is in: what one subscriber usually has, and so what counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// One address.
    V4([u8; 4]),
    /// A /64.
    V6([u8; 8]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let [[a, b], [c, d], [e, f], [g, h]] = [a, b, c, d].map(u16::to_be_bytes);
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Whose secret is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A person, by the name or address as typed, in its one spelling. Nobody needs to have it.
    Person(&'a str),
    /// An OAuth client.
    Client(&'a str),
}

/// What failures are counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted<'a> {
    /// A subject's secret from one network; `None` where that is not known.
    Place(Subject<'a>, Option<Network>),
    /// A subject's secret from wherever it is not known.
    Strangers(Subject<'a>),
    /// Everybody's passwords from one network.
    Network(Network),
    /// Random secrets from one network.
    Secrets(Network),
    /// A device that has signed this subject in.
    Device(Subject<'a>, [u8; 16]),
    /// All devices that have signed this subject in.
    Devices(Subject<'a>),
    /// The password that a signed-in person repeats.
    Session(&'a str),
}

/// A counter's name: a keyed hash, which tells a reader of the database neither names nor addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterId(pub(crate) [u8; 16]);

/// The key of counters' names and of device tokens.
pub struct ThrottleKey(pub(super) hmac::Key);

impl std::fmt::Debug for ThrottleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ThrottleKey(…)")
    }
}

impl ThrottleKey {
    /// From 32 random bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The name of the counter of this.
    pub fn counter(&self, counted: Counted<'_>) -> CounterId {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        // Every part is of a fixed length or has its length before it, so no two things have the same name.
        match counted {
            Counted::Place(subject, network) => {
                context.update(b"p");
                update_subject(&mut context, subject);
                match network {
                    None => context.update(b"0"),
                    Some(network) => update_network(&mut context, network),
                }
            }
            Counted::Strangers(subject) => {
                context.update(b"a");
                update_subject(&mut context, subject);
            }
            Counted::Network(network) => {
                context.update(b"n");
                update_network(&mut context, network);
            }
            Counted::Secrets(network) => {
                context.update(b"r");
                update_network(&mut context, network);
            }
            Counted::Device(subject, device) => {
                context.update(b"d");
                update_subject(&mut context, subject);
                context.update(&device);
            }
            Counted::Devices(subject) => {
                context.update(b"e");
                update_subject(&mut context, subject);
            }
            Counted::Session(id) => {
                context.update(b"s");
                context.update(id.as_bytes());
            }
        }
        let tag = context.sign();
        let mut id = [0; 16];
        id.copy_from_slice(&tag.as_ref()[..16]);
        CounterId(id)
    }
}

/// Whose secret it is, in a form that no other subject has.
pub(super) fn update_subject(context: &mut hmac::Context, subject: Subject<'_>) {
    let (kind, name) = match subject {
        Subject::Person(name) => (b"p", name),
        Subject::Client(id) => (b"c", id),
    };
    context.update(kind);
    context.update(&(name.len() as u64).to_be_bytes());
    context.update(name.as_bytes());
}

fn update_network(context: &mut hmac::Context, network: Network) {
    match network {
        Network::V4(bytes) => {
            context.update(b"4");
            context.update(&bytes);
        }
        Network::V6(bytes) => {
            context.update(b"6");
            context.update(&bytes);
        }
    }
}

/// What is kept of one thing that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// When all its failures will be forgiven.
    pub clear_at: DateTime<Utc>,
    /// Until when it has a budget of its own.
    pub known_until: Option<DateTime<Utc>>,
}

impl Counter {
    /// Without failures.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { clear_at: now, known_until: None }
    }

    /// From when on it says nothing any more.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.known_until.map_or(self.clear_at, |known| known.max(self.clear_at))
    }

    /// Whether it has a budget of its own.
    pub fn is_known(&self, now: DateTime<Utc>) -> bool {
        self.known_until.is_some_and(|until| now < until)
    }

    /// The counter's time. One that is further ahead than can be was written before the clock was set back, and says
    /// nothing of now.
    fn time(&self, limit: Limit, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.clear_at > now + limit.most() + CLOCKS_APART { now } else { self.clear_at.max(now) }
    }

    /// How long it is until there may be one more failure; `None` if there may be one now.
    fn wait(&self, limit: Limit, now: DateTime<Utc>) -> Option<TimeDelta> {
        let over = self.time(limit, now) + limit.each() - (now + limit.most());
        (over > TimeDelta::zero()).then_some(over)
    }
}

/// One counter that an attempt is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub counter: CounterId,
    /// Its limit.
    pub limit: Limit,
}

/// An attempt that wants to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Always.
    pub own: Share,
    /// Besides, unless `own` is known.
    pub unless_known: Vec<Share>,
}

/// An attempt that was counted, as a failure until it turns out right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// On these.
    pub shares: Vec<Share>,
    /// Whether it came from where its subject is known.
    pub is_known: bool,
}

/// There may be no more failures now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// The counters that are full.
    pub counters: Vec<CounterId>,
    /// How long until each of them takes one.
    pub wait: TimeDelta,
}

impl Full {
    /// `Retry-After`, in whole seconds.
    pub fn retry_after(&self) -> u32 {
        let seconds = self.wait.num_milliseconds().max(1).cast_unsigned().div_ceil(1_000);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

/// An attempt that is not to be counted after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgiven {
    /// From these.
    pub shares: Vec<Share>,
    /// The place from where the subject is known, and when it was right there.
    pub known: Option<(CounterId, DateTime<Utc>)>,
}

/// Counters, as read and as they are to be written. What is missing has no failures.
pub type Counters = HashMap<CounterId, Counter>;

/// Counts an attempt on everything that it is to be counted on, or on nothing.
///
/// # Errors
/// [`Full`] if one of them takes no more.
pub fn count(attempt: &Attempt, counters: &mut Counters, now: DateTime<Utc>) -> Result<Counting, Full> {
    let read = |counters: &Counters, id| counters.get(&id).copied().unwrap_or(Counter::new(now));
    let is_known = read(counters, attempt.own.counter).is_known(now);
    let mut shares = vec![attempt.own];
    if !is_known {
        shares.extend(&attempt.unless_known);
    }
    let waits = shares.iter().filter_map(|share| {
        let wait = read(counters, share.counter).wait(share.limit, now)?;
        Some((share.counter, wait))
    });
    let full: Vec<_> = waits.collect();
    if let Some(wait) = full.iter().map(|(_, wait)| *wait).max() {
        return Err(Full { counters: full.into_iter().map(|(counter, _)| counter).collect(), wait });
    }
    for share in &shares {
        let mut counter = read(counters, share.counter);
        counter.clear_at = counter.time(share.limit, now) + share.limit.each();
        counters.insert(share.counter, counter);
    }
    Ok(Counting { shares, is_known })
}

/// Takes an attempt back, and notes from where its subject is known.
pub fn forgive(forgiven: &Forgiven, counters: &mut Counters, now: DateTime<Utc>) {
    for share in &forgiven.shares {
        let counter = counters.entry(share.counter).or_insert(Counter::new(now));
        counter.clear_at -= share.limit.each();
    }
    if let Some((known, since)) = forgiven.known {
        counters.entry(known).or_insert(Counter::new(now)).known_until = Some(since + KNOWN_FOR);
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
