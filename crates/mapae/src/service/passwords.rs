//! Checking and making password hashes, whoever's table they are in.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;

use mapae_password::policy::{PasswordPolicy, PolicyError, PolicyViolation};
use mapae_password::{Context, HashError, HashText, Password, Verification, Workspace, flask_security};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use super::PoolBusy;
use super::hash_pool::HashPool;
use super::refusal_floor::{MAX_CLASSES, RefusalFloor};
use crate::domain::{Rng, SecretText};
use crate::settings::HashPoolSettings;

/// Checks passwords against stored hashes and makes new ones, on a pool as wide as the cores. Cheap to clone; a
/// process needs one.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    context: Context,
    pool: HashPool,
    floor: RefusalFloor,
    /// What passwords are HMACed with before they are hashed.
    hmac_key: Option<SecretText>,
    /// Held for writing until the floor was measured.
    priming: Arc<RwLock<()>>,
    rng: Arc<dyn Rng>,
}

impl Inner {
    fn verify(&self, hash: &HashText, given: &Password, workspace: &mut Workspace) -> Result<Verification, HashError> {
        match &self.hmac_key {
            None => self.context.verify(hash, given, workspace),
            Some(key) => flask_security::verify(&self.context, hash, given, key.expose().as_bytes(), workspace),
        }
    }

    fn hash(&self, password: &Password, salt: &[u8; 16], workspace: &mut Workspace) -> Result<HashText, HashError> {
        match &self.hmac_key {
            None => self.context.hash(password, salt, workspace),
            Some(key) => flask_security::hash(&self.context, password, key.expose().as_bytes(), salt, workspace),
        }
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords")
    }
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right, and its account may sign in.
    Accepted {
        /// The stored hash is weak or of a deprecated format: worth replacing now that the password is at hand.
        needs_rehash: bool,
    },
    /// A wrong password, an account that may not sign in, or none at all.
    Refused,
}

