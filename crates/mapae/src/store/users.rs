//! Accounts: finding, making, changing, ending.

use mapae_password::HashText;
use mapae_verify::{DeclaredScope as _, Scopes};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, LikeExpr, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    TryIntoModel,
};

use super::entity::user::{self, Column, Entity};
use super::keyed::by_key;
use super::{Change, Store, StoreError, Tx};
use crate::domain::audit::Actor;
use crate::domain::scope::Admin;
use crate::domain::user::{NewUser, ProfileChange, folded};
use crate::domain::{EmailAddress, User, UserId, UserName};

/// What a person signs in with.
#[derive(Clone, Debug)]
pub enum Login {
    /// A user name.
    Name(UserName),
    /// An e-mail address.
    Email(EmailAddress),
}

impl Login {
    /// Reads a name or, if it holds an `@`, an address. `None` for what can be nobody's.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(['@', '\u{ff20}', '\u{fe6b}']) {
            EmailAddress::parse(text).ok().map(Self::Email)
        } else {
            UserName::parse(text).ok().map(Self::Name)
        }
    }
}

/// An account with its password hash, for the one function that checks passwords.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The account.
    pub user: User,
    /// The stored hash.
    pub hash: HashText,
}

/// Which names of a new account another account has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The user name.
    pub username: bool,
    /// The e-mail address.
    pub email: bool,
}

/// One page of accounts, oldest first.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// The accounts of this page.
    pub users: Vec<User>,
    /// Where the next page begins, if there is one.
    pub next: Option<UserId>,
}

