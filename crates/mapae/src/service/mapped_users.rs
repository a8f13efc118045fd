//! Accounts in the user table of another application, in the database that our own tables are in: what both write, and
//! what is noted of it, is seen and changed in one transaction.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use mapae_password::HashText;
use mapae_verify::Scopes;

use super::accounts::{AccountError, AdminChange, ChangeError, FieldError, NewAccount, administered};
use super::directory::{Abilities, Account, Directory, Found};
use super::{Service, StartError, keys};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::secret::WrapUse;
use crate::domain::{EmailAddress, MasterKey, Rng, User, UserId, UserMapping, UserName};
use crate::store::{MappedUser, NewMappedUser, Store, StoreError, Tx};

/// The name of the fingerprints' key among the data keys.
const KEY: &str = "fingerprint";
/// Bytes of one HMAC-SHA-256.
const TAG: usize = 32;

/// The mapped table, and the key of the fingerprints.
pub(crate) struct MappedUsers {
    pub(super) mapping: UserMapping,
    key: hmac::Key,
}

/// What became of an account since it was last seen here.
enum Since {
    /// Nothing that matters.
    Same,
    /// Another name or address, which its sessions survive.
    Renamed,
    /// Another password, set over there.
    PasswordChanged,
    /// It was never seen, or is somebody else, who has the id of an account that is gone.
    Somebody,
}

impl MappedUsers {
    /// Takes the key of the fingerprints from the database, or makes it.
    pub(super) async fn open(
        store: &Store,
        mapping: UserMapping,
        master: &MasterKey,
        rng: &dyn Rng,
    ) -> Result<Self, StartError> {
        let mut tx = store.begin().await?;
        keys::lock(&mut tx, master).await?;
        let secret = match tx.data_key(KEY).await? {
            Some(wrapped) => {
                master.unwrap(WrapUse::Fingerprint, KEY, &wrapped).map_err(|_| StartError::WrongMasterKey)?.to_vec()
            }
            None => {
                let mut secret = vec![0; TAG];
                rng.fill(&mut secret);
                tx.insert_data_key(KEY, master.wrap(rng, WrapUse::Fingerprint, KEY, &secret)).await?;
                tx.commit().await?;
                secret
            }
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &zeroize::Zeroizing::new(secret));
        Ok(Self { mapping, key })
    }

    pub(super) fn abilities(&self) -> Abilities {
        let writes = !self.mapping.read_only;
        Abilities {
            is_own: false,
            lists: true,
            inserts: writes,
            sets_password_hash: writes,
            sets_active: writes && self.mapping.active.is_some(),
            sets_scopes: true,
            rehashes: writes && self.mapping.rehash,
        }
    }

    /// What is noted of an account: a keyed hash of its password hash, which helps nobody to guess, and one of its names.
    fn fingerprint(&self, user: &MappedUser, hash: &HashText) -> Vec<u8> {
        let names = format!("{}\0{}", user.username.as_deref().unwrap_or(""), user.email.as_deref().unwrap_or(""));
        [self.tag("hash", &user.id, hash.as_str()), self.tag("names", &user.id, &names)].concat()
    }

