//! Examples run as processes, and what all of them promise, for the examples' own tests.
//!
//! Everything here fails by panicking, as tests do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answer;
mod documents;
mod example;
pub mod forge;
pub mod own_table;
mod password_form;
mod paths;
mod tokens;

pub use answer::{Answer, Refusal};
pub use documents::documents;
pub use example::{Example, KEY, Launch};
pub use password_form::{Field, password_form};
pub use paths::{not_found, only, redirects};
pub use tokens::{Protected, tokens};
