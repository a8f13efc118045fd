//! Several processes that write to one database at the same moment: on SQLite they wait for each other, on PostgreSQL they
//! work side by side.

use std::sync::Arc;
use std::time::Duration;

use mapae::domain::{ClientType, UserId};
use mapae::service::accounts::ChangeError;
use mapae::service::{By, ClientError, Ending, Principal};
use mapae::store::Revocation;
use mapae::{Mapae, Settings};
use mapae_verify::{ManualClock, Scopes};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use tokio::time::{Instant, sleep};

use crate::database::{Directory, is_postgres, url};
use crate::oauth::{confidential, new_client};
use crate::server::{START, Server, disable, open, settings, withdraw};

/// Each future in a task of its own; what they answer, in order.
async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn sessions(mapae: &Mapae, name: &str, count: usize) -> UserId {
    let id = mapae.find_account(name).await.unwrap().id;
    for _ in 0..count {
        mapae.mint(&id, &Scopes::default(), By::System).await.unwrap();
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_demote_each_other_one_stays() {
    let server = Server::start().await;
    let other = server.another_process().await;
    for round in 0..10 {
        let mut admins: Vec<(UserId, Principal)> = Vec::new();
        for name in ["ann", "bob"] {
            let id = server.sign_up_with_scopes(&format!("{name}{round}"), "me mapae:admin").await;
            let token = server.sign_in_for(&format!("{name}{round}"), "mapae:admin").await;
            admins.push((id, server.mapae.authenticate(&token).await.unwrap()));
        }
        let demote = |mapae: Mapae, (by, whom): (usize, usize)| {
            let (by, whom) = (admins[by].1.clone(), admins[whom].0.clone());
            async move { mapae.administer(&whom, withdraw("mapae:admin"), By::User(&by)).await }
        };
        let tasks = [demote(server.mapae.clone(), (0, 1)), demote(other.clone(), (1, 0))];
        let answers = together(tasks).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(ChangeError::InsufficientScope { .. })));
        assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), refused.count()), (1, 1), "{answers:?}");
    }
}

