//! Scopes as types: what a route asks for, checked by the compiler.

use std::marker::PhantomData;

use crate::Scopes;

/// A scope declared in code, once, as a type with its description.
///
/// ```
/// struct Items;
/// impl mapae_verify::DeclaredScope for Items {
///     const NAME: &'static str = "items";
///     const DESCRIPTION: &'static str = "Read items.";
/// }
/// ```
pub trait DeclaredScope: Send + Sync + 'static {
    /// The scope token of RFC 6749 §3.3.
    const NAME: &'static str;
    /// What it allows, for people; shown by documentation pages.
    const DESCRIPTION: &'static str;
}

/// The scopes that a route asks for: a declared scope, `()` for none, a tuple for all of them, [`AnyOf`] a tuple for
/// one of them. They nest.
pub trait ScopeSet: Send + Sync + 'static {
    /// Calls `f` with the name and description of each scope, in the order in which the route asks.
    fn for_each(f: &mut dyn FnMut(&'static str, &'static str));

    /// Whether `held` suffices. Called for each request, hence without allocation.
    fn satisfied_by(held: &Scopes) -> bool;

    /// Every combination that suffices, as OpenAPI lists alternatives. `()` is one empty combination.
    fn alternatives() -> Vec<Vec<&'static str>>;

    /// The names, space separated, as `WWW-Authenticate` and errors list them.
    fn names() -> String {
        let mut names: Vec<&str> = Vec::new();
        Self::for_each(&mut |name, _| {
            if !names.contains(&name) {
                names.push(name);
            }
        });
        names.join(" ")
    }
}

impl<S: DeclaredScope> ScopeSet for S {
    fn for_each(f: &mut dyn FnMut(&'static str, &'static str)) {
        f(S::NAME, S::DESCRIPTION);
    }

    fn satisfied_by(held: &Scopes) -> bool {
        held.contains(S::NAME)
    }

    fn alternatives() -> Vec<Vec<&'static str>> {
        vec![vec![S::NAME]]
    }
}

impl ScopeSet for () {
    fn for_each(_: &mut dyn FnMut(&'static str, &'static str)) {}

    fn satisfied_by(_: &Scopes) -> bool {
        true
    }

    fn alternatives() -> Vec<Vec<&'static str>> {
        vec![Vec::new()]
    }
}

/// One of several: `AnyOf<(Read, Write)>`.
#[derive(Clone, Copy, Debug)]
pub struct AnyOf<T>(PhantomData<fn() -> T>);

macro_rules! tuples {
    ($(($($name:ident),+);)+) => { $(
        impl<$($name: ScopeSet),+> ScopeSet for ($($name,)+) {
            fn for_each(f: &mut dyn FnMut(&'static str, &'static str)) {
                $($name::for_each(f);)+
            }

            fn satisfied_by(held: &Scopes) -> bool {
                $($name::satisfied_by(held))&&+
            }

            fn alternatives() -> Vec<Vec<&'static str>> {
                let mut all = vec![Vec::new()];
                $(all = combine(&all, &$name::alternatives());)+
                all
            }
        }

        impl<$($name: ScopeSet),+> ScopeSet for AnyOf<($($name,)+)> {
            fn for_each(f: &mut dyn FnMut(&'static str, &'static str)) {
                $($name::for_each(f);)+
            }

            fn satisfied_by(held: &Scopes) -> bool {
                $($name::satisfied_by(held))||+
            }

            fn alternatives() -> Vec<Vec<&'static str>> {
                let mut all = Vec::new();
                $(all.extend($name::alternatives());)+
                all
            }
        }
    )+ };
}

tuples! {
    (A, B);
    (A, B, C);
    (A, B, C, D);
}

/// Each of `left` together with each of `right`.
fn combine(left: &[Vec<&'static str>], right: &[Vec<&'static str>]) -> Vec<Vec<&'static str>> {
    let mut combined = Vec::new();
    for one in left {
        for other in right {
            let mut both = one.clone();
            both.extend(other.iter().filter(|name| !one.contains(name)));
            combined.push(both);
        }
    }
    combined
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! scope {
        ($name:ident, $text:literal) => {
            struct $name;
            impl DeclaredScope for $name {
                const NAME: &'static str = $text;
                const DESCRIPTION: &'static str = "…";
            }
        };
    }
    scope!(Me, "me");
    scope!(Items, "items");
    scope!(Admin, "mapae:admin");

    fn held(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    #[test]
    fn names_keep_the_order_in_which_the_route_asks() {
        assert_eq!(<(Items, Me)>::names(), "items me");
        assert_eq!(<(Me, (Admin, Me))>::names(), "me mapae:admin");
        assert_eq!(<()>::names(), "");
    }

    #[test]
    fn all_of_and_any_of_nest() {
        type Set = (Me, AnyOf<(Items, Admin)>);
        assert!(Set::satisfied_by(&held("me items")));
        assert!(Set::satisfied_by(&held("mapae:admin me")));
        assert!(!Set::satisfied_by(&held("me")));
        assert!(!Set::satisfied_by(&held("items mapae:admin")));
        assert_eq!(Set::alternatives(), [["me", "items"], ["me", "mapae:admin"]]);
        assert_eq!(<(Me, Me)>::alternatives(), [["me"]]);
        assert!(<()>::satisfied_by(&Scopes::new()));
        assert_eq!(<()>::alternatives(), [Vec::<&str>::new()]);
    }
}
