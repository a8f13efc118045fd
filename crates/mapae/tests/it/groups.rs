//! Transactions that become durable together: what one does to the others. On PostgreSQL each is alone, and what is true of
//! every transaction is tested there too.

use std::sync::Arc;
use std::time::Duration;

use mapae::domain::UserName;
use mapae::domain::user::NewUser;
use mapae::store::{Login, Store, StoreError, Tx};
use mapae_password::HashText;
use mapae_verify::Scopes;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use tokio::sync::oneshot::{self, Sender};
use tokio::task::JoinHandle;

use crate::database::{is_file, is_postgres};
use crate::oauth::{Tokens, refresh, refresh_request, sign_in};
use crate::races::at_once;
use crate::server::Server;

/// Enough for whoever is let in to stand in the queue.
const QUEUED: Duration = Duration::from_millis(100);
/// Nobody waits longer for others than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes an account of this name.
async fn write(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    let id = uuid::Uuid::from_u128(name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte))).into();
    let username = Some(UserName::parse(name).unwrap());
    let new = NewUser { id, username, email: None, full_name: None, scopes: Scopes::default() };
    tx.insert_user(new, &HashText::new("none")).await.map(drop)
}

async fn written(store: &Store, name: &str) -> bool {
    store.credential_by_login(&Login::parse(name).unwrap()).await.unwrap().is_some()
}

/// Members of one group: they queue while somebody else has the writer, so that they all are in the queue when the first
/// of them begins.
struct Queue {
    store: Store,
    first: Option<Tx>,
}

impl Queue {
    async fn new(server: &Server) -> Self {
        let store = server.mapae.store().clone();
        Self { first: Some(store.begin().await.unwrap()), store }
    }

