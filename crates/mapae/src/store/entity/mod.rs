//! The tables, as SeaORM entities. Named only under `store/`.

#![expect(unreachable_pub, reason = "the derive of the ORM makes public items")]

pub(super) mod audit;
pub(super) mod client;
pub(super) mod data_key;
pub(super) mod invalidation;
pub(super) mod revocation;
pub(super) mod session;
pub(super) mod shared_account;
pub(super) mod signing_key;
pub(super) mod throttle;
pub(super) mod ticket;
pub(super) mod user;
