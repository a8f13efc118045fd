//! When keys are fetched anew.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

/// Unless the issuer or a setting says otherwise.
const USUAL: Duration = Duration::from_secs(300);
/// The least and the most that `Cache-Control: max-age` can make of it.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// The least that a setting can make of it.
const LEAST: Duration = Duration::from_millis(100);
/// After the first failure, doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The pauses between fetches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Set by the application; then `max-age` does not count.
    pub(super) interval: Option<Duration>,
}

impl Schedule {
    pub(super) fn after_success(self, max_age: Option<Duration>) -> Duration {
        match (self.interval, max_age) {
            (Some(interval), _) => interval.max(LEAST),
            (None, Some(age)) => age.clamp(BOUNDS.0, BOUNDS.1),
            (None, None) => USUAL,
        }
    }

    /// After so many failures in a row.
    pub(super) fn after_failure(self, failures: u32) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        doubled.min(LONGEST_RETRY).min(self.after_success(None))
    }
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1); 0 where the answer must not be stored or reused.
pub(super) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut age = None;
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            age = value.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    age
}

/// A duration in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seconds(schedule: Schedule, header: &'static str) -> u64 {
        let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(header))]);
        schedule.after_success(max_age(&headers)).as_secs()
    }

    #[test]
    fn the_answer_says_how_long_it_is_good_within_bounds() {
        let usual = Schedule { interval: None };
        for (header, expected) in [
            ("public, max-age=600", 600),
            ("MAX-AGE=\"600\"", 600),
            ("max-age=5", 30),
            ("max-age=0", 30),
            ("no-store", 30),
            ("max-age=600, no-cache", 30),
            ("max-age=86400", 3600),
            ("max-age=99999999999999999999999", 300),
            ("max-age=-1", 300),
            ("max-age", 300),
            ("s-maxage=700, public", 300),
            ("", 300),
        ] {
            assert_eq!(seconds(usual, header), expected, "{header}");
        }
        assert_eq!(usual.after_success(max_age(&HeaderMap::new())), USUAL);
    }

    #[test]
    fn a_setting_decides_alone() {
        let set = |interval| Schedule { interval: Some(interval) };
        assert_eq!(seconds(set(Duration::from_secs(7)), "max-age=600"), 7);
        assert_eq!(set(Duration::ZERO).after_success(None), LEAST);
    }

    #[test]
    fn failures_are_tried_again_soon_and_then_more_rarely() {
        let usual = Schedule { interval: None };
        let pauses = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|failures| usual.after_failure(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        let often = Schedule { interval: Some(Duration::from_secs(3)) };
        assert_eq!([1, 2, 3].map(|failures| often.after_failure(failures).as_secs()), [1, 2, 3]);
    }
}
