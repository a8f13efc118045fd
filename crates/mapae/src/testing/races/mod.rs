//! What a store promises to many who come at the same moment: on any database, and on any user table of an application's
//! own. On a database it is the promise of several nodes, too: half of those who come ask another one.

mod user_store;

pub use user_store::user_store;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use mapae_verify::Scopes;

use super::conformance::sessions::{advance_on, end_on, generation, new_ticket, refresh, signed_in, use_on};
use super::nodes::{Nodes, at_once, hash, heard};
use super::report::{Broken, Kept, Report, SuiteError, broken, holds, same};
use crate::domain::audit::{Direction, Event, Filter};
use crate::domain::{KeyState, SecretText, Sender, UserName};
use crate::service::accounts::AdminChange;
use crate::service::{By, IssueError, Service, SignInError};
use crate::settings::{Settings, ThrottleSettings};
use crate::store::{DatabaseOptions, Migrate, Revocation, Store, StoreError};

/// So many come at once.
pub(super) const RACERS: usize = 64;

/// Checks this database as [`conformance::run`](super::conformance::run) does. On an empty one, that ten nodes which
/// start at once migrate once is checked, too.
///
/// # Errors
/// [`SuiteError`] if the suite could not be run; broken promises are in the report.
pub async fn run(database: impl Into<DatabaseOptions>) -> Result<Report, SuiteError> {
    run_only(database, &[]).await
}

/// As [`run`], but only the checks of these names, to repeat what failed; all if none is named.
///
/// # Errors
/// As [`run`].
pub async fn run_only(database: impl Into<DatabaseOptions>, checks: &[&str]) -> Result<Report, SuiteError> {
    let database = &database.into();
    let mut report = Report::new(checks);
    report.check("migrate", "ten that start at once migrate once", migrate(database)).await;
    let started = match Nodes::start(database).await {
        // Why it does not start is known.
        Err(_) if !report.broken().is_empty() => return Ok(report),
        started => started?,
    };
    let nodes = &started;
    report.check("one_name", "of 64 who want one name one gets it", one_name(nodes)).await;
    report.check("one_swap", "of 64 password changes one happens", one_swap(nodes)).await;
    report.check("one_advance", "of 64 who move a session on one does", one_advance(nodes)).await;
    report.check("one_successor", "64 refreshes of one token get the same successor", one_successor(nodes)).await;
    report.check("one_end", "a session that 64 end is ended once", one_end(nodes)).await;
    report.check("one_use", "of 64 who show a ticket one passes", one_use(nodes)).await;
    report.check("exact_limit", "of 64 guesses as many are tried as may be", exact_limit(nodes)).await;
    report.check("all_heard", "of 64 changes at once every one is heard of", all_heard(nodes)).await;
    report.check("feed_order", "revocations come to sight in the order of their numbers", feed_order(nodes)).await;
    report.check("no_session", "no sign-in slips past the end of its account", no_session(nodes)).await;
    report.check("one_rotation", "of 64 who see that a key is due one rotates it", one_rotation(nodes)).await;
    started.stop().await;
    Ok(report)
}

async fn migrate(database: &DatabaseOptions) -> Kept {
    let starts = (0..10).map(|_| {
        let database = database.clone();
        async move { Ok(Store::migrate(database, true, Migrate::Apply).await?.pending) }
    });
    let pending = at_once(starts).await?;
    let migrated = pending.iter().filter(|pending| !pending.is_empty()).count();
    holds(migrated <= 1, "one that migrates", || format!("{migrated} that do"))?;
    let after = Store::migrate(database, false, Migrate::Never).await?;
    same(after.pending, Vec::new())?;
    let once: BTreeSet<&String> = after.applied.iter().collect();
    same(once.len(), after.applied.len())
}

async fn one_name(nodes: &Nodes) -> Kept {
    let word = nodes.word();
    let (spellings, mut new) = (["josé", "JOSÉ", "jose\u{301}", "\u{ff4a}osé"], Vec::new());
    for number in 0..RACERS {
        let name = UserName::parse(&format!("{}-{word}", spellings[number % spellings.len()]))?;
        new.push(crate::domain::user::NewUser { username: Some(name), ..nodes.new_user(None)? });
    }
    let made = nodes.at_once(RACERS, |number, node| {
        let new = new[number].clone();
        async move {
            let mut tx = node.store().begin().await?;
            match tx.insert_user(new, &hash("any")).await {
                Ok(_) => tx.commit().await.map(|()| true).map_err(Broken::from),
                Err(StoreError::UsernameTaken) => Ok(false),
                Err(error) => Err(error.into()),
            }
        }
    });
    one_of(made.await?)
}

