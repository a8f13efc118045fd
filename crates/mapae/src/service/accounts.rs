//! Accounts: making, changing and ending them, for their owners and for administrators.

use mapae_password::{HashError, HashText, Password};
use mapae_verify::Scopes;

pub use super::account_error::{AccountError, ChangeError, FieldError};
use super::credentials::{Claimant, Proven};
use super::directory::Directory;
use super::user_store::NewStoredUser;
use super::{By, CredentialError, NewPasswordError, Principal, Service};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::scope::{Admin, Me};
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::domain::user::{self, NewUser, ProfileChange};
use crate::domain::{DeclaredScope, EmailAddress, SecretText, Source, User, UserId, UserName};
use crate::settings::Signup;
use crate::store::{StoreError, Tx};

/// What an account is made from, as somebody typed it.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// An e-mail address; this or `username` is required.
    pub email: Option<String>,
    /// A user name; this or `email` is required.
    pub username: Option<String>,
    /// What the person is called.
    pub full_name: Option<String>,
    /// The password.
    pub password: SecretText,
}

/// Changes to an account, as somebody typed them. `None` leaves a field alone; `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Another e-mail address; asks for the password.
    pub email: Option<Option<String>>,
    /// Another user name.
    pub username: Option<Option<String>>,
    /// Another full name.
    pub full_name: Option<Option<String>>,
    /// The account's password, where it is asked for.
    pub password: Option<SecretText>,
}

/// Changes that only an administrator makes.
#[derive(Clone, Debug, Default)]
pub struct AdminChange {
    /// Disable (which ends every session) or enable.
    pub disabled: Option<bool>,
    /// Scopes to grant.
    pub grant: Scopes,
    /// Scopes to withdraw.
    pub withdraw: Scopes,
}

impl Service {
    /// Makes an account for somebody who signs up over HTTP, with the default scopes.
    ///
    /// # Errors
    /// [`AccountError::SignupClosed`] unless sign-up is open; else as [`Self::add_account`].
    pub async fn sign_up(&self, new: NewAccount, source: Source) -> Result<User, AccountError> {
        match self.settings().signup {
            Signup::Closed => Err(AccountError::SignupClosed),
            Signup::Open => {
                let by = Actor::new(Who::Anonymous, source).by_client(FIRST_PARTY_CLIENT_ID);
                self.make_account(new, None, Event::UserSignedUp, &by).await
            }
        }
    }

    /// Makes an account for somebody, with the default scopes unless others are given.
    ///
    /// # Errors
    /// [`AccountError`] names every field that cannot be taken, or what is taken already.
    pub async fn add_account(&self, new: NewAccount, scopes: Option<Scopes>, by: By<'_>) -> Result<User, AccountError> {
        self.make_account(new, scopes, Event::UserAdded, &by.actor()).await
    }

