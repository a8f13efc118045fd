//! What a suite found, promise by promise.

use std::fmt;
use std::time::Duration;

use crate::service::StartError;
use crate::store::OpenError;

/// A check that takes longer has come to a standstill, which is a finding too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a suite could not be run. That says nothing of the promises.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The database cannot be opened, or its schema not brought up to date.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The service does not start on it. A suite has a master key of its own, so a database that serves people is refused.
    #[error("a suite takes a database of its own, which nobody else uses: {0}")]
    Start(#[from] StartError),
}

/// What became of the promises.
#[derive(Debug)]
pub struct Report {
    findings: Vec<Finding>,
    /// The checks that are wanted; all if none is named.
    only: Vec<String>,
}

/// What became of one promise.
#[derive(Debug)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What was promised.
    pub promise: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// Whether a promise holds.
#[derive(Debug)]
pub enum Verdict {
    /// It does.
    Kept,
    /// It does not.
    Broken(Broken),
    /// It was not asked for.
    LeftOut(&'static str),
}

/// How a promise was broken.
#[derive(Debug)]
pub struct Broken {
    /// What should have been seen.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// A failure of the database or of the table where none was to be.
impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { expected: "no failure".to_owned(), seen: error.to_string() }
    }
}

/// What one check comes to.
pub(super) type Kept = Result<(), Broken>;

/// Goes on if `seen` is what is expected.
pub(super) fn same<T: PartialEq + fmt::Debug>(seen: T, expected: T) -> Kept {
    if seen == expected { Ok(()) } else { broken(format!("{expected:?}"), format!("{seen:?}")) }
}

/// Goes on if that is so.
pub(super) fn holds(so: bool, expected: &str, seen: impl FnOnce() -> String) -> Kept {
    if so { Ok(()) } else { broken(expected, seen()) }
}

pub(super) fn broken<T>(expected: impl Into<String>, seen: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { expected: expected.into(), seen: seen.into() })
}

impl Report {
    /// Of which nothing is known yet.
    pub(super) fn new(only: &[&str]) -> Self {
        Self { findings: Vec::new(), only: only.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Checks a promise.
    pub(super) async fn check(
        &mut self,
        check: &'static str,
        promise: &'static str,
        checking: impl Future<Output = Kept>,
    ) {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == check) {
            return;
        }
        let verdict = match tokio::time::timeout(PATIENCE, checking).await {
            Ok(Ok(())) => Verdict::Kept,
            Ok(Err(broken)) => Verdict::Broken(broken),
            Err(_) => {
                let seen = format!("nothing for {} s", PATIENCE.as_secs());
                Verdict::Broken(Broken { expected: "an answer".to_owned(), seen })
            }
        };
        self.findings.push(Finding { check, promise, verdict });
    }

    /// Notes a promise that nobody asked for.
    pub(super) fn leave_out(&mut self, check: &'static str, promise: &'static str, why: &'static str) {
        self.findings.push(Finding { check, promise, verdict: Verdict::LeftOut(why) });
    }

    /// Every promise, in the order in which they were checked.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The names of the checks that failed.
    pub fn broken(&self) -> Vec<&'static str> {
        let broken = self.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Broken(_)));
        broken.map(|finding| finding.check).collect()
    }

    /// Fails, with the whole report, unless every promise was kept.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.broken().is_empty(), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, promise, verdict } in &self.findings {
            match verdict {
                Verdict::Kept => writeln!(f, "kept     {check}: {promise}")?,
                Verdict::LeftOut(why) => writeln!(f, "left out {check}: {promise} ({why})")?,
                Verdict::Broken(Broken { expected, seen }) => {
                    writeln!(
                        f,
                        "BROKEN   {check}: {promise}\n           expected {expected}\n           saw      {seen}"
                    )?;
                }
            }
        }
        Ok(())
    }
}
