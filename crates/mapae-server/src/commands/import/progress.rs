//! How far an import has come, for somebody who watches.

use std::io::{BufRead, Read, Result, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on the terminal; nothing where standard error is none.
#[derive(Clone)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// For an input of so many bytes, if that is known.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        let template = match bytes {
            Some(_) => "{wide_bar} {percent}% {msg} ({eta} left)",
            None => "{spinner} {msg} ({elapsed})",
        };
        Self(bar.with_style(ProgressStyle::with_template(template).expect("a template in order")))
    }

    /// For so many rows of a database.
    pub(super) fn of_rows(count: u64) -> Self {
        Self::new(Some(count))
    }

    /// One row more was read.
    pub(super) fn row_read(&self) {
        self.0.inc(1);
    }

    /// So many rows are done.
    pub(super) fn rows(&self, count: u64) {
        self.0.set_message(format!("{count} accounts"));
        self.0.tick();
    }

    /// Writes a line to standard error, above the bar if there is one.
    pub(super) fn say(&self, line: &str) {
        // Nowhere to report a closed standard error to.
        self.0.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// An input whose bytes move the bar.
pub(super) struct Counted<R> {
    input: R,
    progress: Progress,
}

impl<R> Counted<R> {
    pub(super) fn new(input: R, progress: &Progress) -> Self {
        Self { input, progress: progress.clone() }
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.0.inc(read as u64);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.progress.0.inc(amount as u64);
        self.input.consume(amount);
    }
}
