//! Settings of password hashes and of rules for new passwords.

use crate::server::PASSWORD;
use crate::support::{GOOD_KEY, Home, OTHER_KEY};

const THIRD_KEY: &str = "0d6f1c8e5b7a49382716f0e1d2c3b4a5968778695a4b3c2d1e0f102132435465";

#[test]
fn peppers_that_cannot_be_used_are_refused_with_the_reason() {
    let refused = |variables: &[(&str, &str)], part: &str| {
        let said = Home::new().refusal(&[], variables);
        assert!(said.contains(part), "{part:?} in {said}");
        assert!(!said.contains(GOOD_KEY) && !said.contains("short one"), "{said}");
    };
    refused(&[("MAPAE_PASSWORD_PEPPER", "short one")], "MAPAE_PASSWORD_PEPPER is shorter than 32 bytes");
    let blank = format!("{GOOD_KEY} {OTHER_KEY}");
    refused(&[("MAPAE_PASSWORD_PEPPER", &blank)], "MAPAE_PASSWORD_PEPPER has a blank");
    let old = format!("{OTHER_KEY},short");
    refused(&[("MAPAE_OLD_PASSWORD_PEPPERS", &old)], "MAPAE_OLD_PASSWORD_PEPPERS has a pepper of under 32 bytes");
    refused(&[("MAPAE_PASSWORD_PEPPER", GOOD_KEY), ("SECRET_KEY", GOOD_KEY)], "SECRET_KEY are the same");
    refused(&[("MAPAE_PASSWORD_PEPPER", GOOD_KEY), ("MAPAE_MASTER_KEY", GOOD_KEY)], "MAPAE_MASTER_KEY are the same");
    let flag = Home::new().run(&["serve", "--password-pepper", GOOD_KEY], &[]);
    assert_eq!(flag.status, Some(2), "a key is no argument");
}

#[test]
fn peppers_come_from_files_and_are_not_shown() {
    let home = Home::new().with("pepper", format!("{GOOD_KEY}\n")).with("old", format!("{OTHER_KEY}\r\n{THIRD_KEY}\n"));
    let variables = [("MAPAE_PASSWORD_PEPPER_FILE", "pepper"), ("MAPAE_OLD_PASSWORD_PEPPERS_FILE", "old")];
    let shown = home.settings(&[], &variables).0.to_string();
    for key in [GOOD_KEY, OTHER_KEY, THIRD_KEY] {
        assert!(!shown.contains(key), "{shown}");
    }
    let cheap = [("MAPAE_ARGON2_MEMORY_KIB", "8"), ("MAPAE_ARGON2_ITERATIONS", "1")];
    for key in [GOOD_KEY, OTHER_KEY, THIRD_KEY] {
        let variables = [&cheap[..], &[("MAPAE_PASSWORD_PEPPER", key)]].concat();
        let hash = home.run_with_input(&["password", "hash", "--password-stdin"], &variables, "secret").stdout;
        let row = serde_json::json!({ "hash": hash.trim_end(), "password": "secret" }).to_string();
        let checked = home.run_with_input(
            &["password", "check", "--password-pepper-file", "pepper", "--old-password-peppers-file", "old"],
            &[],
            &row,
        );
        assert_eq!((checked.status, checked.stdout.as_str()), (Some(0), "true\n"), "{checked:?}");
    }
}

#[test]
fn breached_passwords_are_refused_where_a_file_lists_them() {
    // The SHA-1 of PASSWORD, between two others.
    let list = "0005AD76BD555C1D6D771DE417A4B87E4B4A8D9A:4\nCF6BAF521E988D526C4F2C88DB0E05BC54DAE065:1\nFFFFFFFEE791CBAC0F6305CAF0CEE06BBE131160:2\n";
    let home = Home::migrated().with("pwned.txt", list).with("other.txt", "password\n");
    let add = |file: &str| {
        home.run_with_input(
            &["user", "add", "ada", "--password-stdin"],
            &[("MAPAE_BREACHED_PASSWORDS_FILE", file), ("MAPAE_ARGON2_MEMORY_KIB", "8")],
            PASSWORD,
        )
    };
    let refused = add("pwned.txt");
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("stolen from another service"), "{refused:?}");
    for (file, reason) in [("other.txt", "has no SHA-1"), ("none.txt", "cannot be read: No such file or directory.")] {
        let ended = add(file);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let said = format!("MAPAE_BREACHED_PASSWORDS_FILE names the file {file}, which {reason}");
        assert!(ended.stderr.contains(&said), "{said} in {ended:?}");
    }
}
