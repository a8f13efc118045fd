//! Which scopes exist, and which an account may be granted.

use std::collections::BTreeMap;

use mapae_verify::{DeclaredScope, Scope, Scopes};

/// `me`: a person's own account.
#[derive(Clone, Copy, Debug)]
pub struct Me;

impl DeclaredScope for Me {
    const NAME: &'static str = "me";
    const DESCRIPTION: &'static str = "Read and change your own account.";
}

/// `mapae:admin`: everybody's accounts. Explicit: a token has it only when it was asked for by name.
#[derive(Clone, Copy, Debug)]
pub struct Admin;

impl DeclaredScope for Admin {
    const NAME: &'static str = "mapae:admin";
    const DESCRIPTION: &'static str = "Manage every account.";
}

/// One scope that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    description: String,
    explicit: bool,
}

/// Every scope that exists, with its description: those declared in code and those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCatalogue {
    entries: BTreeMap<String, Entry>,
}

/// A scope that cannot exist, or does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeCatalogueError {
    /// Not a scope token of RFC 6749 §3.3.
    #[error("`{0}` is not a scope name: use printable ASCII without spaces, quotes and backslashes")]
    NotAScope(String),
    /// Scopes that begin with `mapae:` are this service's own.
    #[error("scope `{0}` is reserved: names that begin with `mapae:` belong to the server")]
    Reserved(String),
    /// Two descriptions for one scope.
    #[error("scope `{0}` is declared twice with different descriptions")]
    DeclaredTwice(String),
    /// Nobody declared it.
    #[error("scope `{name}` does not exist; declared scopes: {declared}")]
    Unknown {
        /// The scope that was asked for.
        name: String,
        /// Those that exist.
        declared: String,
    },
}

impl Default for ScopeCatalogue {
    /// The server's own scopes: `me` and `mapae:admin`.
    fn default() -> Self {
        let mut entries = BTreeMap::new();
        entries.insert(Me::NAME.to_owned(), Entry { description: Me::DESCRIPTION.to_owned(), explicit: false });
        entries.insert(Admin::NAME.to_owned(), Entry { description: Admin::DESCRIPTION.to_owned(), explicit: true });
        Self { entries }
    }
}

impl ScopeCatalogue {
    /// Adds a scope of the configuration. Giving `me` another description is welcome.
    ///
    /// # Errors
    /// If the name is not a scope token, is reserved, or was declared with another description.
    pub fn declare(&mut self, name: &str, description: &str) -> Result<(), ScopeCatalogueError> {
        Scope::parse(name).map_err(|_| ScopeCatalogueError::NotAScope(name.to_owned()))?;
        if name.starts_with("mapae:") {
            return Err(ScopeCatalogueError::Reserved(name.to_owned()));
        }
        if let Some(old) = self.entries.get(name)
            && name != Me::NAME
            && old.description != description
        {
            return Err(ScopeCatalogueError::DeclaredTwice(name.to_owned()));
        }
        let entry = Entry { description: description.to_owned(), explicit: false };
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Adds a scope that is declared in code.
    ///
    /// # Errors
    /// As [`Self::declare`].
    pub fn declare_type<S: DeclaredScope>(&mut self) -> Result<(), ScopeCatalogueError> {
        self.declare(S::NAME, S::DESCRIPTION)
    }

    /// Names with descriptions, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.description.as_str()))
    }

