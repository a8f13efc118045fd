//! Passwords that are known from breaches.

use std::error::Error;
use std::sync::{Arc, Mutex};

use mapae_password::policy::{BreachedPasswords, PasswordPolicy, PolicyError};

use crate::password;

const GOOD: &str = "tomato violin parking seven";

/// Holds one password, and keeps what it was asked for.
#[derive(Debug, Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
    broken: bool,
}

impl BreachedPasswords for Fake {
    fn contains(&self, sha1: &[u8; 20]) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let sha1 = hex(sha1);
        self.asked.lock().unwrap().push(sha1.clone());
        if self.broken { Err("it is gone".into()) } else { Ok(sha1 == "10a60f5d044ee2449800d376882a712ae4725d29") }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn codes(policy: &PasswordPolicy, text: &str) -> Vec<&'static str> {
    match policy.check(&password(text), &[]) {
        Ok(()) => Vec::new(),
        Err(PolicyError::Broken(violations)) => violations.iter().map(|broken| broken.code()).collect(),
        Err(PolicyError::Unreadable(error)) => panic!("{error}"),
    }
}

#[test]
fn a_listed_password_is_refused_by_its_sha1() {
    let list = Arc::new(Fake::default());
    let policy = PasswordPolicy { breached: Some(list.clone()), ..PasswordPolicy::default() };
    assert_eq!(codes(&policy, "wobbling teapot orchestra 41"), ["breached"]);
    assert_eq!(codes(&policy, GOOD), [""; 0]);
    assert_eq!(codes(&PasswordPolicy::default(), "wobbling teapot orchestra 41"), [""; 0]);
    // Python: hashlib.sha1(b"…").hexdigest()
    let asked = list.asked.lock().unwrap().clone();
    assert_eq!(asked, ["10a60f5d044ee2449800d376882a712ae4725d29", "ea6ecfca777ed2b4f765cad09e20111113373577"]);
}

#[test]
fn a_list_that_cannot_be_read_lets_nothing_through() {
    let list = Arc::new(Fake { broken: true, ..Fake::default() });
    let policy = PasswordPolicy { breached: Some(list), ..PasswordPolicy::default() };
    let error = policy.check(&password(GOOD), &[]).unwrap_err();
    assert!(matches!(error, PolicyError::Unreadable(_)), "{error:?}");
    assert_eq!(error.to_string(), "the list of breached passwords cannot be read: it is gone");
    // What is refused anyway is refused with its reason.
    assert_eq!(codes(&policy, "password"), ["too_common"]);
}
