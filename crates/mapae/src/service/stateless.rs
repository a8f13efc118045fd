//! Signing in and checking tokens on the application's own user table, without any table of ours.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use mapae_password::Context;
use mapae_verify::{
    Clock, KeyError, KeySet, Scopes, SignError, SigningKey, SystemClock, VerifiedToken, Verifier, VerifierBuilder,
};

use super::account::{Known, Proof, TableAuthority};
use super::handle::Mapae;
use super::throttle::{Guess, Throttle};
use super::tokens::sign;
use super::user_store::{Grant, StoredUser, TokenClaims, UserStore, UserTable};
use super::user_table::{Row, Table};
use super::{AuthenticateError, CredentialError, IssueError, Passwords, SignInError, TokenResponse, Verdict};
use crate::domain::user::folded;
use crate::domain::{SecretText, Sender, SystemRng, scope};
use crate::settings::{DEFAULT_TOKEN_LIFETIME, HashPoolSettings, ThrottleSettings};

/// Memory for verified tokens, in bytes.
const TOKEN_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Issues and checks tokens for the users of the application's own table; made by
/// [`Mapae::stateless`](crate::Mapae::stateless). Cheap to clone.
///
/// It keeps no sessions: a token is good until it expires, and a user who is disabled or removed is refused from the
/// next request on. The claims are the application's own ([`StoredUser::Claims`]), checked as the tutorials do: no
/// leeway, `typ` and `kid` are ignored, a token with an `aud` is refused.
pub struct Stateless<U: StoredUser>(Arc<Inner<U>>);

struct Inner<U: StoredUser> {
    users: Arc<dyn Table>,
    passwords: Passwords,
    key: SigningKey,
    verifier: Verifier<U::Claims>,
    lifetime: u32,
    clock: Arc<dyn Clock>,
    throttle: Throttle,
}

impl<U: StoredUser> Clone for Stateless<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U: StoredUser> std::fmt::Debug for Stateless<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stateless")
    }
}

/// The settings of a service without tables of its own, begun by [`Mapae::stateless`](crate::Mapae::stateless).
#[must_use = "it does nothing until it is built"]
pub struct StatelessBuilder<U: StoredUser> {
    users: Arc<dyn Table>,
    key: SigningKey,
    lifetime: u32,
    passwords: Context,
    hash_pool: HashPoolSettings,
    clock: Arc<dyn Clock>,
    throttle: Option<ThrottleSettings>,
    user: PhantomData<fn() -> U>,
}

impl<U: StoredUser> std::fmt::Debug for StatelessBuilder<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatelessBuilder").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Why a service without tables cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StatelessError {
    /// The key cannot be used.
    #[error("the signing key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The password hashing settings cannot be used.
    #[error("the password hashing settings cannot be used: {0}")]
    Hashing(#[from] mapae_password::HashError),
}

impl<U: StoredUser> StatelessBuilder<U> {
    pub(super) fn new<S: UserStore<User = U>>(users: UserTable<S>, key: SigningKey) -> Self {
        Self {
            users: Arc::new(users),
            key,
            lifetime: DEFAULT_TOKEN_LIFETIME,
            passwords: Context::default(),
            hash_pool: HashPoolSettings::default(),
            clock: Arc::new(SystemClock),
            throttle: Some(ThrottleSettings::default()),
            user: PhantomData,
        }
    }

    /// How long a token is good, in seconds; 15 minutes unless set.
    pub const fn lifetime(mut self, seconds: u32) -> Self {
        self.lifetime = seconds;
        self
    }

    /// How passwords are hashed, and which hashes are accepted.
    pub fn passwords(mut self, context: Context) -> Self {
        self.passwords = context;
        self
    }

    /// The pool that hashes.
    pub const fn hash_pool(mut self, pool: HashPoolSettings) -> Self {
        self.hash_pool = pool;
        self
    }

    /// The clock; the system's unless set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How far guessing is slowed down; `None` not at all. Failures are counted in this process's memory.
    pub const fn throttle(mut self, settings: Option<ThrottleSettings>) -> Self {
        self.throttle = settings;
        self
    }