impl Store {
    /// The account with this id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn user_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()), &self.0.read).await?;
        row.map(to_user).transpose()
    }

    /// The account of this name or address, with its hash.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn credential_by_login(&self, login: &Login) -> Result<Option<Credential>, StoreError> {
        let is_login = match login {
            Login::Name(name) => Column::UsernameCanonical.eq(name.canonical()),
            Login::Email(email) => Column::EmailCanonical.eq(email.canonical()),
        };
        let row = by_key(Entity::find().filter(is_login), &self.0.read).await?;
        row.map(to_credential).transpose()
    }

    /// Which of these is another account's already. Between two who come at the same moment, only
    /// [`Tx::insert_user`] decides.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn taken(&self, username: Option<&UserName>, email: Option<&EmailAddress>) -> Result<Taken, StoreError> {
        let (username, email) = (username.map(UserName::canonical), email.map(EmailAddress::canonical));
        let Some(query) = names_among(username, email) else { return Ok(Taken::default()) };
        let rows = self.0.read.query_all(&query).await?;
        let found = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
        let is_found = |name: Option<&str>| found.iter().any(|found| Some(found.as_str()) == name);
        // An address is never a user name: only one of them holds an `@`.
        Ok(Taken { username: is_found(username), email: is_found(email) })
    }

    /// The account with this id, with its hash.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn credential_by_id(&self, id: &UserId) -> Result<Option<Credential>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()), &self.0.read).await?;
        row.map(to_credential).transpose()
    }

    /// Up to `limit` accounts after `after`, ordered by id, whose name, address or full name contains `search`
    /// (letter case, width and Unicode form make no difference).
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn list_users(
        &self,
        search: Option<&str>,
        after: Option<&UserId>,
        limit: u64,
    ) -> Result<UserPage, StoreError> {
        // PostgreSQL takes no text with a NUL; no account has one.
        if search.is_some_and(|search| search.contains('\0')) {
            return Ok(UserPage { users: Vec::new(), next: None });
        }
        let mut query = Entity::find().order_by_asc(Column::Id).limit(limit + 1);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after.as_str()));
        }
        if let Some(search) = search {
            let escaped = folded(search).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            query = query.filter(Column::Search.like(LikeExpr::new(format!("%{escaped}%")).escape('\\')));
        }
        let mut rows = query.all(&self.0.read).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let users = rows.into_iter().map(to_user).collect::<Result<Vec<_>, _>>()?;
        let next = if more { users.last().map(|user| user.id.clone()) } else { None };
        Ok(UserPage { users, next })
    }

    /// The hashes of the `limit` oldest and the `limit` newest accounts (by id), for what checking them costs.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sample_password_hashes(&self, limit: u64) -> Result<Vec<HashText>, StoreError> {
        let mut hashes = Vec::new();
        for order in [Order::Asc, Order::Desc] {
            let query = Entity::find().select_only().column(Column::PasswordHash).order_by(Column::Id, order);
            let some: Vec<String> = query.limit(limit).into_tuple().all(&self.0.read).await?;
            hashes.extend(some.into_iter().map(HashText::new));
        }
        Ok(hashes)
    }

    /// Whether an account that is not disabled holds `mapae:admin`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        for row in maybe_administrators().all(&self.0.read).await? {
            if to_user(row)?.scopes.contains(Admin::NAME) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Tx {
    /// Locks these accounts, so that two transactions that come to lock the same ones later need not wait for each other.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn lock_users(&self, ids: &[&UserId]) -> Result<(), StoreError> {
        let which = Entity::find().select_only().column(Column::Id).order_by_asc(Column::Id).lock_exclusive();
        let which = which.filter(Column::Id.is_in(ids.iter().map(|id| id.as_str())));
        let _locked: Vec<String> = which.into_tuple().all(&self.inner).await?;
        Ok(())
    }

    /// The account with this id, which nobody else changes until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()).lock_exclusive(), &self.inner).await?;
        row.map(to_user).transpose()
    }

    /// The account with this id and its hash, which nobody else changes until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn credential(&self, id: &UserId) -> Result<Option<Credential>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()).lock_exclusive(), &self.inner).await?;
        row.map(to_credential).transpose()
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] or [`StoreError::EmailTaken`] if another account has the name or address.
    pub async fn insert_user(&mut self, new: NewUser, hash: &HashText) -> Result<User, StoreError> {
        let now = self.now();
        let (username, username_canonical) = new.username.as_ref().map(name_columns).unzip();
        let (email, email_canonical) = new.email.as_ref().map(email_columns).unzip();
        let row = user::ActiveModel {
            id: Set(new.id.to_string()),
            search: Set(search_text([&username, &email, &email_canonical, &new.full_name])),
            username: Set(username),
            username_canonical: Set(username_canonical),
            email: Set(email),
            email_canonical: Set(email_canonical),
            full_name: Set(new.full_name),
            password_hash: Set(hash.as_str().to_owned()),
            disabled: Set(false),
            scopes: Set(new.scopes.to_string()),
            created_at: Set(now),
            updated_at: Set(now),
        };
        Entity::insert(row.clone()).exec_without_returning(&self.inner).await?;
        to_user(row.try_into_model()?)
    }

    /// Changes names and addresses; `false` if there is no such account.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] or [`StoreError::EmailTaken`] if another account has the name or address.
    pub async fn update_profile(&mut self, id: &UserId, change: ProfileChange) -> Result<bool, StoreError> {
        let Some(mut user) = by_key(Entity::find_by_id(id.as_str()).lock_exclusive(), &self.inner).await? else {
            return Ok(false);
        };
        if let Some(username) = change.username {
            (user.username, user.username_canonical) = username.as_ref().map(name_columns).unzip();
        }
        if let Some(email) = change.email {
            (user.email, user.email_canonical) = email.as_ref().map(email_columns).unzip();
        }
        if let Some(full_name) = change.full_name {
            user.full_name = full_name;
        }
        let row = user::ActiveModel {
            search: Set(search_text([&user.username, &user.email, &user.email_canonical, &user.full_name])),
            username: Set(user.username),
            username_canonical: Set(user.username_canonical),
            email: Set(user.email),
            email_canonical: Set(user.email_canonical),
            full_name: Set(user.full_name),
            updated_at: Set(self.now()),
            ..Default::default()
        };
        self.update(id, row, None).await
    }

    /// Replaces the password hash if it still is `expected`; `false` if it is not, or there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn replace_password_hash(
        &mut self,
        id: &UserId,
        expected: Option<&HashText>,
        new: &HashText,
    ) -> Result<bool, StoreError> {
        let row = user::ActiveModel {
            password_hash: Set(new.as_str().to_owned()),
            updated_at: Set(self.now()),
            ..Default::default()
        };
        self.update(id, row, expected).await
    }

    /// Disables or enables an account; `false` if there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_disabled(&mut self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        let row = user::ActiveModel { disabled: Set(disabled), updated_at: Set(self.now()), ..Default::default() };
        self.update(id, row, None).await
    }

    /// Replaces the scopes that an account holds; `false` if there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_scopes(&mut self, id: &UserId, scopes: &Scopes, by: &Actor) -> Result<bool, StoreError> {
        let row =
            user::ActiveModel { scopes: Set(scopes.to_string()), updated_at: Set(self.now()), ..Default::default() };
        let updated = self.update(id, row, None).await?;
        self.end_minted_beyond(id, scopes, by).await?;
        Ok(updated)
    }

    /// Removes an account and its sessions; `false` if there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn delete_user(&mut self, id: &UserId, by: &Actor) -> Result<bool, StoreError> {
        // First, or somebody could sign in between the two.
        self.lock_users(&[id]).await?;
        self.end_sessions(id, None, by).await?;
        let deleted = Entity::delete_by_id(id.as_str()).exec(&self.inner).await?.rows_affected;
        self.changed(Change::User(id.to_string())).await?;
        Ok(deleted == 1)
    }

    async fn update(
        &mut self,
        id: &UserId,
        row: user::ActiveModel,
        expected_hash: Option<&HashText>,
    ) -> Result<bool, StoreError> {
        let mut query = Entity::update_many().set(row).filter(Column::Id.eq(id.as_str()));
        if let Some(expected) = expected_hash {
            query = query.filter(Column::PasswordHash.eq(expected.as_str()));
        }
        let updated = query.exec(&self.inner).await?.rows_affected;
        self.changed(Change::User(id.to_string())).await?;
        Ok(updated == 1)
    }
}

