//! Accounts: their names, their texts, finding and removing them.

use crate::domain::{EmailAddress, UserId, UserName};
use crate::store::StoreError;
use crate::testing::nodes::{Nodes, hash};
use crate::testing::report::{Broken, Kept, broken, holds, same};

/// More than any page, buffer or `varchar` of a careless schema holds.
const LONG: usize = 256 * 1024;

/// Tries to make an account; whether it was made.
async fn make(nodes: &Nodes, name: Option<&str>, address: Option<&str>) -> Result<Result<(), StoreError>, Broken> {
    let mut new = nodes.new_user(None)?;
    new.username = name.map(UserName::parse).transpose()?;
    new.email = address.map(EmailAddress::parse).transpose()?;
    let mut tx = nodes.other.store().begin().await?;
    let made = match tx.insert_user(new, &hash("any")).await {
        Ok(_) => tx.commit().await,
        Err(error) => Err(error),
    };
    Ok(made)
}

pub(super) async fn unique_name(nodes: &Nodes) -> Kept {
    let word = nodes.word();
    make(nodes, Some(&format!("josé-{word}")), None).await??;
    // Letter case, a combining accent, letters of full width.
    for spelling in ["josé", "JOSÉ", "jose\u{301}", "\u{ff4a}osé"] {
        let name = format!("{spelling}-{word}");
        match make(nodes, Some(&name), None).await? {
            Err(StoreError::UsernameTaken) => {}
            other => return broken(format!("{name:?} refused as taken"), format!("{other:?}")),
        }
    }
    // Not the same to anybody.
    make(nodes, Some(&format!("jose-{word}")), None).await??;
    Ok(())
}

pub(super) async fn unique_address(nodes: &Nodes) -> Kept {
    let word = nodes.word();
    make(nodes, None, Some(&format!("ann@{word}.bücher.example"))).await??;
    for spelling in ["ann@{}.bücher.example", "ANN@{}.BÜCHER.example", "ann@{}.xn--bcher-kva.example"] {
        let address = spelling.replace("{}", &word);
        match make(nodes, None, Some(&address)).await? {
            Err(StoreError::EmailTaken) => {}
            other => return broken(format!("{address:?} refused as taken"), format!("{other:?}")),
        }
    }
    // Those who have no address, or no name, are many.
    make(nodes, None, Some(&format!("bob@{word}.example"))).await??;
    for _ in 0..2 {
        make(nodes, Some(&nodes.word()), None).await??;
    }
    Ok(())
}

pub(super) async fn exact_text(nodes: &Nodes) -> Kept {
    let texts = [
        "  Zoë O'Brien \"Zo\\u00eb\" \\ %_ ? $1 :name --".to_owned(),
        "마패 👩🏽‍🚀 \u{202e}reversed e\u{301} \u{feff}".to_owned(),
        "\t\r\n\u{1}\u{7f}".to_owned(),
        String::new(),
        "ß\u{10ffff}".repeat(LONG / 6),
    ];
    for text in texts {
        let new = nodes.new_user(Some(text.clone()))?;
        let mut tx = nodes.one.store().begin().await?;
        let made = tx.insert_user(new, &hash("any")).await?;
        tx.commit().await?;
        for node in [&nodes.one, &nodes.other] {
            let found = node.store().user_by_id(&made.id).await?;
            let kept = found.and_then(|user| user.full_name);
            let shown = |text: &str| text.chars().take(40).collect::<String>();
            holds(kept.as_ref() == Some(&text), &format!("{:?} of {} bytes", shown(&text), text.len()), || {
                kept.map_or("no text".to_owned(), |kept| format!("{:?} of {} bytes", shown(&kept), kept.len()))
            })?;
        }
    }
    Ok(())
}

pub(super) async fn list(nodes: &Nodes) -> Kept {
    let word = nodes.word();
    let mut made = Vec::new();
    for number in 0..25 {
        let new = nodes.new_user(Some(format!("50%_\\ Müller {word} {number}")))?;
        made.push(new.id.clone());
        let mut tx = nodes.one.store().begin().await?;
        tx.insert_user(new, &hash("any")).await?;
        tx.commit().await?;
    }
    made.sort();
    let found = async |search: &str| -> Result<Vec<UserId>, StoreError> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = nodes.other.store().list_users(Some(search), after.as_ref(), 10).await?;
            ids.extend(page.users.into_iter().map(|user| user.id));
            after = page.next;
            if after.is_none() || ids.len() > 100 {
                return Ok(ids);
            }
        }
    };
    for search in ["", "%_\\ müller ", "50%_\\ MÜLLER ", "50%_\\ \u{ff2d}u\u{308}ller "] {
        let found = found(&format!("{search}{word}")).await?;
        holds(found == made, &format!("25 accounts, ordered by id, for {search:?}"), || {
            format!("{} accounts, ordered by id: {}", found.len(), found.is_sorted())
        })?;
    }
    // What stands for any text elsewhere stands for itself here.
    for search in ["50__\\ Müller ", "5%", "%", "_"] {
        same(found(&format!("{search}{word}")).await?, Vec::new())?;
    }
    same(found(&format!("{word}\0")).await?, Vec::new())
}

pub(super) async fn swap_password(nodes: &Nodes) -> Kept {
    let (user, bystander) = (nodes.user().await?, nodes.user().await?);
    let swap = async |id: &UserId, expected: &str, new: &str| -> Result<bool, StoreError> {
        let mut tx = nodes.one.store().begin().await?;
        let swapped = tx.replace_password_hash(id, Some(&hash(expected)), &hash(new)).await?;
        tx.commit().await?;
        Ok(swapped)
    };
    let stored = async |id: &UserId| -> Result<Option<String>, StoreError> {
        let found = nodes.other.store().credential_by_id(id).await?;
        Ok(found.map(|found| found.hash.as_str().to_owned()))
    };
    for (expected, new, swapped, then) in
        [("FIRST", "x", false, "first"), ("first", "second", true, "second"), ("first", "third", false, "second")]
    {
        same((swap(&user.id, expected, new).await?, stored(&user.id).await?), (swapped, Some(then.to_owned())))?;
    }
    same(swap(&nodes.new_user(None)?.id, "first", "x").await?, false)?;
    same(stored(&bystander.id).await?, Some("first".to_owned()))
}

pub(super) async fn delete(nodes: &Nodes) -> Kept {
    let new = nodes.new_user(None)?;
    let mut tx = nodes.one.store().begin().await?;
    let user = tx.insert_user(new.clone(), &hash("any")).await?;
    tx.commit().await?;
    let session = nodes.session(&user).await?;
    let by = &crate::domain::audit::Actor::system();
    for deleted in [true, false] {
        let mut tx = nodes.one.store().begin().await?;
        same(tx.delete_user(&user.id, by).await?, deleted)?;
        tx.commit().await?;
    }
    same(nodes.other.store().user_by_id(&user.id).await?, None)?;
    let session = nodes.other.store().session_by_id(&session.id).await?;
    holds(session.is_none_or(|session| session.ended.is_some()), "no session of it", || "an open one".to_owned())?;
    let mut tx = nodes.other.store().begin().await?;
    tx.insert_user(new, &hash("any")).await?;
    Ok(tx.commit().await?)
}
