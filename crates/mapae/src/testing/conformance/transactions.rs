//! Transactions, locks, what other nodes hear of, and what is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::domain::audit::{Actor, Direction, Entry, Event, Filter};
use crate::domain::throttle::{Counter, CounterId, Counters};
use crate::domain::{User, UserId};
use crate::service::accounts::AdminChange;
use crate::service::{By, Service};
use crate::store::{NewRevocation, Store, StoreError};
use crate::testing::nodes::{Nodes, hash, heard};
use crate::testing::report::{Broken, Kept, holds, same};

/// As long is looked whether somebody waits.
const WAITING: Duration = Duration::from_secs(1);
/// Revocations at once: more than one statement may have, or one page of anything.
const MANY: usize = 2_500;

pub(super) async fn commit(nodes: &Nodes) -> Kept {
    let mut tx = nodes.one.store().begin().await?;
    let user = tx.insert_user(nodes.new_user(None)?, &hash("any")).await?;
    same(nodes.other.store().user_by_id(&user.id).await?.map(|user| user.id), None)?;
    tx.commit().await?;
    for node in [&nodes.one, &nodes.other] {
        same(node.store().user_by_id(&user.id).await?.map(|user| user.id), Some(user.id.clone()))?;
    }
    Ok(())
}

pub(super) async fn rollback(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let session = nodes.session(&user).await?;
    let mut tx = nodes.one.store().begin().await?;
    let undone = tx.insert_user(nodes.new_user(None)?, &hash("any")).await?;
    tx.set_disabled(&user.id, true).await?;
    tx.record(Entry::new(Event::UserDisabled, &Actor::system()).user(&user.id)).await?;
    tx.end_session(&session.id, &Actor::system()).await?;
    drop(tx);
    // That it is undone is seen at the latest by who writes next.
    nodes.user().await?;
    for node in [&nodes.one, &nodes.other] {
        let store = node.store();
        same(store.user_by_id(&undone.id).await?, None)?;
        same(store.user_by_id(&user.id).await?.map(|user| user.disabled), Some(false))?;
        same(store.session_by_id(&session.id).await?.map(|session| session.ended.is_some()), Some(false))?;
        same(rows(node, &user).await?, Vec::new())?;
    }
    Ok(())
}

/// What the audit trail has of this account.
async fn rows(node: &Service, user: &User) -> Result<Vec<String>, StoreError> {
    let filter = Filter { subject: Some(user.id.to_string()), ..Filter::default() };
    let rows = node.store().audit(&filter, Direction::Forward(None), 10).await?;
    Ok(rows.into_iter().map(|row| row.event).collect())
}

pub(super) async fn row_lock(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    // So that it waits for nothing else.
    connect(nodes.other.store()).await?;
    let tx = nodes.one.store().begin().await?;
    let read = tx.user(&user.id).await?;
    let (store, id) = (nodes.other.store().clone(), user.id.clone());
    let change = tokio::spawn(async move { disable(&store, &id).await });
    tokio::time::sleep(WAITING).await;
    holds(!change.is_finished(), "that it waits", || "a change of what another is about to change".to_owned())?;
    same(tx.user(&user.id).await?, read)?;
    tx.commit().await?;
    same(change.await??, true)?;
    same(nodes.one.store().user_by_id(&user.id).await?.map(|user| user.disabled), Some(true))
}

/// Has a connection ready for the next who writes.
async fn connect(store: &Store) -> Kept {
    Ok(store.begin().await?.commit().await?)
}

async fn disable(store: &Store, id: &UserId) -> Result<bool, Broken> {
    let mut tx = store.begin().await?;
    let disabled = tx.set_disabled(id, true).await?;
    tx.commit().await?;
    Ok(disabled)
}

/// Of what has no row that could be locked, such as a key that is missing.
pub(super) async fn turn(nodes: &Nodes) -> Kept {
    let name = nodes.word();
    connect(nodes.other.store()).await?;
    let mut tx = nodes.one.store().begin().await?;
    same(tx.data_key(&name).await?, None)?;
    let (store, wanted) = (nodes.other.store().clone(), name.clone());
    let look = tokio::spawn(async move { store.begin().await?.data_key(&wanted).await });
    tokio::time::sleep(WAITING).await;
    holds(!look.is_finished(), "that it waits", || "two at once who find no key and are about to make it".to_owned())?;
    tx.insert_data_key(&name, vec![1]).await?;
    tx.commit().await?;
    same(look.await??, Some(vec![1]))
}

