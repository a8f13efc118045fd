//! `mapae password check` and `hash`, as somebody with an export uses them.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Ended, GOOD_KEY, Home, OTHER_KEY};

const VECTORS: &str = include_str!("../../../mapae-password/tests/data/password_hashes.json");
const STORED: &str = "$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu";

fn check(input: &str) -> Ended {
    Home::new().run_with_input(&["password", "check"], &[], input)
}

fn row(id: impl Into<Value>, hash: &str, password: &str) -> String {
    format!("{}\n", json!({ "id": id.into(), "hash": hash, "password": password }))
}

#[test]
fn every_row_of_the_vectors_is_answered_as_it_says() {
    // One round of MD5 or SHA-1, which the vectors leave open; nothing else is refused that a library accepts.
    const REFUSED: [&str; 2] = ["passlib-django-salted-sha1-ascii", "passlib-django-salted-md5-ascii"];

    let rows: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
    let input: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let ended = check(&input);
    let answers: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((rows.len(), answers.len()), (170, 170), "{}", ended.stderr);
    let mut errors = ended.stderr.lines();
    for (number, (row, answer)) in rows.iter().zip(answers).enumerate() {
        let id = row["id"].as_str().expect("an id");
        let refused = REFUSED.contains(&id);
        assert_eq!(answer, (row["matches"] == true && !refused).to_string(), "{id}");
        if refused || !["verify", "wrong_password"].contains(&row["kind"].as_str().expect("a kind")) {
            let said = errors.next().unwrap_or_default();
            assert!(said.starts_with(&format!("mapae: line {}, id {:?}: ", number + 1, id)), "{id}: {said}");
        }
    }
    assert_eq!((errors.next(), ended.status), (None, Some(1)), "lines were refused");
}

#[test]
fn an_export_without_faults_ends_well() {
    let right = row("ada", STORED, "secret");
    let wrong = row(2, STORED, "Secret");
    let ended = check(&format!("\u{feff}{right}\n \r\n{}", wrong.trim_end()));
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "true\nfalse\n", ""));
    let nothing = check("");
    assert_eq!((nothing.status, nothing.stdout.as_str()), (Some(0), ""), "{nothing:?}");
    let windows = check(&right.replace('\n', "\r\n"));
    assert_eq!((windows.status, windows.stdout.as_str()), (Some(0), "true\n"), "{windows:?}");
}

/// Whoever asks row by row gets each answer before giving the next row.
#[test]
fn each_answer_comes_before_the_next_line_is_read() {
    let home = Home::new();
    let mut child = home.command(&["password", "check"], &[]).stdin(Stdio::piped()).spawn().expect("mapae runs");
    let mut input = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped"));
    for (password, expected) in [("secret", "true\n"), ("other", "false\n"), ("secret", "true\n")] {
        input.write_all(row(1, STORED, password).as_bytes()).expect("it is read");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, expected);
    }
    drop(input);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// Flask-Security hashes an HMAC; the password alone is another text.
#[test]
fn the_text_is_compared_as_it_stands() {
    let home = Home::new();
    let hashed = |password: &str| {
        let ended = home.run_with_input(
            &["password", "hash", "--password-stdin"],
            &[("MAPAE_ARGON2_MEMORY_KIB", "8"), ("MAPAE_ARGON2_ITERATIONS", "1")],
            password,
        );
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        ended.stdout.trim_end().to_owned()
    };
    let composed = hashed("pässword");
    assert_eq!(check(&row(1, &composed, "pa\u{308}ssword")).stdout, "false\n", "signing in would accept it");
    assert_eq!(check(&row(1, &composed, "pässword")).stdout, "true\n");
}

#[test]
fn lines_that_are_not_understood_are_named_and_never_quoted() {
    let good = row(9, STORED, "secret");
    let cases = [
        ("hunter2".to_owned(), "line 1: must be a JSON object"),
        (
            format!("[\"{STORED}\",\"secret\",\"hunter2\"]"),
            "line 1: must be a JSON object with the texts \"hash\" and \"password\"",
        ),
        (json!({ "id": "ada", "hash": STORED }).to_string(), "line 1, id \"ada\": must be a JSON object"),
        (json!({ "id": 7, "hash": null, "password": "hunter2" }).to_string(), "line 1, id 7: must be a JSON object"),
        ("{\"hash\": \"x\", \"password\": 77777777}".to_owned(), "line 1: must be a JSON object"),
        ("{\"id\": 1, \"hash\": \"hunter2".to_owned(), "line 1: not JSON"),
        (format!("{{\"id\":1,\"hash\":\"{STORED}\",\"password\":\"\\ud800hunter2\"}}"), "line 1, id 1: not JSON"),
        (
            row(5, "hunter2", "hunter2").trim().to_owned(),
            "line 1, id 5: the stored password hash is of no known scheme",
        ),
        (row(6, "$2b$04$hunter2", "hunter2").trim().to_owned(), "id 6: the stored password hash is malformed"),
        (
            row("x\ny\u{1b}[31m", "$2b$31$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu", "hunter2")
                .trim()
                .to_owned(),
            "id \"x\\ny\\u001b[31m\": the password hash would cost more",
        ),
        (row(8, STORED, &"hunter2".repeat(200)).trim().to_owned(), "id 8: the password is longer than 1024 bytes"),
        (row("i".repeat(9_000), "", "hunter2").trim().to_owned(), "iii…: the stored password hash is of no known"),
        (format!("{{\"password\":\"{}\"}}", "hunter2".repeat(150_000)), "line 1: longer than 1048576 bytes"),
        ("{\"a\":".repeat(60_000), "line 1: not JSON from column"),
    ];
    for (line, expected) in cases {
        let ended = check(&format!("{line}\n{good}"));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "false\ntrue\n"), "{expected}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{expected:?} in {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("7777"), "{}", ended.stderr);
    }
    let binary = Home::new().with("rows", b"\xff\xfe\x00{\n");
    let mut child = binary.command(&["password", "check"], &[]);
    let rows = std::fs::File::open(binary.path().join("rows")).expect("it was written");
    let ended = Ended::of(child.stdin(rows).output().expect("mapae runs"));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "false\n"), "{ended:?}");
}

