//! Accounts from elsewhere, with their ids and hashes as they are.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use mapae_password::{HashError, HashText};
use mapae_verify::{ScopeError, Scopes};

use super::{By, Service};
use crate::domain::audit::{Entry, Event};
use crate::domain::email::EmailAddressError;
use crate::domain::scope::ScopeCatalogueError;
use crate::domain::user::{self, FullNameError, NewUser};
use crate::domain::user_name::UserNameError;
use crate::domain::{EmailAddress, UserId, UserName};
use crate::store::{Identity, ImportedUser, Stamped, StoreError};

/// An account as another system wrote it down.
#[derive(Clone, Debug)]
pub struct ImportRow {
    /// The id there, which becomes the `sub` of tokens here; a new one if there is none.
    pub id: Option<String>,
    /// The user name; this or `email` is required. One that is an e-mail address is taken for the address.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// A disabled account cannot sign in.
    pub disabled: bool,
    /// The scopes that the account holds, separated by spaces; the default ones if `None`.
    pub scopes: Option<String>,
    /// The stored hash, in any accepted format.
    pub password_hash: HashText,
    /// When the account was made there; now if it is not known, or has not come yet.
    pub created_at: Option<DateTime<Utc>>,
}

/// What became of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The account was made.
    Imported,
    /// It was there already, from an earlier import of the same row. It stays as it is now.
    AlreadyThere,
    /// It was not made.
    Refused(ImportRefusal),
}