/// One of all, and the others were told so.
pub(super) fn one_of(done: Vec<bool>) -> Kept {
    let count = done.iter().filter(|done| **done).count();
    holds(count == 1, "one", || format!("{count} of {}", done.len()))
}

async fn one_swap(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let swapped = nodes.at_once(RACERS, |number, node| {
        let id = user.id.clone();
        async move {
            let mut tx = node.store().begin().await?;
            let new = format!("new-{number}");
            let swapped = tx.replace_password_hash(&id, Some(&hash("first")), &hash(&new)).await?;
            tx.commit().await?;
            Ok((swapped, new))
        }
    });
    let swapped = swapped.await?;
    one_of(swapped.iter().map(|(swapped, _)| *swapped).collect())?;
    let winner = swapped.into_iter().find(|(swapped, _)| *swapped).map(|(_, new)| new);
    let stored = nodes.one.store().credential_by_id(&user.id).await?;
    same(stored.map(|stored| stored.hash.as_str().to_owned()), winner)
}

async fn one_advance(nodes: &Nodes) -> Kept {
    let session = nodes.session(&nodes.user().await?).await?;
    for from in 0..3 {
        let advanced = nodes.at_once(RACERS, |_, node| {
            let id = session.id.clone();
            async move { advance_on(&node, &id, from, from + 1).await }
        });
        one_of(advanced.await?)?;
    }
    same(generation(&nodes.one, &session.id).await?, Some(3))
}

async fn one_successor(nodes: &Nodes) -> Kept {
    let (token, session) = signed_in(nodes).await?;
    let tokens = nodes.at_once(RACERS, |_, node| {
        let token = token.clone();
        async move { Ok(refresh(&node, &token).await?.refresh_token.map(|token| token.expose().to_owned())) }
    });
    let successors: BTreeSet<Option<String>> = tokens.await?.into_iter().collect();
    same((successors.len(), generation(&nodes.one, &session.id).await?), (1, Some(1)))
}

async fn one_end(nodes: &Nodes) -> Kept {
    let session = nodes.session(&nodes.user().await?).await?;
    let ended = nodes.at_once(RACERS, |_, node| {
        let id = session.id.clone();
        async move { end_on(&node, &id).await }
    });
    one_of(ended.await?.into_iter().map(|ended| ended == 1).collect())?;
    let told = nodes.other.store().revocations().await?;
    same(told.iter().filter(|one| one.value == session.id).count(), 1)
}

async fn one_use(nodes: &Nodes) -> Kept {
    let ticket = new_ticket(nodes).await?;
    let used = nodes.at_once(RACERS, |_, node| {
        let ticket = ticket.clone();
        async move { use_on(&node, &ticket).await }
    });
    one_of(used.await?)
}

async fn exact_limit(nodes: &Nodes) -> Kept {
    let (name, wrong) = (nodes.registered().await?.0.username.unwrap_or_default(), SecretText::new("wrong".to_owned()));
    let tried = nodes.at_once(RACERS, |_, node| {
        let (name, wrong) = (name.clone(), wrong.clone());
        async move {
            match node.sign_in_from(&name, &wrong, &Scopes::default(), &Sender::default()).await {
                Err(SignInError::Refused) => Ok(true),
                Err(SignInError::Throttled { .. }) => Ok(false),
                Err(error) => Err(error.into()),
                Ok(_) => broken("a wrong password refused", "a session"),
            }
        }
    });
    let limit = usize::try_from(ThrottleSettings::default().place.failures)?;
    same(tried.await?.into_iter().filter(|tried| *tried).count(), limit)
}

