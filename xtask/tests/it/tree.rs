//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file that git would track, relative to the top; needs no git.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut walk = WalkBuilder::new(root());
    // Only this repository's own rules say what is ignored.
    walk.hidden(false).parents(false).ignore(false).git_global(false).git_exclude(false).require_git(false);
    walk.filter_entry(|entry| entry.file_name() != ".git");
    let entries = walk.build().map(Result::unwrap).filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    let files: Vec<PathBuf> = entries.map(|entry| entry.path().strip_prefix(root()).unwrap().to_owned()).collect();
    assert!(files.iter().any(|file| file == Path::new("Cargo.lock")), "the walk found the repository's files");
    files
}

/// Rust sources below a directory, with their text.
pub(crate) fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let files =
        files().into_iter().filter(|file| file.starts_with(below) && file.extension().is_some_and(|it| it == "rs"));
    let sources: Vec<_> = files.map(|file| (file.clone(), fs::read_to_string(root().join(&file)).unwrap())).collect();
    assert!(!sources.is_empty(), "{below} holds Rust sources");
    sources
}

/// Fails with the list, if there is one.
#[track_caller]
pub(crate) fn assert_none(rule: &str, mut broken: Vec<String>) {
    broken.sort();
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}
