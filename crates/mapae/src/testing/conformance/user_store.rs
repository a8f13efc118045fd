//! What a user table of an application's own promises.

use mapae_password::HashText;
use mapae_verify::Scopes;

use crate::domain::ids::IdSource;
use crate::domain::{EmailAddress, SystemRng, UserName};
use crate::service::Table;
use crate::service::user_store::{Inserted, NewStoredUser, UserStore, UserTable};
use crate::testing::report::{Broken, Kept, Report, broken, holds, same};

/// Where the table lacks an ability.
pub(in crate::testing) const LACKS: &str = "the table does not do that";

/// Users who are in the table when a suite begins. It disables them, replaces their password hashes, and puts things back
/// if all goes well: users of a test, as the application itself inserts them.
#[derive(Clone, Debug)]
pub struct KnownUsers {
    /// An active user.
    pub active: KnownUser,
    /// Another one.
    pub other: KnownUser,
    /// A disabled one, if users of the table can be disabled.
    pub disabled: Option<KnownUser>,
}

/// A user who is in the table.
#[derive(Clone, Debug)]
pub struct KnownUser {
    /// The id by which tokens name the user.
    pub id: String,
    /// What the user signs in with.
    pub login: String,
}

impl KnownUser {
    /// A user of this id, who signs in with this.
    pub fn new(id: impl Into<String>, login: impl Into<String>) -> Self {
        Self { id: id.into(), login: login.into() }
    }
}

/// Checks a user table of an application's own: what it looks up, and what else it says that it does.
pub async fn user_store<S: UserStore>(table: impl Into<UserTable<S>>, known: &KnownUsers) -> Report {
    let table = &table.into() as &dyn Table;
    let can = table.abilities();
    let mut report = Report::new(&[]);
    report.check("found", "a user is found by id and by login, and nobody else is", found(table, known)).await;
    report.check("nobody", "what is no user's is nobody's, and no failure", nobody(table, known)).await;
    let promise = "who is disabled is known to be";
    match &known.disabled {
        Some(user) => report.check("disabled", promise, disabled(table, known, user)).await,
        None => report.leave_out("disabled", promise, "no such user was named"),
    }
    for (name, promise) in [
        ("insert", "who signs up is there, as a table of unique names has them"),
        ("taken", "a name or address that is taken is told to be, and nobody is changed by it"),
    ] {
        match (can.inserts, name) {
            (false, _) => report.leave_out(name, promise, LACKS),
            (true, "insert") => report.check(name, promise, insert(table)).await,
            (true, _) => report.check(name, promise, taken(table)).await,
        }
    }
    let promise = "a password hash is replaced only where the old one is";
    match can.sets_password_hash {
        true => report.check("swap_password", promise, swap_password(table, known)).await,
        false => report.leave_out("swap_password", promise, LACKS),
    }
    let promise = "who is disabled or enabled is so at once, and nobody else is";
    match can.sets_active {
        true => report.check("set_active", promise, set_active(table, known)).await,
        false => report.leave_out("set_active", promise, LACKS),
    }
    report
}

async fn found(table: &dyn Table, known: &KnownUsers) -> Kept {
    for user in [Some(&known.active), Some(&known.other), known.disabled.as_ref()].into_iter().flatten() {
        let by_id = table.by_id(&user.id).await?.map(|row| row.id);
        let by_login = table.by_login(&user.login).await?.map(|row| row.id);
        same((by_id, by_login), (Some(user.id.clone()), Some(user.id.clone())))?;
    }
    Ok(())
}

