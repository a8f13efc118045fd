use proptest::prelude::*;

use super::*;

const LIMIT: Limit = Limit { failures: 3, seconds: 60 };
const WIDE: Limit = Limit { failures: 5, seconds: 10 };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

fn share(number: u8, limit: Limit) -> Share {
    Share { counter: CounterId([number; 16]), limit }
}

/// At place `own`, of the one account, in the one network.
fn attempt(own: u8) -> Attempt {
    Attempt { own: share(own, LIMIT), unless_known: vec![share(100, WIDE)] }
}

#[test]
fn after_so_many_failures_one_is_forgiven_at_a_time() {
    let mut counters = Counters::new();
    for _ in 0..3 {
        count(&attempt(1), &mut counters, at(0)).unwrap();
    }
    let full = count(&attempt(1), &mut counters, at(0)).unwrap_err();
    assert_eq!((full.counters.clone(), full.retry_after()), (vec![CounterId([1; 16])], 60));
    assert_eq!(count(&attempt(1), &mut counters, at(59)).unwrap_err().retry_after(), 1);
    count(&attempt(1), &mut counters, at(60)).unwrap();
    assert_eq!(count(&attempt(1), &mut counters, at(60)).unwrap_err().retry_after(), 60);
    for _ in 0..3 {
        count(&attempt(1), &mut counters, at(10_000)).unwrap();
    }
    count(&attempt(1), &mut counters, at(10_000)).unwrap_err();
}

#[test]
fn what_is_refused_is_counted_nowhere() {
    let mut counters = Counters::new();
    for _ in 0..3 {
        count(&attempt(1), &mut counters, at(0)).unwrap();
    }
    let before = counters.clone();
    count(&attempt(1), &mut counters, at(0)).unwrap_err();
    assert_eq!(counters, before);
}

#[test]
fn a_known_place_is_not_touched_by_strangers() {
    let mut counters = Counters::new();
    let right = count(&attempt(1), &mut counters, at(0)).unwrap();
    assert!(!right.is_known && right.shares.len() == 2);
    let known = Some((CounterId([1; 16]), at(0)));
    forgive(&Forgiven { shares: right.shares, known }, &mut counters, at(0));
    for stranger in 2..7 {
        count(&attempt(stranger), &mut counters, at(0)).unwrap();
    }
    assert_eq!(count(&attempt(7), &mut counters, at(0)).unwrap_err().counters, [CounterId([100; 16])]);
    for _ in 0..3 {
        let own = count(&attempt(1), &mut counters, at(0)).unwrap();
        assert!(own.is_known && own.shares.len() == 1);
    }
    count(&attempt(1), &mut counters, at(0)).unwrap_err();
    let later = KNOWN_FOR.num_seconds();
    assert!(!count(&attempt(1), &mut counters, at(later)).unwrap().is_known);
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    for jump in [1, 59, 60, 61, 180, 181, 86_400] {
        let mut counters = Counters::new();
        let right = count(&attempt(1), &mut counters, at(jump)).unwrap();
        let known = Some((CounterId([1; 16]), at(jump)));
        forgive(&Forgiven { shares: right.shares, known }, &mut counters, at(jump));
        for _ in 0..3 {
            count(&attempt(1), &mut counters, at(jump)).unwrap();
        }
        if let Err(full) = count(&attempt(1), &mut counters, at(0)) {
            assert!(jump <= 60 && full.retry_after() <= 120, "{jump}: {full:?}");
            count(&attempt(1), &mut counters, at(full.retry_after().into())).unwrap();
        }
    }
}

/// Else whoever alternates between two nodes would have many more attempts.
#[test]
fn clocks_that_are_a_little_apart_forgive_nothing() {
    let mut counters = Counters::new();
    for _ in 0..3 {
        count(&attempt(1), &mut counters, at(30)).unwrap();
    }
    for node in [0, 30, 1, 29] {
        count(&attempt(1), &mut counters, at(node)).unwrap_err();
    }
}

#[test]
fn networks_are_what_one_subscriber_has() {
    let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
    assert_ne!(network("198.51.100.1"), network("198.51.100.2"));
    assert_eq!(network("198.51.100.1"), network("::ffff:198.51.100.1"));
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
}

#[test]
fn everything_that_is_counted_has_a_name_of_its_own() {
    let key = ThrottleKey::new(&[7; 32]);
    let (one, other) = (Network::V4([1, 2, 3, 4]), Network::V6([1, 2, 3, 4, 0, 0, 0, 0]));
    let (ann, client) = (Subject::Person("ann"), Subject::Client("ann"));
    let all = [
        Counted::Place(ann, None),
        Counted::Place(ann, Some(one)),
        Counted::Place(ann, Some(other)),
        Counted::Place(client, Some(one)),
        Counted::Place(Subject::Person("ann4"), Some(one)),
        Counted::Strangers(ann),
        Counted::Strangers(client),
        Counted::Network(one),
        Counted::Secrets(one),
        Counted::Device(ann, [1; 16]),
        Counted::Device(ann, [2; 16]),
        Counted::Devices(ann),
        Counted::Devices(client),
        Counted::Session("ann"),
    ];
    let names: std::collections::HashSet<_> = all.map(|counted| key.counter(counted)).into_iter().collect();
    assert_eq!(names.len(), all.len());
    assert_eq!(key.counter(all[1]), key.counter(all[1]));
    assert_ne!(ThrottleKey::new(&[8; 32]).counter(all[1]), key.counter(all[1]));
}

proptest! {
    /// Whatever comes in whatever order: in any stretch of time there are no more failures than the limit and what was
    /// forgiven meanwhile; and what is taken back counts for nothing.
    #[test]
    fn never_more_than_the_limit(steps in prop::collection::vec((0_i64..90, any::<bool>()), 1..200)) {
        let (mut counters, mut now, mut failures) = (Counters::new(), 0, Vec::new());
        for (pause, is_right) in steps {
            now += pause;
            match count(&attempt(1), &mut counters, at(now)) {
                Ok(counting) if is_right => {
                    forgive(&Forgiven { shares: counting.shares, known: None }, &mut counters, at(now));
                }
                Ok(_) => failures.push(now),
                Err(full) => {
                    let later = at(now + i64::from(full.retry_after()));
                    prop_assert!(count(&attempt(1), &mut counters.clone(), later).is_ok());
                }
            }
        }
        for (first, from) in failures.iter().enumerate() {
            for (last, to) in failures.iter().enumerate().skip(first) {
                let most = i64::from(LIMIT.failures) + (to - from) / i64::from(LIMIT.seconds);
                prop_assert!((last - first + 1) as i64 <= most);
            }
        }
    }
}
