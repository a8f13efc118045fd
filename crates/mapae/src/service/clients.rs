//! OAuth clients: registering and removing them, and who one is.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use mapae_password::Password;
use mapae_verify::{Scopes, Subject};

use super::accounts::{ChangeError, FieldError};
use super::{By, CredentialError, NewPasswordError, PoolBusy, Service, TokenError};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::client_secret::{self, Comparison, MAX_CHARS, MIN_CHARS};
use crate::domain::scope::Admin;
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::domain::{Client, ClientId, ClientType, DeclaredScope, EndReason, GrantType, Lifetimes, SecretText, Source};
use crate::store::{NewRevocation, RegisteredClient, Sessions, StoreError, Tx};

/// The longest that the binary lets an access token be good.
const LONGEST_ACCESS_TOKEN: TimeDelta = TimeDelta::days(365);

/// The most audiences of a client, and the longest, in bytes.
const MAX_AUDIENCES: usize = 20;
const MAX_AUDIENCE_BYTES: usize = 255;

/// How a client says who it is.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// `client_id`.
    pub id: String,
    /// The secret, in each way in which the request can be read; empty if it has none.
    pub secrets: Vec<SecretText>,
}

/// What a client is registered with, as somebody typed it.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// `client_id`.
    pub id: String,
    /// Whether it has a secret.
    pub client_type: ClientType,
    /// The grants that it may use; none for a server that only introspects.
    pub grants: BTreeSet<GrantType>,
    /// The most that its tokens may carry.
    pub scopes: Scopes,
    /// See [`Client::audiences`].
    pub audiences: Vec<String>,
    /// Shorter lifetimes than the service's own.
    pub lifetimes: Lifetimes,
    /// Its secret; `None` makes one.
    pub secret: Option<SecretText>,
}

/// Why a client was not registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Fields that cannot be taken.
    #[error("{}", .0.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join(" "))]
    Invalid(Vec<FieldError>),
    /// Another client has this id.
    #[error("There is a client with this id already.")]
    Taken,
    /// There is no such client.
    #[error("There is no such client.")]
    NotFound,
    /// A public client has no secret.
    #[error("This client is public: it has no secret.")]
    Public,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The secret could not be hashed.
    #[error("the secret could not be hashed: {0}")]
    Hash(NewPasswordError),
    /// Whoever asked may not, or the database failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

impl Service {
    /// The client that a request comes from.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`] if it is unknown or did not prove to be it, [`TokenError::Throttled`] if that was
    /// tried too often.
    pub async fn authenticate_client(&self, auth: &ClientAuth, source: Source) -> Result<Client, TokenError> {
        if auth.id == FIRST_PARTY_CLIENT_ID && auth.secrets.is_empty() {
            return Ok(self.built_in_client());
        }
        let registered = match ClientId::parse(&auth.id) {
            Some(id) => self.store().cached_client(&id).await?,
            None => None,
        };
        let by = &Actor::new(Who::Anonymous, source);
        let Some(registered) = registered else {
            // What is no client's id is not kept: people paste anything there.
            let refused = || Entry::new(Event::ClientRefused, by);
            self.wrong_secret_of(source, refused).await?;
            self.note(refused().detail("reason", "no-such-client")).await;
            return Err(TokenError::InvalidClient);
        };
        let proven = match (registered.client.client_type, &registered.secret_hash) {
            (ClientType::Public, _) if auth.secrets.is_empty() => true,
            (ClientType::Confidential, Some(stored)) => self.is_one_right(&auth.id, stored, &auth.secrets, by).await?,
            (ClientType::Public, _) | (ClientType::Confidential, None) => self.is_none_right(&auth.id, by).await?,
        };
        if proven {
            return Ok(registered.client.clone());
        }
        let refused = Entry::new(Event::ClientRefused, by).client(&auth.id);
        self.note(refused.detail("reason", "wrong-secret")).await;
        Err(TokenError::InvalidClient)
    }

