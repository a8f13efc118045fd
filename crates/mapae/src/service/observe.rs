//! What a look at the service shows that no single event does.

use metrics::{counter, gauge};

use super::Service;

impl Service {
    /// Brings the metrics up to date that are states or are counted elsewhere. An exporter calls this before it renders.
    ///
    /// All metrics go to the recorder of the crate `metrics`, as the one that the program installed before the service
    /// was made; without one they cost next to nothing.
    pub fn observe(&self) {
        gauge!("mapae_password_queue_depth").set(self.0.passwords.queue_depth() as f64);
        let cache = self.0.verifier.cache_stats();
        counter!("mapae_tokens_verified_total", "cache" => "hit").absolute(cache.hits);
        counter!("mapae_tokens_verified_total", "cache" => "miss").absolute(cache.misses);
        gauge!("mapae_token_cache_bytes").set(cache.bytes as f64);
        for pool in self.store().pools() {
            let connections = |state: &'static str, count: u32| {
                gauge!("mapae_database_connections", "pool" => pool.name, "state" => state).set(f64::from(count));
            };
            connections("idle", pool.idle);
            connections("used", pool.open.saturating_sub(pool.idle));
        }
    }
}