    async fn make_account(
        &self,
        new: NewAccount,
        scopes: Option<Scopes>,
        made: Event,
        by: &Actor,
    ) -> Result<User, AccountError> {
        self.can(|table| table.inserts)?;
        let mut errors = Vec::new();
        if new.email.is_none() && new.username.is_none() {
            errors.push(FieldError::new("email", "missing", "Give an e-mail address or a user name."));
        }
        self.mapped_field_errors(&new, &mut errors);
        let email = new.email.as_deref().and_then(|text| parse_email(text, &mut errors));
        let username = new.username.as_deref().and_then(|text| parse_username(text, &mut errors));
        let full_name = new.full_name.as_deref().and_then(|text| parse_full_name(text, &mut errors));
        let password = parse_password("password", &new.password, &mut errors);
        let (Some(password), true) = (password, errors.is_empty()) else {
            return Err(AccountError::Invalid(errors));
        };
        let scopes = scopes.unwrap_or_else(|| self.settings().default_scopes.clone());
        self.settings().scopes.check(&scopes)?;

        self.hooks().before_register(&new).await.map_err(AccountError::Invalid)?;

        if let Directory::Mapped(mapped) = self.directory() {
            self.mapped_names_are_free(mapped, username.as_ref(), email.as_ref()).await?;
        }
        // Before the costly hash; the unique index decides between two who come at the same moment.
        let taken = self.taken(username.as_ref(), email.as_ref()).await?;
        if taken.username {
            return Err(AccountError::UsernameTaken);
        }
        if taken.email {
            return Err(AccountError::EmailTaken);
        }
        let inputs = [new.email, new.username, new.full_name].into_iter().flatten().collect();
        let hash = self.accept_new_password("password", &password, inputs).await?;
        let user = match self.directory() {
            Directory::Mapped(mapped) => {
                let names = (username, email);
                self.insert_mapped(mapped, names, full_name, (hash, scopes), (made, by)).await?
            }
            Directory::Own => {
                let id = self.ids().uuid_v7().into();
                let mut tx = self.store().begin_in_group().await?;
                let user = tx.insert_user(NewUser { id, username, email, full_name, scopes }, &hash).await?;
                tx.record(Entry::new(made, by).user(&user.id)).await?;
                tx.commit().await?;
                user
            }
            Directory::Table(_) => {
                let new = NewStoredUser { username, email, full_name, password_hash: hash, scopes };
                self.insert_row(new, made, by).await?
            }
        };
        self.hooks().after_register(&user).await;
        Ok(user)
    }