/// A verifier that has seen a number has seen all before it, or it would never ask for them.
#[tokio::test(flavor = "multi_thread")]
async fn revocations_come_to_sight_in_the_order_of_their_numbers() {
    let server = Server::start().await;
    let other = server.another_process().await;
    for name in ["ann", "bob", "cid", "dan"] {
        server.sign_up(name).await;
        sessions(&server.mapae, name, 12).await;
    }
    let reader = tokio::spawn({
        let mapae = server.mapae.clone();
        async move {
            let mut seen: Vec<Vec<Revocation>> = Vec::new();
            while seen.last().is_none_or(|last| last.len() < 48) {
                seen.push(mapae.store().revocations().await.unwrap());
            }
            seen
        }
    });
    let open: Vec<String> = server.mapae.sessions(None).await.unwrap().into_iter().map(|session| session.id).collect();
    let tasks = open.chunks(6).enumerate().map(|(at, some)| {
        let (mapae, some) = (if at % 2 == 0 { server.mapae.clone() } else { other.clone() }, some.to_vec());
        async move {
            for id in some {
                assert_eq!(mapae.end_sessions(&Ending::Session(id), By::System).await.unwrap(), 1);
            }
        }
    });
    together(tasks).await;
    let seen = reader.await.unwrap();
    let all = seen.last().unwrap();
    assert!(all.is_sorted_by(|one, next| one.seq < next.seq));
    for some in &seen {
        assert_eq!(some.as_slice(), &all[..some.len()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_everybody_ends_is_ended_once() {
    let server = Server::start().await;
    let other = server.another_process().await;
    for name in ["ann", "bob"] {
        server.sign_up(name).await;
    }
    for _ in 0..5 {
        let before = server.mapae.store().revocations().await.unwrap().len();
        let id = sessions(&server.mapae, "ann", 10).await;
        sessions(&other, "bob", 10).await;
        let endings = [Ending::All, Ending::Of(id), Ending::All, Ending::BegunBefore(chrono::DateTime::UNIX_EPOCH)];
        let tasks = endings.into_iter().cycle().take(8).enumerate().map(|(at, ending)| {
            let mapae = if at % 2 == 0 { server.mapae.clone() } else { other.clone() };
            async move { mapae.end_sessions(&ending, By::System).await.unwrap() }
        });
        assert_eq!(together(tasks).await.iter().sum::<usize>(), 20, "each was ended by one of them");
        assert_eq!(server.mapae.store().revocations().await.unwrap().len(), before + 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_of_a_removed_client_is_left() {
    let server = Server::start().await;
    let other = server.another_process().await;
    server.sign_up("ann").await;
    for round in 0..8 {
        let id = format!("app{round}");
        let secret = confidential(&server, &id, "password", "me").await;
        let form = [
            ("grant_type", "password"),
            ("username", "ann"),
            ("password", crate::server::PASSWORD),
            ("client_id", &id),
            ("client_secret", &secret),
        ];
        let requests = (0..6).map(|_| server.post("/oauth2/token").form(&form).send());
        let removal = tokio::spawn({
            let (other, id) = (other.clone(), id.clone());
            async move {
                sleep(Duration::from_millis(3 * round)).await;
                other.remove_client(&id, By::System).await.unwrap();
            }
        });
        for answer in together(requests).await {
            let status = answer.unwrap().status();
            assert!([200, 401].contains(&status.as_u16()), "{status}");
        }
        removal.await.unwrap();
        let open = server.mapae.sessions(None).await.unwrap();
        assert!(open.iter().all(|session| session.client_id != id), "{open:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_register_one_client_one_does() {
    let server = Server::start().await;
    let other = server.another_process().await;
    let tasks = (0..8).map(|at| {
        let mapae = if at % 2 == 0 { server.mapae.clone() } else { other.clone() };
        async move { mapae.add_client(new_client("app", ClientType::Public, "", ""), By::System).await }
    });
    let answers = together(tasks).await;
    let taken = answers.iter().filter(|answer| matches!(answer, Err(ClientError::Taken))).count();
    assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), taken), (1, 7), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_start_at_once_agree_on_the_keys() {
    let directory = Arc::new(Directory::new());
    let clock = ManualClock::new(START);
    let tasks = (0..6).map(|_| {
        let (directory, clock) = (directory.clone(), clock.clone());
        let settings: Settings = settings("https://auth.example.com");
        async move { open(directory.path(), settings, &clock).await.unwrap() }
    });
    let started = together(tasks).await;
    assert_eq!(started[0].list_keys().await.unwrap().len(), 2, "one that signs and the next");
    assert!(started.iter().all(|mapae| mapae.jwks() == started[0].jwks()));
}

/// Ids of the log are given out before their transactions commit: one may come to sight after a greater one.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_commits_late_is_seen() {
    if !is_postgres() {
        return; // SQLite has one writer: what begins later commits later.
    }
    let server = Server::start().await;
    let database = Database::connect(url(server.directory())).await.unwrap();
    for round in 0..3 {
        let (id, token) = server.newcomer(&format!("ann{round}")).await;
        let late = database.begin().await.unwrap();
        let note = format!(
            "INSERT INTO mapae_invalidation (kind, subject, created_at) VALUES ('user', '{id}', now()); \
             UPDATE mapae_user SET disabled = true WHERE id = '{id}'"
        );
        late.execute_unprepared(&note).await.unwrap();
        // Greater ids come and are seen.
        for number in 0..3 {
            let (_, other) = server.newcomer(&format!("bob{round}-{number}")).await;
            let out = server.post("/users/signout").bearer_auth(&other).send().await.unwrap();
            assert_eq!(out.status(), 204);
        }
        sleep(Duration::from_millis(600)).await;
        assert_eq!(
            (server.status_of_me(&token).await, server.status_of_me(&token).await),
            (200.try_into().unwrap(), 200.try_into().unwrap())
        );
        late.commit().await.unwrap();
        let began = Instant::now();
        while server.status_of_me(&token).await == 200 {
            assert!(began.elapsed() < Duration::from_secs(1), "the late change was missed");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn until_refused(server: &Server, token: &str, why: &str) {
    let began = Instant::now();
    while server.status_of_me(token).await == 200 {
        assert!(began.elapsed() < Duration::from_secs(1), "{why}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// As when a backup is restored under a node, and it does not lose a connection: the log of changes is another one, whose
/// numbers begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn another_log_of_changes_is_noticed() {
    if !is_postgres() {
        return; // A file that is replaced is another file.
    }
    let server = Server::start().await;
    let other = server.another_process().await;
    let (ann, anns) = server.newcomer("ann").await;
    let (bob, bobs) = server.newcomer("bob").await;
    for number in 0..20 {
        other.administer(&bob, disable(number % 2 == 0), By::System).await.unwrap();
    }
    sleep(Duration::from_millis(600)).await;
    let (status, _) = (server.status_of_me(&anns).await, server.status_of_me(&bobs).await);
    assert_eq!(status, 200);
    let database = Database::connect(url(server.directory())).await.unwrap();
    let restored = database.begin().await.unwrap();
    let restore = format!(
        "ALTER TABLE mapae_invalidation RENAME TO before; \
         CREATE TABLE mapae_invalidation (LIKE before INCLUDING ALL); DROP TABLE before; \
         UPDATE mapae_user SET disabled = true WHERE id = '{ann}'"
    );
    restored.execute_unprepared(&restore).await.unwrap();
    restored.commit().await.unwrap();
    until_refused(&server, &anns, "what was remembered before is believed").await;
    let (cid, cids) = server.newcomer("cid").await;
    assert_eq!(server.status_of_me(&cids).await, 200);
    other.administer(&cid, disable(true), By::System).await.unwrap();
    until_refused(&server, &cids, "a change with a number that was seen before was missed").await;
}

/// A client that hangs up, or a limit, may end a request just when its transaction begins.
#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_stays_open_whose_beginning_was_given_up() {
    if !is_postgres() {
        return; // Nobody else could write.
    }
    let server = Server::start().await;
    let store = server.mapae.store();
    for round in 0..400 {
        let _ = tokio::time::timeout(Duration::from_micros(20 * (round % 40)), store.begin()).await;
    }
    sleep(Duration::from_millis(300)).await;
    let database = Database::connect(url(server.directory())).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open = sea_orm::Statement::from_string(database.get_database_backend(), open);
    let open: i64 = database.query_one_raw(open).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(open, 0);
}
