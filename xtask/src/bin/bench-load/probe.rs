//! A steady rate of requests beside a flood of sign-ins. Each request's time counts from the moment when it was due: one
//! that is late because an earlier one hangs has waited too (no coordinated omission).

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Closed;
use crate::closed::{Numbers, Seen, repeat};
use crate::session::{Refused, Session, now, text};

/// Connections that take turns at the steady rate.
const CONNECTIONS: u32 = 16;
/// What the flood, or the idle server, is given before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// The times of the requests, in seconds.
#[derive(Default)]
struct Times {
    seconds: Vec<f64>,
    refused: Vec<Refused>,
}

pub(crate) fn run(flood: &Closed, rate: u32, path: &str) -> Result<Value, Refused> {
    let origin = &flood.users.origin;
    let token = text(&Session::new(origin).sign_in("user0")?, "access_token")?;
    let users = Numbers::new(flood.users.users);
    let start = now() + WARM_UP;
    let end = start + Duration::from_secs_f64(flood.seconds);
    let (users, token) = (&users, &token);
    let (times, seen) = thread::scope(|scope| {
        let flooding: Vec<_> = (0..flood.connections)
            .map(|_| {
                let session = Session::new(origin);
                let sign_in = move || session.sign_in(&format!("user{}", users.next())).map(drop);
                scope.spawn(move || repeat(sign_in, end))
            })
            .collect();
        let probing: Vec<_> = (0..CONNECTIONS)
            .map(|turn| {
                let interval = Duration::from_secs(1) * CONNECTIONS / rate;
                let first = start + interval * turn / CONNECTIONS;
                scope.spawn(move || probe(&Session::new(origin), path, token, first, interval, end))
            })
            .collect();
        let times: Vec<Times> = probing.into_iter().map(|one| one.join().expect("a thread panicked")).collect();
        let seen: Vec<Seen> = flooding.into_iter().map(|one| one.join().expect("a thread panicked")).collect();
        (times, seen)
    });

    let mut seconds: Vec<f64> = times.iter().flat_map(|times| times.seconds.iter().copied()).collect();
    seconds.sort_by(f64::total_cmp);
    let refused: Vec<&Refused> =
        times.iter().flat_map(|times| &times.refused).chain(seen.iter().flat_map(Seen::refused)).collect();
    let at = |share: f64| seconds.get((seconds.len() as f64 * share) as usize).map(|seconds| seconds * 1000.0);
    Ok(json!({
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "requests": seconds.len(),
        "sign_ins": seen.iter().map(Seen::answered).sum::<usize>(),
        "refused": refused.len(),
        "first_refusal": refused.first(),
    }))
}

/// Asks at each moment that is due, until the end.
fn probe(session: &Session, path: &str, token: &str, first: Instant, interval: Duration, end: Instant) -> Times {
    let mut times = Times::default();
    // So that the connection is there already.
    times.refused.extend(session.get(path, token).err());
    let mut due = first;
    while due < end {
        thread::sleep(due.saturating_duration_since(now()));
        if now() < end {
            times.refused.extend(session.get(path, token).err());
        }
        // One that was never sent has waited at least until now.
        times.seconds.push((now() - due).as_secs_f64());
        due += interval;
    }
    times
}