    /// Changes the account of a signed-in person. Another e-mail address asks for the password.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change_account(&self, principal: &Principal, change: AccountChange) -> Result<User, ChangeError> {
        self.own_accounts()?;
        let id = &principal.user.id;
        let mut errors = Vec::new();
        let profile = ProfileChange {
            email: change.email.as_ref().map(|text| text.as_deref().and_then(|text| parse_email(text, &mut errors))),
            username: change
                .username
                .as_ref()
                .map(|text| text.as_deref().and_then(|text| parse_username(text, &mut errors))),
            full_name: change
                .full_name
                .as_ref()
                .map(|text| text.as_deref().and_then(|text| parse_full_name(text, &mut errors))),
        };
        if profile.email.is_some() && change.password.is_none() {
            errors.push(FieldError::new("password", "missing", "Another e-mail address asks for your password."));
        }
        let given = change.password.as_ref().and_then(|given| parse_password("password", given, &mut errors));
        if !errors.is_empty() {
            return Err(AccountError::Invalid(errors).into());
        }
        let mut tx = match (&profile.email, &given) {
            (Some(_), Some(password)) => {
                let mut proven = self.prove_own(principal, password).await?;
                self.begin_own(principal, &mut proven).await?
            }
            _ => self.begin_as(principal, Me::NAME).await?,
        };
        let before = tx.user(id).await?.ok_or(AccountError::NotFound)?;
        tx.update_profile(id, profile).await?;
        let now = tx.user(id).await?.ok_or(AccountError::NotFound)?;
        if now.email.is_none() && now.username.is_none() {
            let message = "An account keeps a user name or an e-mail address.";
            return Err(AccountError::Invalid(vec![FieldError::new("email", "missing", message)]).into());
        }
        tx.record_all(changed(&before, &now, &principal.actor())).await?;
        tx.commit().await?;
        Ok(now)
    }

    /// Changes the password of a signed-in person and ends all their other sessions.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &SecretText,
        new: &SecretText,
    ) -> Result<(), ChangeError> {
        self.can(|table| table.sets_password_hash)?;
        let mut errors = Vec::new();
        let current = parse_password("current_password", current, &mut errors);
        let new = parse_password("new_password", new, &mut errors);
        let (Some(current), Some(new), true) = (current, new, errors.is_empty()) else {
            return Err(AccountError::Invalid(errors).into());
        };
        let id = &principal.user.id;
        let mut proven = self.prove_own(principal, &current).await?;
        let hash = self.accept_new_password("new_password", &new, own_names(&proven.user)).await?;
        let by = &principal.actor();
        match self.directory() {
            Directory::Mapped(mapped) => {
                let mut tx = self.begin_own(principal, &mut proven).await?;
                if !self.set_mapped_hash(mapped, &mut tx, id, (&proven.hash, &hash), false).await? {
                    return Err(AccountError::Changed.into());
                }
                tx.record(Entry::new(Event::PasswordChanged, by).user(id)).await?;
                tx.end_sessions(id, Some(&principal.session.id), by).await?;
                tx.commit().await?;
            }
            Directory::Own => {
                let mut tx = self.begin_own(principal, &mut proven).await?;
                tx.replace_password_hash(id, None, &hash).await?;
                tx.record(Entry::new(Event::PasswordChanged, by).user(id)).await?;
                tx.end_sessions(id, Some(&principal.session.id), by).await?;
                tx.commit().await?;
            }
            Directory::Table(_) => self.change_row_password(principal, &mut proven, hash).await?,
        }
        self.hooks().on_password_change(&proven.user).await;
        Ok(())
    }

    /// Deletes the account of a signed-in person, who repeats the password.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn delete_own_account(&self, principal: &Principal, password: &SecretText) -> Result<(), ChangeError> {
        self.own_accounts()?;
        let mut errors = Vec::new();
        let Some(password) = parse_password("password", password, &mut errors) else {
            return Err(AccountError::Invalid(errors).into());
        };
        let id = &principal.user.id;
        let mut proven = self.prove_own(principal, &password).await?;
        let mut tx = self.begin_own(principal, &mut proven).await?;
        tx.delete_user(id, &principal.actor()).await?;
        tx.record(Entry::new(Event::UserDeleted, &principal.actor()).user(id)).await?;
        Ok(tx.commit().await?)
    }

    /// Checks the password that a signed-in person repeats.
    pub(super) async fn prove_own(&self, principal: &Principal, password: &Password) -> Result<Proven, ChangeError> {
        match self.check_password(Claimant::Account(principal), password, principal.actor()).await {
            Ok(proven) => Ok(proven),
            Err(error) => Err(self.password_refused(principal, error).await),
        }
    }

    /// Begins the transaction in which a signed-in person acts on the own account after repeating the password.
    pub(super) async fn begin_own(&self, principal: &Principal, proven: &mut Proven) -> Result<Tx, ChangeError> {
        match self.begin_proven(proven).await {
            Ok(tx) => {
                self.still(&tx, Some(&proven.user), principal, Me::NAME).await?;
                Ok(tx)
            }
            Err(error) => Err(self.password_refused(principal, error).await),
        }
    }

    /// A password that is right no more, since the account was disabled or its password changed elsewhere, is not
    /// called wrong: the session ended with it.
    async fn password_refused(&self, principal: &Principal, error: CredentialError) -> ChangeError {
        match error {
            CredentialError::Refused => {
                self.begin_as(principal, Me::NAME).await.err().unwrap_or(AccountError::WrongPassword.into())
            }
            other @ (CredentialError::Throttled { .. } | CredentialError::Busy(_) | CredentialError::Store(_)) => {
                other.into()
            }
        }
    }

    /// The account with this id, user name or e-mail address.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or a failure of the database.
    pub async fn find_account(&self, which: &str) -> Result<User, AccountError> {
        // Ids first: people choose their names, and one could choose another's id.
        if let Some(id) = UserId::new(which)
            && let Some(found) = self.found_by_id(&id).await?
        {
            return Ok(found.user);
        }
        Ok(self.found_by_login(which).await?.ok_or(AccountError::NotFound)?.user)
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or a failure of the database.
    pub async fn account_by_id(&self, id: &UserId) -> Result<User, AccountError> {
        Ok(self.found_by_id(id).await?.ok_or(AccountError::NotFound)?.user)
    }

    /// Disables or enables an account, grants and withdraws scopes, all at once. Disabling ends every session.
    /// An administrator cannot lock himself out.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn administer(&self, id: &UserId, change: AdminChange, by: By<'_>) -> Result<User, ChangeError> {
        self.settings().scopes.check(&change.grant)?;
        let tx = match by {
            By::User(admin) => self.begin_as_on(admin, Admin::NAME, Some(id)).await?,
            By::CommandLine(_) | By::System => self.store().begin().await?,
        };
        let locks_out = change.disabled == Some(true) || change.withdraw.contains(Admin::NAME);
        if locks_out && by.is(id) {
            return Err(AccountError::OwnAccount.into());
        }
        let by = &by.actor();
        match self.directory() {
            Directory::Own => administer_own(tx, id, change, by).await,
            Directory::Mapped(mapped) => self.administer_mapped(mapped, tx, id, change, by).await,
            Directory::Table(_) => {
                drop(tx);
                self.administer_row(id, change, by).await
            }
        }
    }

    /// Sets an account's password without the old one, and ends its sessions: for the command line.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(&self, id: &UserId, new: &SecretText, by: By<'_>) -> Result<(), AccountError> {
        self.can(|table| table.sets_password_hash)?;
        let mut errors = Vec::new();
        let Some(password) = parse_password("password", new, &mut errors) else {
            return Err(AccountError::Invalid(errors));
        };
        let now = self.found_by_id(id).await?.ok_or(AccountError::NotFound)?;
        let hash = self.accept_new_password("password", &password, own_names(&now.user)).await?;
        let by = &by.actor();
        match self.directory() {
            Directory::Mapped(mapped) => {
                let (mut tx, found) = self.begin_on(id).await?;
                let old = found.ok_or(AccountError::NotFound)?.hash;
                if !self.set_mapped_hash(mapped, &mut tx, id, (&old, &hash), false).await? {
                    return Err(AccountError::Changed);
                }
                tx.record(Entry::new(Event::PasswordChanged, by).user(id)).await?;
                tx.end_sessions(id, None, by).await?;
                tx.commit().await?;
            }
            Directory::Own => {
                let mut tx = self.store().begin().await?;
                if !tx.replace_password_hash(id, None, &hash).await? {
                    return Err(AccountError::NotFound);
                }
                tx.record(Entry::new(Event::PasswordChanged, by).user(id)).await?;
                tx.end_sessions(id, None, by).await?;
                tx.commit().await?;
            }
            Directory::Table(_) => self.set_row_password(id, (now.hash, hash), by).await?,
        }
        self.hooks().on_password_change(&now.user).await;
        Ok(())
    }

    /// Deletes an account and its sessions: for the command line.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_account(&self, id: &UserId, by: By<'_>) -> Result<(), AccountError> {
        self.own_accounts()?;
        let (mut tx, by) = (self.store().begin().await?, &by.actor());
        if !tx.delete_user(id, by).await? {
            return Err(AccountError::NotFound);
        }
        tx.record(Entry::new(Event::UserDeleted, by).user(id)).await?;
        Ok(tx.commit().await?)
    }

    /// What only this service's own table can do.
    fn own_accounts(&self) -> Result<(), AccountError> {
        self.can(|table| table.is_own)
    }

    /// Forgets, in every process, what is remembered of a user of the application's own table.
    pub(super) async fn invalidate(&self, id: &UserId) -> Result<(), StoreError> {
        let mut tx = self.store().begin().await?;
        tx.user_changed(id).await?;
        tx.commit().await
    }

    async fn accept_new_password(
        &self,
        field: &'static str,
        password: &Password,
        inputs: Vec<String>,
    ) -> Result<HashText, AccountError> {
        self.0.passwords.hash_new(password, self.settings().password_policy.clone(), inputs).await.map_err(|error| {
            match error {
                NewPasswordError::Refused(violations) => AccountError::Invalid(
                    violations.iter().map(|broken| FieldError::new(field, broken.code(), broken.to_string())).collect(),
                ),
                NewPasswordError::Unreadable(error) => AccountError::BreachedList(error),
                NewPasswordError::Busy(busy) => AccountError::Busy(busy),
                // What the format that is written cannot hold.
                NewPasswordError::Hash(HashError::PasswordTooLong { max_bytes }) => {
                    let message = format!("Use a password of at most {max_bytes} bytes.");
                    AccountError::Invalid(vec![FieldError::new(field, "too_long", message)])
                }
                NewPasswordError::Hash(HashError::PasswordHasNul) => {
                    let message = "A password cannot hold a NUL character here.";
                    AccountError::Invalid(vec![FieldError::new(field, "has_nul", message)])
                }
                NewPasswordError::Hash(error) => AccountError::Hash(error),
            }
        })
    }
}

