//! E-mail addresses, and when two of them are the same.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::user::folded;

/// An address as given, with the one form in which it is compared and kept unique.
///
/// Mail goes to the address as given; uniqueness and sign-in use the canonical form: NFKC and lower case, the
/// domain as IDNA A-labels. (RFC 5321 lets a local part be case-sensitive; no mail system in use today does, and
/// two accounts that differ by case only help an impostor.)
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress {
    given: String,
    canonical: String,
}

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This is not an e-mail address such as name@example.com.")]
pub struct EmailAddressError;

impl EmailAddress {
    /// Reads one plain address (no display name, no comment, no IP literal, no quotation marks), at most 254 bytes long.
    ///
    /// # Errors
    /// [`EmailAddressError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let options = email_address::Options::default().without_display_text().without_domain_literal();
        if text.len() > 254 || text.chars().any(char::is_control) {
            return Err(EmailAddressError);
        }
        // Composed first: letters that were typed in two parts are no less letters.
        let given: String = text.nfc().collect();
        email_address::EmailAddress::parse_with_options(&given, options).map_err(|_| EmailAddressError)?;
        let canonical = canonical(&given)?;
        // What NFKC makes of it must be an address still, with the same single @.
        email_address::EmailAddress::from_str(&canonical).map_err(|_| EmailAddressError)?;
        if canonical.len() > 254 || self::canonical(&canonical)? != canonical {
            return Err(EmailAddressError);
        }
        Ok(Self { given, canonical })
    }

    /// The address as it was given (in NFC); mail goes here.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The form that is compared and unique.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

fn canonical(text: &str) -> Result<String, EmailAddressError> {
    let folded = folded(text);
    let (local, domain) = folded.rsplit_once('@').ok_or(EmailAddressError)?;
    // Quoted or not is the same mailbox (RFC 5321 §4.1.2), and nobody's needs the quotation marks.
    if local.contains('"') {
        return Err(EmailAddressError);
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailAddressError)?;
    Ok(format!("{local}@{domain}"))
}

/// Logs must not hold full addresses.
impl std::fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_width_and_idna_do_not_make_another_address() {
        let canonical = |text: &str| EmailAddress::parse(text).unwrap().canonical().to_owned();
        assert_eq!(canonical("John@Example.COM"), "john@example.com");
        assert_eq!(canonical("\u{ff4a}ohn@example.com"), "john@example.com");
        assert_eq!(canonical("a@b\u{fc}cher.example"), "a@xn--bcher-kva.example");
        assert_eq!(canonical("a@bu\u{308}cher.example"), "a@xn--bcher-kva.example");
        assert_eq!(canonical("a@xn--bcher-kva.example"), "a@xn--bcher-kva.example");
        assert_eq!(EmailAddress::parse("John@Example.COM").unwrap().as_given(), "John@Example.COM");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.example",
            "a@b@c.example",
            "a\0@b.example",
            "A <a@b.example>",
            "a@[127.0.0.1]",
            "a@b..example",
            "a@-b.example",
            "a\r\nBcc: x@y.example",
            "\"jane\"@example.com",
            "\"jane doe\"@example.com",
            "\u{ff02}jane\u{ff02}@example.com",
            "j.\"an\".e@example.com",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@b.example", "x".repeat(300))).is_err());
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in "\\PC{1,20}@[a-zA-Z0-9.]{1,20}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                let again = EmailAddress::parse(address.canonical()).expect("a canonical address is an address");
                prop_assert_eq!(again.canonical(), address.canonical());
            }
        }
    }
}
