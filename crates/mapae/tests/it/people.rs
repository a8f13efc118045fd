//! An application's own user table, in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mapae::{StoredUser, SubjectClaims, UserStore};
use mapae_verify::Scopes;

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) active: bool,
    pub(crate) scopes: &'static str,
}

impl StoredUser for Person {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn password_hash(&self) -> &str {
        "!"
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn scopes(&self) -> Scopes {
        Scopes::parse(self.scopes).unwrap()
    }
}

#[derive(Clone, Default)]
pub(crate) struct People {
    rows: Arc<Mutex<BTreeMap<String, Person>>>,
    looked_up: Arc<AtomicUsize>,
}

impl People {
    /// Puts an active person with the scope `me` there.
    pub(crate) fn add(&self, id: &str) -> Person {
        let person = Person { id: id.to_owned(), active: true, scopes: "me" };
        self.rows.lock().unwrap().insert(id.to_owned(), person.clone());
        person
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Person)) {
        change(self.rows.lock().unwrap().get_mut(id).unwrap());
    }

    pub(crate) fn remove(&self, id: &str) {
        self.rows.lock().unwrap().remove(id);
    }

    /// How often somebody was looked up by id since the last call.
    pub(crate) fn looked_up(&self) -> usize {
        self.looked_up.swap(0, Ordering::SeqCst)
    }
}

impl UserStore for People {
    type User = Person;
    type Error = Infallible;

    async fn by_login(&self, login: &str) -> Result<Option<Person>, Infallible> {
        Ok(self.rows.lock().unwrap().get(login).cloned())
    }

    async fn by_id(&self, id: &str) -> Result<Option<Person>, Infallible> {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        Ok(self.rows.lock().unwrap().get(id).cloned())
    }
}
