//! Every row of the vectors made with the real libraries, exactly as it says.

use mapae_password::{Context, HashError, HashText, Password, Workspace, flask_security};

use crate::{Kind, Row, password, rows};

/// Rows that may be refused, and are: one round of MD5 or SHA-1 protects nobody, and no application in use writes it.
/// Every other optional row is accepted, as the library that made it does.
const REFUSED_OPTIONAL: &[&str] = &["passlib-django-salted-sha1-ascii", "passlib-django-salted-md5-ascii"];

/// What was hashed in place of the password, if anything.
fn hashed(row: &Row) -> Password {
    let password = password(&row.password);
    match &row.hmac_sha512_key {
        None => password,
        Some(key) => flask_security::prehash(&password, key.as_bytes()),
    }
}

/// `None` if the row was treated as it says.
fn complaint(row: &Row, workspace: &mut Workspace) -> Option<String> {
    let stored = HashText::new(row.hash.as_str());
    let result = Context::default().verify_as_typed(&stored, &hashed(row), workspace);
    let right = match row.kind {
        Kind::Verify if REFUSED_OPTIONAL.contains(&row.id.as_str()) => {
            row.optional && result == Err(HashError::UnknownScheme)
        }
        Kind::Verify | Kind::WrongPassword => result.is_ok_and(|verification| verification.matches == row.matches),
        // What it is called when even the scheme's name is wrong is a matter of taste.
        Kind::Malformed => matches!(result, Err(HashError::Malformed | HashError::UnknownScheme)),
        // Its salt and its cost stand in each other's places.
        Kind::AbsurdCost if row.id == "absurd-django-scrypt" => result == Err(HashError::Malformed),
        Kind::AbsurdCost => result == Err(HashError::TooExpensive),
        Kind::UnknownScheme => result == Err(HashError::UnknownScheme),
    };
    (!right).then(|| format!("{} ({:?}): {result:?}", row.id, row.kind))
}

#[test]
fn every_row_is_as_it_says() {
    let rows = rows();
    let mut workspace = Workspace::new();
    let complaints: Vec<String> = rows.iter().filter_map(|row| complaint(row, &mut workspace)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // The file is as long as it was, so nothing was left out by accident.
    assert_eq!(rows.len(), 170);
}

/// Signing in says the same, except where the password differs from the hashed one only in how its letters are
/// composed: that the libraries refuse, and signing in does not.
#[test]
fn signing_in_says_the_same_except_for_unicode_forms() {
    let context = Context::default();
    let mut workspace = Workspace::new();
    for row in rows() {
        let stored = HashText::new(row.hash.as_str());
        let password = password(&row.password);
        let signed_in = match &row.hmac_sha512_key {
            None => context.verify(&stored, &password, &mut workspace),
            Some(key) => {
                let key = key.as_bytes();
                flask_security::verify(&context, &stored, &password, key, &mut workspace)
            }
        };
        let as_typed = context.verify_as_typed(&stored, &hashed(&row), &mut workspace);
        if row.id.ends_with("-wrong-korean") {
            assert!(!as_typed.unwrap().matches, "{}", row.id);
            assert!(signed_in.unwrap().matches, "{}", row.id);
        } else {
            assert_eq!(signed_in, as_typed, "{}", row.id);
        }
    }
}