/// Administers an account of this service's own table.
async fn administer_own(mut tx: Tx, id: &UserId, change: AdminChange, by: &Actor) -> Result<User, ChangeError> {
    let user = tx.user(id).await?.ok_or(AccountError::NotFound)?;
    let scopes = user.scopes.union(&change.grant).difference(&change.withdraw);
    if scopes != user.scopes {
        tx.set_scopes(id, &scopes, by).await?;
    }
    tx.record_all(administered(&user, &scopes, change.disabled, by)).await?;
    if let Some(disabled) = change.disabled {
        tx.set_disabled(id, disabled).await?;
        if disabled {
            tx.end_sessions(id, None, by).await?;
        }
    }
    let user = tx.user(id).await?.ok_or(AccountError::NotFound)?;
    tx.commit().await?;
    Ok(user)
}

/// What is written down of a change by an administrator: what is other than before.
pub(super) fn administered(before: &User, scopes: &Scopes, disabled: Option<bool>, by: &Actor) -> Vec<Entry> {
    let entry = |event| Entry::new(event, by).user(&before.id);
    let scoped =
        |event, scopes: &Scopes| (!scopes.is_empty()).then(|| entry(event).detail("scope", scopes.to_string()));
    let switched = disabled.filter(|disabled| *disabled != before.disabled);
    let switched = switched.map(|disabled| entry(if disabled { Event::UserDisabled } else { Event::UserEnabled }));
    let granted = scoped(Event::ScopeGranted, &scopes.difference(&before.scopes));
    let withdrawn = scoped(Event::ScopeWithdrawn, &before.scopes.difference(scopes));
    [granted, withdrawn, switched].into_iter().flatten().collect()
}

