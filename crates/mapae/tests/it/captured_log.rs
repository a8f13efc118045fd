//! What one thread logs, as text. One subscriber serves every test: subscribers of single threads would spoil each
//! other's view of which events anybody wants.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use tracing_subscriber::filter::{dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::secrets::WholeLog;

thread_local! {
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Ends the capture when dropped.
pub(crate) struct Capturing;

impl Drop for Capturing {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

/// What was captured on this thread.
pub(crate) struct Log;

impl Log {
    /// Everything since the last call.
    pub(crate) fn take(&self) -> String {
        let taken = CAPTURED.with_borrow_mut(|captured| captured.as_mut().map(std::mem::take));
        String::from_utf8(taken.unwrap()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED.with_borrow_mut(|captured| captured.iter_mut().for_each(|text| text.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that this thread logs, down to `trace`; the server of a single-threaded test runs on it.
pub(crate) fn capture() -> (Log, Capturing) {
    install();
    CAPTURED.set(Some(Vec::new()));
    (Log, Capturing)
}

/// The one subscriber: what this thread captures, and everything of ours for [`WholeLog`].
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let wanted = dynamic_filter_fn(|_, _| CAPTURED.with_borrow(Option::is_some));
        let captured = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Log).with_filter(wanted);
        let ours = filter_fn(|metadata| metadata.target().starts_with("mapae"));
        let whole = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| WholeLog).with_filter(ours);
        let registry = tracing_subscriber::registry().with(captured).with(whole);
        tracing::subscriber::set_global_default(registry).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
}
