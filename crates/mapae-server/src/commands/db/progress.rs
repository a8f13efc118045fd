//! How far a copy has come: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapae::store::{CopyProgress, CopyStep};

use crate::commands::print_note;

/// Rows between two lines.
const LINE_EVERY: u64 = 100_000;

pub(super) struct Progress {
    /// `None` where standard error is no terminal.
    bar: Option<ProgressBar>,
    /// What the last line was about.
    line: Option<(CopyStep, u64)>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{wide_bar} {percent}% {msg} ({eta} left)";
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
                .with_style(ProgressStyle::with_template(template).expect("a template in order"))
        });
        Self { bar, line: None }
    }

    pub(super) fn show(&mut self, progress: CopyProgress) {
        let CopyProgress { step, table, done, total } = progress;
        let what = match step {
            CopyStep::Copying => "copying",
            CopyStep::Comparing => "comparing",
        };
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(format!("{what} {table}"));
            return;
        }
        let line = (step, done / LINE_EVERY);
        if self.line.replace(line) != Some(line) {
            print_note(&format!("{what} {table}: {done} of {total} rows are done\n"));
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
