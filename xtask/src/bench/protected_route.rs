//! What protecting a route costs: `GET /users/me` against routes that ask for no token, and against FastAPI.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::http::{self, Answer};
use super::opponents::{self, FastApi};
use super::plan::{On, Plan};
use super::report::{Row, Unit, Wanted};
use super::servers::{Cost, Mapae, Server, embedded, secret_key};
use super::wrk::Lane;

const ALGORITHMS: [&str; 4] = ["HS256", "ES256", "EdDSA", "RS256"];
/// More than a server on one core answers in a second.
const MOST_PER_SECOND: u32 = 200_000;

/// The servers of one algorithm, and what is loaded of them.
struct Ours {
    algorithm: &'static str,
    /// `/users/me` of the server itself.
    server: Lane,
    /// `/users/me` and `/open` of the library in an application.
    protected: Lane,
    open: Lane,
    answer: Answer,
    _running: (Server, Server),
}

/// Every token known already.
pub(crate) fn warm(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, seconds) = plan.pick((15, 1), (2, 1));
    let directory = plan.directory()?;
    let mut ours = Vec::new();
    for algorithm in ALGORITHMS {
        ours.push(Ours::start(plan, &directory.path().join(algorithm), algorithm)?);
    }
    let first = ours.first().context("there are algorithms")?;
    let bare = opponents::bare(plan, &directory.path().join("bare"), &first.answer)?;
    let mut bare_lane = Lane::new(bare.url("/users/me"), bare.process.id(), "none");
    ensure!(http::fetch(&bare_lane.url, "none")? == first.answer, "the bare server answers differently");
    let fastapi = FastApi::start(plan, &directory.path().join("fastapi"), On::ServerCore, 1, 1)?;
    let token = http::sign_in(&fastapi.server().origin, "user0")?;
    let mut fastapi_lane = Lane::new(fastapi.server().url("/users/me/"), fastapi.server().process.id(), &token);

    let mut lanes: Vec<&mut Lane> = Vec::new();
    for one in &mut ours {
        lanes.extend([&mut one.server, &mut one.protected, &mut one.open]);
    }
    lanes.extend([&mut bare_lane, &mut fastapi_lane]);
    take_turns(plan, rounds, &mut lanes, |lane| lane.load(plan, seconds))?;

    let bytes = ours.first().map_or(0, |one| one.answer.body.len());
    Ok(ours.iter().flat_map(|one| one.rows(&bare_lane, &fastapi_lane, bytes)).collect())
}

/// Every token new.
pub(crate) fn new_tokens(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, seconds) = plan.pick((13, 2), (3, 1));
    let directory = plan.directory()?;
    let secret = secret_key(plan)?;
    let (server, mut protected, mut open) = application(plan, directory.path(), "HS256", Some(&secret))?;
    let tokens = directory.path().join("tokens");
    let token = protected.token.clone();
    let mut next = 0;
    take_turns(plan, rounds, &mut [&mut protected, &mut open], |lane| {
        mint(plan, &secret, &token, (next, seconds * MOST_PER_SECOND), &tokens)?;
        next += seconds * MOST_PER_SECOND;
        lane.load_with(plan, seconds, &tokens)
    })?;
    drop(server);
    let row = Row::new(
        "users-me-new-tokens-open",
        "`GET /users/me`, HS256, every token new",
        "an unprotected route of the same server with the same bytes, sent the same tokens",
        Unit::PerSecond,
        Wanted::Ratio(0.85),
    );
    let note = protected.held_up().or(open.held_up());
    Ok(vec![row.measured(protected.rates(), open.rates()).noted(note)])
}

impl Ours {
    fn start(plan: &Plan, directory: &Path, algorithm: &'static str) -> Result<Self> {
        let secret = match algorithm {
            "HS256" => Some(secret_key(plan)?),
            _ => None,
        };
        let mut mapae = Mapae::new(plan, directory.join("server"), Cost::LEAST)?.with("ALGORITHM", algorithm);
        if let Some(secret) = &secret {
            mapae = mapae.with("SECRET_KEY", secret);
        }
        let running = mapae.serve(On::ServerCore)?;
        let token = http::sign_up(&running.origin)?;
        let server = Lane::new(running.url("/users/me"), running.process.id(), &token);
        let answer = http::fetch(&server.url, &token)?;
        let (application, protected, open) =
            application(plan, &directory.join("embedded"), algorithm, secret.as_deref())?;
        Ok(Self { algorithm, server, protected, open, answer, _running: (running, application) })
    }

    fn rows(&self, bare: &Lane, fastapi: &Lane, bytes: usize) -> [Row; 3] {
        let algorithm = self.algorithm.to_lowercase();
        let what = format!("`GET /users/me`, {}, warm", self.algorithm);
        let row = |opponent: &str, against: &str, wanted: f64, ours: &Lane, theirs: &Lane| {
            let name = format!("users-me-{algorithm}-{opponent}");
            let row = Row::new(&name, &what, against, Unit::PerSecond, Wanted::Ratio(wanted));
            row.measured(ours.rates(), theirs.rates()).noted(ours.held_up().or(theirs.held_up()))
        };
        let same_bytes = format!("a bare axum server with the same {bytes} bytes");
        [
            row(
                "open",
                "an unprotected route of the same server with the same bytes",
                0.92,
                &self.protected,
                &self.open,
            ),
            row("bare", &same_bytes, 0.75, &self.server, bare),
            row("fastapi", "FastAPI's tutorial, one worker", 15.0, &self.server, fastapi),
        ]
    }
}

/// The library in an application with an account, and its two routes, which answer the same.
fn application(plan: &Plan, directory: &Path, algorithm: &str, secret: Option<&str>) -> Result<(Server, Lane, Lane)> {
    let server = embedded(plan, directory, algorithm, secret)?;
    let token = http::sign_up(&server.origin)?;
    let protected = Lane::new(server.url("/users/me"), server.process.id(), &token);
    let open = Lane::new(server.url("/open"), server.process.id(), &token);
    let answer = http::fetch(&protected.url, &token)?;
    std::fs::write(directory.join("answer"), &answer.body)?;
    ensure!(http::fetch(&open.url, &token)? == answer, "the unprotected route answers differently");
    Ok((server, protected, open))
}

/// Loads all in turns, after one round that does not count, each time from another on, so that a drift of the machine
/// hits all alike.
fn take_turns(
    plan: &Plan,
    rounds: usize,
    lanes: &mut [&mut Lane],
    mut load: impl FnMut(&mut Lane) -> Result<()>,
) -> Result<()> {
    let warm_up = usize::from(!plan.quick);
    for round in 0..rounds + warm_up {
        if round == warm_up {
            lanes.iter_mut().for_each(|lane| lane.samples.clear());
        }
        let count = lanes.len();
        for turn in 0..count {
            load(lanes[(turn + round) % count])?;
        }
    }
    Ok(())
}

/// Tokens that differ from `token`, and from all before, in their `jti`: so many from a number on.
fn mint(plan: &Plan, secret: &str, token: &str, (from, count): (u32, u32), file: &Path) -> Result<()> {
    use std::io::Write as _;

    let mut command = Command::new(plan.program("bench-mint"));
    command.args([from.to_string(), count.to_string()]).arg(file).env("SECRET_KEY", secret).stdin(Stdio::piped());
    let mut child = command.spawn().context("bench-mint")?;
    child.stdin.take().context("bench-mint reads nothing")?.write_all(token.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "bench-mint failed ({status})");
    Ok(())
}