    fn tag(&self, what: &str, id: &UserId, text: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        // An id holds no control characters, so no two of these are alike.
        for part in [what, "\0", id.as_str(), "\0", text] {
            context.update(part.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }

    fn since(&self, user: &MappedUser) -> Since {
        let Some((hash, names)) = user.fingerprint.as_deref().and_then(|noted| noted.split_at_checked(TAG)) else {
            return Since::Somebody;
        };
        let now = self.fingerprint(user, &user.hash);
        let (hash_now, names_now) = now.split_at(TAG);
        match (is_same(hash, hash_now), is_same(names, names_now)) {
            (true, true) => Since::Same,
            (true, false) => Since::Renamed,
            (false, true) => Since::PasswordChanged,
            (false, false) => Since::Somebody,
        }
    }

    fn found(&self, user: MappedUser, default_scopes: &Scopes) -> Found {
        // Whoever has another's id now does not have what was granted to that one.
        let granted = if matches!(self.since(&user), Since::Somebody) { None } else { user.scopes };
        let scopes = granted.unwrap_or_else(|| default_scopes.clone());
        let MappedUser { id, username, email, full_name, is_active, hash, .. } = user;
        let (disabled, created_at, updated_at) = (!is_active, None, None);
        let user = User { id, username, email, full_name, disabled, scopes, created_at, updated_at };
        Found { user, hash, row: None }
    }
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

impl Service {
    pub(super) async fn mapped_by_login(&self, at: &MappedUsers, login: &str) -> Result<Option<Found>, StoreError> {
        let found = self.store().mapped_by_login(&at.mapping, login).await?;
        Ok(found.map(|user| at.found(user, &self.settings().default_scopes)))
    }

    pub(super) async fn mapped_by_id(&self, at: &MappedUsers, id: &UserId) -> Result<Option<Found>, StoreError> {
        let found = self.store().mapped_by_id(&at.mapping, id).await?;
        Ok(found.map(|user| at.found(user, &self.settings().default_scopes)))
    }

    pub(super) async fn list_mapped(
        &self,
        at: &MappedUsers,
        search: Option<&str>,
        after: Option<&UserId>,
        limit: u64,
    ) -> Result<(Vec<Found>, Option<UserId>), StoreError> {
        let (users, next) = self.store().list_mapped(&at.mapping, search, after, limit).await?;
        Ok((users.into_iter().map(|user| at.found(user, &self.settings().default_scopes)).collect(), next))
    }

    /// Begins a transaction, and the account as it sees it. What another application did to its password is settled
    /// first, and is durable by itself: whoever is refused afterwards leaves no session alive.
    pub(super) async fn begin_on_mapped(
        &self,
        at: &MappedUsers,
        id: &UserId,
        other: Option<&UserId>,
    ) -> Result<(Tx, Option<Found>), StoreError> {
        // Ends: it only goes round when somebody else has changed the password.
        loop {
            let mut tx = self.store().begin().await?;
            if let Some(other) = other {
                tx.lock_mapped(&[id, other]).await?;
            }
            match self.settled(at, &mut tx, id).await? {
                (found, false) => return Ok((tx, found)),
                (_, true) => tx.commit().await?,
            }
        }
    }

    /// The account as the transaction sees it, and whether its sessions were ended, since the password is another than
    /// the one under which they began.
    async fn settled(&self, at: &MappedUsers, tx: &mut Tx, id: &UserId) -> Result<(Option<Found>, bool), StoreError> {
        let Some(mut user) = tx.mapped_user(&at.mapping, id).await? else { return Ok((None, false)) };
        let since = at.since(&user);
        let ended = match since {
            Since::Same => false,
            Since::Renamed => {
                tx.note_fingerprint(id, at.fingerprint(&user, &user.hash)).await?;
                false
            }
            Since::PasswordChanged | Since::Somebody => {
                if matches!(since, Since::Somebody) && user.scopes.take().is_some() {
                    tx.set_shared_scopes(id, None, &Actor::system()).await?;
                }
                let seen = user.fingerprint.is_some();
                tx.note_fingerprint(id, at.fingerprint(&user, &user.hash)).await?;
                tx.user_changed(id).await?;
                let other = Actor::system();
                if seen && matches!(since, Since::PasswordChanged) {
                    let entry = Entry::new(Event::PasswordChanged, &other).user(id);
                    tx.record(entry.detail("elsewhere", true)).await?;
                }
                let ended = tx.end_sessions(id, None, &other).await?;
                if seen {
                    tracing::info!(user = %id, sessions = ended, "another application changed the password");
                }
                ended > 0
            }
        };
        user.fingerprint = Some(at.fingerprint(&user, &user.hash));
        Ok((Some(at.found(user, &self.settings().default_scopes)), ended))
    }

    /// The account for a request. One whose password another application changed has no sessions any more.
    pub(super) async fn mapped_account(&self, at: &MappedUsers, id: &UserId) -> Result<Option<Account>, StoreError> {
        let Some(user) = self.store().mapped_by_id(&at.mapping, id).await? else { return Ok(None) };
        match at.since(&user) {
            Since::Same | Since::Renamed => {
                let found = at.found(user, &self.settings().default_scopes);
                Ok(Some(Account { user: std::sync::Arc::new(found.user), row: None }))
            }
            Since::PasswordChanged | Since::Somebody => {
                drop(self.begin_on_mapped(at, id, None).await?);
                Ok(None)
            }
        }
    }

    /// Replaces the hash where `old` is still stored, and notes that we did; whether it was. `renewed` is the same
    /// password in a new hash.
    pub(super) async fn set_mapped_hash(
        &self,
        at: &MappedUsers,
        tx: &mut Tx,
        id: &UserId,
        (old, new): (&HashText, &HashText),
        renewed: bool,
    ) -> Result<bool, StoreError> {
        let Some(user) = tx.mapped_user(&at.mapping, id).await? else { return Ok(false) };
        let random = (!renewed).then(|| self.ids().random());
        if !tx.set_mapped_hash(&at.mapping, id, old, new, random).await? {
            return Ok(false);
        }
        tx.note_fingerprint(id, at.fingerprint(&user, new)).await?;
        tx.user_changed(id).await?;
        Ok(true)
    }

    /// Which fields of a new account the other table cannot hold, or cannot be without.
    pub(super) fn mapped_field_errors(&self, new: &NewAccount, errors: &mut Vec<FieldError>) {
        let Directory::Mapped(at) = self.directory() else { return };
        let mapping = &at.mapping;
        let fields = [
            ("username", &new.username, mapping.username.is_some(), mapping.requires_username()),
            ("email", &new.email, mapping.email.is_some(), mapping.requires_email()),
            ("full_name", &new.full_name, mapping.full_name.is_some(), false),
        ];
        for (field, given, kept, required) in fields {
            if given.is_some() && !kept {
                errors.push(FieldError::new(field, "not_kept", "Accounts have no such field here."));
            } else if given.is_none() && required && errors.iter().all(|error| error.field != field) {
                errors.push(FieldError::new(field, "missing", "This field is required here."));
            }
        }
    }

    /// Refuses names that are somebody's already, before the costly hash.
    pub(super) async fn mapped_names_are_free(
        &self,
        at: &MappedUsers,
        username: Option<&UserName>,
        email: Option<&EmailAddress>,
    ) -> Result<(), AccountError> {
        Ok(self.store().mapped_names_are_free(&at.mapping, username, email).await?)
    }

    /// Makes an account.
    pub(super) async fn insert_mapped(
        &self,
        at: &MappedUsers,
        (username, email): (Option<UserName>, Option<EmailAddress>),
        full_name: Option<String>,
        (hash, scopes): (HashText, Scopes),
        (made, by): (Event, &Actor),
    ) -> Result<User, AccountError> {
        let (id, random) = (self.ids().uuid_v7(), self.ids().random());
        let mut tx = self.store().begin().await?;
        let id =
            tx.insert_mapped_user(&at.mapping, NewMappedUser { username, email, full_name, hash, id, random }).await?;
        // The id may have been somebody's who is gone.
        tx.end_sessions(&id, None, by).await?;
        let granted = (scopes != self.settings().default_scopes).then_some(&scopes);
        tx.set_shared_scopes(&id, granted, by).await?;
        let user = tx.mapped_user(&at.mapping, &id).await?.ok_or(AccountError::NotFound)?;
        tx.note_fingerprint(&id, at.fingerprint(&user, &user.hash)).await?;
        let user = tx.mapped_user(&at.mapping, &id).await?.ok_or(AccountError::NotFound)?;
        tx.record(Entry::new(made, by).user(&id)).await?;
        tx.commit().await?;
        Ok(at.found(user, &self.settings().default_scopes).user)
    }

    /// Administers an account: scopes are ours, whether it may sign in is theirs.
    pub(super) async fn administer_mapped(
        &self,
        at: &MappedUsers,
        mut tx: Tx,
        id: &UserId,
        change: AdminChange,
        by: &Actor,
    ) -> Result<User, ChangeError> {
        if change.disabled.is_some() {
            self.can(|table| table.sets_active)?;
        }
        let (found, _) = self.settled(at, &mut tx, id).await?;
        let user = found.ok_or(AccountError::NotFound)?.user;
        let scopes = user.scopes.union(&change.grant).difference(&change.withdraw);
        if scopes != user.scopes {
            tx.set_shared_scopes(id, Some(&scopes), by).await?;
        }
        tx.record_all(administered(&user, &scopes, change.disabled, by)).await?;
        if let Some(disabled) = change.disabled {
            tx.set_mapped_active(&at.mapping, id, !disabled).await?;
            if disabled {
                tx.end_sessions(id, None, by).await?;
            }
        }
        tx.user_changed(id).await?;
        let (found, _) = self.settled(at, &mut tx, id).await?;
        tx.commit().await?;
        Ok(found.ok_or(AccountError::NotFound)?.user)
    }

    /// Whether an active account holds `mapae:admin`.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        match self.directory() {
            Directory::Mapped(at) => self.store().has_mapped_administrator(&at.mapping).await,
            Directory::Own | Directory::Table(_) => self.store().has_administrator().await,
        }
    }

    /// Stored hashes of the oldest and the newest accounts, for what checking them costs.
    pub(super) async fn sample_hashes(&self, limit: u64) -> Result<Vec<HashText>, StoreError> {
        match self.directory() {
            Directory::Mapped(at) => self.store().sample_mapped_hashes(&at.mapping, limit).await,
            Directory::Own | Directory::Table(_) => self.store().sample_password_hashes(limit).await,
        }
    }
}
