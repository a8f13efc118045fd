//! `docs/benchmarks.md`.

use super::report::{Report, Row};
use super::shown;

const TOP: &str = "\
# Benchmarks

`cargo xtask bench` wrote this page and [bench.json](bench.json), which has the figure of every round. To repeat it:

```console
cargo xtask bench                       # all of it, about 25 minutes
cargo xtask bench --quick               # fewer and shorter rounds, under 3 minutes once it is built
cargo xtask bench --only flood          # some rows; their figures take their places here
cargo xtask bench --compare docs/bench.json   # what a change moved by more than its rounds differ
```

It builds everything in release and installs by itself what it compares with. Opponents take turns round by round; the
server has one core and the load another, where there are two. Shown are medians, with the lowest and highest round;
ratios are those of rounds next to each other, so that a machine that becomes slower meanwhile does not count.
";

const METHOD: &str = "
## How it is measured

- **Requests per second** come from 32 connections, each of which sends its next request when the last is answered. What
  is compared, FastAPI aside, takes turns of 50 ms within each round: a machine that is shared is slower for seconds at a
  time. The load never sleeps, since a server pays for waking a client on the same machine, and pays more the slower it is
  itself. An answer that is not 2xx, or a broken connection, fails the run.
- **An unprotected route of the same server**: the library in an application of a few lines (`bench-embedded`), with all
  of the service's routes, and one beside them that asks for nothing and answers the same bytes within the same layers:
  request id, bounds of time and size, log lines, metrics. The server has no such route.
- **Every token new**: tokens of one session, signed beforehand with the shared `SECRET_KEY`, each sent once, so that none
  is found among those already verified.
- **Verifying a token**: all verify the same one on one core, in turns (what is compiled of 50 ms too), and nobody
  remembers it.
- **FastAPI** is the application of its tutorial \"OAuth2 with Password (and hashing), Bearer with JWT tokens\", with
  pwdlib and PyJWT, under uvicorn with uvloop and httptools.
- **Sign-ins** use the form of the tutorials, passwords are right, throttling is on as it is by default. The bare hash is
  this project's own code without anything around it, with memory that is kept from hash to hash. Turns are of 2 seconds,
  for the same reason as above.
- **The flood**: 64 connections sign in, one user after the other. Beside them 16 connections ask for `/users/me` 500
  times a second; each request's time counts from the moment when it was due, so one that is late because an earlier one
  hangs has waited too (no coordinated omission). The server runs on one core, load on the other. A refusal fails the run.
- **Durable** means that an answered refresh or sign-up is on the disk. The hash cost is at its least, so that it hides
  nothing. PostgreSQL is a fresh private server with its default durability.
- **Memory** is resident memory as the kernel counts it; the peak is `VmHWM`.
- Nothing is switched off for this page: the binary is the one that users run, and the tests of the server pass on that
  very file before it is measured (`--only tests`).
";

/// From profiles (perf, callgrind, strace) on the machine that the page was first written on.
const TIME: &str = "
## Where the time goes

What profiles of these rows show, and why some of them are where they are.

- **A token that is known** costs 1,500 instructions beside the 22,000 of any route of the same server: reading the
  `Authorization` header (500), finding the token by a keyed hash, its key and its times (400), its session, the clock and
  the scopes. Both routes answer 100,000 requests each second and core, so that half a microsecond is a twentieth. A bare
  axum server takes 14,000 instructions; what it lacks is the request id, the limits, the log lines and the metrics of
  every route.
- **A new token of a shared secret** takes 1.0 to 1.2 µs more than a known one, about a ninth of a request. By samples
  (perf) 0.35 µs of that are the HMAC: 0.2 SHA-256, 0.15 what AWS-LC copies and prepares for it. 0.25 µs read and check the
  claims, 0.1 allocate and release their strings, 0.1 are base64 and UTF-8, and 0.1 looks for the token, its header and its
  session.
- **HS256 against the primitive** is for one half the HMAC, for the other the claims and their strings. The slower the
  signature, the less that counts.
- **Sign-ins** are as many as the bare hash does with all cores at once, within a few hundredths: the threads that hash
  have 96 to 97 % of all cores, and the rest is HTTP, the database and the load itself. All cores at once do less than
  cores ÷ time of one hash (note), 0.86 to 0.96 of it from run to run, and no server that hashes so can do more. The memory
  that they share is the smaller part of it: a hash that stays within a core's own cache loses nearly as much. The two
  cores of this virtual machine are hardware threads which at times share the arithmetic of one core: a loop of eight
  independent multiplications, without any memory, did 0.87 as much on both as twice on one (0.71 to 1.0 for half of the
  rounds), one of multiplications that wait for each other 1.0.
  One hash at a time, its lanes on both cores, was tried: 0.93 to 0.98 of two at once. The memory of a hash is kept from
  one to the next, and asked for in large pages (`MADV_HUGEPAGE`), without which it takes a fifth to a quarter longer. Where
  `/sys/kernel/mm/transparent_hugepage/enabled` says `never` it does.
