//! Sign-ins per second: nothing but the hash should count.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::load;
use super::opponents::FastApi;
use super::plan::{On, Plan};
use super::report::{Row, Series, Unit, Wanted};
use super::servers::{Cost, Mapae};

/// Who sign in.
const USERS: u32 = 64;
/// At once.
const CONNECTIONS: u32 = 16;
/// So little memory that the cores do not meet on the way to it.
const SMALL: Cost = Cost { memory_kib: 256, ..Cost::USUAL };

/// All sign-ins are from connections on the core for the load, which have little to do; the server has all cores. Turns
/// are short, since a machine that is shared is slower for seconds at a time, by up to a half.
pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    const SECONDS: u32 = 2;
    let rounds = plan.pick(25, 3);
    let cores = u32::try_from(std::thread::available_parallelism()?.get())?;
    let directory = plan.directory()?;
    let mapae = Mapae::new(plan, directory.path().join("mapae"), Cost::USUAL)?;
    let server = mapae.serve(On::AllCores)?;
    mapae.import(USERS, &Cost::USUAL.hash(plan)?)?;
    let fastapi = FastApi::start(plan, &directory.path().join("fastapi"), On::AllCores, cores, USERS)?;

    let (mut ours, mut bare, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut at_once, mut small_at_once) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for turn in 0..3 {
            let rate = |origin| load::rate(plan, "sign-in", origin, USERS, CONNECTIONS, SECONDS);
            match (turn + round) % 3 {
                0 => ours.push(rate(&server.origin)?.per_second),
                1 => {
                    bare.push(f64::from(cores) * hashes(plan, Cost::USUAL, 1)?);
                    at_once.push(hashes(plan, Cost::USUAL, cores)?);
                    small_at_once.push(hashes(plan, SMALL, cores)? / (f64::from(cores) * hashes(plan, SMALL, 1)?));
                }
                _ => theirs.push(rate(&fastapi.server().origin)?.per_second),
            }
        }
    }

    let [ours, bare, theirs, at_once, small_at_once] = [ours, bare, theirs, at_once, small_at_once].map(Series);
    let note = format!(
        "All cores at once do {:.3} of cores ÷ time of one hash, and {:.3} of a hash of {} KiB, for which a core's own cache \
         is enough.",
        at_once.over(&bare).median(),
        small_at_once.median(),
        SMALL.memory_kib,
    );
    let what = "sign-ins/s, Argon2id m=64 MiB t=3 p=4, 16 at once, all cores";
    let row = |name, against, wanted, theirs| {
        Row::new(name, what, against, Unit::PerSecond, wanted).measured(ours.clone(), theirs)
    };
    Ok(vec![
        row("logins-hash", "cores ÷ time of one hash with reused memory", Wanted::Ratio(0.95), bare).noted(Some(note)),
        row("logins-hash-at-once", "the same hash on all cores at once, nothing around it", Wanted::Shown, at_once),
        row("logins-fastapi", "FastAPI's tutorial, one worker per core", Wanted::Ratio(1.7), theirs),
    ])
}

/// The hashes per second of so many threads at once.
fn hashes(plan: &Plan, cost: Cost, threads: u32) -> Result<f64> {
    const SECONDS: &str = "0.5";
    let mut command = Command::new(plan.program("bench-hash"));
    command.args(cost.arguments()).args([&threads.to_string(), SECONDS]);
    let output = command.output().context("bench-hash")?;
    ensure!(output.status.success(), "bench-hash failed ({})", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
