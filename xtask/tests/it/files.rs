//! What no file may be, and what none may hold.

use std::env;
use std::fs;
use std::path::Path;

use crate::tree::{assert_none, files, root};

/// A longer file does more than one thing.
const MOST_LINES: usize = 500;

/// Longer files, each with its reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn sources_are_short() {
    let mut broken = Vec::new();
    for file in files().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let lines = fs::read_to_string(root().join(&file)).unwrap().lines().count();
        let excused = LONGER.iter().any(|(path, _)| Path::new(path) == file);
        match (lines > MOST_LINES, excused) {
            (true, false) => broken.push(format!("{} has {lines} lines", file.display())),
            (false, true) => broken.push(format!("{} is short now: take it from LONGER", file.display())),
            _ => {}
        }
    }
    for (path, _) in LONGER.iter().filter(|(path, _)| !root().join(path).exists()) {
        broken.push(format!("{path} is gone: take it from LONGER"));
    }
    assert_none(&format!("Split files past {MOST_LINES} lines, or say in LONGER why not:"), broken);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let words = machine_words();
    let mut broken = Vec::new();
    for file in files() {
        // Only text can be read, and only text is written by hand.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert_none("These name a machine, so they are wrong on every other:", broken);
}

/// What tells this machine, and root's home directory, which is never the reader's.
fn machine_words() -> Vec<String> {
    let mut words = vec![concat!("/ro", "ot/").to_owned()];
    let variable = |name: &str| env::var(name).ok();
    let directories = [root().to_str().map(str::to_owned), variable("HOME"), variable("CARGO_HOME")];
    // A short path such as `/src` may well be a word of the text.
    words
        .extend(directories.into_iter().flatten().filter(|path| path.matches('/').count() >= 2).map(|path| path + "/"));

    let mut settings: Vec<String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?.to_ascii_uppercase(), value.into_string().ok()?)))
        .filter(|(name, _)| ["PROXY", "REGISTR", "INDEX"].iter().any(|word| name.contains(word)))
        .map(|(_, value)| value)
        .collect();
    let cargo_home = variable("CARGO_HOME").or_else(|| Some(variable("HOME")? + "/.cargo"));
    settings.extend(cargo_home.and_then(|home| fs::read_to_string(home + "/config.toml").ok()));
    words.extend(settings.iter().flat_map(|text| hosts(text)));
    words
}

/// The hosts of the URLs in a text, without those that everybody knows.
fn hosts(text: &str) -> Vec<String> {
    let ends = ['/', ':', '"', '\'', ',', ' ', '\n'];
    let hosts = text.split("://").skip(1).filter_map(|rest| rest.split(ends).next()?.rsplit('@').next());
    let public = |host: &str| ["github.com", "crates.io"].iter().any(|known| host == *known || host.ends_with(known));
    let local = |host: &str| host == "localhost" || host.starts_with("127.") || !host.contains('.');
    hosts.filter(|host| !public(host) && !local(host)).map(str::to_owned).collect()
}

mod tests {
    use super::{hosts, machine_words, root};

    #[test]
    fn registry_hosts_are_recognized() {
        let config = "[source.near]\nregistry = \"sparse+https://user@crates.example.net:8443/index/\"\n";
        assert_eq!(hosts(config), ["crates.example.net"]);
        assert_eq!(hosts("https://index.crates.io/ http://127.0.0.1:3128 https://github.com/a"), [""; 0]);
    }

    #[test]
    fn this_machines_paths_are_among_the_words() {
        let file = root().join("Cargo.toml");
        let file = file.to_str().unwrap();
        let is_short = root().to_str().unwrap().matches('/').count() < 2;
        assert!(is_short || machine_words().iter().any(|word| file.contains(word.as_str())));
    }
}
