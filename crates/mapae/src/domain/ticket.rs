//! Tickets: what stands for an access token, once, where no header can be sent: a browser's `WebSocket` and `EventSource`.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use mapae_verify::Claims;

use super::SecretText;

/// What every ticket begins with.
pub const PREFIX: &str = "mt_";
/// How long a ticket is good.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// Random bytes of a ticket: nobody can guess them, so a plain hash keeps them.
const BYTES: usize = 32;

/// A ticket as its holder has it.
#[derive(Clone, Debug)]
pub struct Ticket(SecretText);

impl Ticket {
    /// A new ticket, from random bytes.
    pub fn from_random(bytes: [u8; BYTES]) -> Self {
        Self(SecretText::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(bytes))))
    }

    /// Reads what somebody shows; `None` if it can't be a ticket.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text.strip_prefix(PREFIX)?).ok()?;
        (bytes.len() == BYTES).then(|| Self(SecretText::new(text.to_owned())))
    }

    /// The plain text, for the one answer that holds it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored of it.
    pub fn hash(&self) -> TicketHash {
        TicketHash(URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, self.expose().as_bytes())))
    }
}

/// What is stored of a ticket: its SHA-256, which finds it and is of no use to anybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketHash(String);

impl TicketHash {
    /// Base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A ticket as the database has it.
#[derive(Clone, Debug)]
pub struct TicketRecord {
    /// By which it is found.
    pub hash: TicketHash,
    /// The claims of the access token that asked for it, with the scopes that it stands for.
    pub claims: Claims,
    /// The key that had signed the token.
    pub kid: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends unused.
    pub expires_at: DateTime<Utc>,
    /// When it was used, if it was.
    pub used_at: Option<DateTime<Utc>>,
}

/// Why a ticket is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefused {
    /// Nobody was given it, or that was long ago.
    #[error("there is no such ticket")]
    Unknown,
    /// It has served.
    #[error("this ticket was used already")]
    Used,
    /// It was not used in time.
    #[error("this ticket has expired")]
    Expired,
}

impl TicketRecord {
    /// Whether it can be used at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), TicketRefused> {
        match self.used_at {
            Some(_) => Err(TicketRefused::Used),
            None if now >= self.expires_at => Err(TicketRefused::Expired),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_have_been_made_here_is_read() {
        let ticket = Ticket::from_random([251; BYTES]);
        let text = ticket.expose().to_owned();
        assert_eq!(text.len(), 46);
        assert_eq!(Ticket::parse(&text).unwrap().hash(), ticket.hash());
        assert_ne!(Ticket::from_random([252; BYTES]).hash(), ticket.hash());
        let inner = &text[PREFIX.len()..];
        for wrong in [
            "",
            PREFIX,
            inner,
            &text[..45],
            &format!("{text}A"),
            &format!("{text}="),
            &text.to_uppercase(),
            &text.replace('-', "+"),
            &format!(" {text}"),
            &format!("mr_{inner}"),
            &"mt_열".repeat(9),
        ] {
            assert!(Ticket::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn neither_debug_nor_what_is_stored_shows_it() {
        let ticket = Ticket::from_random([7; BYTES]);
        let inner = &ticket.expose()[PREFIX.len()..];
        let shown = format!("{ticket:?} {:?}", ticket.hash());
        assert!(!shown.contains(inner) && shown.contains(ticket.hash().as_str()), "{shown}");
    }
}
