//! Why an account was not made or changed.

use super::{CredentialError, PoolBusy};
use crate::domain::scope::ScopeCatalogueError;
use crate::store::StoreError;

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
    /// A wrong one was repeated too often.
    #[error("Too many failed attempts. Try again later.")]
    Throttled {
        /// Seconds until the next attempt.
        retry_after: u32,
    },
    /// There is no such account.
    #[error("There is no such account.")]
    NotFound,
    /// The application's own user table does not do this here.
    #[error("Accounts are kept by another application, which alone can change this.")]
    NotHere,
    /// Somebody else changed the account meanwhile.
    #[error("The account was changed by somebody else at the same moment. Try again.")]
    Changed,
    /// A scope that does not exist.
    #[error(transparent)]
    Scope(#[from] ScopeCatalogueError),
    /// Administrators cannot lock themselves out.
    #[error("You cannot disable your own account or withdraw your own mapae:admin.")]
    OwnAccount,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The list of breached passwords cannot be read, so no new password is accepted.
    #[error("the list of breached passwords cannot be read: {0}")]
    BreachedList(Box<dyn std::error::Error + Send + Sync>),
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
            other @ (StoreError::Database(_)
            | StoreError::Conflict(_)
            | StoreError::Corrupt { .. }
            | StoreError::UserTable(_)) => Self::Store(other),
        }
    }
}

impl From<CredentialError> for AccountError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Refused => Self::WrongPassword,
            CredentialError::Throttled { retry_after } => Self::Throttled { retry_after },
            CredentialError::Busy(busy) => Self::Busy(busy),
            CredentialError::Store(store) => store.into(),
        }
    }
}

/// Why a signed-in person's change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The session was ended, or the account disabled or deleted, since the request began.
    #[error("the session has ended")]
    Ended {
        /// The scope that the change asks for.
        scope: &'static str,
    },
    /// The token does not carry the scope, or the account does not hold it any more.
    #[error("this needs a token with scope: {scope}")]
    InsufficientScope {
        /// The scope that the change asks for.
        scope: &'static str,
    },
    /// The token was minted from another one, which is never enough for a change.
    #[error("this needs a token of your own sign-in, not one that was minted from it")]
    Delegated,
    /// The change itself cannot be made.
    #[error(transparent)]
    Account(AccountError),
}

impl<E: Into<AccountError>> From<E> for ChangeError {
    fn from(error: E) -> Self {
        Self::Account(error.into())
    }
}
