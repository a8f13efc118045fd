//! Code of the application that runs when something happens to an account.

use std::pin::Pin;

use mapae_verify::{Scopes, Subject};
use serde_json::{Map, Value};

use super::accounts::{FieldError, NewAccount};
use crate::domain::{Session, User};

/// Code of the application that runs when something happens to an account. Every method has a default that does nothing.
///
/// Hooks run while the request waits, outside of any database transaction. What is slow, or may fail without harm, goes
/// into a task of its own. A hook that panics fails its request and nothing else.
pub trait Hooks: Send + Sync + 'static {
    /// Before an account is made. An error refuses it: each names a field that cannot be taken, and is answered 422.
    fn before_register(&self, _new: &NewAccount) -> impl Future<Output = Result<(), Vec<FieldError>>> + Send {
        async { Ok(()) }
    }

    /// After an account was made, and is durable.
    fn after_register(&self, _user: &User) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// After somebody signed in with a password; the session is durable.
    fn after_sign_in(&self, _user: &User, _session: &Session) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// After a password was changed, and the account's other sessions ended.
    fn on_password_change(&self, _user: &User) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Claims for a token, beside the registered ones, whose names ([`mapae_verify::REGISTERED_CLAIMS`]) they must not
    /// take. Asked for each new token. Anybody who holds the token can read them.
    fn extra_claims(&self, _user: &User, _scope: &Scopes) -> impl Future<Output = Map<String, Value>> + Send {
        async { Map::new() }
    }

    /// Whether this account may have a token minted that speaks for a thing of the application's, such as `car:42`, with
    /// these scopes; it answers for that token, which ends with it. Asked each time that one is minted, also from another
    /// that speaks for the thing already. Nobody may unless this says so; the administrators may for the kinds that are
    /// declared ([`Settings::subject_kinds`](crate::Settings::subject_kinds)), whatever this says. Users and clients are
    /// never asked about.
    fn may_speak_for(&self, _grantor: &User, _subject: &Subject, _scope: &Scopes) -> impl Future<Output = bool> + Send {
        async { false }
    }
}

/// No hooks.
impl Hooks for () {}

type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Hooks`] of unknown type.
pub(super) trait DynHooks: Send + Sync {
    fn before_register<'a>(&'a self, new: &'a NewAccount) -> Soon<'a, Result<(), Vec<FieldError>>>;
    fn after_register<'a>(&'a self, user: &'a User) -> Soon<'a, ()>;
    fn after_sign_in<'a>(&'a self, user: &'a User, session: &'a Session) -> Soon<'a, ()>;
    fn on_password_change<'a>(&'a self, user: &'a User) -> Soon<'a, ()>;
    fn extra_claims<'a>(&'a self, user: &'a User, scope: &'a Scopes) -> Soon<'a, Map<String, Value>>;
    fn may_speak_for<'a>(&'a self, grantor: &'a User, subject: &'a Subject, scope: &'a Scopes) -> Soon<'a, bool>;
}

impl<H: Hooks> DynHooks for H {
    fn before_register<'a>(&'a self, new: &'a NewAccount) -> Soon<'a, Result<(), Vec<FieldError>>> {
        Box::pin(Hooks::before_register(self, new))
    }

    fn after_register<'a>(&'a self, user: &'a User) -> Soon<'a, ()> {
        Box::pin(Hooks::after_register(self, user))
    }

    fn after_sign_in<'a>(&'a self, user: &'a User, session: &'a Session) -> Soon<'a, ()> {
        Box::pin(Hooks::after_sign_in(self, user, session))
    }

    fn on_password_change<'a>(&'a self, user: &'a User) -> Soon<'a, ()> {
        Box::pin(Hooks::on_password_change(self, user))
    }

    fn extra_claims<'a>(&'a self, user: &'a User, scope: &'a Scopes) -> Soon<'a, Map<String, Value>> {
        Box::pin(Hooks::extra_claims(self, user, scope))
    }

    fn may_speak_for<'a>(&'a self, grantor: &'a User, subject: &'a Subject, scope: &'a Scopes) -> Soon<'a, bool> {
        Box::pin(Hooks::may_speak_for(self, grantor, subject, scope))
    }
}
