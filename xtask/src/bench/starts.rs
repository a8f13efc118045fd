//! Starting, and what the server takes when it does nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::plan::{On, Plan};
use super::proc;
use super::report::{Row, Series, Unit, Wanted};
use super::servers::{Cost, Mapae};
use crate::process::{Background, Stopwatch, run};

/// Longest time until the first answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rauthy is not run here: its figures were taken on another machine.
const ELSEWHERE: &str = "measured elsewhere, not in this run";

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, left_alone) = plan.pick((15, 3), (5, 1));
    let directory = plan.directory()?;
    let (mut first, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let mapae = Mapae::new(plan, directory.path().join(round.to_string()), Cost::DEFAULT)?;
        let (took, process) = start(&mapae)?;
        first.push(took);
        process.interrupt(PATIENCE);
        let (took, process) = start(&mapae)?;
        again.push(took);
        if round < left_alone {
            memory.push(proc::idle(process.id())?);
        }
        process.interrupt(PATIENCE);
    }

    let stripped = directory.path().join("stripped");
    run(Command::new("strip").arg(plan.program("mapae")).arg("-o").arg(&stripped))?;
    let size = std::fs::metadata(&stripped)?.len() as f64 / f64::from(1 << 20);

    let row = |name, what, rauthy: &str, unit, bound, ours| {
        let against = format!("Rauthy: {rauthy}, {ELSEWHERE}");
        Row::new(name, what, &against, unit, Wanted::Value(bound)).measured(Series(ours), Series::default())
    };
    Ok(vec![
        row("start-empty", "start to first answer, empty directory", "6.7 s", Unit::Milliseconds, 150.0, first),
        row("start-again", "start to first answer, existing database", "45 ms", Unit::Milliseconds, 40.0, again),
        row("memory-idle", "memory when idle", "57 MB", Unit::Mebibytes, 25.0, memory),
        row("binary-size", "binary, stripped", "79 MB", Unit::Mebibytes, 30.0, vec![size]),
    ])
}

/// Starts it; the milliseconds until `/health/ready` answered 200.
fn start(mapae: &Mapae<'_>) -> Result<(f64, Background)> {
    let mut command = mapae.command(On::AllCores);
    command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let stopwatch = Stopwatch::start();
    let mut process = Background::start("mapae", &mut command)?;
    while !is_ready(mapae.address) {
        process.check_running()?;
        ensure!(stopwatch.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok((stopwatch.elapsed().as_secs_f64() * 1000.0, process))
}

/// Asks once, over a connection of its own: nothing of the client is in the time.
fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 ")
}
