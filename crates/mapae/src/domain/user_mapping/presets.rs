//! The user tables of well-known frameworks.

use std::str::FromStr;

use mapae_password::Format;

use super::{ActiveColumn, Filling, FullNameColumns, IdType, UserMapping};

/// A framework whose user table is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `auth_user` of Django 5.2.
    Django,
    /// `user` of fastapi-users with its SQLAlchemy adapter: UUIDs, and no user name.
    FastapiUsers,
    /// `users` of FastAPI's tutorial on SQLAlchemy: numbers, and no user name.
    SqlalchemyTutorial,
    /// `user` of Flask-Security (`fsqla_v3`).
    FlaskSecurity,
}

impl FromStr for Preset {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|preset| preset.name() == word).ok_or(())
    }
}

impl Preset {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Django, Self::FastapiUsers, Self::SqlalchemyTutorial, Self::FlaskSecurity];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Django => "django",
            Self::FastapiUsers => "fastapi-users",
            Self::SqlalchemyTutorial => "sqlalchemy-tutorial",
            Self::FlaskSecurity => "flask-security",
        }
    }

    /// The format that the framework writes by default, and so what it surely reads.
    pub const fn hash_format(self) -> Format {
        match self {
            Self::Django => Format::DjangoPbkdf2Sha256,
            Self::FastapiUsers | Self::FlaskSecurity => Format::Argon2id,
            Self::SqlalchemyTutorial => Format::Bcrypt2b,
        }
    }

    /// The cost of its Argon2 hashes, memory in KiB, passes and lanes: whatever differs from that, it hashes anew at its
    /// next sign-in.
    pub const fn argon2_cost(self) -> (u32, u32, u32) {
        match self {
            Self::Django => (102_400, 2, 8),
            Self::FastapiUsers | Self::SqlalchemyTutorial | Self::FlaskSecurity => (65_536, 3, 4),
        }
    }

    /// The column of the time at which an account was made, if there is one.
    pub const fn created_at(self) -> Option<&'static str> {
        match self {
            Self::Django => Some("date_joined"),
            Self::FlaskSecurity => Some("create_datetime"),
            Self::FastapiUsers | Self::SqlalchemyTutorial => None,
        }
    }

    /// The table.
    pub fn mapping(self) -> UserMapping {
        match self {
            Self::Django => django(),
            Self::FastapiUsers => fastapi_users(),
            Self::SqlalchemyTutorial => tutorial(),
            Self::FlaskSecurity => flask_security(),
        }
    }
}

fn fill(columns: &[(&str, Filling)]) -> Vec<(String, Filling)> {
    columns.iter().map(|(name, filling)| ((*name).to_owned(), *filling)).collect()
}

/// Every text is `NOT NULL` there, and addresses need not be unique.
fn django() -> UserMapping {
    UserMapping {
        table: "auth_user".to_owned(),
        id: "id".to_owned(),
        id_type: IdType::Integer,
        username: Some("username".to_owned()),
        username_required: true,
        email: Some("email".to_owned()),
        email_sign_in: false,
        password: "password".to_owned(),
        active: Some(ActiveColumn::Active("is_active".to_owned())),
        full_name: Some(FullNameColumns::Two("first_name".to_owned(), "last_name".to_owned())),
        uniquifier: None,
        insert: fill(&[
            ("email", Filling::Empty),
            ("first_name", Filling::Empty),
            ("last_name", Filling::Empty),
            ("is_staff", Filling::False),
            ("is_superuser", Filling::False),
            ("date_joined", Filling::Now),
        ]),
        read_only: false,
        rehash: false,
    }
}

fn tutorial() -> UserMapping {
    UserMapping {
        table: "users".to_owned(),
        username: None,
        username_required: false,
        email_sign_in: true,
        password: "hashed_password".to_owned(),
        full_name: None,
        insert: Vec::new(),
        ..django()
    }
}

fn fastapi_users() -> UserMapping {
    UserMapping {
        table: "user".to_owned(),
        id_type: IdType::Text,
        insert: fill(&[("is_superuser", Filling::False), ("is_verified", Filling::False)]),
        ..tutorial()
    }
}

/// `fs_uniquifier` is what its sessions and tokens name, so a new one ends them. Its times fill themselves.
fn flask_security() -> UserMapping {
    UserMapping {
        table: "user".to_owned(),
        username: Some("username".to_owned()),
        password: "password".to_owned(),
        active: Some(ActiveColumn::Active("active".to_owned())),
        uniquifier: Some("fs_uniquifier".to_owned()),
        ..tutorial()
    }
}
