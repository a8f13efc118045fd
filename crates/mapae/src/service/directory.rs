//! Where accounts are: in this service's own table, or in the application's.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use mapae_password::{HashText, Pepper};
use mapae_verify::Clock;
use moka::sync::Cache;

use super::Service;
use super::accounts::AccountError;
use super::mapped_users::MappedUsers;
use super::user_table::{Row, Table, corrupt};
use crate::domain::user::folded;
use crate::domain::{EmailAddress, User, UserId, UserName};
use crate::store::{Credential, Login, Store, StoreError, Taken, Tx, UserPage};

/// Users of the application's table that are remembered, if any are.
const REMEMBERED: u64 = 50_000;

/// The row of the application's own table, of a type that only the application knows.
pub(crate) type AnyRow = Arc<dyn Any + Send + Sync>;

/// Where accounts are.
pub(crate) enum Directory {
    /// In this service's own table.
    Own,
    /// In a table of the application's.
    Table(UserRows),
    /// In a table of another application, in the same database as this service's own.
    Mapped(Box<MappedUsers>),
}

/// What can be done where accounts are, besides looking them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Everything, since the table is this service's own.
    pub(crate) is_own: bool,
    /// Accounts can be listed.
    pub(crate) lists: bool,
    /// People can sign up.
    pub(crate) inserts: bool,
    /// Passwords can be changed.
    pub(crate) sets_password_hash: bool,
    /// Accounts can be disabled and enabled.
    pub(crate) sets_active: bool,
    /// Scopes can be granted and withdrawn.
    pub(crate) sets_scopes: bool,
    /// Weak hashes are renewed at sign-in.
    pub(crate) rehashes: bool,
}

impl Directory {
    const OWN: Abilities = Abilities {
        is_own: true,
        lists: true,
        inserts: true,
        sets_password_hash: true,
        sets_active: true,
        sets_scopes: true,
        rehashes: true,
    };

    /// The one spelling of what somebody typed as a name: what failures are counted on, whether it is anybody's or not.
    pub(super) fn name(&self, login: &str) -> String {
        let parsed = match self {
            Self::Own => Login::parse(login),
            // How such a table compares names is its own business.
            Self::Table(_) | Self::Mapped(_) => None,
        };
        match parsed {
            Some(Login::Name(name)) => name.canonical().to_owned(),
            Some(Login::Email(email)) => email.canonical().to_owned(),
            None => folded(login.trim()),
        }
    }

    /// The application's table, if accounts are there.
    pub(crate) fn table(&self) -> Option<&dyn Table> {
        match self {
            Self::Own | Self::Mapped(_) => None,
            Self::Table(rows) => Some(rows.table.as_ref()),
        }
    }
}

/// The application's table, and what is remembered of it.
pub(crate) struct UserRows {
    table: Arc<dyn Table>,
    /// How long a row may be used without asking again; zero is not at all.
    staleness: Duration,
    remembered: Cache<UserId, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    account: Account,
    /// When it was read, in milliseconds since 1970.
    read_at: i64,
    /// The count of changes then: any change of an account makes all that was read before it worthless.
    epoch: u64,
}

impl UserRows {
    pub(crate) fn new(table: Arc<dyn Table>, staleness: Duration) -> Self {
        Self { table, staleness, remembered: Cache::new(REMEMBERED) }
    }

    async fn account(&self, id: &UserId, store: &Store, clock: &dyn Clock) -> Result<Option<Account>, StoreError> {
        let epoch = store.seen_epoch().filter(|_| !self.staleness.is_zero());
        let now = clock.now_millis();
        if let (Some(epoch), Some(known)) = (epoch, self.remembered.get(id)) {
            let age = now.checked_sub(known.read_at).and_then(|age| u64::try_from(age).ok());
            if known.epoch == epoch && age.is_some_and(|age| Duration::from_millis(age) < self.staleness) {
                return Ok(Some(known.account));
            }
        }
        let found = self.table.by_id(id.as_str()).await?.map(|row| found(row, Some(id))).transpose()?;
        let account = found.map(|found| Account { user: Arc::new(found.user), row: found.row });
        if let (Some(epoch), Some(account)) = (epoch, &account) {
            self.remembered.insert(id.clone(), Remembered { account: account.clone(), read_at: now, epoch });
        }
        Ok(account)
    }
}

