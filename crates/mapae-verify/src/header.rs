//! The JOSE header of a token (RFC 7515 §4), read strictly. Nothing in it ever supplies a key.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::base64::Buffer;
use crate::json::{Fault, NameFault, Names, Text, read_object};
use crate::{Algorithm, VerifyError};

/// Longest header segment that is read, in characters of base64url.
pub const MAX_HEADER_LENGTH: usize = 2048;
/// Most members of a header beside those that are read.
const MAX_OTHER_MEMBERS: usize = 32;

const NOT_BASE64: &str = "the header is not base64url";
const NOT_AN_OBJECT: &str = "the header is not a JSON object";
const DUPLICATE: &str = "a header parameter comes twice";

/// What is read of a header. `jwk`, `jku`, `x5c`, `x5u` and the like are never looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How the token is signed.
    pub alg: Algorithm,
    /// Which key is said to have signed it.
    pub kid: Option<String>,
    /// What kind of token it is.
    pub typ: Option<String>,
}

impl Header {
    /// Reads a header segment.
    pub(crate) fn decode(segment: &str) -> Result<Self, VerifyError> {
        if segment.len() > MAX_HEADER_LENGTH {
            return Err(VerifyError::Malformed("the header is too long"));
        }
        let mut buffer = Buffer::<{ MAX_HEADER_LENGTH / 4 * 3 }>::new();
        let bytes = buffer.decode(segment.as_bytes()).ok_or(VerifyError::Malformed(NOT_BASE64))?;
        let text = std::str::from_utf8(bytes).map_err(|_| VerifyError::Malformed(NOT_AN_OBJECT))?;
        let fault = Fault::default();
        read_object(text, &fault, HeaderVisitor { fault: &fault }, NOT_AN_OBJECT)
    }

    /// True when `typ` is one of `accepted`. A missing `application/` is supplied on both sides (RFC 7515 §4.1.9).
    pub(crate) fn is_type(&self, accepted: &[impl AsRef<str>]) -> bool {
        let Some(typ) = self.typ.as_deref().map(without_application) else {
            return false;
        };
        accepted.iter().any(|accepted| without_application(accepted.as_ref()).eq_ignore_ascii_case(typ))
    }
}

fn without_application(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}

struct HeaderVisitor<'f> {
    fault: &'f Fault,
}

