//! The table of formats in the book, made from what this run saw.
//!
//! Where the page differs, the test leaves it as it should be under `target/tmp`, and says how to take it over.

use std::collections::BTreeSet;
use std::path::Path;

use mapae_password::{Context, Format, HashText, Password, Workspace, flask_security};

use crate::{cheap, imports, other_forms, password, rows};

const BEGIN: &str = "<!-- The table is made by a test, tests/it/docs_table.rs of mapae-password. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// A hash that another program made, with its password.
struct Sample {
    made_by: String,
    stored: HashText,
    hashed: Password,
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for row in rows().iter().filter(|row| row.matches) {
        let hashed = match &row.hmac_sha512_key {
            None => password(&row.password),
            Some(key) => flask_security::prehash(&password(&row.password), key.as_bytes()),
        };
        samples.push(Sample { made_by: library(&row.source), stored: HashText::new(row.hash.as_str()), hashed });
    }
    for (made, text) in [(other_forms::KOREAN, "비밀번호"), (other_forms::HELLO, "Hello world!")] {
        samples.extend(made.iter().map(|(_, made_by, hash)| Sample {
            made_by: (*made_by).to_owned(),
            stored: HashText::new(*hash),
            hashed: password(text),
        }));
    }
    for (made_by, examples) in
        [("Keycloak (published exports)", imports::PUBLISHED), ("Python's hashlib", imports::LONG)]
    {
        samples.extend(examples.iter().map(|example| Sample {
            made_by: made_by.to_owned(),
            stored: imports::keycloak_text(example),
            hashed: password(example.4),
        }));
    }
    samples.push(Sample {
        made_by: "Firebase (its published example)".to_owned(),
        stored: imports::firebase_text(),
        hashed: password("user1password"),
    });
    samples.push(Sample {
        made_by: "Supabase Auth (its tests)".to_owned(),
        stored: HashText::new(imports::GOTRUE),
        hashed: password("mytestpassword"),
    });
    samples
}

/// Name and version, without which of its hashers it was.
fn library(source: &str) -> String {
    let words: Vec<&str> = source.split(' ').collect();
    match words.as_slice() {
        [name, version, ..] if version.starts_with(|first: char| first.is_ascii_digit()) => format!("{name} {version}"),
        _ => source.split(" (").next().unwrap().to_owned(),
    }
}

fn table() -> String {
    let context = Context::default();
    let mut workspace = Workspace::new();
    let mut table = String::from("| format | looks like | read | written | read here: made by |\n|-|-|-|-|-|\n");
    let samples = samples();
    for format in Format::all() {
        let of_format: Vec<&Sample> =
            samples.iter().filter(|sample| context.examine(&sample.stored) == Ok(*format)).collect();
        let mut matches = |stored: &HashText, hashed: &Password| {
            context.verify_as_typed(stored, hashed, &mut workspace).is_ok_and(|seen| seen.matches)
        };
        let read = of_format.iter().filter(|sample| matches(&sample.stored, &sample.hashed)).count();
        assert_eq!(read, of_format.len(), "{format}: every one matches");
        let written = cheap(*format).hash(&password("비밀번호"), &[7; 16], &mut Workspace::new()).unwrap();
        let written = matches(&written, &password("비밀번호"));
        let made_by: BTreeSet<&str> = of_format.iter().map(|sample| sample.made_by.as_str()).collect();
        let made_by: Vec<&str> = made_by.into_iter().collect();
        let (name, shape) = (format.name(), format.shape());
        let yes = |really: bool| if really { "yes" } else { "no" };
        table.push_str(&format!(
            "| `{name}` | `{shape}` | {}, {read} | {} | {} |\n",
            yes(read > 0),
            yes(written),
            made_by.join(", ")
        ));
    }
    table
}

#[test]
fn the_table_in_the_book_is_what_this_run_saw() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/passwords.md");
    let book = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = book.split_once(BEGIN).expect("the mark before the table");
    let (_, after) = rest.split_once(END).expect("the mark behind the table");
    let now = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if book != now {
        let right = Path::new(env!("CARGO_TARGET_TMPDIR")).join("passwords.md");
        std::fs::write(&right, &now).unwrap();
        panic!("the table has changed; look at it and take it over:\n  cp {} docs/passwords.md", right.display());
    }
}

/// No format is promised that was not seen at work.
#[test]
fn every_format_was_made_by_another_program_too() {
    let context = Context::default();
    for format in Format::all() {
        let seen = samples().iter().any(|sample| context.examine(&sample.stored) == Ok(*format));
        assert!(seen, "{format}");
    }
}