pub(super) async fn audit(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let change = AdminChange { disabled: Some(true), ..AdminChange::default() };
    nodes.one.administer(&user.id, change, By::System).await?;
    same(rows(&nodes.other, &user).await?, vec!["user.disabled".to_owned()])?;
    // Many rows at once, read in pages.
    let user = nodes.user().await?;
    let mut tx = nodes.one.store().begin().await?;
    let entry = |number: u64| Entry::new(Event::UserChanged, &Actor::system()).user(&user.id).detail("number", number);
    tx.record_all((0..450).map(entry).collect()).await?;
    tx.commit().await?;
    let filter = Filter { subject: Some(user.id.to_string()), ..Filter::default() };
    let (mut numbers, mut last) = (Vec::new(), None::<String>);
    loop {
        let page = nodes.other.store().audit(&filter, Direction::Forward(last.as_deref()), 100).await?;
        let Some(row) = page.last() else { break };
        last = Some(row.id.clone());
        numbers.extend(page.iter().map(|row| row.details.get("number").and_then(serde_json::Value::as_u64)));
    }
    holds(numbers.iter().copied().eq((0..450).map(Some)), "450 rows, each once and in order", || {
        format!("{} rows: {:?} …", numbers.len(), &numbers[..numbers.len().min(8)])
    })
}

pub(super) async fn change(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let token = nodes.one.mint(&user.id, &mapae_verify::Scopes::default(), By::System).await?.access_token;
    // From memory, the second time.
    for _ in 0..2 {
        nodes.other.authenticate(token.expose()).await?;
    }
    let change = AdminChange { disabled: Some(true), ..AdminChange::default() };
    nodes.one.administer(&user.id, change, By::System).await?;
    let refused = async || Ok(nodes.other.authenticate(token.expose()).await.is_err());
    heard("the other node to refuse the account's token", refused).await
}

pub(super) async fn change_order(nodes: &Nodes) -> Kept {
    let mut numbers = Vec::new();
    for number in 0..12 {
        let user = nodes.user().await?;
        disable(nodes.node(number).store(), &user.id).await?;
        numbers.extend(nodes.one.store().newest_change(user.id.as_str()).await?);
    }
    holds(numbers.len() == 12 && numbers.is_sorted_by(|one, next| one < next), "12 numbers that rise", || {
        format!("{numbers:?}")
    })
}

pub(super) async fn feed(nodes: &Nodes) -> Kept {
    let word = nodes.word();
    let revoked: Vec<String> = (0..MANY).map(|number| format!("{word}-{number}")).collect();
    let expires_at = nodes.one.now() + TimeDelta::minutes(1);
    let mut tx = nodes.one.store().begin().await?;
    tx.revoke(revoked.iter().map(|id| NewRevocation::session(id, expires_at)).collect()).await?;
    tx.commit().await?;
    let feed = nodes.other.store().revocations().await?;
    let ours: Vec<_> = feed.iter().filter(|one| one.value.starts_with(&word)).collect();
    same(ours.len(), MANY)?;
    let is_whole = ours.iter().zip(&revoked).all(|(one, id)| one.value == *id)
        && ours.is_sorted_by(|one, next| one.seq < next.seq);
    holds(is_whole, "them in the order of their numbers", || "another order".to_owned())?;
    same(nodes.other.store().newest_revocation().await?, ours.last().map_or(0, |last| last.seq))
}

pub(super) async fn counter(nodes: &Nodes) -> Kept {
    let ids: BTreeSet<CounterId> = (0..3).map(|_| CounterId(nodes.random())).collect();
    let now = nodes.one.now();
    let fresh: Counters = ids.iter().map(|id| (*id, Counter::new(now))).collect();
    let full =
        Counter { clear_at: now + TimeDelta::milliseconds(123_457), known_until: Some(now + TimeDelta::days(30)) };
    let full: Counters = ids.iter().map(|id| (*id, full)).collect();
    for (store, before, after) in [(nodes.one.store(), &fresh, &full), (nodes.other.store(), &full, &fresh)] {
        let mut tx = store.begin().await?;
        same(&tx.counters(&ids).await?, before)?;
        tx.set_counters(after).await?;
        tx.commit().await?;
    }
    let mut tx = nodes.one.store().begin().await?;
    same(tx.counters(&ids).await?, fresh)?;
    tx.set_counters(&full).await?;
    tx.remove_counters(&ids).await?;
    same(tx.counters(&ids).await?.values().all(|counter| counter.known_until.is_none()), true)
}

pub(super) async fn exact_bytes(nodes: &Nodes) -> Kept {
    let (name, bytes) = (nodes.word(), (0..=u8::MAX).cycle().take(70_000).collect::<Vec<u8>>());
    let mut tx = nodes.one.store().begin().await?;
    tx.insert_data_key(&name, bytes.clone()).await?;
    tx.commit().await?;
    let kept = nodes.other.store().data_key(&name).await?.map(|key| key.wrapped);
    holds(kept.as_ref() == Some(&bytes), "the same 70000 bytes", || {
        kept.as_ref().map_or("none".to_owned(), |kept| format!("{} other bytes", kept.len()))
    })?;
    // Until then nobody minds that it is no wrapped key.
    let mut tx = nodes.one.store().begin().await?;
    tx.insert_data_key_if_missing(&name, vec![0]).await?;
    same(tx.data_key(&name).await?.map(|kept| kept.len()), Some(bytes.len()))
}