async fn nobody(table: &dyn Table, known: &KnownUsers) -> Kept {
    let (word, id) = (word(), &known.active.id);
    let swapped = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    };
    let likes = [word.clone(), "nobody".to_owned(), "%".to_owned(), "_".to_owned(), "' OR '1'='1".to_owned()];
    let ids = ["-1", "1.5", "1e3", "18446744073709551616", "ⅷ", "٣"].map(str::to_owned);
    // Of what is spelled almost alike, such as `07` for `7`, the service itself sees that another id was found.
    let near = [swapped(id)];
    for other in likes.iter().chain(&ids).chain(&near).filter(|other| *other != id) {
        let row = table.by_id(other).await?.map(|row| row.id);
        holds(row.is_none(), &format!("nobody with the id {other:?}"), || format!("{row:?}"))?;
    }
    for other in likes.into_iter().chain([format!("{word}@example.com"), "a".repeat(10_000)]) {
        let row = table.by_login(&other).await?.map(|row| row.id);
        holds(row.is_none(), &format!("nobody who signs in as {other:.40?}"), || format!("{row:?}"))?;
    }
    Ok(())
}

async fn disabled(table: &dyn Table, known: &KnownUsers, user: &KnownUser) -> Kept {
    let rows = [
        table.by_id(&known.active.id).await?,
        table.by_id(&user.id).await?,
        table.by_login(&known.active.login).await?,
        table.by_login(&user.login).await?,
    ];
    same(rows.map(|row| row.map(|row| row.is_active)), [Some(true), Some(false), Some(true), Some(false)])
}

/// A user of this name and address.
pub(in crate::testing) fn new_user(name: &str, address: &str) -> Result<NewStoredUser, Broken> {
    Ok(NewStoredUser {
        username: Some(UserName::parse(name)?),
        email: Some(EmailAddress::parse(address)?),
        full_name: Some("Zoë O'Brien".to_owned()),
        password_hash: hash('n'),
        scopes: Scopes::parse("me")?,
    })
}

/// What came of an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Came {
    Made(String),
    UsernameTaken,
    EmailTaken,
}

/// Inserts a user; what came of it.
pub(in crate::testing) async fn insert_into(table: &dyn Table, new: NewStoredUser) -> Result<Came, Broken> {
    let Some(inserted) = table.insert(new) else { return broken("an insertion", LACKS) };
    Ok(match inserted.await? {
        Inserted::Made(row) => Came::Made(row.id),
        Inserted::UsernameTaken => Came::UsernameTaken,
        Inserted::EmailTaken => Came::EmailTaken,
    })
}

/// Of a name and an address, what its user signs in with; a table may take only one of them.
pub(in crate::testing) async fn logins<'a>(
    table: &dyn Table,
    both: [&'a str; 2],
    id: &str,
) -> Result<Vec<&'a str>, Broken> {
    let mut logins = Vec::new();
    for login in both {
        if let Some(row) = table.by_login(login).await? {
            same(row.id.as_str(), id)?;
            logins.push(login);
        }
    }
    holds(!logins.is_empty(), "a user who is found by name or address", || "nobody".to_owned())?;
    Ok(logins)
}

async fn insert(table: &dyn Table) -> Kept {
    for name in [word(), format!("josé-{}", word())] {
        let address = format!("{}@example.com", word());
        let new = new_user(&name, &address)?;
        let Came::Made(id) = insert_into(table, new.clone()).await? else {
            return broken("a new user", "a name taken");
        };
        let logins = logins(table, [&name, &address], &id).await?;
        let mut rows = vec![table.by_id(&id).await?];
        for login in logins {
            rows.push(table.by_login(login).await?);
        }
        for row in rows {
            let seen = row.map(|row| (row.id, row.hash.as_str().to_owned(), row.is_active));
            same(seen, Some((id.clone(), new.password_hash.as_str().to_owned(), true)))?;
        }
    }
    Ok(())
}