    async fn is_one_right(
        &self,
        id: &str,
        stored: &str,
        given: &[SecretText],
        by: &Actor,
    ) -> Result<bool, CredentialError> {
        for secret in given {
            match client_secret::compare(stored, secret) {
                Comparison::Fast(true) => return Ok(true),
                Comparison::Fast(false) => {}
                Comparison::Slow => return self.check_typed_secret(id, stored, given, by).await,
            }
        }
        self.is_none_right(id, by).await
    }

    /// Counts what was wrong without a hash, a missing secret too.
    pub(super) async fn is_none_right(&self, id: &str, by: &Actor) -> Result<bool, CredentialError> {
        self.wrong_secret_of(by.source(), || Entry::new(Event::ClientRefused, by).client(id)).await?;
        Ok(false)
    }

    /// A client that was found before, as the transaction sees it.
    pub(super) async fn client_in(&self, tx: &Tx, client: &Client) -> Result<Client, TokenError> {
        if client.is_built_in() {
            return Ok(client.clone());
        }
        Ok(tx.client(&client.id).await?.ok_or(TokenError::InvalidClient)?.client)
    }

    /// Every registered client, by id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.store().clients().await
    }

    /// One registered client.
    ///
    /// # Errors
    /// [`ClientError::NotFound`], or a failure of the database.
    pub async fn client(&self, id: &str) -> Result<Client, ClientError> {
        let id = ClientId::parse(id).ok_or(ClientError::NotFound)?;
        Ok(self.store().cached_client(&id).await?.ok_or(ClientError::NotFound)?.client.clone())
    }

    /// Registers a client. If a secret was made for it, it is in the answer, and nowhere else ever again.
    ///
    /// # Errors
    /// [`ClientError`] names every field that cannot be taken.
    pub async fn add_client(&self, new: NewClient, by: By<'_>) -> Result<(Client, Option<SecretText>), ClientError> {
        let id = self.check_new_client(&new)?;
        let (made, secret_hash) = match (new.client_type, new.secret) {
            (ClientType::Public, _) => (None, None),
            (ClientType::Confidential, given) => {
                let (made, hash) = self.client_secret(given).await?;
                (made, Some(hash))
            }
        };
        let now = self.now();
        let client = Client {
            id,
            client_type: new.client_type,
            grants: new.grants,
            scopes: new.scopes,
            audiences: new.audiences,
            lifetimes: new.lifetimes,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.begin_by(by, Admin::NAME).await?;
        let registered = RegisteredClient { client, secret_hash };
        if !tx.insert_client(&registered).await? {
            return Err(ClientError::Taken);
        }
        tx.record(Entry::new(Event::ClientAdded, &by.actor()).client(&registered.client.id)).await?;
        tx.commit().await?;
        Ok((registered.client, made))
    }

    /// Gives a confidential client another secret; the old one is of no use from now on. If one was made, it is in the
    /// answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_client_secret(
        &self,
        id: &str,
        secret: Option<SecretText>,
        by: By<'_>,
    ) -> Result<Option<SecretText>, ClientError> {
        let mut errors = Vec::new();
        check_secret(secret.as_ref(), &mut errors);
        if !errors.is_empty() {
            return Err(ClientError::Invalid(errors));
        }
        let client = self.client(id).await?;
        if client.client_type == ClientType::Public {
            return Err(ClientError::Public);
        }
        let (made, hash) = self.client_secret(secret).await?;
        let mut tx = self.begin_by(by, Admin::NAME).await?;
        if !tx.set_client_secret(&client.id, &hash).await? {
            return Err(ClientError::NotFound);
        }
        tx.record(Entry::new(Event::ClientSecretRotated, &by.actor()).client(&client.id)).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Removes a client. Its sessions end, and its own tokens are good for nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_client(&self, id: &str, by: By<'_>) -> Result<(), ClientError> {
        let id = ClientId::parse(id).ok_or(ClientError::NotFound)?;
        let (mut tx, actor) = (self.begin_by(by, Admin::NAME).await?, by.actor());
        let client = tx.client_to_change(&id).await?.ok_or(ClientError::NotFound)?.client;
        tx.end(Sessions::OfClient(&id), EndReason::Client, &actor).await?;
        if let Ok(subject) = Subject::client(id.as_str())
            && client.may(GrantType::ClientCredentials)
        {
            let now = self.now();
            // The server that issued its tokens may have another lifetime than this process, which may be a command.
            let longest =
                client.lifetimes.access_token.map_or(LONGEST_ACCESS_TOKEN, |own| TimeDelta::seconds(own.into()));
            let last = now + longest.min(LONGEST_ACCESS_TOKEN);
            tx.revoke(vec![NewRevocation::subject(subject.as_str(), now, last)]).await?;
        }
        tx.delete_client(&id).await?;
        tx.record(Entry::new(Event::ClientRemoved, &actor).client(&id)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The secret to show, if it was made here, and what is stored of it.
    async fn client_secret(&self, given: Option<SecretText>) -> Result<(Option<SecretText>, String), ClientError> {
        let Some(given) = given else {
            let made = client_secret::from_random(self.ids().random());
            let hash = client_secret::fast_hash(&made);
            return Ok((Some(made), hash));
        };
        let password = Password::new(given.expose()).map_err(|error| ClientError::Hash(error.into()))?;
        let hash = self.0.passwords.hash(&password).await.map_err(|error| match error {
            NewPasswordError::Busy(busy) => ClientError::Busy(busy),
            other @ (NewPasswordError::Refused(_) | NewPasswordError::Hash(_) | NewPasswordError::Unreadable(_)) => {
                ClientError::Hash(other)
            }
        })?;
        Ok((None, hash.as_str().to_owned()))
    }

    fn check_new_client(&self, new: &NewClient) -> Result<ClientId, ClientError> {
        let mut errors = Vec::new();
        let id = ClientId::parse(&new.id);
        if id.is_none() {
            let message = "A client id has 1 to 64 letters, digits and . _ ~ -";
            errors.push(FieldError::new("client_id", "invalid_client_id", message));
        }
        if new.id == FIRST_PARTY_CLIENT_ID {
            errors.push(FieldError::new("client_id", "reserved", "`mapae` is this service's own client."));
        }
        if new.client_type == ClientType::Public && new.grants.contains(&GrantType::ClientCredentials) {
            let message = "A public client cannot use client_credentials: it has nothing to prove itself with.";
            errors.push(FieldError::new("grants", "needs_secret", message));
        }
        if new.client_type == ClientType::Public && new.secret.is_some() {
            errors.push(FieldError::new("secret", "public", "A public client has no secret."));
        }
        check_secret(new.secret.as_ref(), &mut errors);
        if let Err(error) = self.settings().scopes.check(&new.scopes) {
            errors.push(FieldError::new("scope", "unknown_scope", error.to_string()));
        }
        let good = |one: &String| {
            (1..=MAX_AUDIENCE_BYTES).contains(&one.len())
                && !one.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if new.audiences.len() > MAX_AUDIENCES || !new.audiences.iter().all(good) {
            let message = format!("At most {MAX_AUDIENCES} audiences, none empty, too long or with blanks.");
            errors.push(FieldError::new("audiences", "invalid_audience", message));
        }
        let Lifetimes { access_token, session_idle, session } = new.lifetimes;
        if [access_token, session_idle, session].contains(&Some(0)) {
            errors.push(FieldError::new("lifetimes", "too_short", "A lifetime is at least a second."));
        }
        match id {
            Some(id) if errors.is_empty() => Ok(id),
            _ => Err(ClientError::Invalid(errors)),
        }
    }
}

fn check_secret(secret: Option<&SecretText>, errors: &mut Vec<FieldError>) {
    if secret.is_some_and(|secret| !client_secret::is_acceptable(secret)) {
        let message = format!("A secret has {MIN_CHARS} to {MAX_CHARS} printable ASCII characters.");
        errors.push(FieldError::new("secret", "invalid_secret", message));
    }
}
