//! The nouns of the service and the rules about them. No I/O, no clock, no randomness of its own.

pub mod audit;
pub mod base_url;
pub mod client;
pub mod client_secret;
pub mod delegation;
pub mod device_token;
pub mod email;
pub mod ids;
pub mod personal_token;
pub mod refresh_token;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signing_key;
pub mod source;
pub mod throttle;
pub mod ticket;
pub mod user;
pub mod user_mapping;
pub mod user_name;

pub use base_url::BaseUrl;
pub use client::{Client, ClientId, ClientType, GrantType, Lifetimes};
pub use delegation::{Delegation, MintedKind, WantedKind};
pub use email::EmailAddress;
pub use ids::{Rng, SystemRng};
pub use mapae_verify::{AnyOf, DeclaredKind, DeclaredScope, ScopeSet, SubjectSet, UserSubject};
pub use personal_token::{PersonalToken, PersonalTokenHash};
pub use scope::ScopeCatalogue;
pub use secret::{MasterKey, SecretText};
pub use session::{Device, EndReason, Presented, RefreshState, Session};
pub use signing_key::{KeyState, SigningKeyRecord};
pub use source::{RequestId, Sender, Source};
pub use ticket::{Ticket, TicketHash, TicketRecord};
pub use user::{User, UserId};
pub use user_mapping::UserMapping;
pub use user_name::UserName;