    /// One more, who begins when it is its turn.
    async fn member<F>(&self, act: impl FnOnce(Tx) -> F + Send + 'static) -> JoinHandle<Result<(), StoreError>>
    where
        F: Future<Output = Result<(), StoreError>> + Send,
    {
        let store = self.store.clone();
        let member = tokio::spawn(async move { act(store.begin_in_group().await?).await });
        tokio::time::sleep(QUEUED).await;
        member
    }

    /// One that writes this and commits.
    async fn writes(&self, name: &'static str) -> JoinHandle<Result<(), StoreError>> {
        self.member(async move |mut tx| {
            write(&mut tx, name).await?;
            tx.commit().await
        })
        .await
    }

    /// One that writes this, and commits when it is told to.
    async fn writes_slowly(&self, name: &'static str) -> (Sender<()>, JoinHandle<Result<(), StoreError>>) {
        let (go, wait) = oneshot::channel();
        let member = self.member(async move |mut tx| {
            write(&mut tx, name).await?;
            let _ = wait.await;
            tx.commit().await
        });
        (go, member.await)
    }

    fn go(&mut self) {
        drop(self.first.take());
    }
}

async fn database(server: &Server) -> DatabaseConnection {
    Database::connect(crate::database::url(server.directory())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_before_the_group_is_durable() {
    if !is_file("nobody_is_answered_before_the_group_is_durable") {
        return;
    }
    let server = Server::start().await;
    let mut queue = Queue::new(&server).await;
    let one = queue.writes("one").await;
    let (go, other) = queue.writes_slowly("other").await;
    queue.go();
    tokio::time::sleep(QUEUED).await;
    assert!(!one.is_finished(), "its commit is that of the group");
    assert!(!written(&queue.store, "one").await && !written(&queue.store, "other").await);
    go.send(()).unwrap();
    one.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert!(written(&queue.store, "one").await && written(&queue.store, "other").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_goes_away_or_panics_undoes_only_itself() {
    let server = Server::start().await;
    let mut queue = Queue::new(&server).await;
    let first = queue.writes("first").await;
    let dropped = queue.member(async |mut tx| write(&mut tx, "dropped").await).await;
    let second = queue.writes("second").await;
    let refused = queue
        .member(async |mut tx| {
            write(&mut tx, "refused").await?;
            write(&mut tx, "refused").await
        })
        .await;
    let third = queue.writes("third").await;
    let panicking = queue
        .member(async |mut tx| {
            write(&mut tx, "panicking").await?;
            panic!("as wanted")
        })
        .await;
    let fourth = queue.writes("fourth").await;
    let gone = queue
        .member(async |mut tx| {
            write(&mut tx, "gone").await?;
            std::future::pending().await
        })
        .await;
    let waiting = queue.writes("waiting").await;
    let fifth = queue.writes("fifth").await;
    // Whoever waits for its turn may go away too.
    waiting.abort();
    queue.go();
    tokio::time::sleep(QUEUED).await;
    gone.abort();
    dropped.await.unwrap().unwrap();
    assert!(refused.await.unwrap().is_err() && panicking.await.unwrap_err().is_panic());
    for good in [first, second, third, fourth, fifth] {
        good.await.unwrap().unwrap();
    }
    for name in ["first", "second", "third", "fourth", "fifth"] {
        assert!(written(&queue.store, name).await, "{name}");
    }
    // On PostgreSQL nobody waited.
    assert_eq!(written(&queue.store, "waiting").await, is_postgres());
    for name in ["dropped", "refused", "panicking", "gone"] {
        assert!(!written(&queue.store, name).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_while_it_becomes_durable_takes_nobody_along() {
    let server = Server::start().await;
    let mut queue = Queue::new(&server).await;
    let gone = queue.writes("gone").await;
    let (go, slow) = queue.writes_slowly("slow").await;
    queue.go();
    tokio::time::sleep(QUEUED).await;
    gone.abort();
    go.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert!(written(&queue.store, "gone").await, "it had committed, whether anybody heard of it or not");
    assert!(written(&queue.store, "slow").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_still_holds_nobody_up() {
    if !is_file("one_that_stands_still_holds_nobody_up") {
        return;
    }
    let server = Server::start().await;
    let mut queue = Queue::new(&server).await;
    let (go, wait) = oneshot::channel::<()>();
    let finished = queue.writes("finished").await;
    let still = queue
        .member(async move |mut tx| {
            write(&mut tx, "still").await?;
            let _ = wait.await;
            let error = write(&mut tx, "stillmore").await.unwrap_err();
            assert!(error.to_string().contains("stood still"), "{error}");
            tx.commit().await
        })
        .await;
    let behind = queue.writes("behind").await;
    queue.go();
    for good in [finished, behind] {
        tokio::time::timeout(PATIENCE, good).await.expect("it is not held up").unwrap().unwrap();
    }
    // Those who write alone are not held up either.
    let mut alone = queue.store.begin().await.unwrap();
    write(&mut alone, "alone").await.unwrap();
    alone.commit().await.unwrap();
    go.send(()).unwrap();
    assert!(still.await.unwrap().unwrap_err().to_string().contains("stood still"));
    for (name, expected) in [("finished", true), ("behind", true), ("alone", true), ("still", false)] {
        assert_eq!(written(&queue.store, name).await, expected, "{name}");
    }
}

/// One that is alone may take its time. On PostgreSQL the server ends it, whoever waits.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_waits_for_is_left_alone() {
    if !is_file("one_that_nobody_waits_for_is_left_alone") {
        return;
    }
    let server = Server::start().await;
    let store = server.mapae.store();
    let mut tx = store.begin_in_group().await.unwrap();
    write(&mut tx, "slow").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    write(&mut tx, "slower").await.unwrap();
    tx.commit().await.unwrap();
    assert!(written(store, "slow").await && written(store, "slower").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_fails_everybody_in_it() {
    if !is_file("a_commit_that_fails_fails_everybody_in_it") {
        return;
    }
    let server = Server::start().await;
    // What only the commit of the whole finds out.
    let deferred = "CREATE TABLE one (id TEXT PRIMARY KEY); \
        CREATE TABLE two (id TEXT REFERENCES one DEFERRABLE INITIALLY DEFERRED); \
        CREATE TRIGGER late AFTER INSERT ON mapae_user WHEN new.username = 'bad' \
        BEGIN INSERT INTO two VALUES ('nowhere'); END";
    database(&server).await.execute_unprepared(deferred).await.unwrap();
    let mut queue = Queue::new(&server).await;
    let members = [queue.writes("before").await, queue.writes("bad").await, queue.writes("after").await];
    queue.go();
    for member in members {
        assert!(member.await.unwrap().is_err(), "nobody is told of success");
    }
    for name in ["before", "bad", "after"] {
        assert!(!written(&queue.store, name).await, "{name}");
    }
    let mut queue = Queue::new(&server).await;
    let next = queue.writes("next").await;
    queue.go();
    next.await.unwrap().unwrap();
    assert!(written(&queue.store, "next").await);
}

/// As SQLite does of its own accord when the disk is full or cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn where_sqlite_undoes_everything_nobody_is_told_of_success() {
    if !is_file("where_sqlite_undoes_everything_nobody_is_told_of_success") {
        return;
    }
    let server = Server::start().await;
    let everything = "CREATE TRIGGER everything AFTER INSERT ON mapae_user WHEN new.username = 'bad' \
        BEGIN SELECT RAISE(ROLLBACK, 'as if the disk were full'); END";
    database(&server).await.execute_unprepared(everything).await.unwrap();
    // One that sees the failure, and one that is gone by then.
    for (before, sees, after) in [("one", true, "two"), ("three", false, "four")] {
        let mut queue = Queue::new(&server).await;
        let lost = queue.writes(before).await;
        let bad = queue
            .member(async move |mut tx| {
                if sees {
                    return write(&mut tx, "bad").await;
                }
                let mut writing = std::pin::pin!(write(&mut tx, "bad"));
                // Sent, and hardly ever answered already.
                let _ = look(writing.as_mut()).await;
                Err(StoreError::UsernameTaken)
            })
            .await;
        let idle = queue
            .member(async |tx| {
                drop(tx);
                Ok(())
            })
            .await;
        let good = queue.writes(after).await;
        queue.go();
        assert!(bad.await.unwrap().is_err());
        idle.await.unwrap().unwrap();
        assert!(lost.await.unwrap().is_err(), "{before} was undone with the rest");
        good.await.unwrap().unwrap();
        assert!(!written(&queue.store, before).await && written(&queue.store, after).await);
    }
}

/// What a future has after it was looked at once.
async fn look<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_commit_fails_is_refused_and_may_be_tried_again() {
    if !is_file("a_refresh_whose_commit_fails_is_refused_and_may_be_tried_again") {
        return;
    }
    let server = Server::start().await;
    let mut tokens = Vec::new();
    for name in ["ann", "bob", "cleo", "dora"] {
        server.sign_up(name).await;
        tokens.push(sign_in(&server, name, "").await.refresh);
    }
    let database = database(&server).await;
    let deferred = "CREATE TABLE one (id TEXT PRIMARY KEY); \
        CREATE TABLE two (id TEXT REFERENCES one DEFERRABLE INITIALLY DEFERRED); \
        CREATE TRIGGER late AFTER UPDATE ON mapae_session BEGIN INSERT INTO two VALUES ('nowhere'); END";
    database.execute_unprepared(deferred).await.unwrap();
    // Each twice: the second may find what the first has done, which is not durable.
    let twice = tokens.iter().chain(&tokens);
    for (status, body) in at_once(twice.map(|token| refresh_request(&server, token))).await {
        assert!(status.is_server_error(), "{status}: {body}");
    }
    database.execute_unprepared("DROP TRIGGER late").await.unwrap();
    for token in &tokens {
        let next = refresh(&server, token).await.refresh;
        refresh(&server, &next).await;
    }
    let ahead = "SELECT count(*) FROM mapae_audit WHERE event LIKE '%ahead%' OR event LIKE '%reused%'";
    let ahead = sea_orm::Statement::from_string(database.get_database_backend(), ahead);
    let count: i64 = database.query_one_raw(ahead).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(count, 0, "nobody had been given a token that the database did not know of");
}

/// People who hang up in the middle of what they asked for, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn people_who_hang_up_disturb_nobody() {
    let server = Arc::new(Server::start().await);
    server.sign_up("ann").await;
    server.sign_up("bob").await;
    let (mut ann, mut bob) = (sign_in(&server, "ann", "").await.refresh, sign_in(&server, "bob", "").await.refresh);
    let hanging_up = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0_u64.. {
                let cut = Duration::from_micros(round * 137 % 5_000);
                let answer = async { refresh_request(&server, &bob).send().await.unwrap().json().await.unwrap() };
                if let Ok(answer) = tokio::time::timeout(cut, answer).await {
                    bob = Tokens::of(&answer).refresh;
                }
            }
        })
    };
    for _ in 0..100 {
        ann = refresh(&server, &ann).await.refresh;
    }
    hanging_up.abort();
    let _ = hanging_up.await;
    refresh(&server, &ann).await;
}
