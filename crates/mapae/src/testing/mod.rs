//! For the tests of applications: the whole application on a database of its own, without a network, with a clock to
//! move, and a token for anybody in one line. Feature `testing`; the book's chapter "Testing your application" shows it.
//!
//! What goes wrong here panics, which is how a test fails. [`conformance`] and [`races`] are suites for databases and for
//! user tables of an application's own; they report.

mod caller;
pub mod conformance;
mod nodes;
pub mod races;
mod report;
mod response;

use std::sync::Arc;

use axum::Router;
use mapae_password::{Argon2Params, Context};
use mapae_verify::{Algorithm, ManualClock, Scopes, SigningKey, Subject};
use tempfile::TempDir;

pub use caller::Caller;
pub use report::{Broken, Finding, Report, SuiteError, Verdict};
pub use response::TestResponse;

use crate::Mapae;
use crate::domain::delegation::Narrowing;
use crate::domain::{BaseUrl, MasterKey, SecretText, User, WantedKind};
use crate::service::account::Account;
use crate::service::accounts::NewAccount;
use crate::service::builder::Builder;
use crate::service::stateless::StatelessBuilder;
use crate::service::user_store::{StoredUser, UserStore, UserTable};
use crate::service::{Background, By, NewToken, Service};

/// Lets refused sign-ins be answered as soon as they are known to be refused, so that a test of what their time tells can
/// show that it would see a difference. Never in a program that people use.
pub fn remove_refusal_floor(service: &Service) {
    service.passwords().remove_refusal_floor();
}

/// The time at which every test begins: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;

/// An application under test. It is called without a network; its database is a file in a temporary directory, which
/// goes with it.
pub struct TestApp<U: Account = User> {
    router: Router,
    mapae: Mapae<U>,
    clock: ManualClock,
    _running: Option<(Background, TempDir)>,
}

impl<U: Account> std::fmt::Debug for TestApp<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestApp")
    }
}

impl TestApp {
    /// The password of every account that [`Self::add_user`] makes.
    pub const PASSWORD: &str = "correct horse battery staple";

    /// The application that `router` makes of a service with this library's own accounts.
    pub async fn new(router: impl FnOnce(Mapae) -> Router) -> Self {
        Self::configured(|builder| builder, router).await
    }

    /// The lightest settings for password hashes. What is tested is not the hash.
    #[must_use]
    pub fn cheap_hashing() -> Context {
        let argon2 = Argon2Params::new(8, 1, 1).expect("the least that Argon2 takes");
        Context { argon2, ..Context::default() }
    }
}

impl<U: Account> TestApp<U> {
    /// The application that `router` makes of a service that `configure` has set up: scopes, sign-up, hooks, and the
    /// application's own user table. The builder comes with database, master key, clock and cheap hashing; give it to the
    /// function that configures the real application, too.
    pub async fn configured(
        configure: impl FnOnce(Builder) -> Builder<U>,
        router: impl FnOnce(Mapae<U>) -> Router,
    ) -> Self {
        let clock = ManualClock::new(START);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let builder = Mapae::builder(BaseUrl::parse("http://app.example").expect("a base URL"))
            .database(format!("sqlite://{}", directory.path().join("test.db").display()))
            .master_key(MasterKey::new(vec![7; 32]).expect("a master key"))
            .clock(Arc::new(clock.clone()))
            .settings(|settings| settings.passwords = TestApp::cheap_hashing());
        let mapae =
            configure(builder).build().await.unwrap_or_else(|error| panic!("the service did not start: {error}"));
        let service = U::service(&mapae.0).expect("made by a builder with a database");
        let background = service.watch().await.expect("the database that was just made");
        Self { router: router(mapae.clone()), mapae, clock, _running: Some((background, directory)) }
    }

    /// The service.
    pub fn mapae(&self) -> &Mapae<U> {
        &self.mapae
    }

