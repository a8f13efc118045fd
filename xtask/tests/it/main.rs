//! Rules of the whole repository that the compiler does not check.

// Lets clippy see that helpers are tests too.
#![cfg(test)]

mod dependencies;
mod files;
mod layers;
mod mentions;
mod tree;
