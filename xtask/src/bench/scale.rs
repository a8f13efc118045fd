//! Whether many accounts slow anything down.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::load::{self, Latency};
use super::plan::{On, Plan};
use super::report::{Row, Series, Unit, Wanted};
use super::servers::{Cost, Mapae, Server, secret_key};
use crate::postgres::{Cluster, Durability};

/// Accounts, with how they are written.
const SIZES: [(u32, &str); 3] = [(1_000, "10³"), (100_000, "10⁵"), (1_000_000, "10⁶")];

/// A server that knows so many users.
struct Sized {
    users: u32,
    shown: &'static str,
    server: Server,
    sign_in: Vec<f64>,
    me: Vec<f64>,
}

/// Users in no order, each of them once, who sign in and then ask for `/users/me`, at the least hash cost, so that the look-ups
/// are seen and no cache helps. Making a million accounts takes minutes.
pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let directory = plan.directory()?;
    let mut rows = measure(plan, "sqlite", "SQLite", |users| {
        Mapae::new(plan, directory.path().join(users.to_string()), Cost::LEAST)
    })?;
    let cluster = Cluster::start("The benchmark", Durability::Durable)?;
    rows.extend(measure(plan, "postgres", "PostgreSQL", |users| {
        on_postgres(plan, &cluster, &directory.path().join(format!("postgres{users}")), users)
    })?);
    Ok(rows)
}

fn on_postgres<'a>(plan: &'a Plan, cluster: &Cluster, directory: &Path, users: u32) -> Result<Mapae<'a>> {
    let database = cluster.database(&format!("users{users}"))?;
    let mapae = Mapae::new(plan, directory.to_owned(), Cost::LEAST)?;
    Ok(mapae.with("DATABASE_URL", database).with("MAPAE_MASTER_KEY", secret_key(plan)?))
}

fn measure<'a>(
    plan: &Plan,
    short: &str,
    engine: &str,
    mut make: impl FnMut(u32) -> Result<Mapae<'a>>,
) -> Result<Vec<Row>> {
    let (rounds, count) = (7, 140);
    let hash = Cost::LEAST.hash(plan)?;
    let mut sized = Vec::new();
    for (users, shown) in SIZES {
        let mapae = make(users)?;
        let server = mapae.serve(On::ServerCore)?;
        mapae.import(users, &hash)?;
        sized.push(Sized { users, shown, server, sign_in: Vec::new(), me: Vec::new() });
    }
    for round in 0..rounds {
        for turn in 0..sized.len() {
            let at = (turn + round as usize) % sized.len();
            sized[at].round(plan, count, round * count)?;
        }
    }
    let (small, larger) = sized.split_first().context("there are sizes")?;
    Ok(larger.iter().flat_map(|one| one.rows(small, short, engine)).collect())
}

impl Sized {
    fn round(&mut self, plan: &Plan, count: u32, from: u32) -> Result<()> {
        let [users, count, from] = [self.users, count, from].map(|number| number.to_string());
        let arguments = ["latency", &self.server.origin, "--users", &users, "--count", &count, "--from", &from];
        let measured: Latency = load::run(plan, &arguments)?;
        self.sign_in.push(measured.sign_in_ms);
        self.me.push(measured.me_ms);
        Ok(())
    }

    fn rows(&self, small: &Self, short: &str, engine: &str) -> [Row; 2] {
        let row = |kind: &str, what: &str, ours: &[f64], theirs: &[f64]| {
            let name = format!("{kind}-{short}-{}", self.users);
            let what = format!("{what} at {} accounts, on {engine}, median", self.shown);
            let against = format!("itself at {} accounts", small.shown);
            Row::new(&name, &what, &against, Unit::Milliseconds, Wanted::Ratio(1.25))
                .measured(Series(ours.to_vec()), Series(theirs.to_vec()))
        };
        [
            row("scale-sign-in", "sign-in", &self.sign_in, &small.sign_in),
            row("scale-me", "`GET /users/me` with a new token", &self.me, &small.me),
        ]
    }
}