/// Those of these canonical names that accounts have, one row for each; `None` where there is none to look for. Two
/// look-ups in one statement rather than one with `OR`: each is answered by the index of its column alone, however few
/// rows PostgreSQL thought there were when it planned.
fn names_among(username: Option<&str>, email: Option<&str>) -> Option<SelectStatement> {
    let one = |column: Column, name| Entity::find().select_only().column(column).filter(column.eq(name)).into_query();
    let username = username.map(|name| one(Column::UsernameCanonical, name));
    let email = email.map(|email| one(Column::EmailCanonical, email));
    let mut names = [username, email].into_iter().flatten();
    names.next().map(|first| names.fold(first, |mut all, next| all.union(UnionType::All, next).take()))
}

/// Accounts that are not disabled and hold a scope in whose name `mapae:admin` occurs. In the words of the index of them,
/// and with no parameter: only then do both engines see that it has them all.
fn maybe_administrators() -> Select<Entity> {
    Entity::find().filter(Expr::cust("NOT disabled AND scopes LIKE '%mapae:admin%'"))
}

/// All that a search may find of an account, in one text.
pub(super) fn search_text(names: [&Option<String>; 4]) -> String {
    let names: Vec<String> = names.into_iter().flatten().map(|name| folded(name)).collect();
    names.join("\n")
}

pub(super) fn name_columns(name: &UserName) -> (String, String) {
    (name.display().to_owned(), name.canonical().to_owned())
}

pub(super) fn email_columns(email: &EmailAddress) -> (String, String) {
    (email.as_given().to_owned(), email.canonical().to_owned())
}

fn to_user(row: user::Model) -> Result<User, StoreError> {
    let corrupt = |why: &str| StoreError::Corrupt { table: "mapae_user", why: why.to_owned() };
    Ok(User {
        id: UserId::new(row.id).ok_or_else(|| corrupt("the id is no account id"))?,
        username: row.username,
        email: row.email,
        full_name: row.full_name,
        disabled: row.disabled,
        scopes: Scopes::parse(&row.scopes).map_err(|error| corrupt(&error.to_string()))?,
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
    })
}

pub(super) fn to_credential(mut row: user::Model) -> Result<Credential, StoreError> {
    let hash = HashText::new(std::mem::take(&mut row.password_hash));
    Ok(Credential { user: to_user(row)?, hash })
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sea_orm::{ConnectionTrait, Database, QueryTrait, Statement};
    use sea_orm_migration::MigratorTrait;

    use super::*;
    use crate::store::migrations::Migrator;

    /// That PostgreSQL does so too is tested where there is a server.
    #[tokio::test]
    async fn administrators_are_found_by_their_index() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let Statement { sql, .. } = maybe_administrators().build(db.get_database_backend());
        let plan = Statement::from_string(db.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}"));
        let plan = db.query_one_raw(plan).await.unwrap().unwrap();
        assert_eq!(plan.try_get::<String>("", "detail").unwrap(), "SCAN mapae_user USING INDEX mapae_user_admin_idx");
    }

    /// The same.
    #[tokio::test]
    async fn a_name_and_an_address_are_looked_up_by_their_indexes() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let query = names_among(Some("ann"), Some("ann@example.com")).unwrap();
        let Statement { sql, values, .. } = db.get_database_backend().build(&query);
        let plan =
            Statement { sql: format!("EXPLAIN QUERY PLAN {sql}"), values, db_backend: db.get_database_backend() };
        let steps = db.query_all_raw(plan).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.try_get("", "detail").unwrap()).collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).filter(|step| step.contains("mapae_user")).collect();
        let by = |index, column| format!("SEARCH mapae_user USING COVERING INDEX {index} ({column}=?)");
        let name = by("mapae_user_username_canonical_key", "username_canonical");
        assert_eq!(steps, [name, by("mapae_user_email_canonical_key", "email_canonical")]);
        assert!(names_among(None, None).is_none());
    }
}