async fn all_heard(nodes: &Nodes) -> Kept {
    let (mut users, mut tokens) = (Vec::new(), Vec::new());
    for _ in 0..RACERS {
        let user = nodes.user().await?;
        tokens.push(nodes.one.mint(&user.id, &Scopes::default(), By::System).await?.access_token);
        users.push(user);
    }
    for node in [&nodes.one, &nodes.other] {
        for token in tokens.iter().chain(&tokens) {
            node.authenticate(token.expose()).await?;
        }
    }
    let changed = nodes.at_once(RACERS, |number, node| {
        let id = users[number].id.clone();
        async move { disable(&node, &id).await }
    });
    changed.await?;
    let refused = async || {
        for token in &tokens {
            for node in [&nodes.one, &nodes.other] {
                if node.authenticate(token.expose()).await.is_ok() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    };
    heard("both nodes to refuse all 64", refused).await
}

async fn disable(node: &Service, id: &crate::domain::UserId) -> Kept {
    let change = AdminChange { disabled: Some(true), ..AdminChange::default() };
    node.administer(id, change, By::System).await?;
    Ok(())
}

async fn feed_order(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let mut ids = Vec::new();
    for _ in 0..RACERS {
        ids.push(nodes.session(&user).await?.id);
    }
    let all: Arc<BTreeSet<String>> = Arc::new(ids.iter().cloned().collect());
    let done = Arc::new(AtomicBool::new(false));
    let (store, ours, is_done) = (nodes.other.store().clone(), Arc::clone(&all), Arc::clone(&done));
    let reader = tokio::spawn(async move {
        let mut looks: Vec<Vec<Revocation>> = Vec::new();
        loop {
            // Once more when all is done, so that the last look has seen it all.
            let was_done = is_done.load(Ordering::Acquire);
            let mut look = store.revocations().await?;
            look.retain(|one| ours.contains(&one.value));
            looks.push(look);
            if was_done {
                return Ok::<_, StoreError>(looks);
            }
        }
    });
    let ended = nodes.at_once(RACERS, |number, node| {
        let id = ids[number].clone();
        async move { end_on(&node, &id).await }
    });
    let ended = ended.await;
    done.store(true, Ordering::Release);
    ended?;
    let looks = reader.await??;
    let Some(last) = looks.last() else { return broken("a look", "none") };
    same(last.len(), RACERS)?;
    holds(last.is_sorted_by(|one, next| one.seq < next.seq), "different numbers", || format!("{last:?}"))?;
    let late = looks.iter().find(|look| look.as_slice() != &last[..look.len()]);
    holds(late.is_none(), "that none comes to sight before one with a lower number", || format!("{late:?}"))
}

async fn no_session(nodes: &Nodes) -> Kept {
    for _ in 0..2 {
        let user = nodes.user().await?;
        let signed_in = nodes.at_once(RACERS, |number, node| {
            let id = user.id.clone();
            async move {
                if number == RACERS / 2 {
                    return disable(&node, &id).await;
                }
                match node.mint(&id, &Scopes::default(), By::System).await {
                    Ok(_) | Err(IssueError::NoSuchUser) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        });
        signed_in.await?;
        same(nodes.one.store().sessions(Some(&user.id), 100).await?.len(), 0)?;
    }
    Ok(())
}

async fn one_rotation(nodes: &Nodes) -> Kept {
    let soon = |settings: &mut Settings| {
        settings.key_rotation = 10;
        settings.next_key_min_age = 1;
    };
    let rotating = [nodes.again(&nodes.one, soon).await?, nodes.again(&nodes.other, soon).await?];
    let filter = Filter { event: Some(Event::KeyRotated), ..Filter::default() };
    let rotations = async || nodes.one.store().audit(&filter, Direction::Back(None), 1_000).await;
    let (keys, before) = (nodes.one.store().signing_keys().await?, rotations().await?.len());
    // An earlier run may have been ahead of the time.
    let newest = keys.iter().map(|key| key.activated_at.unwrap_or(key.created_at)).fold(nodes.one.now(), Ord::max);
    nodes.clock.set_millis((newest + TimeDelta::seconds(11)).timestamp_millis());
    let tended = nodes.at_once(RACERS, |number, _| {
        let node = rotating[number % 2].clone();
        async move {
            node.tend_keys().await?;
            Ok(())
        }
    });
    tended.await?;
    let records = nodes.one.store().signing_keys().await?;
    let active = records.iter().filter(|key| key.state == KeyState::Active).count();
    same((rotations().await?.len() - before, records.len() - keys.len(), active), (1, 1, 1))
}
