//! The binary as a process, with an environment of its own and a directory of its own.

mod clients;
mod clients_and_sessions;
mod commands;
mod config;
mod config_passwords;
mod config_refused;
mod config_secrets;
mod database;
mod first_start;
mod help;
mod inspect;
mod kill;
mod nginx;
mod password_hashes;
mod programs;
mod recipes;
mod running;
mod server;
mod shared_real;
mod shared_settings;
mod support;
mod together;
mod transfer;
mod transfer_keycloak;
mod transfer_supabase;
mod walks;
