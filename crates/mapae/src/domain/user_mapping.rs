//! How accounts are read from, and written into, the user table of another application.

mod presets;

use std::str::FromStr;

pub use presets::Preset;

/// The user table of another application, by the names of its columns. Begin with [`Preset::mapping`].
///
/// Nothing else of that table is touched. A text of no characters counts as none, since many a framework has no `NULL` in
/// its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMapping {
    /// The table.
    pub table: String,
    /// The column of the key, which is the account's id and the `sub` of its tokens.
    pub id: String,
    /// What keys are.
    pub id_type: IdType,
    /// The column of the name for signing in.
    pub username: Option<String>,
    /// Whether a new account needs a user name even where people sign in with the address too.
    pub username_required: bool,
    /// The column of the e-mail address.
    pub email: Option<String>,
    /// Whether people sign in with the address too. An address that several rows have is nobody's.
    pub email_sign_in: bool,
    /// The column of the password hash.
    pub password: String,
    /// The column that says whether the account may sign in; without one, every account may.
    pub active: Option<ActiveColumn>,
    /// The column, or the two, of what the person is called.
    pub full_name: Option<FullNameColumns>,
    /// A column that must get a new random value whenever the password changes, such as Flask-Security's
    /// `fs_uniquifier`.
    pub uniquifier: Option<String>,
    /// What further columns of a new row hold. Those for which the account has a value get that.
    pub insert: Vec<(String, Filling)>,
    /// Nothing is written: nobody signs up, changes a password, or is disabled here.
    pub read_only: bool,
    /// Replace weak hashes at sign-in. The other application may do the same, after its own settings, and each such change
    /// ends the account's sessions.
    pub rehash: bool,
}

/// What the keys of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdType {
    /// Whole numbers, which the database gives out.
    Integer,
    /// Text; new keys are UUIDs with dashes.
    Text,
    /// UUIDs of 32 hexadecimal digits without dashes.
    HexUuid,
}

impl FromStr for IdType {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "integer" => Ok(Self::Integer),
            "text" => Ok(Self::Text),
            "hex-uuid" => Ok(Self::HexUuid),
            _ => Err(()),
        }
    }
}

/// How a table says that an account may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActiveColumn {
    /// True for an account that may.
    Active(String),
    /// True for an account that may not.
    Disabled(String),
}

impl ActiveColumn {
    /// The column.
    pub fn name(&self) -> &str {
        match self {
            Self::Active(name) | Self::Disabled(name) => name,
        }
    }

    /// Whether an account may sign in whose column holds this; `NULL` is false, as in those applications.
    pub(crate) fn is_active(&self, value: Option<bool>) -> bool {
        let value = value.unwrap_or(false);
        match self {
            Self::Active(_) => value,
            Self::Disabled(_) => !value,
        }
    }

    /// What the column holds for such an account.
    pub(crate) fn value(&self, active: bool) -> bool {
        match self {
            Self::Active(_) => active,
            Self::Disabled(_) => !active,
        }
    }
}

/// Where a table keeps what a person is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FullNameColumns {
    /// In one column.
    One(String),
    /// First and last name apart.
    Two(String, String),
}

/// What a column of a new row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// False.
    False,
    /// True.
    True,
    /// A text of no characters.
    Empty,
    /// The time, in UTC.
    Now,
    /// 32 random hexadecimal digits.
    RandomHex,
}

impl FromStr for Filling {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "false" => Ok(Self::False),
            "true" => Ok(Self::True),
            "empty" => Ok(Self::Empty),
            "now" => Ok(Self::Now),
            "random" => Ok(Self::RandomHex),
            _ => Err(()),
        }
    }
}

impl UserMapping {
    /// The columns that are read, each with what it is.
    pub fn read_columns(&self) -> Vec<(&'static str, &str)> {
        let mut columns = vec![("id", self.id.as_str()), ("password", self.password.as_str())];
        columns.extend(self.username.as_deref().map(|name| ("username", name)));
        columns.extend(self.email.as_deref().map(|name| ("email", name)));
        columns.extend(self.active.as_ref().map(|active| ("active", active.name())));
        match &self.full_name {
            Some(FullNameColumns::One(name)) => columns.push(("full name", name)),
            Some(FullNameColumns::Two(first, last)) => columns.extend([("first name", &**first), ("last name", last)]),
            None => {}
        }
        columns
    }

    /// The columns that a new row gets a value for, whatever the account is.
    pub fn filled_columns(&self) -> Vec<&str> {
        let mut columns = vec![self.password.as_str()];
        columns.extend((self.id_type != IdType::Integer).then_some(self.id.as_str()));
        columns.extend(self.requires_username().then_some(self.username.as_deref()).flatten());
        columns.extend(self.requires_email().then_some(self.email.as_deref()).flatten());
        columns.extend(self.active.as_ref().map(ActiveColumn::name));
        columns.extend(self.uniquifier.as_deref());
        columns.extend(self.insert.iter().map(|(name, _)| name.as_str()));
        columns
    }

    /// Whether a new account needs a user name: the table wants one, or without it nobody could sign in.
    pub fn requires_username(&self) -> bool {
        self.username.is_some() && (self.username_required || !self.email_sign_in)
    }

    /// Whether a new account needs an address: without one it could not sign in, or its owner not at the other side.
    pub fn requires_email(&self) -> bool {
        self.email.is_some() && self.email_sign_in
    }
}