/// Why a row was not imported. The texts are for the person who imports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// No id that a token can name.
    #[error("The id must have 1 to 255 bytes and neither a colon nor control characters.")]
    Id,
    /// Nothing to sign in with.
    #[error("There is neither a user name nor an e-mail address.")]
    NoName,
    /// No user name.
    #[error(transparent)]
    Username(#[from] UserNameError),
    /// No address.
    #[error(transparent)]
    Email(#[from] EmailAddressError),
    /// No full name.
    #[error(transparent)]
    FullName(#[from] FullNameError),
    /// No scopes.
    #[error("The scopes cannot be read: {0}.")]
    ScopeSyntax(#[from] ScopeError),
    /// A scope that is not declared here.
    #[error("The {0}.")]
    Scope(#[from] ScopeCatalogueError),
    /// A hash that nobody could sign in with.
    #[error("The password cannot be checked: {0}.")]
    Hash(#[from] HashError),
    /// Another account has this name.
    #[error("The user name belongs to the account {0} already.")]
    UsernameTaken(String),
    /// Another account has this address.
    #[error("The e-mail address belongs to the account {0} already.")]
    EmailTaken(String),
    /// The id is there already, for somebody of another name.
    #[error("The id belongs already to an account of another user name or e-mail address.")]
    IdTaken,
}

/// An import, of any number of batches: one row in the audit trail, with counts that grow with each of them.
#[derive(Debug)]
pub struct ImportRun {
    entry: Entry,
    /// With the time at which it began.
    row: Stamped,
    counts: ImportCounts,
}

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Accounts that were made.
    pub imported: u64,
    /// Those that were there already.
    pub already_there: u64,
    /// Rows that were refused.
    pub refused: u64,
}

impl ImportRun {
    /// Counts a row that could not even be read.
    pub const fn unreadable(&mut self) {
        self.counts.refused += 1;
    }

    /// What became of all rows so far.
    pub const fn counts(&self) -> ImportCounts {
        self.counts
    }
}

impl ImportCounts {
    fn with<'a>(mut self, outcomes: impl IntoIterator<Item = &'a ImportOutcome>) -> Self {
        for outcome in outcomes {
            match outcome {
                ImportOutcome::Imported => self.imported += 1,
                ImportOutcome::AlreadyThere => self.already_there += 1,
                ImportOutcome::Refused(_) => self.refused += 1,
            }
        }
        self
    }
}

/// How often a batch is begun when somebody else takes one of its names meanwhile.
const ATTEMPTS: usize = 3;

impl Service {
    /// Begins an import.
    pub fn begin_import(&self, by: By<'_>) -> ImportRun {
        let entry = Entry::new(Event::UsersImported, &by.actor());
        ImportRun { row: self.store().stamp(entry.clone()), entry, counts: ImportCounts::default() }
    }

    /// Makes the accounts of these rows in one transaction, except those that are there already and those that are
    /// refused; what became of each, in order. A thousand rows at a time are a good measure.
    ///
    /// Hashes are only looked at: computing them is for their owners, who sign in some day.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails; then none was made.
    pub async fn import_accounts(
        &self,
        run: &mut ImportRun,
        rows: Vec<ImportRow>,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        let read: Vec<Result<Candidate, ImportRefusal>> = rows.into_iter().map(|row| self.read_row(row)).collect();
        run.counts.refused += read.iter().filter(|row| row.is_err()).count() as u64;
        let mut attempt = 1;
        let decided = loop {
            match self.import_batch(run, &read).await {
                Err(StoreError::UsernameTaken | StoreError::EmailTaken | StoreError::Conflict(_))
                    if attempt < ATTEMPTS =>
                {
                    attempt += 1
                }
                decided => break decided?,
            }
        };
        run.counts = run.counts.with(&decided);
        // Those that could be read were decided on, in the same order.
        let mut decided = decided.into_iter();
        Ok(read
            .into_iter()
            .map(|row| match row {
                Err(refusal) => ImportOutcome::Refused(refusal),
                Ok(_) => decided.next().expect("one decision for each row that could be read"),
            })
            .collect())
    }

    async fn import_batch(
        &self,
        run: &ImportRun,
        rows: &[Result<Candidate, ImportRefusal>],
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        let rows: Vec<&Candidate> = rows.iter().flatten().collect();
        let users = || rows.iter().map(|row| &row.account.user);
        let ids: Vec<_> = users().map(|user| &user.id).collect();
        let names: Vec<_> = users().filter_map(|user| user.username.as_ref()).collect();
        let emails: Vec<_> = users().filter_map(|user| user.email.as_ref()).collect();
        let mut tx = self.store().begin().await?;
        let mut known = Known::default();
        for identity in tx.identities(&ids, &names, &emails).await? {
            known.add(identity);
        }
        let mut accounts = Vec::new();
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let identity = row.account.identity();
            let outcome = known.judge(&identity, row.id_given);
            if outcome == ImportOutcome::Imported {
                known.add(identity);
                accounts.push(row.account.clone());
            }
            outcomes.push(outcome);
        }
        tx.insert_users(accounts).await?;
        let ImportCounts { imported, already_there, refused } = run.counts.with(&outcomes);
        let entry = run.entry.clone().detail("imported", imported).detail("already_there", already_there);
        tx.record_progress(&run.row, &entry.detail("refused", refused)).await?;
        tx.commit().await?;
        Ok(outcomes)
    }

    fn read_row(&self, row: ImportRow) -> Result<Candidate, ImportRefusal> {
        let id_given = row.id.is_some();
        let id = match row.id {
            Some(id) => UserId::new(id).ok_or(ImportRefusal::Id)?,
            None => self.ids().uuid_v7().into(),
        };
        let mut email = row.email.as_deref().map(EmailAddress::parse).transpose()?;
        let mut username = row.username.as_deref();
        // Many systems without a name of their own keep the address there.
        if let Some(address) = username.and_then(|name| EmailAddress::parse(name).ok())
            && email.as_ref().is_none_or(|email| email.canonical() == address.canonical())
        {
            username = None;
            email = email.or(Some(address));
        }
        let username = username.map(UserName::parse).transpose()?;
        if username.is_none() && email.is_none() {
            return Err(ImportRefusal::NoName);
        }
        let full_name = row.full_name.as_deref().map(user::full_name).transpose()?.flatten();
        let scopes = match row.scopes {
            Some(scopes) => Scopes::parse(&scopes)?,
            None => self.settings().default_scopes.clone(),
        };
        self.settings().scopes.check(&scopes)?;
        self.settings().passwords.examine(&row.password_hash)?;
        // What the database keeps of a time.
        let created_at = row.created_at.and_then(|at| DateTime::from_timestamp_millis(at.timestamp_millis()));
        let user = NewUser { id, username, email, full_name, scopes };
        // A clock that was wrong elsewhere would make it look broken here.
        let created_at = created_at.map_or_else(|| self.now(), |at| at.min(self.now()));
        let account = ImportedUser { user, hash: row.password_hash, disabled: row.disabled, created_at };
        Ok(Candidate { account, id_given })
    }
}

/// A row in order.
struct Candidate {
    account: ImportedUser,
    /// Whether the id came with it, or was made here.
    id_given: bool,
}

/// The accounts that a batch can meet.
#[derive(Default)]
struct Known {
    by_id: HashMap<String, Identity>,
    by_username: HashMap<String, String>,
    by_email: HashMap<String, String>,
}

impl Known {
    fn add(&mut self, identity: Identity) {
        if let Some(name) = &identity.username {
            self.by_username.insert(name.clone(), identity.id.clone());
        }
        if let Some(email) = &identity.email {
            self.by_email.insert(email.clone(), identity.id.clone());
        }
        self.by_id.insert(identity.id.clone(), identity);
    }

    fn judge(&self, row: &Identity, id_given: bool) -> ImportOutcome {
        let name_of = row.username.as_ref().and_then(|name| self.by_username.get(name));
        let email_of = row.email.as_ref().and_then(|email| self.by_email.get(email));
        let same = match (id_given, name_of, email_of) {
            (true, ..) => match self.by_id.get(&row.id) {
                Some(known) if known.username == row.username && known.email == row.email => true,
                Some(_) => return ImportOutcome::Refused(ImportRefusal::IdTaken),
                None => false,
            },
            // Without an id, one account that has all the names of the row is that of an earlier import.
            (false, Some(name_of), Some(email_of)) => name_of == email_of,
            (false, Some(_), None) => row.email.is_none(),
            (false, None, Some(_)) => row.username.is_none(),
            (false, None, None) => false,
        };
        match (name_of, email_of) {
            _ if same => ImportOutcome::AlreadyThere,
            (Some(id), _) => ImportOutcome::Refused(ImportRefusal::UsernameTaken(id.clone())),
            (None, Some(id)) => ImportOutcome::Refused(ImportRefusal::EmailTaken(id.clone())),
            (None, None) => ImportOutcome::Imported,
        }
    }
}
