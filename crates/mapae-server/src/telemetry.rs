//! Log lines on standard error: text on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Whether lines of this format are JSON here.
pub(crate) fn is_json(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// Starts logging, for the rest of the process. `level` is that of our own crates. Libraries log their warnings, and
/// never more than `info`: below that some print what they carry (requests, statements).
pub(crate) fn start(format: LogFormat, level: Level) {
    let own = LevelFilter::from_level(level);
    let others = if own > LevelFilter::INFO { LevelFilter::INFO } else { own.min(LevelFilter::WARN) };
    let levels = Targets::new().with_default(others).with_target("mapae", own);
    let registry = tracing_subscriber::registry().with(levels);
    let layer = fmt::layer().with_writer(std::io::stderr);
    // Fails only if logging has been started before, and then it goes on as it was.
    let _ = if is_json(format) {
        registry.with(layer.json().flatten_event(true).with_span_list(false)).try_init()
    } else {
        registry.with(layer.with_ansi(std::io::stderr().is_terminal()).with_target(false)).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, message = panic.payload_as_str().unwrap_or_default(), "panic");
    }));
}
