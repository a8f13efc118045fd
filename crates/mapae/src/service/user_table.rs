//! The application's own user table without its types, for code that serves any.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use mapae_password::HashText;
use mapae_verify::Scopes;

use super::directory::Abilities;
use super::user_store::{
    InsertUser, Inserted, NewStoredUser, Profile, SetActive, SetPasswordHash, StoredUser, UserStore, UserTable,
};
use crate::store::StoreError;

/// What a table answers, some time.
pub(crate) type Soon<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A user of the application's own table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) hash: HashText,
    pub(crate) is_active: bool,
    pub(crate) scopes: Scopes,
    pub(crate) profile: Profile,
    /// The row itself, which only those read who know its type.
    pub(crate) row: Arc<dyn Any + Send + Sync>,
}

impl Row {
    fn new(user: impl StoredUser) -> Self {
        Self {
            id: user.id(),
            hash: HashText::new(user.password_hash()),
            is_active: user.is_active(),
            scopes: user.scopes(),
            profile: user.profile(),
            row: Arc::new(user),
        }
    }

    /// A table that answers with somebody else than it was asked for is wrong, and nobody may act on that.
    pub(super) fn is_asked_for(&self, id: &str) -> Result<(), StoreError> {
        if self.id == id { Ok(()) } else { Err(corrupt("by_id answered with another user")) }
    }
}

/// The application's own table answered what cannot be.
pub(super) fn corrupt(why: &str) -> StoreError {
    StoreError::Corrupt { table: "the application's user table", why: why.to_owned() }
}

/// A [`UserTable`] of unknown type. Methods of abilities that it lacks answer `None`.
pub(crate) trait Table: Send + Sync {
    fn abilities(&self) -> Abilities;
    fn by_login<'a>(&'a self, login: &'a str) -> Soon<'a, Option<Row>>;
    fn by_id<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Row>>;
    fn insert(&self, new: NewStoredUser) -> Option<Soon<'_, Inserted<Row>>>;
    fn set_password_hash<'a>(&'a self, id: &'a str, old: &'a HashText, new: &'a HashText) -> Option<Soon<'a, bool>>;
    fn set_active<'a>(&'a self, id: &'a str, active: bool) -> Option<Soon<'a, bool>>;
}

/// [`InsertUser`] of a store of unknown type.
pub(super) trait Insert<U>: Send + Sync {
    fn insert(&self, new: NewStoredUser) -> Soon<'_, Inserted<U>>;
}

impl<S: InsertUser> Insert<S::User> for S {
    fn insert(&self, new: NewStoredUser) -> Soon<'_, Inserted<S::User>> {
        Box::pin(async move { InsertUser::insert(self, new).await.map_err(StoreError::foreign) })
    }
}

/// [`SetPasswordHash`] of a store of unknown type.
pub(super) trait SetHash: Send + Sync {
    fn set<'a>(&'a self, id: &'a str, old: &'a HashText, new: &'a HashText) -> Soon<'a, bool>;
}

impl<S: SetPasswordHash> SetHash for S {
    fn set<'a>(&'a self, id: &'a str, old: &'a HashText, new: &'a HashText) -> Soon<'a, bool> {
        Box::pin(async move {
            let set = self.set_password_hash(id, old.as_str(), new.as_str());
            set.await.map_err(StoreError::foreign)
        })
    }
}

/// [`SetActive`] of a store of unknown type.
pub(super) trait Activate: Send + Sync {
    fn set<'a>(&'a self, id: &'a str, active: bool) -> Soon<'a, bool>;
}

impl<S: SetActive> Activate for S {
    fn set<'a>(&'a self, id: &'a str, active: bool) -> Soon<'a, bool> {
        Box::pin(async move { self.set_active(id, active).await.map_err(StoreError::foreign) })
    }
}

impl<S: UserStore> Table for UserTable<S> {
    fn abilities(&self) -> Abilities {
        Abilities {
            is_own: false,
            lists: false,
            inserts: self.insert.is_some(),
            sets_password_hash: self.set_password_hash.is_some(),
            sets_active: self.set_active.is_some(),
            sets_scopes: false,
            rehashes: self.set_password_hash.is_some(),
        }
    }

    fn by_login<'a>(&'a self, login: &'a str) -> Soon<'a, Option<Row>> {
        Box::pin(async move { Ok(self.store.by_login(login).await.map_err(StoreError::foreign)?.map(Row::new)) })
    }

    fn by_id<'a>(&'a self, id: &'a str) -> Soon<'a, Option<Row>> {
        Box::pin(async move { Ok(self.store.by_id(id).await.map_err(StoreError::foreign)?.map(Row::new)) })
    }

    fn insert(&self, new: NewStoredUser) -> Option<Soon<'_, Inserted<Row>>> {
        let inserted = self.insert.as_ref()?.insert(new);
        Some(Box::pin(async move {
            Ok(match inserted.await? {
                Inserted::Made(user) => Inserted::Made(Row::new(user)),
                Inserted::UsernameTaken => Inserted::UsernameTaken,
                Inserted::EmailTaken => Inserted::EmailTaken,
            })
        }))
    }

    fn set_password_hash<'a>(&'a self, id: &'a str, old: &'a HashText, new: &'a HashText) -> Option<Soon<'a, bool>> {
        Some(self.set_password_hash.as_ref()?.set(id, old, new))
    }

    fn set_active<'a>(&'a self, id: &'a str, active: bool) -> Option<Soon<'a, bool>> {
        Some(self.set_active.as_ref()?.set(id, active))
    }
}
