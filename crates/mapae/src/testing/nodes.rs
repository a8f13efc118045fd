//! Two nodes on the database that a suite looks at.

use std::sync::Arc;
use std::time::Duration;

use mapae_password::HashText;
use mapae_verify::{Clock as _, ManualClock, Scopes, SystemClock};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::TestApp;
use super::report::{Broken, SuiteError, broken};
use crate::domain::ids::IdSource;
use crate::domain::user::NewUser;
use crate::domain::{BaseUrl, Device, MasterKey, RefreshState, SecretText, Session, SystemRng, User, UserName};
use crate::service::accounts::NewAccount;
use crate::service::{Background, By, Service, StartError};
use crate::settings::Settings;
use crate::store::{DatabaseOptions, Migrate, Store};

/// Within this time every node knows what another changed: the second that the book promises, and one for a busy machine.
const HEARD: Duration = Duration::from_secs(2);

/// A busy machine may keep 64 who want one row waiting for longer than anybody would in operation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two nodes, as different processes: they have nothing in common but the database and the clock.
pub(super) struct Nodes {
    pub(super) one: Service,
    pub(super) other: Service,
    pub(super) clock: ManualClock,
    ids: IdSource,
    _background: [Background; 2],
}

impl Nodes {
    pub(super) async fn start(database: &DatabaseOptions) -> Result<Self, SuiteError> {
        let database = &DatabaseOptions {
            acquire_timeout: PATIENCE,
            statement_timeout: PATIENCE,
            lock_timeout: PATIENCE,
            ..database.clone()
        };
        let clock = ManualClock::default();
        clock.set_millis(SystemClock.now_millis());
        let start = async || -> Result<_, SuiteError> {
            let store = Store::open(database, true, Migrate::Apply, Arc::new(clock.clone())).await?;
            let node = start(store, &clock, |_| {}).await?;
            let background = node.watch().await.map_err(StartError::from)?;
            Ok((node, background))
        };
        let (one, first) = start().await?;
        let (other, second) = start().await?;
        let ids = IdSource::new(Arc::new(clock.clone()), Arc::new(SystemRng));
        Ok(Self { one, other, clock, ids, _background: [first, second] })
    }

    /// Gives the connections back.
    pub(super) async fn stop(self) {
        let Self { one, other, _background: background, .. } = self;
        for (node, background) in [one, other].into_iter().zip(background) {
            background.stop().await;
            node.store().close().await;
        }
    }

    /// Another service on the database of one of the nodes, with settings of its own.
    pub(super) async fn again(
        &self,
        node: &Service,
        change: impl FnOnce(&mut Settings),
    ) -> Result<Service, StartError> {
        start(node.store().clone(), &self.clock, change).await
    }

    /// One of the two, by turns.
    pub(super) fn node(&self, number: usize) -> &Service {
        if number.is_multiple_of(2) { &self.one } else { &self.other }
    }

    /// A word that occurs nowhere else in the database.
    pub(super) fn word(&self) -> String {
        format!("w{}", self.ids.uuid_v7().simple())
    }

    /// Unpredictable bytes.
    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        self.ids.random()
    }

    /// An account to be made with this full name, and a name that nobody else has.
    pub(super) fn new_user(&self, full_name: Option<String>) -> Result<NewUser, Broken> {
        let id = self.ids.uuid_v7().into();
        let scopes = Scopes::parse("me").unwrap_or_default();
        Ok(NewUser { id, username: Some(UserName::parse(&self.word())?), email: None, full_name, scopes })
    }

    /// An account.
    pub(super) async fn user(&self) -> Result<User, Broken> {
        let mut tx = self.one.store().begin().await?;
        let user = tx.insert_user(self.new_user(None)?, &hash("first")).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// An account that can sign in, and its password.
    pub(super) async fn registered(&self) -> Result<(User, SecretText), Broken> {
        let password = SecretText::new(TestApp::PASSWORD.to_owned());
        let new = NewAccount { email: None, username: Some(self.word()), full_name: None, password: password.clone() };
        Ok((self.one.add_account(new, None, By::System).await?, password))
    }

    /// A session of this account that is not in the database yet.
    pub(super) fn new_session(&self, user: &User) -> Session {
        let (now, hour) = (self.one.now(), chrono::TimeDelta::hours(1));
        Session {
            id: self.ids.uuid_v7().to_string(),
            user_id: user.id.clone(),
            client_id: "mapae".to_owned(),
            scope: Scopes::default(),
            created_at: now,
            expires_at: now + hour,
            ended: None,
            refresh: Some(RefreshState { generation: 0, refreshed_at: now, idle_expires_at: now + hour }),
            access_expires_at: now + hour,
            device: Device::default(),
            delegation: None,
        }
    }

    /// A session of this account.
    pub(super) async fn session(&self, user: &User) -> Result<Session, Broken> {
        let session = self.new_session(user);
        let mut tx = self.one.store().begin().await?;
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// So many at the same moment, by turns on both nodes; what came of each.
    pub(super) async fn at_once<T, F>(&self, count: usize, act: impl Fn(usize, Service) -> F) -> Result<Vec<T>, Broken>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Broken>> + Send + 'static,
    {
        let acts = (0..count).map(|number| act(number, self.node(number).clone()));
        at_once(acts).await
    }
}

async fn start(store: Store, clock: &ManualClock, change: impl FnOnce(&mut Settings)) -> Result<Service, StartError> {
    // Any would do: it is nowhere called.
    let base_url = BaseUrl::parse("http://suite.example").expect("a base URL");
    let mut settings = Settings::new(base_url);
    settings.passwords = TestApp::cheap_hashing();
    change(&mut settings);
    let key = MasterKey::new(b"the suites' own, and nobody else's".to_vec()).expect("long enough");
    Service::start(store, settings, key, Arc::new(clock.clone())).await
}

/// Acts that begin at the same moment; what came of each, in no particular order. The first failure fails all.
pub(super) async fn at_once<T, F>(acts: impl IntoIterator<Item = F>) -> Result<Vec<T>, Broken>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Broken>> + Send + 'static,
{
    let acts: Vec<F> = acts.into_iter().collect();
    let barrier = Arc::new(Barrier::new(acts.len()));
    let mut all = JoinSet::new();
    for act in acts {
        let barrier = Arc::clone(&barrier);
        all.spawn(async move {
            barrier.wait().await;
            act.await
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = all.join_next().await {
        answers.push(answer??);
    }
    Ok(answers)
}

/// Waits until that is so on another node, for as long as such news may take.
pub(super) async fn heard(expected: &str, is_so: impl AsyncFn() -> Result<bool, Broken>) -> Result<(), Broken> {
    let until = Instant::now() + HEARD;
    while !is_so().await? {
        if Instant::now() >= until {
            return broken(format!("{expected} within {} s", HEARD.as_secs()), "no such thing");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// What stands for a hash where nobody signs in.
pub(super) fn hash(text: &str) -> HashText {
    HashText::new(text)
}
