//! Which crate may depend on which, and what must never be shipped.

use std::process::Command;

use serde_json::Value;

use crate::tree::{assert_none, root};

/// Where the Python and npm packages of the tests are listed.
const LISTS: &str = "crates/mapae-server/tests/clients";

/// Each crate of ours with those of ours that it may depend on. Tools and examples may depend on any.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("mapae-verify", &[]),
    ("mapae-password", &[]),
    ("mapae", &["mapae-verify", "mapae-password"]),
    ("mapae-server", &["mapae", "mapae-verify", "mapae-password"]),
];

/// Crates that no program of ours may contain, and why.
const BANNED: &[(&str, &str)] = &[("rsa", "its timing leaks private keys (RUSTSEC-2023-0071)")];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn crates_only_depend_on_those_below() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: Vec<String> = packages.iter().map(name).collect();
    for (known, _) in MAY_DEPEND_ON {
        assert!(ours.iter().any(|our| our == known), "the workspace has a crate {known}");
    }

    let mut broken = Vec::new();
    for package in packages {
        let this = name(package);
        let is_library_or_server = package["manifest_path"].as_str().unwrap().contains("/crates/");
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| *known == this) else {
            if is_library_or_server {
                broken.push(format!("{this} has no rule yet: say in MAY_DEPEND_ON what it may depend on"));
            }
            continue;
        };
        let dependencies = package["dependencies"].as_array().unwrap().iter().map(name);
        // A crate may name itself among its own tests' dependencies, to switch a feature on.
        let wrong = dependencies.filter(|one| ours.contains(one) && *one != this && !allowed.contains(&one.as_str()));
        broken.extend(wrong.map(|one| format!("{this} must not depend on {one}")));
    }
    assert_none("A crate depends only on crates below it:", broken);
}

#[test]
fn banned_crates_are_not_shipped() {
    let arguments = ["--locked", "--workspace", "--all-features", "--edges", "normal", "--prefix", "none"];
    let tree = cargo(&[&["tree", "--format", "{lib}"][..], &arguments].concat());
    let shipped: Vec<&str> = tree.lines().collect();
    assert!(shipped.contains(&"axum"), "the tree lists libraries by name");
    let broken = BANNED.iter().filter(|(name, _)| shipped.contains(name));
    assert_none("Not to be shipped:", broken.map(|(name, why)| format!("{name}: {why}")).collect());
}

#[test]
fn every_crate_comes_from_crates_io() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(!sources.is_empty(), "the lock file says where crates come from");
    let crates_io = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    let foreign = sources.into_iter().filter(|source| *source != crates_io);
    assert_none("A fresh clone can only build with crates.io:", foreign.map(str::to_owned).collect());
}

#[test]
fn packages_of_other_languages_have_exact_versions_and_no_address() {
    let read = |file: &str| std::fs::read_to_string(root().join(LISTS).join(file)).unwrap();
    let exact = |version: &str| version.split('.').all(|part| part.parse::<u32>().is_ok() || part.starts_with("post"));
    let mut broken = Vec::new();
    for line in read("requirements.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if !line.split_once("==").is_some_and(|(_, version)| exact(version)) {
            broken.push(format!("requirements.txt: {line}"));
        }
    }
    let package: Value = serde_json::from_str(&read("package.json")).unwrap();
    let wanted = package["dependencies"].as_object().unwrap();
    for (name, version) in wanted.iter().filter(|(_, version)| !exact(version.as_str().unwrap())) {
        broken.push(format!("package.json: {name} {version}"));
    }
    // npm knows where its packages are; the lock file need not.
    let lock: Value = serde_json::from_str(&read("package-lock.json")).unwrap();
    for (path, locked) in lock["packages"].as_object().unwrap().iter().filter(|(path, _)| !path.is_empty()) {
        if locked["integrity"].is_null() || !locked["resolved"].is_null() {
            broken.push(format!("package-lock.json: {path} has no hash, or an address"));
        }
    }
    assert_none("A package's next release must change nothing here by itself:", broken);
}
