//! The `mapae` binary.

mod cli;
mod commands;
mod config;
mod data_dir;
mod key_file;
mod listener;
mod metrics;
mod service;
mod start_lock;
mod telemetry;
mod traces;

use std::process::ExitCode;

fn main() -> ExitCode {
    telemetry::hide_panics();
    let cli = match cli::Cli::from_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(status) => return status.into(),
    };
    match commands::run(cli, std::env::vars_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report().into(),
    }
}
