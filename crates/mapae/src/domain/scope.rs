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

    /// The scopes of a new token: requested ∩ held; when nothing was requested, all held except those marked
    /// explicit. Scopes that the configuration no longer declares are not granted.
    pub fn grant(&self, requested: &Scopes, held: &Scopes) -> Scopes {
        let grantable = |name: &str| match self.entries.get(name) {
            Some(entry) => !requested.is_empty() || !entry.explicit,
            None => false,
        };
        let wanted = if requested.is_empty() { held.clone() } else { requested.intersection(held) };
        wanted.iter().filter(|name| grantable(name)).filter_map(|name| Scope::parse(name).ok()).collect()
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

    #[test]
    fn nothing_asked_gives_all_but_explicit() {
        let held = scopes("me items mapae:admin");
        assert_eq!(catalogue().grant(&Scopes::default(), &held), scopes("me items"));
        assert_eq!(catalogue().grant(&scopes("mapae:admin"), &held), scopes("mapae:admin"));
    }

    #[test]
    fn never_more_than_held_or_declared() {
        assert_eq!(catalogue().grant(&scopes("me mapae:admin"), &scopes("me")), scopes("me"));
        assert_eq!(catalogue().grant(&scopes("gone"), &scopes("me gone")), Scopes::default());
        assert_eq!(catalogue().grant(&Scopes::default(), &scopes("me gone")), scopes("me"));
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
