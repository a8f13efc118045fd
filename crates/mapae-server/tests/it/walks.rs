//! The shell walks of the README and the book, run as a reader would run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{BASE_URL, Server};
use crate::support::{Home, program};

/// The address in the texts.
const WRITTEN: &str = "http://127.0.0.1:8080";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file with walks. A page that is not here has none, see the test below.
const WALKED: [&str; 9] = [
    "README.md",
    "docs/audit.md",
    "docs/command-line.md",
    "docs/configuration.md",
    "docs/delegation.md",
    "docs/keys.md",
    "docs/passwords.md",
    "docs/sessions.md",
    "docs/shared-table.md",
];

/// The `sh` blocks of a Markdown text, in order.
pub(crate) fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<String> = None;
    for line in markdown.lines() {
        match (&mut current, line.trim_end()) {
            (None, "```sh") => current = Some(String::new()),
            (Some(block), "```") => {
                blocks.push(std::mem::take(block));
                current = None;
            }
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Runs a page's walks in one shell beside a fresh server; what they printed.
fn walk(page: &str) -> String {
    walk_in(&Home::new(), page)
}

fn walk_in(home: &Home, page: &str) -> String {
    let server = Server::start(home, &[]);
    let text = std::fs::read_to_string(root().join(page)).expect("the page");
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{page} has no walk");
    let script = format!("set -euo pipefail\n{}", blocks.join("\n")).replace(WRITTEN, &server.url);
    let program = program();
    let path = format!("{}:{}", program.parent().expect("a directory").display(), std::env::var("PATH").expect("PATH"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(home.path())
        .env_clear()
        .envs([("PATH", path.as_str()), BASE_URL])
        .output()
        .expect("bash runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{page}:\n{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    shown
}

#[test]
fn readme() {
    let shown = walk("README.md");
    assert!(shown.contains(r#""username":"johndoe""#), "{shown}");
    assert!(shown.contains(r#""token_type":"bearer""#), "{shown}");
    assert!(shown.contains("Valid: signed by this server"), "{shown}");
    assert_eq!(shown.matches("HTTP/1.1 401 Unauthorized").count(), 2, "{shown}");
    assert!(shown.contains(r#""kty":"EC""#), "{shown}");
}

#[test]
fn command_line() {
    let shown = walk("docs/command-line.md");
    assert!(shown.contains(r#""users":[{"#), "{shown}");
    assert!(shown.contains("Refused."), "{shown}");
    assert!(shown.ends_with("Imported 0; 1 were there already; 0 were refused.\n"), "{shown}");
}

#[test]
fn audit() {
    let shown = walk("docs/audit.md");
    assert!(shown.contains("  user.added "), "{shown}");
    assert!(shown.contains(r#""event":"session.started""#), "{shown}");
}

#[test]
fn configuration() {
    let shown = walk("docs/configuration.md");
    assert!(shown.contains("argon2_memory_kib"), "{shown}");
}

#[test]
fn sessions() {
    let shown = walk("docs/sessions.md");
    assert_eq!(shown.matches(r#""refresh_token":"mr_"#).count(), 2, "{shown}");
    assert!(shown.contains("Its secret, which is shown only now: mcs_"), "{shown}");
    assert!(shown.contains("confidential"), "{shown}");
}

#[test]
fn delegation() {
    let page = std::fs::read_to_string(root().join("docs/delegation.md")).expect("the page");
    let configuration = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its settings");
    let shown = walk_in(&Home::new().with("mapae.toml", configuration), "docs/delegation.md");
    assert_eq!(shown.matches(r#""issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#).count(), 2);
    assert!(shown.contains(r#""scope":"drive","issued_token_type""#), "{shown}");
    assert!(shown.contains("personal_token") && shown.contains("deploy"), "{shown}");
    assert!(shown.contains("200\n") && shown.contains("The one sent speaks for a car."), "{shown}");
    assert!(shown.ends_with("Revoked 1 token.\n"), "{shown}");
}

#[test]
fn passwords() {
    let shown = walk("docs/passwords.md");
    let lines: Vec<&str> = shown.lines().collect();
    let [tried, django, peppered] = lines[..] else { panic!("{shown}") };
    assert_eq!(tried, "true");
    assert!(django.starts_with("pbkdf2_sha256$1000000$"), "{shown}");
    assert!(peppered.starts_with("$mapae-pepper$"), "{shown}");
}

#[test]
fn keys() {
    let shown = walk("docs/keys.md");
    assert!(shown.starts_with("2026-autumn  next "), "{shown}");
    assert!(shown.contains("-----BEGIN PUBLIC KEY-----"), "{shown}");
}

#[test]
fn no_walk_is_left_out() {
    let mut pages = vec![PathBuf::from("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        pages.push(Path::new("docs").join(entry.expect("an entry").file_name()));
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(root().join(page)).expect("the page");
        let walked = WALKED.iter().any(|known| Path::new(known) == page);
        assert_eq!(!blocks(&text).is_empty(), walked, "{}", page.display());
    }
}
