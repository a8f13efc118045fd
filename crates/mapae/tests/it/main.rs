//! Tests over real HTTP, against the service on a real database.

mod admin_change;
mod admin_list;
mod bad_input;
mod caches;
mod forge;
mod keys;
mod pool;
mod races;
mod server;
mod shared_secret;
mod sign_in;
mod sign_up;
mod token_form;
mod tokens_refused;
mod users;
