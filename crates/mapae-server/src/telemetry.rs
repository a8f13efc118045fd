//! Log lines on standard error: text on a terminal, JSON otherwise.

mod span_fields;

use std::io::{IsTerminal, Write};

use mapae::TRACES;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::LogFormat;
use crate::traces::Traces;
use span_fields::SpanFields;

/// Whether lines of this format are JSON here.
pub(crate) fn is_json(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// Starts logging, for the rest of the process, and tracing if that is wanted. `level` is that of our own crates. Libraries
/// log their warnings, and never more than `info`: below that some print what they carry (requests, statements).
pub(crate) fn start(format: LogFormat, level: Level, traces: Option<&Traces>) {
    let own = LevelFilter::from_level(level);
    let others = if own > LevelFilter::INFO { LevelFilter::INFO } else { own.min(LevelFilter::WARN) };
    let levels = Targets::new().with_default(others).with_target("mapae", own).with_target(TRACES, LevelFilter::OFF);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if is_json(format) {
        lines.json().flatten_event(true).with_span_list(false).fmt_fields(SpanFields).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    // Fails only if logging has been started before, and then it goes on as it was.
    let _ = match traces {
        // A filter for all is cheaper than one for each layer.
        None => tracing_subscriber::registry().with(lines).with(levels).try_init(),
        Some(traces) => tracing_subscriber::registry().with(lines.with_filter(levels)).with(traces.layer()).try_init(),
    };
}

/// From now on a panic is told by its place alone. What it says may quote what the code was working on, such as a
/// password.
pub(crate) fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(location, thread, "panic");
        } else {
            // Nowhere to report a closed standard error to.
            let _ = writeln!(std::io::stderr(), "mapae: Panic at {location} in the thread {thread}.");
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_without_what_it_says() {
        let log = Log::default();
        let writer = log.clone();
        let before = std::panic::take_hook();
        hide_panics();
        let hashing = std::thread::Builder::new().name("mapae-hash-0".to_owned()).spawn(move || {
            let layer = fmt::layer().json().with_writer(move || writer.clone());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                let password = "wobbly giraffes";
                panic!("byte index 99 is out of bounds of `{password}`");
            });
        });
        let panicked = hashing.unwrap().join();
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let log = log.text();
        assert!(log.contains("telemetry.rs:") && log.contains("mapae-hash-0"), "{log}");
        assert!(!log.contains("giraffes") && !log.contains("byte index"), "{log}");
    }
}