/// An account as the hot path sees it.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) user: Arc<User>,
    /// The row behind it, if the table is the application's.
    pub(crate) row: Option<AnyRow>,
}

/// An account with its password hash.
pub(crate) struct Found {
    pub(crate) user: User,
    pub(crate) hash: HashText,
    pub(crate) row: Option<AnyRow>,
}

impl From<Credential> for Found {
    fn from(credential: Credential) -> Self {
        Self { user: credential.user, hash: credential.hash, row: None }
    }
}

/// A row as an account. `asked` is the id that it was asked for by: a table that answers with somebody else is wrong.
pub(super) fn found(row: Row, asked: Option<&UserId>) -> Result<Found, StoreError> {
    if let Some(asked) = asked {
        row.is_asked_for(asked.as_str())?;
    }
    let id = UserId::new(row.id).ok_or_else(|| corrupt("an id is empty, too long, or holds `:`"))?;
    let user = User {
        id,
        username: row.profile.username,
        email: row.profile.email,
        full_name: row.profile.full_name,
        disabled: !row.is_active,
        scopes: row.scopes,
        created_at: None,
        updated_at: None,
    };
    Ok(Found { user, hash: row.hash, row: Some(row.row) })
}

impl Service {
    /// What can be done where accounts are.
    pub(crate) fn abilities(&self) -> Abilities {
        match self.directory() {
            Directory::Own => Directory::OWN,
            Directory::Table(rows) => rows.table.abilities(),
            Directory::Mapped(mapped) => mapped.abilities(),
        }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Who signs in with this name or address.
    pub(super) async fn found_by_login(&self, login: &str) -> Result<Option<Found>, StoreError> {
        match self.directory() {
            Directory::Own => match Login::parse(login) {
                Some(login) => Ok(self.store().credential_by_login(&login).await?.map(Found::from)),
                None => Ok(None),
            },
            Directory::Table(rows) => rows.table.by_login(login).await?.map(|row| found(row, None)).transpose(),
            Directory::Mapped(mapped) => self.mapped_by_login(mapped, login).await,
        }
    }

    /// Which names of a new account are another's already.
    pub(super) async fn taken(
        &self,
        username: Option<&UserName>,
        email: Option<&EmailAddress>,
    ) -> Result<Taken, StoreError> {
        match self.directory() {
            Directory::Own => self.store().taken(username, email).await,
            // Asked for one at a time, as whoever signs in would be.
            Directory::Table(_) | Directory::Mapped(_) => {
                let mut taken = Taken::default();
                if let Some(name) = username {
                    taken.username = self.found_by_login(name.display()).await?.is_some();
                }
                if let (Some(email), false) = (email, taken.username) {
                    taken.email = self.found_by_login(email.as_given()).await?.is_some();
                }
                Ok(taken)
            }
        }
    }

    /// The account with this id, as the database has it now.
    pub(super) async fn found_by_id(&self, id: &UserId) -> Result<Option<Found>, StoreError> {
        match self.directory() {
            Directory::Own => Ok(self.store().credential_by_id(id).await?.map(Found::from)),
            Directory::Table(rows) => rows.table.by_id(id.as_str()).await?.map(|row| found(row, Some(id))).transpose(),
            Directory::Mapped(mapped) => self.mapped_by_id(mapped, id).await,
        }
    }

    /// Begins a transaction, and the account with this id, locked until its end. The application's own table is read before the
    /// transaction begins, and never asked while one is open: its connections may all be waiting for the one writer.
    pub(super) async fn begin_on(&self, id: &UserId) -> Result<(Tx, Option<Found>), StoreError> {
        self.begin_on_both(id, None).await
    }

    /// As [`Self::begin_on`], in a group where that can be: see [`Store::begin_in_group`].
    ///
    /// [`Store::begin_in_group`]: crate::store::Store::begin_in_group
    pub(super) async fn begin_in_group_on(&self, id: &UserId) -> Result<(Tx, Option<Found>), StoreError> {
        match self.directory() {
            Directory::Own => {
                let tx = self.store().begin_in_group().await?;
                let found = tx.credential(id).await?.map(Found::from);
                Ok((tx, found))
            }
            Directory::Table(_) | Directory::Mapped(_) => self.begin_on(id).await,
        }
    }

    /// As [`Self::begin_on`], for a transaction that goes on to change the `other` account: of two who do this to each
    /// other, one comes first.
    pub(super) async fn begin_on_both(
        &self,
        id: &UserId,
        other: Option<&UserId>,
    ) -> Result<(Tx, Option<Found>), StoreError> {
        match self.directory() {
            Directory::Own => {
                let tx = self.store().begin().await?;
                if let Some(other) = other {
                    tx.lock_users(&[id, other]).await?;
                }
                let found = tx.credential(id).await?.map(Found::from);
                Ok((tx, found))
            }
            Directory::Table(_) => {
                let found = self.found_by_id(id).await?;
                Ok((self.store().begin().await?, found))
            }
            Directory::Mapped(mapped) => self.begin_on_mapped(mapped, id, other).await,
        }
    }

    /// The account with this id; from memory where that may be trusted.
    pub(super) async fn account(&self, id: &UserId) -> Result<Option<Account>, StoreError> {
        match self.directory() {
            Directory::Own => Ok(self.store().cached_user(id).await?.map(|user| Account { user, row: None })),
            Directory::Table(rows) => rows.account(id, self.store(), self.0.clock.as_ref()).await,
            Directory::Mapped(mapped) => self.mapped_account(mapped, id).await,
        }
    }

    /// Up to `limit` accounts after `after`, ordered by id, whose name, address or full name contains `search`. Letter
    /// case makes no difference; nor, in this service's own table, do width and Unicode form.
    ///
    /// # Errors
    /// [`AccountError::NotHere`] if accounts are in a table of the application's, which is asked for one at a time.
    pub async fn list_accounts(
        &self,
        search: Option<&str>,
        after: Option<&UserId>,
        limit: u64,
    ) -> Result<UserPage, AccountError> {
        match self.directory() {
            Directory::Own => Ok(self.store().list_users(search, after, limit).await?),
            Directory::Table(_) => Err(AccountError::NotHere),
            Directory::Mapped(mapped) => {
                let (found, next) = self.list_mapped(mapped, search, after, limit).await?;
                Ok(UserPage { users: found.into_iter().map(|found| found.user).collect(), next })
            }
        }
    }

    /// Up to `limit` accounts after `after` with their hashes, ordered by id.
    ///
    /// # Errors
    /// As [`Self::list_accounts`].
    pub async fn list_credentials(&self, after: Option<&UserId>, limit: u64) -> Result<Vec<Credential>, AccountError> {
        match self.directory() {
            Directory::Own => Ok(self.store().list_credentials(after, limit).await?),
            Directory::Table(_) => Err(AccountError::NotHere),
            Directory::Mapped(mapped) => {
                let (found, _) = self.list_mapped(mapped, None, after, limit).await?;
                // Over there nothing says so, but elsewhere it must be known which hashes are of an HMAC.
                let key = self.settings().password_hmac_key.as_ref().map(|key| Pepper::flask_security(key.expose()));
                let marked = |hash: HashText| key.as_ref().map_or_else(|| hash.clone(), |key| key.mark(&hash));
                Ok(found.into_iter().map(|found| Credential { user: found.user, hash: marked(found.hash) }).collect())
            }
        }
    }

    /// Replaces an account's password hash where `old` is still stored; whether it was.
    pub(super) async fn swap_password_hash(
        &self,
        id: &UserId,
        old: &HashText,
        new: &HashText,
    ) -> Result<bool, StoreError> {
        match self.directory() {
            Directory::Own => {
                let mut tx = self.store().begin().await?;
                let swapped = tx.replace_password_hash(id, Some(old), new).await?;
                if swapped {
                    tx.commit().await?;
                }
                Ok(swapped)
            }
            Directory::Table(rows) => match rows.table.set_password_hash(id.as_str(), old, new) {
                Some(set) => set.await,
                None => Ok(false),
            },
            Directory::Mapped(mapped) => {
                let (mut tx, _) = self.begin_on_mapped(mapped, id, None).await?;
                let swapped = self.set_mapped_hash(mapped, &mut tx, id, (old, new), true).await?;
                if swapped {
                    tx.commit().await?;
                }
                Ok(swapped)
            }
        }
    }
}
