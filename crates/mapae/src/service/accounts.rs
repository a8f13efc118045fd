//! Accounts: making, changing and ending them, for their owners and for administrators.

use mapae_password::{HashText, Password};
use mapae_verify::Scopes;

use super::credentials::Claimant;
use super::{CredentialError, Mapae, NewPasswordError, PoolBusy, Principal};
use crate::domain::scope::{Admin, ScopeCatalogueError};
use crate::domain::user::{self, NewUser, ProfileChange};
use crate::domain::{DeclaredScope, EmailAddress, SecretText, User, UserId, UserName};
use crate::settings::Signup;
use crate::store::{Login, StoreError};

/// One field of a request that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: &'static str,
    /// A stable word for the rule.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl FieldError {
    /// A field that breaks the rule `code`.
    pub fn new(field: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { field, code, message: message.into() }
    }
}

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

/// Why an account was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Fields that cannot be taken.
    #[error("{}", .0.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join(" "))]
    Invalid(Vec<FieldError>),
    /// Another account has this user name.
    #[error("This user name is taken.")]
    UsernameTaken,
    /// Another account has this e-mail address.
    #[error("This e-mail address is taken.")]
    EmailTaken,
    /// Accounts are not made over HTTP here.
    #[error("Sign-up is closed. Ask an administrator for an account.")]
    SignupClosed,
    /// The repeated password is wrong.
    #[error("The password is wrong.")]
    WrongPassword,
    /// There is no such account.
    #[error("There is no such account.")]
    NotFound,
    /// A scope that does not exist.
    #[error(transparent)]
    Scope(#[from] ScopeCatalogueError),
    /// Administrators cannot lock themselves out.
    #[error("You cannot disable your own account or withdraw your own mapae:admin.")]
    OwnAccount,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(mapae_password::HashError),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UsernameTaken => Self::UsernameTaken,
            StoreError::EmailTaken => Self::EmailTaken,
            other @ (StoreError::Database(_) | StoreError::Corrupt { .. }) => Self::Store(other),
        }
    }
}

impl From<CredentialError> for AccountError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Refused => Self::WrongPassword,
            CredentialError::Busy(busy) => Self::Busy(busy),
            CredentialError::Store(store) => store.into(),
        }
    }
}

impl Mapae {
    /// Makes an account for somebody who signs up over HTTP, with the default scopes.
    ///
    /// # Errors
    /// [`AccountError::SignupClosed`] unless sign-up is open; else as [`Self::add_account`].
    pub async fn sign_up(&self, new: NewAccount) -> Result<User, AccountError> {
        match self.settings().signup {
            Signup::Closed => Err(AccountError::SignupClosed),
            Signup::Open => self.add_account(new, None).await,
        }
    }

    /// Makes an account, with the default scopes unless others are given.
    ///
    /// # Errors
    /// [`AccountError`] names every field that cannot be taken, or what is taken already.
    pub async fn add_account(&self, new: NewAccount, scopes: Option<Scopes>) -> Result<User, AccountError> {
        let mut errors = Vec::new();
        if new.email.is_none() && new.username.is_none() {
            errors.push(FieldError::new("email", "missing", "Give an e-mail address or a user name."));
        }
        let email = new.email.as_deref().and_then(|text| parse_email(text, &mut errors));
        let username = new.username.as_deref().and_then(|text| parse_username(text, &mut errors));
        let full_name = new.full_name.as_deref().and_then(|text| parse_full_name(text, &mut errors));
        let password = parse_password("password", &new.password, &mut errors);
        let (Some(password), true) = (password, errors.is_empty()) else {
            return Err(AccountError::Invalid(errors));
        };
        let scopes = scopes.unwrap_or_else(|| self.settings().default_scopes.clone());
        self.settings().scopes.check(&scopes)?;

        // Before the costly hash; the unique index decides between two who come at the same moment.
        if let Some(name) = &username
            && self.store().credential_by_login(&Login::Name(name.clone())).await?.is_some()
        {
            return Err(AccountError::UsernameTaken);
        }
        if let Some(email) = &email
            && self.store().credential_by_login(&Login::Email(email.clone())).await?.is_some()
        {
            return Err(AccountError::EmailTaken);
        }
        let inputs = [new.email, new.username, new.full_name].into_iter().flatten().collect();
        let hash = self.accept_new_password("password", &password, inputs).await?;
        let id = self.ids().uuid_v7().into();
        let mut tx = self.store().begin().await?;
        let user = tx.insert_user(NewUser { id, username, email, full_name, scopes }, &hash).await?;
        tx.commit().await?;
        tracing::info!(user = %user.id, "account made");
        Ok(user)
    }