    /// Ready to be put into the application's state.
    ///
    /// # Errors
    /// [`StatelessError`] if key or settings cannot be used.
    pub fn build(self) -> Result<Mapae<U>, StatelessError> {
        let keys = KeySet::from_keys([self.key.verification_key()])?;
        let verifier = VerifierBuilder::lenient(keys)
            .claims()
            .clock(Arc::clone(&self.clock))
            .cache_bytes(TOKEN_CACHE_BYTES)
            .build();
        let passwords = Passwords::new(self.passwords, self.hash_pool, Arc::new(SystemRng))?;
        let throttle = Throttle::in_memory(self.throttle, Arc::clone(&self.clock), &SystemRng);
        let Self { users, key, lifetime, clock, .. } = self;
        let inner = Inner { users, passwords, key, verifier, lifetime, clock, throttle };
        Ok(Mapae(TableAuthority::Stateless(Stateless(Arc::new(inner)))))
    }
}

impl<U: StoredUser> Stateless<U> {
    pub(super) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Signs somebody in. The token has the scopes that were asked for among those held: nothing asked, nothing
    /// granted. As in the tutorials a disabled user gets a token, which no route for active users takes.
    pub(super) async fn sign_in(
        &self,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
        sender: &Sender,
    ) -> Result<TokenResponse, SignInError> {
        let inner = &*self.0;
        let Some(password) = super::credentials::given(password) else {
            inner.throttle.wrong_secret(sender.source).await.map_err(CredentialError::from)?;
            return Err(SignInError::Refused);
        };
        // How the table compares names is its own business.
        let name = &folded(login.trim());
        let permit = inner.throttle.guess(Guess::SignIn { name, sender }).await.map_err(CredentialError::from)?;
        let user = match inner.users.by_login(login).await {
            Ok(user) => user,
            Err(error) => {
                permit.unused();
                return Err(IssueError::from(error).into());
            }
        };
        let stored = user.as_ref().map(|user| &user.hash);
        let verdict = inner.passwords.check(stored, true, &password).await;
        permit.settle(&verdict).await;
        match (verdict?, user) {
            (Verdict::Accepted { .. }, Some(user)) => {
                let user: Arc<U> = row(&user).ok_or(IssueError::NoSuchUser)?;
                Ok(self.issue(&user, requested).map_err(IssueError::from)?)
            }
            (Verdict::Accepted { .. } | Verdict::Refused, _) => Err(SignInError::Refused),
        }
    }

    pub(super) fn issue(&self, user: &U, requested: &Scopes) -> Result<TokenResponse, SignError> {
        let inner = &*self.0;
        let iat = inner.clock.now();
        let scope = scope::requested_only(requested, &user.scopes());
        let grant = Grant { iat, exp: iat + i64::from(inner.lifetime), scope: scope.clone() };
        sign(&inner.key, "JWT", &U::Claims::issue(user, &grant), inner.lifetime, scope)
    }

    pub(super) async fn issue_to(&self, login: &str, requested: &Scopes) -> Result<TokenResponse, IssueError> {
        let found = self.0.users.by_login(login).await?;
        let user: Arc<U> = found.as_ref().and_then(row).ok_or(IssueError::NoSuchUser)?;
        Ok(self.issue(&user, requested)?)
    }

    pub(super) async fn authenticate(&self, token: &str) -> Result<Known<U>, AuthenticateError> {
        self.known(self.0.verifier.verify_token(token)?).await
    }

    /// Checks a token that was good before once more; the user as the table has it now, and how long it is until the
    /// token expires.
    pub(super) async fn identify_again(
        &self,
        token: &VerifiedToken<U::Claims>,
    ) -> Result<(Known<U>, Duration), AuthenticateError> {
        self.0.verifier.check_again(token)?;
        Ok((self.known(token.clone()).await?, self.0.verifier.expires_in(token)))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The user whom a verified token names.
    async fn known(&self, token: VerifiedToken<U::Claims>) -> Result<Known<U>, AuthenticateError> {
        let claims = token.claims();
        let id = claims.user_id().ok_or(AuthenticateError::NoSuchUser)?;
        let found = self.0.users.by_id(&id).await?.ok_or(AuthenticateError::NoSuchUser)?;
        // SQLite finds the row 1 for the text `1.0` too, but no token of ours says that.
        found.is_asked_for(&id).map_err(|_| AuthenticateError::NoSuchUser)?;
        let user = row(&found).ok_or(AuthenticateError::NoSuchUser)?;
        Ok(Known { user, scopes: claims.scopes(), proof: Proof::Token(token) })
    }
}

/// The row in its own type, which is that of the table.
fn row<U: StoredUser>(row: &Row) -> Option<Arc<U>> {
    Arc::clone(&row.row).downcast().ok()
}
