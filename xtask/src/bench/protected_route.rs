//! What protecting a route costs: `GET /users/me` against routes that ask for no token, and against FastAPI.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::http;
use super::lane::Lane;
use super::opponents::{self, FastApi};
use super::plan::{On, Plan};
use super::report::{Row, Unit, Wanted};
use super::servers::{Cost, Mapae, Server, embedded, secret_key};

const ALGORITHMS: [&str; 4] = ["HS256", "ES256", "EdDSA", "RS256"];
/// More than a server on one core answers in a turn.
const MOST_PER_TURN: u32 = 10_000;

/// The servers of one algorithm, and what is loaded of them.
struct Ours {
    algorithm: &'static str,
    /// `/users/me` of the server itself, and what it is compared with.
    server: Lane,
    bare: Lane,
    /// `/users/me` and `/open` of the library in an application.
    protected: Lane,
    open: Lane,
    /// Length of the answer of all of them.
    bytes: usize,
    _running: [Server; 3],
}

/// Every token known already.
pub(crate) fn warm(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, turns) = plan.pick((11, 20), (2, 10));
    let directory = plan.directory()?;
    let mut ours = Vec::new();
    for algorithm in ALGORITHMS {
        ours.push(Ours::start(plan, &directory.path().join(algorithm), algorithm)?);
    }
    let fastapi = FastApi::start(plan, &directory.path().join("fastapi"), On::ServerCore, 1, 1)?;
    let token = http::sign_in(&fastapi.server().origin, "user0")?;
    let mut fastapi_lane = Lane::new(fastapi.server().url("/users/me/"), fastapi.server().process.id(), &token);

    let mut groups: Vec<Vec<&mut Lane>> = Vec::new();
    for one in &mut ours {
        groups.extend([vec![&mut one.server, &mut one.bare], vec![&mut one.protected, &mut one.open]]);
    }
    groups.push(vec![&mut fastapi_lane]);
    take_turns(plan, rounds, &mut groups, |group| Lane::load(plan, group, turns))?;

    Ok(ours.iter().flat_map(|one| one.rows(&fastapi_lane)).collect())
}

/// Every token new.
pub(crate) fn new_tokens(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, turns) = plan.pick((15, 20), (3, 20));
    let directory = plan.directory()?;
    let secret = secret_key(plan)?;
    let (server, mut protected, mut open) = application(plan, directory.path(), "HS256", Some(&secret))?;
    let token = http::sign_in(&server.origin, "rider")?;
    let files = ["first", "second"].map(|name| directory.path().join(name));
    [protected.tokens, open.tokens] = files.each_ref().map(|file| format!("@{}", file.display()));
    // The first turn does not count.
    let (mut next, count) = (0, (1 + turns) * MOST_PER_TURN);
    take_turns(plan, rounds, &mut [vec![&mut protected, &mut open]], |group| {
        for file in &files {
            mint(plan, &secret, &token, (next, count), file)?;
            next += count;
        }
        Lane::load(plan, group, turns)
    })?;
    drop(server);
    let row = Row::new(
        "users-me-new-tokens-open",
        "`GET /users/me`, HS256, every token new",
        "an unprotected route of the same server with the same bytes, sent such tokens too",
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
        let axum = opponents::bare(plan, &directory.join("bare"), &answer)?;
        let bare = Lane::new(axum.url("/users/me"), axum.process.id(), "none");
        ensure!(http::fetch(&bare.url, "none")? == answer, "the bare server answers differently");
        let bytes = answer.body.len();
        let (application, protected, open) =
            application(plan, &directory.join("embedded"), algorithm, secret.as_deref())?;
        Ok(Self { algorithm, server, bare, protected, open, bytes, _running: [running, axum, application] })
    }

    fn rows(&self, fastapi: &Lane) -> [Row; 3] {
        let algorithm = self.algorithm.to_lowercase();
        let what = format!("`GET /users/me`, {}, warm", self.algorithm);
        let row = |opponent: &str, against: &str, wanted: f64, ours: &Lane, theirs: &Lane| {
            let name = format!("users-me-{algorithm}-{opponent}");
            let row = Row::new(&name, &what, against, Unit::PerSecond, Wanted::Ratio(wanted));
            row.measured(ours.rates(), theirs.rates()).noted(ours.held_up().or(theirs.held_up()))
        };
        let same_bytes = format!("a bare axum server with the same {} bytes", self.bytes);
        [
            row(
                "open",
                "an unprotected route of the same server with the same bytes",
                0.92,
                &self.protected,
                &self.open,
            ),
            row("bare", &same_bytes, 0.75, &self.server, &self.bare),
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

/// Loads all groups in turns, after one round that does not count, each time from another on, so that a drift of the
/// machine hits all alike. Those that are compared are of one group.
fn take_turns(
    plan: &Plan,
    rounds: usize,
    groups: &mut [Vec<&mut Lane>],
    mut load: impl FnMut(&mut [&mut Lane]) -> Result<()>,
) -> Result<()> {
    let warm_up = usize::from(!plan.quick);
    for round in 0..rounds + warm_up {
        if round == warm_up {
            groups.iter_mut().flatten().for_each(|lane| lane.samples.clear());
        }
        for _ in 0..groups.len() {
            load(&mut groups[0])?;
            groups.rotate_left(1);
        }
        groups.rotate_left(1);
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
