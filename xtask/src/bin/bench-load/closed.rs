//! Connections that each send the next request when the last one is answered.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Closed;
use crate::session::{Refused, Session, now, text};

/// The part of the time that passes before anything counts.
const WARM_UP: f64 = 0.2;

/// What one connection saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// When each request was answered.
    answered: Vec<Instant>,
    refused: Vec<Refused>,
}

pub(crate) fn sign_in(load: &Closed) -> Result<Value, Refused> {
    let users = Numbers::new(load.users.users);
    run(load, |session, _| {
        let users = &users;
        move || session.sign_in(&format!("user{}", users.next())).map(drop)
    })
}

pub(crate) fn sign_up(load: &Closed) -> Result<Value, Refused> {
    let users = Numbers::new(u32::MAX);
    // Rounds on one server must not meet each other's names.
    let round = std::process::id();
    run(load, |session, _| {
        let users = &users;
        move || session.sign_up(&format!("new{round}x{}", users.next())).map(drop)
    })
}

pub(crate) fn refresh(load: &Closed) -> Result<Value, Refused> {
    run(load, |session, number| {
        let user = format!("user{}", number % load.users.users);
        let mut token: Option<String> = None;
        move || {
            let answer = match &token {
                None => session.sign_in(&user)?,
                Some(token) => session.refresh(token)?,
            };
            token = Some(text(&answer, "refresh_token")?);
            Ok(())
        }
    })
}

/// Numbers from zero on, and again.
pub(crate) struct Numbers {
    next: AtomicU32,
    count: u32,
}

impl Numbers {
    pub(crate) fn new(count: u32) -> Self {
        Self { next: AtomicU32::new(0), count }
    }

    pub(crate) fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed) % self.count
    }
}

/// Repeats on each connection what `connect` makes for it, and counts the answers per second.
fn run<F>(load: &Closed, connect: impl Fn(Session, u32) -> F) -> Result<Value, Refused>
where
    F: FnMut() -> Result<(), Refused> + Send,
{
    let began = now();
    let warm = began + Duration::from_secs_f64(load.seconds * WARM_UP);
    let end = warm + Duration::from_secs_f64(load.seconds);
    let seen = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections)
            .map(|number| {
                let request = connect(Session::new(&load.users.origin), number);
                scope.spawn(move || repeat(request, end))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect::<Vec<Seen>>()
    });
    report(&seen, warm, end)
}

/// Sends one request after the other until the end, past which the last one goes on.
pub(crate) fn repeat(mut request: impl FnMut() -> Result<(), Refused>, end: Instant) -> Seen {
    let mut seen = Seen::default();
    while now() < end {
        match request() {
            Ok(()) => seen.answered.push(now()),
            Err(refused) => seen.refused.push(refused),
        }
    }
    seen
}

/// The rate in the time that counts, during all of which every connection was busy.
fn report(seen: &[Seen], warm: Instant, end: Instant) -> Result<Value, Refused> {
    let counted = seen.iter().flat_map(|seen| &seen.answered).filter(|time| (warm..end).contains(*time));
    let mut answered: Vec<f64> = counted.map(|time| (*time - warm).as_secs_f64()).collect();
    answered.sort_by(f64::total_cmp);
    let refused: Vec<&Refused> = seen.iter().flat_map(|seen| &seen.refused).collect();
    if answered.len() < 2 {
        return Err(format!("less than two were answered in time; refused: {refused:?}"));
    }
    Ok(json!({
        "per_second": per_second(&answered),
        "answered": answered.len(),
        "refused": refused.len(),
        "first_refusal": refused.first(),
    }))
}

/// How fast the number of answers grows: the slope of the line through all of them (least squares), for these times in
/// order. Where answers come two at a time, as from two cores, first and last ones alone would say more than there were.
fn per_second(times: &[f64]) -> f64 {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let (mut together, mut apart) = (0.0, 0.0);
    for (number, time) in times.iter().enumerate() {
        together += (time - mean) * (number as f64 - (count - 1.0) / 2.0);
        apart += (time - mean).powi(2);
    }
    together / apart
}

impl Seen {
    /// How many were answered.
    pub(crate) fn answered(&self) -> usize {
        self.answered.len()
    }

    /// Those that were not.
    pub(crate) fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::per_second;

    #[test]
    fn answers_in_pairs_are_as_many_as_answers_in_turns() {
        let in_turns: Vec<f64> = (0..20).map(|number| f64::from(number) * 0.5).collect();
        let in_pairs: Vec<f64> = (0..20).map(|number| f64::from(number / 2)).collect();
        for times in [in_turns, in_pairs] {
            assert!((per_second(&times) - 2.0).abs() < 1e-9, "{}", per_second(&times));
        }
    }
}