async fn taken(table: &dyn Table) -> Kept {
    let (name, address) = (word(), format!("{}@example.com", word()));
    let Came::Made(id) = insert_into(table, new_user(&name, &address)?).await? else {
        return broken("a new user", "a name taken");
    };
    let before = table.by_id(&id).await?.map(|row| row.hash.as_str().to_owned());
    let logins = logins(table, [&name, &address], &id).await?;
    let (other, elsewhere) = (word(), format!("{}@example.com", word()));
    for (login, name, address, expected) in [
        (&name, name.to_uppercase(), elsewhere.clone(), Came::UsernameTaken),
        (&address, other.clone(), address.to_uppercase(), Came::EmailTaken),
    ] {
        if logins.contains(&login.as_str()) {
            let new = NewStoredUser { password_hash: hash('o'), ..new_user(&name, &address)? };
            same(insert_into(table, new).await?, expected)?;
        }
    }
    for login in [other, elsewhere] {
        holds(table.by_login(&login).await?.is_none(), "that a refused user is not there", || "one".to_owned())?;
    }
    same(table.by_id(&id).await?.map(|row| row.hash.as_str().to_owned()), before)
}

/// Replaces a hash; whether it was.
pub(in crate::testing) async fn swap(
    table: &dyn Table,
    id: &str,
    old: &HashText,
    new: &HashText,
) -> Result<bool, Broken> {
    match table.set_password_hash(id, old, new) {
        Some(set) => Ok(set.await?),
        None => broken("a hash replaced", LACKS),
    }
}

/// The hash of this user.
pub(in crate::testing) async fn stored(table: &dyn Table, id: &str) -> Result<HashText, Broken> {
    match table.by_id(id).await? {
        Some(row) => Ok(row.hash),
        None => broken(format!("the user {id:?}"), "nobody"),
    }
}

async fn swap_password(table: &dyn Table, known: &KnownUsers) -> Kept {
    let (id, others) = (known.active.id.as_str(), known.other.id.as_str());
    let (old, of_other) = (stored(table, id).await?, stored(table, others).await?);
    for (expected, new, swapped, then) in [
        (&hash('w'), &hash('x'), false, &old),
        (&old, &hash('x'), true, &hash('x')),
        (&old, &hash('y'), false, &hash('x')),
        (&hash('X'), &hash('y'), false, &hash('x')),
        (&hash('x'), &old, true, &old),
    ] {
        let seen = (swap(table, id, expected, new).await?, stored(table, id).await?.as_str().to_owned());
        same(seen, (swapped, then.as_str().to_owned()))?;
        let by_login = table.by_login(&known.active.login).await?.map(|row| row.hash.as_str().to_owned());
        same(by_login.as_deref(), Some(then.as_str()))?;
    }
    same(swap(table, &word(), &old, &hash('x')).await?, false)?;
    same(stored(table, others).await?.as_str(), of_other.as_str())
}

/// Enables or disables a user; whether there is one.
pub(in crate::testing) async fn activate(table: &dyn Table, id: &str, active: bool) -> Result<bool, Broken> {
    match table.set_active(id, active) {
        Some(set) => Ok(set.await?),
        None => broken("a user enabled", LACKS),
    }
}

async fn set_active(table: &dyn Table, known: &KnownUsers) -> Kept {
    let is_active = async |user: &KnownUser| -> Result<[Option<bool>; 2], Broken> {
        let rows = [table.by_id(&user.id).await?, table.by_login(&user.login).await?];
        Ok(rows.map(|row| row.map(|row| row.is_active)))
    };
    // Twice each: that it was so before is no reason to say that there is no such user.
    for active in [false, false, true, true] {
        same(activate(table, &known.active.id, active).await?, true)?;
        same(is_active(&known.active).await?, [Some(active); 2])?;
        same(is_active(&known.other).await?, [Some(true); 2])?;
    }
    for active in [false, true] {
        same(activate(table, &word(), active).await?, false)?;
    }
    Ok(())
}

/// A word that is in no table.
pub(in crate::testing) fn word() -> String {
    let ids = IdSource::new(std::sync::Arc::new(mapae_verify::SystemClock), std::sync::Arc::new(SystemRng));
    format!("w{}", ids.uuid_v7().simple())
}

/// A text as long as hashes are, unlike that of any other letter.
pub(in crate::testing) fn hash(letter: char) -> HashText {
    let salt = letter.to_string().repeat(22);
    HashText::new(format!("$argon2id$v=19$m=8,t=1,p=1${salt}${}", salt.repeat(2)))
}