    /// Changes the account of a signed-in person. Another e-mail address asks for the password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_account(&self, principal: &Principal, change: AccountChange) -> Result<User, AccountError> {
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
            return Err(AccountError::Invalid(errors));
        }
        let proven = match (&profile.email, &given) {
            (Some(_), Some(password)) => Some(self.check_password(Claimant::Account(id), password).await?),
            _ => None,
        };
        let mut tx = self.store().begin().await?;
        tx.update_profile(id, profile).await?;
        let now = tx.credential(id).await?.ok_or(AccountError::NotFound)?;
        if proven.is_some_and(|proven| proven.hash != now.hash) {
            return Err(AccountError::WrongPassword);
        }
        if now.user.email.is_none() && now.user.username.is_none() {
            let message = "An account keeps a user name or an e-mail address.";
            return Err(AccountError::Invalid(vec![FieldError::new("email", "missing", message)]));
        }
        tx.commit().await?;
        Ok(now.user)
    }

    /// Changes the password of a signed-in person and ends all their other sessions.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &SecretText,
        new: &SecretText,
    ) -> Result<(), AccountError> {
        let mut errors = Vec::new();
        let current = parse_password("current_password", current, &mut errors);
        let new = parse_password("new_password", new, &mut errors);
        let (Some(current), Some(new), true) = (current, new, errors.is_empty()) else {
            return Err(AccountError::Invalid(errors));
        };
        let id = &principal.user.id;
        let proven = self.check_password(Claimant::Account(id), &current).await?;
        let hash = self.accept_new_password("new_password", &new, own_names(&proven.user)).await?;
        let mut tx = self.store().begin().await?;
        if !tx.replace_password_hash(id, Some(&proven.hash), &hash).await? {
            return Err(AccountError::WrongPassword);
        }
        tx.end_sessions(id, Some(&principal.session.id)).await?;
        tx.commit().await?;
        tracing::info!(user = %id, "password changed");
        Ok(())
    }

    /// Deletes the account of a signed-in person, who repeats the password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_own_account(&self, principal: &Principal, password: &SecretText) -> Result<(), AccountError> {
        let mut errors = Vec::new();
        let Some(password) = parse_password("password", password, &mut errors) else {
            return Err(AccountError::Invalid(errors));
        };
        let id = &principal.user.id;
        let proven = self.check_password(Claimant::Account(id), &password).await?;
        let mut tx = self.store().begin().await?;
        let now = tx.credential(id).await?.ok_or(AccountError::NotFound)?;
        if now.hash != proven.hash {
            return Err(AccountError::WrongPassword);
        }
        tx.delete_user(id).await?;
        tx.commit().await?;
        tracing::info!(user = %id, "account deleted by its owner");
        Ok(())
    }

    /// The account with this id, user name or e-mail address.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or a failure of the database.
    pub async fn find_account(&self, which: &str) -> Result<User, AccountError> {
        // Ids first: people choose their names, and one could choose another's id.
        if let Some(id) = UserId::new(which)
            && let Some(user) = self.store().user_by_id(&id).await?
        {
            return Ok(user);
        }
        let login = Login::parse(which).ok_or(AccountError::NotFound)?;
        Ok(self.store().credential_by_login(&login).await?.ok_or(AccountError::NotFound)?.user)
    }

    /// Disables or enables an account, grants and withdraws scopes, all at once. Disabling ends every session.
    /// `by` is the administrator, who cannot lock himself out; `None` for the command line.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn administer(&self, id: &UserId, change: AdminChange, by: Option<&UserId>) -> Result<User, AccountError> {
        self.settings().scopes.check(&change.grant)?;
        let locks_out = change.disabled == Some(true) || change.withdraw.contains(Admin::NAME);
        if by == Some(id) && locks_out {
            return Err(AccountError::OwnAccount);
        }
        let mut tx = self.store().begin().await?;
        let user = tx.user(id).await?.ok_or(AccountError::NotFound)?;
        if let Some(disabled) = change.disabled {
            tx.set_disabled(id, disabled).await?;
            if disabled {
                tx.end_sessions(id, None).await?;
            }
        }
        let scopes = user.scopes.union(&change.grant).difference(&change.withdraw);
        if scopes != user.scopes {
            tx.set_scopes(id, &scopes).await?;
        }
        let user = tx.user(id).await?.ok_or(AccountError::NotFound)?;
        tx.commit().await?;
        tracing::info!(user = %id, disabled = user.disabled, scopes = %user.scopes, "account administered");
        Ok(user)
    }

    /// Sets an account's password without the old one, and ends its sessions: for the command line.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(&self, id: &UserId, new: &SecretText) -> Result<(), AccountError> {
        let mut errors = Vec::new();
        let Some(password) = parse_password("password", new, &mut errors) else {
            return Err(AccountError::Invalid(errors));
        };
        let user = self.store().user_by_id(id).await?.ok_or(AccountError::NotFound)?;
        let hash = self.accept_new_password("password", &password, own_names(&user)).await?;
        let mut tx = self.store().begin().await?;
        if !tx.replace_password_hash(id, None, &hash).await? {
            return Err(AccountError::NotFound);
        }
        tx.end_sessions(id, None).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes an account and its sessions: for the command line.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_account(&self, id: &UserId) -> Result<(), AccountError> {
        let mut tx = self.store().begin().await?;
        if !tx.delete_user(id).await? {
            return Err(AccountError::NotFound);
        }
        Ok(tx.commit().await?)
    }

    async fn accept_new_password(
        &self,
        field: &'static str,
        password: &Password,
        inputs: Vec<String>,
    ) -> Result<HashText, AccountError> {
        self.hash_new_password(password, inputs).await.map_err(|error| match error {
            NewPasswordError::Refused(violations) => AccountError::Invalid(
                violations.iter().map(|broken| FieldError::new(field, broken.code(), broken.to_string())).collect(),
            ),
            NewPasswordError::Busy(busy) => AccountError::Busy(busy),
            NewPasswordError::Hash(error) => AccountError::Hash(error),
        })
    }
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

fn parse_password(field: &'static str, text: &SecretText, errors: &mut Vec<FieldError>) -> Option<Password> {
    let parsed = Password::new(text.expose());
    parsed
        .map_err(|_| {
            let message = format!("A password has at most {} bytes.", Password::MAX_BYTES);
            errors.push(FieldError::new(field, "too_long", message));
        })
        .ok()
}
