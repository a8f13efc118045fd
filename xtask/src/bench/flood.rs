//! What a flood of sign-ins does to everybody else, and to the memory.

use anyhow::Result;

use super::load::{self, Probe};
use super::opponents::FastApi;
use super::plan::{On, Plan};
use super::proc;
use super::report::{Row, Series, Unit, Wanted};
use super::servers::{Cost, Mapae, Server};

/// Who sign in.
const USERS: u32 = 256;
/// Connections that sign users in, one after the other.
const FLOOD: u32 = 64;
/// Requests for `/users/me` per second beside them: enough to find the hundredth part, too few to be a load.
const RATE: u32 = 500;

/// The servers have their one core, so the pool of ours is one thread wide.
pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, seconds) = plan.pick((5, 5), (2, 2));
    let directory = plan.directory()?;
    let mapae = Mapae::new(plan, directory.path().join("mapae"), Cost::USUAL)?;
    let server = mapae.serve(On::ServerCore)?;
    mapae.import(USERS, &Cost::USUAL.hash(plan)?)?;
    let fastapi = FastApi::start(plan, &directory.path().join("fastapi"), On::ServerCore, 1, USERS)?;

    let (mut idle, mut flooded, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut sign_ins = 0;
    let base = proc::idle(server.process.id())?;
    for round in 0..rounds {
        idle.push(probe(plan, &server, "/users/me", 0, seconds)?.p99_ms);
        let measured = probe(plan, &server, "/users/me", FLOOD, seconds)?;
        flooded.push(measured.p99_ms);
        sign_ins += measured.sign_ins;
        // It takes long to answer what was begun; quickly once is enough to see that.
        if round == 0 || !plan.quick {
            theirs.push(probe(plan, fastapi.server(), "/users/me/", FLOOD, seconds)?.p99_ms);
        }
    }
    let peak = proc::peak(server.process.id())?;
    let their_peak = proc::peak(fastapi.server().process.id())?;

    let what = "`GET /users/me`, p99 while 64 connections sign users in";
    let note = format!(
        "{sign_ins} sign-ins at m=64 MiB t=3 p=4 were answered beside {RATE} requests/s, none refused. FastAPI's \
         requests that were still waiting at the end count as long as they had waited by then, so its figure depends on \
         how long is measured."
    );
    let allowed = base + f64::from(Cost::USUAL.memory_kib) / 1024.0;
    let memory = format!("FastAPI's worker: {their_peak:.0} MiB.");
    Ok(vec![
        Row::new("flood-p99", what, "its own p99 when idle", Unit::Milliseconds, Wanted::Value(4.0))
            .measured(Series(flooded.clone()), Series(idle))
            .noted(Some(note)),
        Row::new("flood-p99-fastapi", what, "FastAPI's tutorial, one worker", Unit::Milliseconds, Wanted::Shown)
            .measured(Series(flooded), Series(theirs)),
        Row::new(
            "flood-memory",
            "peak memory in that flood",
            "memory when idle + cores that hash × 64 MiB",
            Unit::Mebibytes,
            Wanted::Ratio(1.1),
        )
        .measured(Series(vec![peak]), Series(vec![allowed]))
        .noted(Some(memory)),
    ])
}

fn probe(plan: &Plan, server: &Server, path: &str, flood: u32, seconds: u32) -> Result<Probe> {
    let [users, flood, seconds, rate] = [USERS, flood, seconds, RATE].map(|number| number.to_string());
    let flood = ["--users", &users, "--connections", &flood, "--seconds", &seconds];
    load::run(plan, &[&["probe", &server.origin, "--rate", &rate, "--path", path][..], &flood].concat())
}
