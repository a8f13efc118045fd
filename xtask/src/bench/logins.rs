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

/// All sign-ins are from connections on the core for the load, which have little to do; the server has all cores.
pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, seconds) = plan.pick((5, 8), (2, 3));
    let cores = u32::try_from(std::thread::available_parallelism()?.get())?;
    let directory = plan.directory()?;
    let mapae = Mapae::new(plan, directory.path().join("mapae"), Cost::USUAL)?;
    let server = mapae.serve(On::AllCores)?;
    mapae.import(USERS, &Cost::USUAL.hash(plan)?)?;
    let fastapi = FastApi::start(plan, &directory.path().join("fastapi"), On::AllCores, cores, USERS)?;

    let (mut ours, mut bare, mut together, mut theirs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        for turn in 0..3 {
            let rate = |origin| load::rate(plan, "sign-in", origin, USERS, CONNECTIONS, seconds);
            match (turn + round) % 3 {
                0 => ours.push(rate(&server.origin)?.per_second),
                1 => {
                    bare.push(f64::from(cores) / hash(plan, 1, seconds.div_ceil(4))?);
                    together.push(f64::from(cores) / hash(plan, cores, seconds.div_ceil(4))?);
                }
                _ => theirs.push(rate(&fastapi.server().origin)?.per_second),
            }
        }
    }

    let what = "sign-ins/s, Argon2id m=64 MiB t=3 p=4, 16 at once, all cores";
    let note = format!(
        "With every core hashing at once, the bare hash does {:.1}/s: the cores share the way to the memory.",
        Series(together).median()
    );
    let row = |name, against, wanted| Row::new(name, what, against, Unit::PerSecond, Wanted::Ratio(wanted));
    Ok(vec![
        row("logins-hash", "cores ÷ time of one hash with reused memory", 0.95)
            .measured(Series(ours.clone()), Series(bare))
            .noted(Some(note)),
        row("logins-fastapi", "FastAPI's tutorial, one worker per core", 1.7).measured(Series(ours), Series(theirs)),
    ])
}

/// The seconds of one hash, on so many threads at once.
fn hash(plan: &Plan, threads: u32, seconds: u32) -> Result<f64> {
    let mut command = Command::new(plan.program("bench-hash"));
    command.args(Cost::USUAL.arguments()).args([threads.to_string(), seconds.to_string()]);
    let output = command.output().context("bench-hash")?;
    ensure!(output.status.success(), "bench-hash failed ({})", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