/// Why a new password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// It breaks these rules.
    #[error("the password breaks a rule")]
    Refused(Vec<PolicyViolation>),
    /// The list of breached passwords cannot be read.
    #[error("the list of breached passwords cannot be read: {0}")]
    Unreadable(Box<dyn Error + Send + Sync>),
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl Passwords {
    /// Hashes as `context` says, on a pool of its own.
    ///
    /// # Errors
    /// [`HashError`] if new hashes would exceed the context's own limits.
    pub fn new(context: Context, pool: HashPoolSettings, rng: Arc<dyn Rng>) -> Result<Self, HashError> {
        Self::with_hmac_key(context, pool, rng, None)
    }

    /// As [`Self::new`]; not the password but its HMAC under `hmac_key` is hashed, as Flask-Security does.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_hmac_key(
        context: Context,
        pool: HashPoolSettings,
        rng: Arc<dyn Rng>,
        hmac_key: Option<SecretText>,
    ) -> Result<Self, HashError> {
        context.examine(&context.dummy())?;
        let (pool, floor, priming) = (HashPool::new(pool), RefusalFloor::default(), Arc::default());
        Ok(Self(Arc::new(Inner { context, pool, floor, hmac_key, priming, rng })))
    }

    /// Jobs that wait for a thread of the pool.
    pub(super) fn queue_depth(&self) -> usize {
        self.0.pool.depth()
    }

    /// From now on a refusal comes as soon as it is known.
    #[cfg(feature = "testing")]
    pub(crate) fn remove_refusal_floor(&self) {
        self.0.floor.remove();
    }

    /// Measures in the background one check of each class of hashes among `in_use` and of new ones, so that already the
    /// first refusal comes as late as the costliest of them would. Refusals wait until that is done.
    ///
    /// A few hundred hashes of the table are enough. What none of them shows is learned from the first sign-in that
    /// meets it.
    pub async fn prime(&self, in_use: impl Future<Output = Vec<HashText>> + Send + 'static) -> JoinHandle<()> {
        let priming = Arc::clone(&self.0.priming).write_owned().await;
        let passwords = self.clone();
        tokio::spawn(async move {
            let context = &passwords.0.context;
            let (mut classes, mut missing) = (HashSet::new(), HashSet::new());
            for hash in std::iter::once(context.dummy()).chain(in_use.await) {
                let class = match context.cost_class(&hash) {
                    Ok(class) => class,
                    Err(HashError::UnknownPepper { id }) => {
                        if missing.insert(id) {
                            tracing::error!(pepper = %id, "accounts need a pepper that is not configured to sign in");
                        }
                        continue;
                    }
                    Err(_) => continue,
                };
                if classes.len() < MAX_CLASSES && classes.insert(class) {
                    passwords.measure(hash).await;
                }
            }
            drop(priming);
        })
    }

    async fn measure(&self, hash: HashText) {
        let inner = Arc::clone(&self.0);
        let class = inner.context.cost_class(&hash).ok();
        let run = self.0.pool.run_uncounted(move |workspace| {
            let any = Password::new("any password takes as long")?;
            inner.verify(&hash, &any, workspace)
        });
        // With a full queue there are sign-ins enough to learn from.
        if let Ok(done) = run.await
            && done.value.is_ok()
        {
            self.0.floor.note(class, done.took);
        }
    }

    /// How many checks and hashes were begun.
    pub(crate) fn computed(&self) -> u64 {
        self.0.pool.begun()
    }

    /// Checks a password. `stored` is `None` where nobody has the name, `may_sign_in` false for a disabled account:
    /// the same number of hashes is computed in either case, and a refusal comes no earlier than the floor, by a timer
    /// that holds no thread. So the answer's time does not tell them apart.
    ///
    /// # Errors
    /// [`PoolBusy`] if the queue is full.
    pub async fn check(
        &self,
        stored: Option<&HashText>,
        may_sign_in: bool,
        password: &Password,
    ) -> Result<Verdict, PoolBusy> {
        let inner = Arc::clone(&self.0);
        let (stored, given) = (stored.cloned(), password.clone());
        // A refused password was tried in each of its Unicode forms, of which most have one.
        let forms = if password.to_nfc().is_some() { 2 } else { 1 };
        let done = self
            .0
            .pool
            .run(move |workspace| {
                let context = &inner.context;
                let dummy = context.dummy();
                let verify = |hash: &HashText, workspace: &mut _| inner.verify(hash, &given, workspace);
                let (verdict, known) = match &stored {
                    None => (verify(&dummy, workspace), false),
                    Some(hash) => match verify(hash, workspace) {
                        // A stored hash that is refused without work must not answer faster than a real one.
                        Err(error) => (verify(&dummy, workspace).and(Err(error)), true),
                        verdict => (verdict, true),
                    },
                };
                let computed = stored.as_ref().filter(|_| verdict.is_ok()).unwrap_or(&dummy);
                (verdict, known, context.cost_class(computed).ok())
            })
            .await?;
        let (verdict, known, class) = done.value;
        self.0.floor.note(class, done.took / forms);

        if let (Err(error), true) = (&verdict, known) {
            tracing::error!(%error, "the stored password hash of an account cannot be checked");
        }
        match verdict {
            Ok(Verification { matches: true, needs_rehash }) if known && may_sign_in => {
                Ok(Verdict::Accepted { needs_rehash })
            }
            Ok(_) | Err(_) => {
                drop(self.0.priming.read().await);
                tokio::time::sleep_until(done.started + self.0.floor.get() * forms).await;
                Ok(Verdict::Refused)
            }
        }
    }

    /// Hashes a password that was accepted already.
    ///
    /// # Errors
    /// [`NewPasswordError::Busy`] or [`NewPasswordError::Hash`].
    pub async fn hash(&self, password: &Password) -> Result<HashText, NewPasswordError> {
        self.0.pool.run(self.hashing(password, |_| Ok(()))).await?.value
    }

    /// As [`Self::hash`], for somebody who signs in whether it comes to that or not.
    ///
    /// # Errors
    /// As [`Self::hash`].
    pub(super) async fn renew(&self, password: &Password) -> Result<HashText, NewPasswordError> {
        self.0.pool.run_uncounted(self.hashing(password, |_| Ok(()))).await?.value
    }

    /// Checks a new password against the policy and hashes it. `inputs` are the person's own names, which the password
    /// must not be.
    ///
    /// # Errors
    /// [`NewPasswordError`].
    pub async fn hash_new(
        &self,
        password: &Password,
        policy: PasswordPolicy,
        inputs: Vec<String>,
    ) -> Result<HashText, NewPasswordError> {
        let hashing = self.hashing(password, move |password| {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            policy.check(password, &inputs).map_err(|error| match error {
                PolicyError::Broken(violations) => NewPasswordError::Refused(violations),
                PolicyError::Unreadable(error) => NewPasswordError::Unreadable(error),
            })
        });
        self.0.pool.run(hashing).await?.value
    }

    /// Judging strength takes milliseconds too, so it is done on the pool.
    fn hashing(
        &self,
        password: &Password,
        check: impl FnOnce(&Password) -> Result<(), NewPasswordError> + Send + 'static,
    ) -> impl FnOnce(&mut Workspace) -> Result<HashText, NewPasswordError> + Send + 'static {
        let mut salt = [0; 16];
        self.0.rng.fill(&mut salt);
        let (inner, password) = (Arc::clone(&self.0), password.clone());
        move |workspace| {
            check(&password)?;
            Ok(inner.hash(&password, &salt, workspace)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use mapae_password::Argon2Params;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::domain::SystemRng;

    #[tokio::test]
    async fn only_people_are_counted_as_turned_away() {
        let context = Context { argon2: Argon2Params::new(64, 1, 1).unwrap(), ..Context::default() };
        let pool = HashPoolSettings { threads: NonZeroUsize::MIN, queue: 1 };
        let passwords = Passwords::new(context, pool, Arc::new(SystemRng)).unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let refusals = || {
            let text = recorder.handle().render();
            let line = text.lines().find_map(|line| line.strip_prefix("mapae_password_queue_refusals_total "));
            line.map_or(0, |count| count.parse().unwrap())
        };

        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let hold = passwords.0.pool.run(move |_| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
        });
        let others = async {
            has_begun.await.unwrap();
            let queued = passwords.0.pool.run(|_| ());
            let refused = async {
                let given = Password::new("a tablet for nine post horses").unwrap();
                passwords.measure(passwords.0.context.dummy()).await;
                assert!(matches!(passwords.renew(&given).await, Err(NewPasswordError::Busy(PoolBusy))));
                assert_eq!(refusals(), 0);
                assert_eq!(passwords.check(None, true, &given).await, Err(PoolBusy));
                assert_eq!(refusals(), 1);
                go.send(()).unwrap();
            };
            tokio::join!(queued, refused).0.unwrap();
        };
        tokio::join!(hold, others).0.unwrap();
        assert!(passwords.0.floor.get().is_zero(), "a measurement that was not made has no result");
    }
}