/// A line without an end takes no more memory than one of the usual length.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_whatever_the_length_of_a_line() {
    let home = Home::new();
    let mut child = home.command(&["password", "check"], &[]).stdin(Stdio::piped()).spawn().expect("mapae runs");
    let mut input = child.stdin.take().expect("piped");
    let chunk = [b'x'; 1 << 20];
    for _ in 0..100 {
        input.write_all(&chunk).expect("it is read");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    input.write_all(format!("\n{}", row(1, STORED, "secret")).as_bytes()).expect("it is read");
    drop(input);
    let ended = Ended::of(child.wait_with_output().expect("it ends"));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "false\ntrue\n"), "{ended:?}");
    assert!(kib < 60_000, "{kib} KiB");
}

#[test]
fn a_hash_for_flask_security_is_of_its_hmac() {
    let home = Home::new().with("salt", "some salt\n");
    let arguments = ["password", "hash", "--password-stdin", "--hmac-sha512-key-file", "salt"];
    let hash = home.run_with_input(&arguments, &[], "secret").stdout;
    let row =
        |key: Value| format!("{}\n", json!({ "hash": hash.trim(), "password": "secret", "hmac_sha512_key": key }));
    let checked = home.run_with_input(&["password", "check"], &[], &(row(json!("some salt")) + &row(json!(null))));
    assert_eq!(checked.stdout, "true\nfalse\n", "{checked:?}");
    let missing = ["password", "hash", "--password-stdin", "--hmac-sha512-key-file", "none"];
    let ended = home.run_with_input(&missing, &[], "secret");
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("--hmac-sha512-key-file names none, which cannot be read"), "{ended:?}");
}

#[test]
fn every_format_that_is_written_is_read_again() {
    let home = Home::new();
    let help = home.run(&["password", "hash", "--help"], &[]).stdout;
    let formats: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    assert_eq!(formats.len(), 30, "{help}");
    // Each at its full cost, so a few.
    for format in ["argon2id", "bcrypt-2b", "django-pbkdf2-sha256", "werkzeug-scrypt", "sha512-crypt"] {
        assert!(formats.contains(&format), "{help}");
        let written = home.run_with_input(
            &["password", "hash", "--password-stdin", "--format", format],
            &[("MAPAE_ARGON2_MEMORY_KIB", "8")],
            "six purple otters\n",
        );
        assert_eq!((written.status, written.stderr.as_str()), (Some(0), ""), "{written:?}");
        let rows = row(1, written.stdout.trim_end(), "six purple otters") + &row(2, written.stdout.trim_end(), "seven");
        assert_eq!(check(&rows).stdout, "true\nfalse\n", "{format}");
    }
    let ended =
        home.run_with_input(&["password", "hash", "--password-stdin", "--format", "bcrypt-2b"], &[], &"x".repeat(73));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), "mapae: The password is longer than 72 bytes.\n"));
    let ended = home.run(&["password", "hash", "--format", "md5"], &[]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("argon2id"), "{ended:?}");
    let ended = home.run(&["password", "hash"], &[]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("--password-stdin"), "{ended:?}");
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0, "no database is made");
}

#[test]
fn the_configured_pepper_is_used_unless_it_shall_not() {
    let home = Home::new();
    let cheap = [("MAPAE_ARGON2_MEMORY_KIB", "8"), ("MAPAE_ARGON2_ITERATIONS", "1")];
    let run = |arguments: &[&str], variables: &[(&str, &str)], input: &str| {
        home.run_with_input(&[&["password"], arguments].concat(), &[&cheap[..], variables].concat(), input)
    };
    let current = [("MAPAE_PASSWORD_PEPPER", GOOD_KEY)];
    let peppered = run(&["hash", "--password-stdin"], &current, "secret").stdout;
    assert!(peppered.starts_with("$mapae-pepper$"), "{peppered}");
    let plain = run(&["hash", "--password-stdin", "--no-pepper"], &current, "secret").stdout;
    assert!(plain.starts_with("$argon2id$"), "{plain}");

    let rows = row("peppered", peppered.trim_end(), "secret") + &row("plain", plain.trim_end(), "secret");
    let rotated = [("MAPAE_PASSWORD_PEPPER", OTHER_KEY), ("MAPAE_OLD_PASSWORD_PEPPERS", GOOD_KEY)];
    for variables in [&current[..], &rotated] {
        let ended = run(&["check"], variables, &rows);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "true\ntrue\n"), "{ended:?}");
    }
    let unknown = run(&["check"], &[], &rows);
    assert_eq!((unknown.status, unknown.stdout.as_str()), (Some(1), "false\ntrue\n"), "{unknown:?}");
    let id = &peppered["$mapae-pepper$".len()..][..16];
    let expected = format!("id \"peppered\": the stored password hash needs the pepper {id}, which is not configured");
    assert!(unknown.stderr.contains(&expected), "{unknown:?}");
}