impl<'de> Visitor<'de> for HeaderVisitor<'_> {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let fault = self.fault;
        let malformed = |why| fault.fail(VerifyError::Malformed(why));
        let (mut alg, mut kid, mut typ, mut is_encoded) = (None, None, None, true);
        let mut others = Names::at_most(MAX_OTHER_MEMBERS);
        while let Some(Text(name)) = map.next_key()? {
            let (slot, not_text) = match &*name {
                "alg" => (&mut alg, "`alg` is not a string"),
                "kid" => (&mut kid, "`kid` is not a string"),
                "typ" => (&mut typ, "`typ` is not a string"),
                _ => {
                    if name == "b64" {
                        let not_a_boolean = || VerifyError::Malformed("`b64` is not a boolean");
                        is_encoded = fault.value(&mut map, PhantomData, not_a_boolean)?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                    others.add(name).map_err(|reason| {
                        malformed(match reason {
                            NameFault::Duplicate => DUPLICATE,
                            NameFault::TooMany => "the header has too many members",
                        })
                    })?;
                    continue;
                }
            };
            let Text(text) = fault.value(&mut map, PhantomData, || VerifyError::Malformed(not_text))?;
            if slot.replace(text).is_some() {
                return Err(malformed(DUPLICATE));
            }
        }
        // Whatever it lists: no extension is understood (RFC 7515 §4.1.11).
        if others.contains("crit") {
            return Err(fault.fail(VerifyError::UnknownCritical));
        }
        if others.contains("zip") {
            return Err(malformed("compression is not supported"));
        }
        if !is_encoded {
            return Err(malformed("unencoded payloads are not supported"));
        }
        let alg =
            alg.and_then(|name| name.parse().ok()).ok_or_else(|| fault.fail(VerifyError::UnsupportedAlgorithm))?;
        Ok(Header { alg, kid: kid.map(Into::into), typ: typ.map(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<Header, VerifyError> {
        Header::decode(&crate::base64::encode(json.as_bytes()))
    }

    #[test]
    fn known_members_are_read_and_others_skipped() {
        let header =
            decode(r#" {"typ":"JWT","x5c":["a",{"alg":"none"}],"alg":"ES256","b64":true,"kid":"\u0061"} "#).unwrap();
        assert_eq!(header, Header { alg: Algorithm::ES256, kid: Some("a".into()), typ: Some("JWT".into()) });
    }

    #[test]
    fn bad_headers_are_named() {
        let malformed = VerifyError::Malformed;
        for (json, expected) in [
            ("", malformed(NOT_AN_OBJECT)),
            ("[]", malformed(NOT_AN_OBJECT)),
            ("null", malformed(NOT_AN_OBJECT)),
            (r#"{"alg":"HS256"}}"#, malformed(NOT_AN_OBJECT)),
            (r#"{"alg":"HS256""#, malformed(NOT_AN_OBJECT)),
            (r#"{"alg":"HS256",}"#, malformed(NOT_AN_OBJECT)),
            ("\u{feff}{\"alg\":\"HS256\"}", malformed(NOT_AN_OBJECT)),
            ("{}", VerifyError::UnsupportedAlgorithm),
            (r#"{"alg":"none"}"#, VerifyError::UnsupportedAlgorithm),
            (r#"{"ALG":"HS256"}"#, VerifyError::UnsupportedAlgorithm),
            (r#"{"alg":null}"#, malformed("`alg` is not a string")),
            (r#"{"alg":["HS256"]}"#, malformed("`alg` is not a string")),
            (r#"{"alg":"HS256","kid":1}"#, malformed("`kid` is not a string")),
            (r#"{"alg":"HS256","typ":{}}"#, malformed("`typ` is not a string")),
            (r#"{"alg":"HS256","alg":"HS256"}"#, malformed(DUPLICATE)),
            (r#"{"alg":"HS256","\u0061lg":"none"}"#, malformed(DUPLICATE)),
            (r#"{"alg":"HS256","x":1,"x":1}"#, malformed(DUPLICATE)),
            (r#"{"alg":"HS256","b64":true,"b64":true}"#, malformed(DUPLICATE)),
            (r#"{"alg":"HS256","crit":["exp"]}"#, VerifyError::UnknownCritical),
            (r#"{"alg":"HS256","crit":[]}"#, VerifyError::UnknownCritical),
            (r#"{"crit":null,"alg":"HS256"}"#, VerifyError::UnknownCritical),
            (r#"{"alg":"HS256","zip":"DEF"}"#, malformed("compression is not supported")),
            (r#"{"alg":"HS256","b64":false}"#, malformed("unencoded payloads are not supported")),
            (r#"{"alg":"HS256","b64":"true"}"#, malformed("`b64` is not a boolean")),
        ] {
            assert_eq!(decode(json), Err(expected), "{json}");
        }
        assert_eq!(Header::decode("e30="), Err(malformed(NOT_BASE64)));
        assert_eq!(Header::decode(&crate::base64::encode(b"{\"alg\":\"\xff\"}")), Err(malformed(NOT_AN_OBJECT)));
        assert_eq!(Header::decode(&"A".repeat(MAX_HEADER_LENGTH + 4)), Err(malformed("the header is too long")));
        let many: String = (0..=MAX_OTHER_MEMBERS).map(|i| format!(r#""{i}":0,"#)).collect();
        assert_eq!(decode(&format!(r#"{{{many}"alg":"HS256"}}"#)), Err(malformed("the header has too many members")));
    }

    #[test]
    fn types_are_media_types() {
        let is_type = |typ: &str, accepted: &str| {
            Header { alg: Algorithm::ES256, kid: None, typ: Some(typ.into()) }.is_type(&[accepted.to_owned()])
        };
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(is_type(typ, "at+jwt") && is_type(typ, "application/at+jwt"), "{typ}");
        }
        for typ in ["JWT", "", "at+jwt ", "application/", "application/x/at+jwt", "x/at+jwt", "é"] {
            assert!(!is_type(typ, "at+jwt"), "{typ}");
        }
        assert!(!Header { alg: Algorithm::ES256, kid: None, typ: None }.is_type(&[String::new()]));
    }
}
