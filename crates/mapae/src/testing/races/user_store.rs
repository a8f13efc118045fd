//! A user table of an application's own, when many come at once.

use std::sync::Arc;

use super::{RACERS, one_of};
use crate::service::Table;
use crate::service::user_store::{NewStoredUser, UserStore, UserTable};
use crate::testing::conformance::KnownUsers;
use crate::testing::conformance::user_store::{
    Came, LACKS, activate, hash, insert_into, logins, new_user, stored, swap, word,
};
use crate::testing::nodes::at_once;
use crate::testing::report::{Broken, Kept, Report, broken, holds, same};

/// Checks a user table of an application's own as [`conformance::user_store`](crate::testing::conformance::user_store)
/// does.
pub async fn user_store<S: UserStore>(table: impl Into<UserTable<S>>, known: &KnownUsers) -> Report {
    let table: Arc<dyn Table> = Arc::new(table.into());
    let can = table.abilities();
    let mut report = Report::new(&[]);
    report.check("look_ups", "64 look-ups at once find whom they are for", look_ups(&table, known)).await;
    for (name, promise, by_name) in [
        ("one_name", "of 64 who sign up with one name one is made", true),
        ("one_address", "of 64 who sign up with one address one is made", false),
    ] {
        match can.inserts {
            true => report.check(name, promise, one_user(&table, by_name)).await,
            false => report.leave_out(name, promise, LACKS),
        }
    }
    let promise = "of 64 password changes one happens";
    match can.sets_password_hash {
        true => report.check("one_swap", promise, one_swap(&table, known)).await,
        false => report.leave_out("one_swap", promise, LACKS),
    }
    let promise = "whoever is disabled after 64 changes at once is disabled";
    match can.sets_active {
        true => report.check("last_active", promise, last_active(&table, known)).await,
        false => report.leave_out("last_active", promise, LACKS),
    }
    report
}

async fn look_ups(table: &Arc<dyn Table>, known: &KnownUsers) -> Kept {
    let users = [&known.active, &known.other];
    let look_ups = (0..RACERS).map(|number| {
        let (table, user) = (Arc::clone(table), users[number % 2].clone());
        async move {
            let rows = [table.by_id(&user.id).await?, table.by_login(&user.login).await?];
            same(rows.map(|row| row.map(|row| row.id)), [Some(user.id.clone()), Some(user.id)])
        }
    });
    at_once(look_ups).await.map(drop)
}

/// All want one name or one address, and each has another of the other kind.
async fn one_user(table: &Arc<dyn Table>, by_name: bool) -> Kept {
    let (name, address) = (word(), format!("{}@example.com", word()));
    let new: Vec<NewStoredUser> = (0..RACERS)
        .map(|_| match by_name {
            true => new_user(&name, &format!("{}@example.com", word())),
            false => new_user(&word(), &address),
        })
        .collect::<Result<_, Broken>>()?;
    let came = at_once(new.into_iter().map(|new| {
        let table = Arc::clone(table);
        async move {
            let both = [
                &new.username.as_ref().map(|name| name.canonical().to_owned()),
                &new.email.as_ref().map(|email| email.canonical().to_owned()),
            ]
            .map(|text| text.clone().unwrap_or_default());
            Ok((insert_into(table.as_ref(), new).await?, both))
        }
    }))
    .await?;
    let made = came.iter().find_map(|(came, both)| match came {
        Came::Made(id) => Some((id, both)),
        Came::UsernameTaken | Came::EmailTaken => None,
    });
    let Some((id, both)) = made else { return broken("one who is made", "none") };
    let wanted = if by_name { &name } else { &address };
    if !logins(table.as_ref(), [&both[0], &both[1]], id).await?.contains(&wanted.as_str()) {
        // Nobody signs in with it, so many may have it.
        return Ok(());
    }
    one_of(came.iter().map(|(came, _)| matches!(came, Came::Made(_))).collect())?;
    let expected = if by_name { Came::UsernameTaken } else { Came::EmailTaken };
    for (came, both) in came.iter().filter(|(came, _)| !matches!(came, Came::Made(_))) {
        same(came, &expected)?;
        let own = &both[usize::from(by_name)];
        holds(table.by_login(own).await?.is_none(), "that a refused user is not there", || "one".to_owned())?;
    }
    Ok(())
}

async fn one_swap(table: &Arc<dyn Table>, known: &KnownUsers) -> Kept {
    let (id, old) = (&known.active.id, stored(table.as_ref(), &known.active.id).await?);
    let swaps = (0..RACERS).map(|number| {
        let (table, id, old) = (Arc::clone(table), id.clone(), old.clone());
        async move {
            let new = mapae_password::HashText::new(format!("{}{number:02}", hash('r').as_str()));
            Ok((swap(table.as_ref(), &id, &old, &new).await?, new))
        }
    });
    let swapped = at_once(swaps).await?;
    one_of(swapped.iter().map(|(swapped, _)| *swapped).collect())?;
    let now = stored(table.as_ref(), id).await?;
    let winner = swapped.iter().find(|(swapped, _)| *swapped).map(|(_, new)| new.as_str());
    same(Some(now.as_str()), winner)?;
    same(swap(table.as_ref(), id, &now, &old).await?, true)
}

async fn last_active(table: &Arc<dyn Table>, known: &KnownUsers) -> Kept {
    let id = &known.active.id;
    for last in [false, true] {
        let changes = (0..RACERS).map(|number| {
            let (table, id) = (Arc::clone(table), id.clone());
            async move { same(activate(table.as_ref(), &id, number % 2 == 0).await?, true) }
        });
        at_once(changes).await?;
        same(activate(table.as_ref(), id, last).await?, true)?;
        same(table.by_id(id).await?.map(|row| row.is_active), Some(last))?;
    }
    Ok(())
}