    /// Checks that every scope of `scopes` exists.
    ///
    /// # Errors
    /// [`ScopeCatalogueError::Unknown`] for the first that does not.
    pub fn check(&self, scopes: &Scopes) -> Result<(), ScopeCatalogueError> {
        match scopes.iter().find(|name| !self.entries.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(ScopeCatalogueError::Unknown {
                name: name.to_string(),
                declared: self.entries.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Every scope that exists.
    pub fn all(&self) -> Scopes {
        self.entries.keys().filter_map(|name| Scope::parse(name).ok()).collect()
    }

    /// The scopes of a new grant: requested ∩ held ∩ allowed to the client; when nothing was requested, all of those
    /// except what is marked explicit. Scopes that the configuration no longer declares are not granted.
    pub fn grant(&self, requested: &Scopes, held: &Scopes, allowed: &Scopes) -> Scopes {
        if !requested.is_empty() {
            return self.still(requested, held, allowed);
        }
        self.implied(&self.still(held, held, allowed))
    }

    /// The scopes of a token that is minted from one with `parent`: what is asked for, or else everything, of those that
    /// can be passed on. What is marked explicit cannot: administrators act themselves.
    pub fn delegate(&self, requested: &Scopes, parent: &Scopes, held: &Scopes, allowed: &Scopes) -> Scopes {
        let passed_on = self.implied(&self.still(parent, held, allowed));
        if requested.is_empty() { passed_on } else { requested.intersection(&passed_on) }
    }

    /// Those that are not marked explicit.
    fn implied(&self, scopes: &Scopes) -> Scopes {
        let implied = |name: &&str| self.entries.get(*name).is_some_and(|entry| !entry.explicit);
        scopes.iter().filter(implied).filter_map(|name| Scope::parse(name).ok()).collect()
    }

    /// What is left of a grant: of `granted`, what is still held, still allowed to the client, and still declared.
    pub fn still(&self, granted: &Scopes, held: &Scopes, allowed: &Scopes) -> Scopes {
        granted.intersection(held).intersection(allowed).intersection(&self.all())
    }
}

/// The scopes of a token that holds only what was asked for by name, as in the tutorials: requested ∩ held.
pub fn requested_only(requested: &Scopes, held: &Scopes) -> Scopes {
    requested.intersection(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    fn catalogue() -> ScopeCatalogue {
        let mut catalogue = ScopeCatalogue::default();
        catalogue.declare("items", "Read items.").unwrap();
        catalogue
    }

    fn grant(requested: &str, held: &str, allowed: &str) -> Scopes {
        catalogue().grant(&scopes(requested), &scopes(held), &scopes(allowed))
    }

    const ALL: &str = "me items mapae:admin gone";

    #[test]
    fn nothing_asked_gives_all_but_explicit() {
        assert_eq!(grant("", "me items mapae:admin", ALL), scopes("me items"));
        assert_eq!(grant("mapae:admin", "me items mapae:admin", ALL), scopes("mapae:admin"));
    }

    #[test]
    fn never_more_than_held_or_allowed_or_declared() {
        assert_eq!(grant("me mapae:admin", "me", ALL), scopes("me"));
        assert_eq!(grant("me items", "me items", "items"), scopes("items"));
        assert_eq!(grant("", "me items", "items mapae:admin"), scopes("items"));
        assert_eq!(grant("gone", "me gone", ALL), Scopes::default());
        assert_eq!(grant("", "me gone", ALL), scopes("me"));
    }

    /// A session that was granted nothing must not get everything when it is refreshed.
    #[test]
    fn what_is_left_of_nothing_is_nothing() {
        let still = |granted, held| catalogue().still(&scopes(granted), &scopes(held), &scopes(ALL));
        assert_eq!(still("", "me items"), Scopes::default());
        assert_eq!(still("me mapae:admin", "me mapae:admin"), scopes("me mapae:admin"));
        assert_eq!(still("me items gone", "items gone"), scopes("items"));
    }

    #[test]
    fn bad_declarations_are_refused_by_name() {
        let mut catalogue = catalogue();
        assert!(matches!(catalogue.declare("a b", "x"), Err(ScopeCatalogueError::NotAScope(_))));
        assert!(matches!(catalogue.declare("mapae:root", "x"), Err(ScopeCatalogueError::Reserved(_))));
        assert!(matches!(catalogue.declare("items", "x"), Err(ScopeCatalogueError::DeclaredTwice(_))));
        let unknown = catalogue.check(&scopes("me typo")).unwrap_err();
        assert!(unknown.to_string().contains("`typo` does not exist; declared scopes: items, mapae:admin, me"));
    }
}
