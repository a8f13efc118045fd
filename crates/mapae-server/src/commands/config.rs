//! `mapae config …`

use crate::config::{self, Loaded};

use super::{Failure, print};

/// Prints every setting, even when some are wrong; then says which.
pub(super) fn show(loaded: &Loaded, json: bool) -> Result<(), Failure> {
    print(&config::show(loaded, json))?;
    match loaded.problems() {
        [] => Ok(()),
        problems => Err(Failure::Configuration(problems.to_vec())),
    }
}
