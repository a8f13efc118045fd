//! The programs that verify, each waiting on its standard input until it is asked.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::bench::opponents::{node, python};
use crate::bench::plan::{On, Plan};
use crate::process::{root, run};

/// Who verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    Mapae,
    Primitive,
    JsonWebToken,
    PyJwt,
    Jose,
    FastJwt,
}

impl Contestant {
    pub(super) const ALL: [Self; 6] =
        [Self::Mapae, Self::Primitive, Self::JsonWebToken, Self::PyJwt, Self::Jose, Self::FastJwt];
    /// The first so many of all are compiled.
    pub(super) const COMPILED: usize = 3;
    pub(super) const OPPONENTS: [Self; 5] =
        [Self::Primitive, Self::JsonWebToken, Self::PyJwt, Self::Jose, Self::FastJwt];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mapae => "mapae",
            Self::Primitive => "primitive",
            Self::JsonWebToken => "jsonwebtoken",
            Self::PyJwt => "pyjwt",
            Self::Jose => "jose",
            Self::FastJwt => "fast-jwt",
        }
    }

    pub(super) const fn described(self) -> &'static str {
        match self {
            Self::Mapae => "Mapae",
            Self::Primitive => "the bare primitive of `aws-lc-rs`",
            Self::JsonWebToken => "`jsonwebtoken` 11 (Rust)",
            Self::PyJwt => "PyJWT (Python)",
            Self::Jose => "`jose` (Node.js)",
            Self::FastJwt => "`fast-jwt` (Node.js)",
        }
    }
}

/// The three programs. They end with this value.
pub(super) struct Programs {
    rust: Program,
    python: Program,
    node: Program,
    _scripts: TempDir,
}

impl Programs {
    /// Makes keys and tokens, and starts everybody on the core for servers.
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        // Below npm's packages, which a script finds from where it is.
        let scripts = TempDir::new_in(plan.target.join("node"))?;
        let here = root().join("xtask/src/bench/verify");
        let npm = scripts.path().join("npm.mjs");
        fs::copy(here.join("npm.mjs"), &npm)?;
        let task = scripts.path().join("task.json");
        let rust = plan.program("bench-verify");
        run(Command::new(&rust).arg("prepare").arg(&task))?;

        let on_one_core = |program: &Path| On::ServerCore.command(plan, program);
        Ok(Self {
            rust: Program::start("bench-verify", on_one_core(&rust).arg("run").arg(&task))?,
            python: Program::start("python", on_one_core(&python(plan)).arg(here.join("pyjwt.py")).arg(&task))?,
            node: Program::start("node", on_one_core(&node(plan)?).arg(&npm).arg(&task))?,
            _scripts: scripts,
        })
    }

    /// Lets one of them verify for so long; tokens per second.
    pub(super) fn rate(&mut self, contestant: Contestant, algorithm: &str, milliseconds: u32) -> Result<f64> {
        let name = contestant.name();
        match contestant {
            Contestant::Mapae | Contestant::Primitive | Contestant::JsonWebToken => {
                self.rust.ask(&format!("{name} {algorithm} {milliseconds}"))
            }
            Contestant::PyJwt => self.python.ask(&format!("{algorithm} {milliseconds}")),
            Contestant::Jose | Contestant::FastJwt => self.node.ask(&format!("{name} {algorithm} {milliseconds}")),
        }
    }
}

/// A program that answers each line of its input with a line.
struct Program {
    name: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started: {}", Path::new(command.get_program()).display()))?;
        let questions = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { name, child, questions, answers })
    }

    fn ask(&mut self, question: &str) -> Result<f64> {
        writeln!(self.questions, "{question}").with_context(|| format!("{} has ended", self.name))?;
        self.questions.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let rate = answer.trim().parse().with_context(|| format!("{} answered {answer:?} to {question}", self.name))?;
        ensure!(rate > 0.0, "{} verified nothing in {question}", self.name);
        Ok(rate)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