/// What is written down of a change by its owner. Names and addresses are not kept: the account may be deleted.
fn changed(before: &User, now: &User, by: &Actor) -> Vec<Entry> {
    let fields = [("username", before.username != now.username), ("full_name", before.full_name != now.full_name)];
    let fields: Vec<_> = fields.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect();
    let email = (before.email != now.email).then(|| Entry::new(Event::EmailChanged, by).user(&now.id));
    let others =
        (!fields.is_empty()).then(|| Entry::new(Event::UserChanged, by).user(&now.id).detail("fields", fields));
    [email, others].into_iter().flatten().collect()
}

fn own_names(user: &User) -> Vec<String> {
    [&user.email, &user.username, &user.full_name].into_iter().flatten().cloned().collect()
}

fn parse_email(text: &str, errors: &mut Vec<FieldError>) -> Option<EmailAddress> {
    let parsed = EmailAddress::parse(text);
    parsed.map_err(|error| errors.push(FieldError::new("email", "invalid_email", error.to_string()))).ok()
}

fn parse_username(text: &str, errors: &mut Vec<FieldError>) -> Option<UserName> {
    let parsed = UserName::parse(text);
    parsed.map_err(|error| errors.push(FieldError::new("username", "invalid_username", error.to_string()))).ok()
}

fn parse_full_name(text: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let parsed = user::full_name(text);
    parsed.map_err(|error| errors.push(FieldError::new("full_name", "invalid_full_name", error.to_string()))).ok()?
}

pub(super) fn parse_password(field: &'static str, text: &SecretText, errors: &mut Vec<FieldError>) -> Option<Password> {
    let parsed = Password::new(text.expose());
    parsed
        .map_err(|_| {
            let message = format!("A password has at most {} bytes.", Password::MAX_BYTES);
            errors.push(FieldError::new(field, "too_long", message));
        })
        .ok()
}