    /// The clock, which stands still until it is moved: `app.clock().advance(60)`.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Makes an active account with this user name, these scopes and [`TestApp::PASSWORD`]. In an application's own table
    /// this takes [`InsertUser`](crate::service::user_store::InsertUser); else insert rows as the application does.
    pub async fn add_user(&self, username: &str, scopes: &str) -> User {
        let service =
            U::service(&self.mapae.0).expect("without a database of its own it makes no accounts: insert a row");
        let account = NewAccount {
            email: None,
            username: Some(username.to_owned()),
            full_name: None,
            password: SecretText::new(TestApp::PASSWORD.to_owned()),
        };
        let made = service.add_account(account, Some(parse(scopes)), By::System).await;
        made.unwrap_or_else(|error| panic!("the account {username:?} was not made: {error}"))
    }

    /// An access token for this user, with exactly these scopes (none: all that are held but explicit ones), from the
    /// one issuer that signs every token: the user must hold them.
    pub async fn token_for(&self, login: &str, scopes: &str) -> String {
        let requested = parse(scopes);
        let issued = U::issue_to(&self.mapae.0, login, &requested).await;
        let issued = issued.unwrap_or_else(|error| panic!("no token for {login:?}: {error}"));
        let lacking = requested.difference(&issued.scope);
        assert!(lacking.is_empty(), "{login:?} does not hold `{lacking}`, or nobody declared it: .scope::<…>()");
        issued.access_token.expose().to_owned()
    }

    /// An access token for a thing of the application's own, such as `car:42`, with exactly these scopes. The user, who
    /// answers for it, holds them and may speak for the thing, as
    /// [`Hooks::may_speak_for`](crate::service::hooks::Hooks::may_speak_for) says.
    pub async fn token_for_subject(&self, login: &str, subject: &str, scopes: &str) -> String {
        let service = U::service(&self.mapae.0).expect("without a database nothing is minted");
        let user = service.find_account(login).await;
        let user = user.unwrap_or_else(|error| panic!("no account {login:?}: {error}"));
        let subject = Subject::parse(subject).unwrap_or_else(|error| panic!("{subject:?}: {error}"));
        let narrowing = Narrowing { scope: parse(scopes), subject: Some(subject), ..Narrowing::default() };
        let new = NewToken { kind: WantedKind::AccessToken, label: None, narrowing };
        let minted = service.mint_token_for(&user.id, new, By::System).await;
        minted.unwrap_or_else(|error| panic!("no token for {login:?}: {error}")).token.expose().to_owned()
    }

    /// Requests without a token.
    pub fn anonymous(&self) -> Caller<'_, U> {
        Caller::anonymous(self)
    }

    /// Requests with a token of this user, issued with the first of them.
    pub fn as_user(&self, login: &str) -> Caller<'_, U> {
        Caller::user(self, login)
    }

    /// Requests with this token.
    pub fn with_token(&self, token: &str) -> Caller<'_, U> {
        Caller::token(self, token)
    }
}

impl<U: StoredUser> TestApp<U> {
    /// The application that `router` makes of a service without tables of its own, see [`Mapae::stateless`].
    pub fn stateless<S: UserStore<User = U>>(
        users: impl Into<UserTable<S>>,
        configure: impl FnOnce(StatelessBuilder<U>) -> StatelessBuilder<U>,
        router: impl FnOnce(Mapae<U>) -> Router,
    ) -> Self {
        let clock = ManualClock::new(START);
        let key = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).expect("a key of 32 bytes");
        let builder = Mapae::stateless(users, key).passwords(TestApp::cheap_hashing()).clock(Arc::new(clock.clone()));
        let mapae = configure(builder).build().unwrap_or_else(|error| panic!("the service did not start: {error}"));
        Self { router: router(mapae.clone()), mapae, clock, _running: None }
    }
}

fn parse(scopes: &str) -> Scopes {
    Scopes::parse(scopes).unwrap_or_else(|error| panic!("{scopes:?} are no scopes: {error}"))
}
