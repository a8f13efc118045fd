use mapae_verify::ManualClock;

use super::*;
use crate::domain::throttle::{CounterId, Limit};

/// What was undone is taken back later. What may have been done is not done twice: counters are shared, and the second
/// time would take back the failure of somebody else.
#[test]
fn what_may_have_been_taken_back_is_not_taken_back_again() {
    let limit = Limit { failures: 10, seconds: 600 };
    let share = Share { counter: CounterId([1; 16]), limit };
    for (may_be_done, kept) in [(false, 1), (true, 0)] {
        let queue = Queue::new(None, Arc::new(ManualClock::new(0)));
        let forgiven = vec![Forgiven { shares: vec![share], known: None }];
        let nothing_later = queue.keep(forgiven, &Failed { error: StoreError::lost(), may_be_done });
        assert_eq!((queue.state().forgiven.len(), nothing_later), (kept, may_be_done));
    }
}
