//! Load: one request from many connections, on several servers in turns; sign-ins of many users, refreshes one after the
//! other, sign-ups, and a steady rate of requests beside a flood. Prints one line of JSON.

mod closed;
mod latency;
mod probe;
mod session;
mod turns;

use std::error::Error;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Users sign in, as fast as they are let
    SignIn(Closed),
    /// Each connection signs in once and then refreshes, as fast as it is answered
    Refresh(Closed),
    /// New users sign up, as fast as they are let
    SignUp(Closed),
    /// `GET /users/me` at a steady rate, while other connections sign users in
    Probe {
        #[command(flatten)]
        flood: Closed,
        /// Requests per second
        #[arg(long)]
        rate: u32,
        /// The path that is asked for
        #[arg(long)]
        path: String,
    },
    /// One user after the other signs in and asks for `/users/me`
    Latency {
        #[command(flatten)]
        users: Users,
        /// How many do
        #[arg(long)]
        count: u32,
        /// The number of the first among all that this run has seen
        #[arg(long)]
        from: u32,
    },
    /// One request again and again, on several servers in turns of 50 ms
    Turns(Turns),
}

/// What is loaded in turns.
#[derive(Args)]
struct Turns {
    /// How many at once
    #[arg(long)]
    connections: u32,
    /// How many turns each has
    #[arg(long)]
    turns: u32,
    /// A URL and its bearer token, or `@` and a file with a token for each request; and so on
    #[arg(num_args = 2.., required = true)]
    lanes: Vec<String>,
}

/// Whom the server knows: `user0`, `user1` and so on.
#[derive(Args)]
struct Users {
    /// Where the server is, such as `http://127.0.0.1:8080`
    origin: String,
    /// How many it knows
    #[arg(long)]
    users: u32,
}

/// Load from connections that each wait for their answer.
#[derive(Args)]
struct Closed {
    #[command(flatten)]
    users: Users,
    /// How many at once
    #[arg(long)]
    connections: u32,
    /// For how long it is measured
    #[arg(long)]
    seconds: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let measured = match Cli::parse().load {
        Load::SignIn(load) => closed::sign_in(&load)?,
        Load::Refresh(load) => closed::refresh(&load)?,
        Load::SignUp(load) => closed::sign_up(&load)?,
        Load::Probe { flood, rate, path } => probe::run(&flood, rate, &path)?,
        Load::Latency { users, count, from } => latency::run(&users, count, from)?,
        Load::Turns(load) => turns::run(&load)?,
    };
    println!("{measured}");
    Ok(())
}
