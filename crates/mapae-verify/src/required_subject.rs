//! Kinds of subjects as types: for whom a route takes tokens, checked by the compiler.

use crate::{AnyOf, Subject};

/// A kind of thing of the application's own, declared in code, once, as a type: tokens of `car:42` speak for a `Car`.
///
/// ```
/// struct Car;
/// impl mapae_verify::DeclaredKind for Car {
///     const KIND: &'static str = "car";
/// }
/// ```
pub trait DeclaredKind: Send + Sync + 'static {
    /// What stands before the `:`, of `[A-Za-z0-9._~-]` and not `client`.
    const KIND: &'static str;
}

/// The subjects for which a route takes tokens: a declared kind, [`UserSubject`] for users, [`AnyOf`] a tuple for one of
/// several. They nest.
pub trait SubjectSet: Send + Sync + 'static {
    /// Whether the route takes a token for this subject.
    fn takes(subject: &Subject) -> bool;

    /// Calls `f` with the name of each kind.
    fn for_each(f: &mut dyn FnMut(&'static str));

    /// The names for errors and documents: `car or user`.
    fn names() -> String {
        let mut names = Vec::new();
        Self::for_each(&mut |name| names.push(name));
        names.join(" or ")
    }
}

/// Users of the service, whose `sub` is a bare id.
#[derive(Clone, Copy, Debug)]
pub struct UserSubject;

impl SubjectSet for UserSubject {
    fn takes(subject: &Subject) -> bool {
        subject.as_user().is_some()
    }

    fn for_each(f: &mut dyn FnMut(&'static str)) {
        f("user");
    }
}

impl<K: DeclaredKind> SubjectSet for K {
    fn takes(subject: &Subject) -> bool {
        subject.as_other(K::KIND).is_some()
    }

    fn for_each(f: &mut dyn FnMut(&'static str)) {
        f(K::KIND);
    }
}

macro_rules! tuples {
    ($(($($name:ident),+);)+) => { $(
        impl<$($name: SubjectSet),+> SubjectSet for AnyOf<($($name,)+)> {
            fn takes(subject: &Subject) -> bool {
                $($name::takes(subject))||+
            }

            fn for_each(f: &mut dyn FnMut(&'static str)) {
                $($name::for_each(f);)+
            }
        }
    )+ };
}

tuples! {
    (A, B);
    (A, B, C);
    (A, B, C, D);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Car;
    impl DeclaredKind for Car {
        const KIND: &'static str = "car";
    }

    struct Client;
    impl DeclaredKind for Client {
        const KIND: &'static str = "client";
    }

    #[test]
    fn kinds_are_exact() {
        let takes = |text: &str| {
            let subject = Subject::parse(text).unwrap();
            (Car::takes(&subject), UserSubject::takes(&subject), AnyOf::<(Car, UserSubject)>::takes(&subject))
        };
        assert_eq!(takes("car:42"), (true, false, true));
        assert_eq!(takes("0198c0de"), (false, true, true));
        for other in ["cars:42", "ca:42", "Car:42", "client:car"] {
            assert_eq!(takes(other), (false, false, false), "{other}");
        }
        assert!(!Client::takes(&Subject::client("web").unwrap()), "clients are no things");
        assert_eq!(AnyOf::<(Car, UserSubject)>::names(), "car or user");
    }
}
