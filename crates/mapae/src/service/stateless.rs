//! Signing in and checking tokens on the application's own user table, without any table of ours.

use std::error::Error;
use std::sync::Arc;

use mapae_password::{Context, HashText, Password};
use mapae_verify::{
    Clock, KeyError, KeySet, Scopes, SignError, SigningKey, SystemClock, Verifier, VerifierBuilder, VerifyError,
};

use super::user_store::{DynUserStore, Found, Grant, StoredUser, TokenClaims, UserStore};
use super::{NewPasswordError, Passwords, PoolBusy, TokenResponse, Verdict};
use crate::domain::{SecretText, SystemRng};
use crate::settings::HashPoolSettings;

/// Memory for verified tokens, in bytes.
const TOKEN_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Issues and checks tokens for the users of the application's own table. Cheap to clone; put it into the
/// application's state.
///
/// It keeps no sessions: a token is good until it expires, and a user who is disabled or removed is refused from the
/// next request on. The claims are the application's own ([`StoredUser::Claims`]), checked as the tutorials do: no
/// leeway, `typ` and `kid` are ignored, a token with an `aud` is refused.
pub struct Stateless<U: StoredUser>(Arc<Inner<U>>);

struct Inner<U: StoredUser> {
    users: Box<dyn DynUserStore<U>>,
    passwords: Passwords,
    key: SigningKey,
    verifier: Verifier<U::Claims>,
    lifetime: u32,
    clock: Arc<dyn Clock>,
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

/// The parts of a [`Stateless`] that have defaults.
#[derive(Clone)]
pub struct StatelessOptions {
    /// How long a token is good, in seconds; 15 minutes unless set.
    pub lifetime: u32,
    /// How passwords are hashed, and which hashes are accepted.
    pub passwords: Context,
    /// The pool that hashes.
    pub hash_pool: HashPoolSettings,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for StatelessOptions {
    fn default() -> Self {
        Self {
            lifetime: 15 * 60,
            passwords: Context::default(),
            hash_pool: HashPoolSettings::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl std::fmt::Debug for StatelessOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatelessOptions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Why a [`Stateless`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StatelessError {
    /// The key cannot be used.
    #[error("the signing key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The password hashing settings cannot be used.
    #[error("the password hashing settings cannot be used: {0}")]
    Hashing(#[from] mapae_password::HashError),
}

/// A user whom a good token names.
#[derive(Clone, Debug)]
pub struct Known<U: StoredUser> {
    /// The user, as the table has it now; perhaps disabled.
    pub user: U,
    /// The scopes that the token carries.
    pub scopes: Scopes,
}

/// Why a sign-in or a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum StatelessRefusal {
    /// Unknown name or wrong password.
    #[error("incorrect username or password")]
    Credentials,
    /// The token is not to be believed.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The token names nobody of this table.
    #[error("the token names nobody here")]
    Nobody,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The token could not be signed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] SignError),
    /// The application's database failed.
    #[error("the user table failed: {0}")]
    Store(#[from] Box<dyn Error + Send + Sync>),
}

impl<U: StoredUser> Stateless<U> {
    /// Signs and checks with `key`.
    ///
    /// # Errors
    /// [`StatelessError`] if key or settings cannot be used.
    pub fn new(
        users: impl UserStore<User = U>,
        key: SigningKey,
        options: StatelessOptions,
    ) -> Result<Self, StatelessError> {
        let keys = KeySet::from_keys([key.verification_key()])?;
        let verifier = VerifierBuilder::lenient(keys)
            .claims()
            .clock(Arc::clone(&options.clock))
            .cache_bytes(TOKEN_CACHE_BYTES)
            .build();
        let passwords = Passwords::new(options.passwords, options.hash_pool, Arc::new(SystemRng))?;
        let (lifetime, clock) = (options.lifetime, options.clock);
        Ok(Self(Arc::new(Inner { users: Box::new(users), passwords, key, verifier, lifetime, clock })))
    }

    /// Signs somebody in. The token has the scopes that were asked for among those held: nothing asked, nothing
    /// granted. As in the tutorials a disabled user gets a token, which no route for active users takes.
    ///
    /// # Errors
    /// [`StatelessRefusal`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &SecretText,
        requested: &Scopes,
    ) -> Result<TokenResponse, StatelessRefusal> {
        let inner = &*self.0;
        let Ok(password) = Password::new(password.expose()) else { return Err(StatelessRefusal::Credentials) };
        let user = inner.users.by_login(login).await?;
        let stored = user.as_ref().map(|user| HashText::new(user.password_hash()));
        match (inner.passwords.check(stored.as_ref(), true, &password).await?, user) {
            (Verdict::Accepted { .. }, Some(user)) => Ok(self.issue(&user, requested)?),
            (Verdict::Accepted { .. } | Verdict::Refused, _) => Err(StatelessRefusal::Credentials),
        }
    }

    /// Issues a token for a user, without a password.
    ///
    /// # Errors
    /// [`SignError`] if the claims cannot be signed.
    pub fn issue(&self, user: &U, requested: &Scopes) -> Result<TokenResponse, SignError> {
        let inner = &*self.0;
        let iat = inner.clock.now();
        let scope = requested.intersection(&user.scopes());
        let grant = Grant { iat, exp: iat + i64::from(inner.lifetime), scope: scope.clone() };
        let token = inner.key.sign("JWT", &U::Claims::issue(user, &grant))?;
        Ok(TokenResponse { access_token: SecretText::new(token), expires_in: inner.lifetime, scope })
    }

    /// Checks a token and looks its user up.
    ///
    /// # Errors
    /// [`StatelessRefusal`].
    pub async fn authenticate(&self, token: &str) -> Result<Known<U>, StatelessRefusal> {
        let claims = self.0.verifier.verify(token)?;
        let id = claims.user_id().ok_or(StatelessRefusal::Nobody)?;
        let user: Found<U> = self.0.users.by_id(&id).await;
        let user = user?.ok_or(StatelessRefusal::Nobody)?;
        Ok(Known { user, scopes: claims.scopes() })
    }

    /// Hashes a new user's password, on the pool.
    ///
    /// # Errors
    /// [`NewPasswordError`].
    pub async fn hash_password(&self, password: &SecretText) -> Result<HashText, NewPasswordError> {
        self.0.passwords.hash(&Password::new(password.expose())?).await
    }
}