- **The flood**: on Linux the threads that hash let all others go first (they are ten steps nicer), and a request does not
  wait until a hash has had its time slice. With the same priority for all it was 3 to 4 ms at the 99th percentile, with as
  many sign-ins.
- **Durable, on SQLite**: refreshes and sign-ups that queue for the one writer share a transaction, and with it one sync of
  the disk; each has a savepoint of its own, and nobody is answered before the commit. Alone, a refresh took 0.37 ms of the
  processor and waited for the disk besides; now it takes 0.19 ms. What is left are some 15 turns between the thread that
  serves and the one that writes, as the driver has one thread for each connection and asks it statement by statement.
- **Durable sign-ups** cannot reach what is wanted on one core. Judging how hard a password is to guess (zxcvbn, these have
  29 characters) takes 0.25 to 0.4 ms of it, many times the least hash; judging it less would weaken it. On SQLite half as
  many sign-ups as syncs would leave 0.22 ms for each, which is less than that alone. On PostgreSQL a sign-up is 8 round
  trips: a look-up and a transaction, of which 5 are waited for; the others test connections as they are given back. A bare
  program that sends the same statements through the same driver, with the judging beside it on the one core, would reach
  0.42 of pgbench. Of the 0.92 ms that a sign-up takes, 0.38 are the judging, 0.17 HTTP, log lines and the runtime, 0.23
  everything for the database, and 0.13 PostgreSQL itself, for which the other core is not enough. A refresh is 7 round
  trips, pgbench's simple-update 5.
";

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut text = TOP.to_owned();
    if report.quick {
        text.push_str("\n**These figures are from a quick run: rougher than they could be.**\n");
    }
    text.push_str("\n| what | here | against | there | ratio | wanted | |\n|-|-|-|-|-|-|-|\n");
    let mut notes: Vec<&str> = Vec::new();
    for row in &report.rows {
        let note = row.note.as_deref().map(|note| number(&mut notes, note));
        line(&mut text, row, note);
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for (index, note) in notes.iter().enumerate() {
        text.push_str(&format!("{}. {note}\n", index + 1));
    }
    text.push_str(METHOD);
    text.push_str(TIME);
    text.push_str("\n## Where\n\n");
    for (name, value) in &report.machine {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    let versions: Vec<String> = report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    text.push_str(&format!("- versions: {}\n", versions.join(", ")));
    text
}

/// The number of a note, which stands there once.
fn number<'a>(notes: &mut Vec<&'a str>, note: &'a str) -> usize {
    let known = notes.iter().position(|one| *one == note);
    known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    }) + 1
}

fn line(text: &mut String, row: &Row, note: Option<usize>) {
    let note = note.map_or(String::new(), |note| format!(" (note {note})"));
    text.push_str(&format!(
        "| {}{note} | {} | {} | {} | {} | {} | {} |\n",
        row.what,
        shown::series(&row.ours, Some(row.unit)),
        row.against,
        shown::series(&row.theirs, Some(row.unit)),
        shown::series(&row.ratio(), None),
        shown::wanted(row),
        shown::verdict(row),
    ));
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::bench::report::{Report, Row, Series, Unit, Wanted};

    #[test]
    fn the_page_has_every_row_and_each_note_once() {
        let row = |what: &str| {
            Row::new("row", what, "a bare server", Unit::PerSecond, Wanted::Ratio(0.75))
                .measured(Series(vec![80.0, 81.0, 82.0]), Series(vec![100.0, 100.0, 100.0]))
                .noted(Some("noisy".to_owned()))
        };
        let report = Report {
            quick: false,
            machine: [("memory".to_owned(), "24 GB".to_owned())].into(),
            versions: [("axum".to_owned(), "0.8.9".to_owned())].into(),
            rows: vec![row("this"), row("that")],
        };
        let text = page(&report);
        for (what, count) in [
            (
                "| this (note 1) | 81.0/s (80.0–82.0) | a bare server | 100/s (100–100) | 0.810 (0.800–0.820) | ≥ 0.75 | met |",
                1,
            ),
            ("| that (note 1) ", 1),
            ("1. noisy\n", 1),
            ("- memory: 24 GB\n", 1),
            ("axum 0.8.9", 1),
            ("quick run", 0),
        ] {
            assert_eq!(text.matches(what).count(), count, "{what}\n{text}");
        }
        assert!(page(&Report { quick: true, ..report }).contains("quick run"));
    }
}
