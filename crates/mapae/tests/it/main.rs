//! Tests over real HTTP, against the service on a real database.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admin_change;
mod admin_list;
mod authorization_header;
mod bad_input;
mod browser;
mod caches;
mod captured_log;
mod clock_back;
mod defaults;
mod docs;
mod forge;
mod held_requests;
mod hooks;
mod key_removal;
mod keys;
mod log_bounds;
mod logs;
mod mounted;
mod openapi;
mod operate;
mod own_app;
mod own_table;
mod own_table_races;
mod own_table_stateless;
mod pages_in_browser;
mod password_rules;
mod peppers;
mod pool;
mod properties;
mod races;
mod refusal_floor;
mod renewal;
mod server;
mod shared_secret;
mod sign_in;
mod sign_up;
mod signatures_refused;
mod test_app;
mod token_form;
mod tokens_refused;
mod users;
