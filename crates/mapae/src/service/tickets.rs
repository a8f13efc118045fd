//! Single-use tickets, which stand for the access token that asked for them.

use std::sync::Arc;

use mapae_verify::{Claims, RegisteredView, Scopes, VerifiedToken};

use super::{AuthenticateError, CredentialError, PoolBusy, Principal, Service};
use crate::domain::audit::{Actor, Entry, Event, Who};
use crate::domain::ticket::{LIFETIME, TicketRefused};
use crate::domain::{Source, Ticket, TicketRecord, UserId};
use crate::store::StoreError;

/// A new ticket.
#[derive(Clone, Debug)]
pub struct TicketResponse {
    /// The ticket itself.
    pub ticket: Ticket,
    /// How long it is good, in seconds.
    pub expires_in: u64,
    /// The scopes that it stands for.
    pub scope: Scopes,
}

/// Why a ticket does not speak for an active account.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The ticket itself is not good.
    #[error(transparent)]
    Refused(#[from] TicketRefused),
    /// There were too many wrong ones from there.
    #[error("too many failed attempts")]
    Throttled {
        /// Seconds until the next attempt.
        retry_after: u32,
    },
    /// The token that it stands for is not good any more.
    #[error(transparent)]
    Authenticate(#[from] AuthenticateError),
}

impl From<StoreError> for TicketError {
    fn from(error: StoreError) -> Self {
        Self::Authenticate(error.into())
    }
}

impl From<CredentialError> for TicketError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Throttled { retry_after } => Self::Throttled { retry_after },
            CredentialError::Store(error) => error.into(),
            // Of passwords alone.
            CredentialError::Refused | CredentialError::Busy(PoolBusy) => TicketRefused::Unknown.into(),
        }
    }
}

impl Service {
    /// Makes a ticket that stands for the principal's access token, with the requested scopes among those of the token,
    /// or all if none is requested. It ends with the token if that comes sooner.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn issue_ticket(&self, principal: &Principal, requested: &Scopes) -> Result<TicketResponse, StoreError> {
        let ticket = Ticket::from_random(self.ids().random());
        let mut claims = (*principal.claims).clone();
        if !requested.is_empty() {
            claims.scope = requested.intersection(&claims.scope);
        }
        let (now, lifetime) = (self.now(), LIFETIME.min(self.verifier().expires_in(&principal.token)));
        let scope = claims.scope.clone();
        let kid = principal.token.registered().kid.map(str::to_owned);
        let expires_at = now + lifetime;
        let record = TicketRecord { hash: ticket.hash(), claims, kid, created_at: now, expires_at, used_at: None };
        let mut tx = self.store().begin().await?;
        tx.insert_ticket(&record).await?;
        tx.commit().await?;
        Ok(TicketResponse { ticket, expires_in: lifetime.as_secs(), scope })
    }

    /// Uses up a ticket that was shown from there; whoever it speaks for.
    ///
    /// # Errors
    /// [`TicketError`] says why it does not count.
    pub async fn redeem_ticket(&self, ticket: &str, source: Source) -> Result<Principal, TicketError> {
        // Whoever shows nonsense does not get as far as the one writer.
        let record = match Ticket::parse(ticket) {
            Some(ticket) => self.store().ticket(ticket.hash()).await?,
            None => None,
        };
        let Some(record) = record else {
            self.wrong_secret(source).await?;
            return Err(TicketRefused::Unknown.into());
        };
        if let Err(refused) = record.check(self.now()) {
            if refused == TicketRefused::Used {
                self.note_reused_ticket(&record, source).await?;
            }
            return Err(refused.into());
        }
        let mut tx = self.store().begin().await?;
        if !tx.use_ticket(&record.hash).await? {
            drop(tx);
            self.note_reused_ticket(&record, source).await?;
            return Err(TicketRefused::Used.into());
        }
        tx.commit().await?;
        Ok(self.authenticate_again(vouched(record)).await?)
    }

    /// A ticket stands in an address, so somebody may have found it in a log.
    async fn note_reused_ticket(&self, record: &TicketRecord, source: Source) -> Result<(), CredentialError> {
        self.wrong_secret(source).await?;
        let claims = &record.claims;
        let entry = Entry::new(Event::TicketReused, &Actor::new(Who::Anonymous, source));
        let entry = entry.maybe_user(claims.sub.as_user().and_then(UserId::new).as_ref());
        self.note(match &claims.sid {
            Some(sid) => entry.session(sid, &claims.client_id),
            None => entry,
        })
        .await;
        Ok(())
    }
}

/// The token that the ticket stands for: it was verified when it asked for the ticket.
fn vouched(record: TicketRecord) -> VerifiedToken<Claims> {
    let claims = Arc::new(record.claims);
    let registered = RegisteredView {
        kid: record.kid.as_deref(),
        iss: Some(&claims.iss),
        sub: Some(claims.sub.as_str()),
        exp: claims.exp,
        iat: Some(claims.iat),
        jti: Some(&claims.jti),
        client_id: Some(&claims.client_id),
        sid: claims.sid.as_deref(),
    };
    VerifiedToken::vouched(Arc::clone(&claims), &registered)
}
