//! Whoever a bearer token speaks for: a person or a client. Most routes want a person
//! ([`authenticate`](super::Service::authenticate)); those that judge tokens for others take either.

use std::sync::Arc;

use mapae_verify::{Claims, Scopes};
use uuid::Uuid;

use super::{AuthenticateError, Principal, Service};
use crate::domain::{ClientId, GrantType};
use crate::store::RegisteredClient;

/// Whoever a good token speaks for.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A person.
    User(Principal),
    /// A client, for itself.
    Client {
        /// The client.
        client: Arc<RegisteredClient>,
        /// The token's claims.
        claims: Arc<Claims>,
    },
}

impl Bearer {
    /// The token's claims.
    pub fn claims(&self) -> &Claims {
        match self {
            Self::User(principal) => &principal.claims,
            Self::Client { claims, .. } => claims,
        }
    }

    /// What the token carries and its holder still has.
    pub fn scope(&self) -> Scopes {
        match self {
            Self::User(principal) => principal.claims.scope.intersection(&principal.user.scopes),
            Self::Client { client, claims } => claims.scope.intersection(&client.client.scopes),
        }
    }
}

impl Service {
    /// Checks a token of a person or of a client.
    ///
    /// # Errors
    /// [`AuthenticateError`] says why it does not count.
    pub async fn authenticate_bearer(&self, token: &str) -> Result<Bearer, AuthenticateError> {
        let claims = self.0.verifier.verify(token)?;
        if claims.sub.as_user().is_some() {
            return Ok(Bearer::User(self.authenticate(token).await?));
        }
        self.still_bears(claims).await
    }

    /// The client that these verified claims name, if it may still speak for itself.
    pub(super) async fn still_bears(&self, claims: Arc<Claims>) -> Result<Bearer, AuthenticateError> {
        let id = claims.sub.as_client().and_then(ClientId::parse).ok_or(AuthenticateError::NotAUser)?;
        if self.store().is_token_revoked(&claims.jti).await? {
            return Err(AuthenticateError::Ended);
        }
        let client = self.store().cached_client(&id).await?.ok_or(AuthenticateError::Ended)?;
        // Another client may have been registered under the id of one that was removed.
        let same = issued_at_millis(&claims) >= client.client.created_at.timestamp_millis();
        if !same || !client.client.may(GrantType::ClientCredentials) {
            return Err(AuthenticateError::Ended);
        }
        Ok(Bearer::Client { client, claims })
    }
}

/// When a token of this service was issued, in milliseconds since 1970. `iat` knows the second alone; `jti` is a UUID
/// version 7, which begins with the time.
fn issued_at_millis(claims: &Claims) -> i64 {
    let timestamp = Uuid::parse_str(&claims.jti).ok().and_then(|jti| jti.get_timestamp());
    let millis = timestamp.and_then(|time| {
        let (seconds, nanos) = time.to_unix();
        i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))
    });
    millis.unwrap_or_else(|| claims.iat.saturating_mul(1_000))
}
