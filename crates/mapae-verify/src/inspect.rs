//! Looking into a token without believing it, and saying in words why it is refused. For tools, not for servers.

use std::fmt::Write;

use serde_json::Value;

use crate::jws::{NOT_THREE_PARTS, Segments};
use crate::registered::Registered;
use crate::{Header, VerifyError, base64};

/// Longest token that is looked into, in bytes.
pub const MAX_INSPECTED: usize = 64 * 1024;
/// Longest value that is repeated, in characters.
const SHOWN: usize = 200;

/// The content of a token. Nothing of it was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The header, whatever it says.
    pub header: Value,
    /// The claims, whatever they say.
    pub claims: Value,
    /// True when there is a signature at all.
    pub has_signature: bool,
    /// What a verifier would refuse before it looks at signature, time or audience.
    pub problems: Vec<VerifyError>,
}

/// What a verifier wanted; from [`Verifier::expected`](crate::Verifier::expected).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The issuer.
    pub issuer: Option<String>,
    /// The audiences, any of which would do.
    pub audiences: Vec<String>,
    /// The types, any of which would do; empty when every type would.
    pub types: Vec<String>,
}

/// Decodes a token without verifying anything. White space around it and a leading `Bearer` are skipped.
///
/// # Errors
/// When it is too long, or not three segments of base64url with a JSON header and JSON claims.
pub fn decode(token: &str) -> Result<Decoded, VerifyError> {
    let token = token.trim();
    let token = match token.split_at_checked("Bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("Bearer ") => rest.trim_start(),
        _ => token,
    };
    if token.len() > MAX_INSPECTED {
        return Err(VerifyError::TooLong);
    }
    let parts: Vec<&str> = token.split('.').take(6).collect();
    let [header, payload, signature] = parts[..] else {
        return Err(VerifyError::Malformed(if parts.len() == 5 {
            "five parts: this is an encrypted token (JWE)"
        } else {
            NOT_THREE_PARTS
        }));
    };
    let json = |segment: &str, not_json| {
        let bytes = base64::decode(segment.as_bytes()).ok_or(VerifyError::Malformed(not_json))?;
        let value = serde_json::from_slice(&bytes).map_err(|_| VerifyError::Malformed(not_json))?;
        Ok((value, bytes))
    };
    let (header_json, _) = json(header, "the header is not JSON in base64url")?;
    let (claims, claims_bytes) = json(payload, "the claims are not JSON in base64url")?;
    let text = std::str::from_utf8(&claims_bytes).map_err(|_| VerifyError::Malformed("the claims are not UTF-8"))?;

    let problems = [
        Header::decode(header).err(),
        Segments::split(token).err(),
        base64::decode(signature.as_bytes())
            .is_none()
            .then_some(VerifyError::Malformed("the signature is not base64url")),
        Registered::read(text, true).err(),
    ];
    Ok(Decoded {
        header: header_json,
        claims,
        has_signature: !signature.is_empty(),
        problems: problems.into_iter().flatten().collect(),
    })
}

/// Says in plain words why a token was refused, and what mends it where that is known.
#[must_use]
pub fn explain(error: &VerifyError, token: &Decoded, expected: &Expected) -> String {
    let header = |name: &str| shown(&token.header[name]);
    let claim = |name: &str| shown(&token.claims[name]);
    match error {
        VerifyError::TooLong => "The token is longer than this server reads.".to_owned(),
        VerifyError::Malformed(why) => format!("This is not a well-formed token: {why}."),
        VerifyError::UnsupportedAlgorithm => match token.header["alg"].as_str() {
            None => "The header has no `alg`, so nothing says how the token is signed.".to_owned(),
            Some(none) if none.eq_ignore_ascii_case("none") => {
                format!("`alg` is {}: the token is not signed, so anybody can have made it.", header("alg"))
            }
            Some(_) => format!("`alg` is {}, which is not supported.", header("alg")),
        },
        VerifyError::AlgorithmMismatch => {
            format!("`alg` is {}, but the key that it would be verified with is for another algorithm.", header("alg"))
        }
        VerifyError::UnknownKey { kid: Some(_) } => {
            format!("The token is signed by a key that is not known here (`kid` {}).", header("kid"))
        }
        VerifyError::UnknownKey { kid: None } => {
            "Nothing says which key signed the token, and there is not exactly one that could have.".to_owned()
        }
        VerifyError::BadSignature => {
            "The signature does not match: the token was altered, or signed with another key.".to_owned()
        }
        VerifyError::WrongType => {
            format!("`typ` is {}; accepted is {}.", header("typ"), listed(&expected.types))
        }
        VerifyError::UnknownCritical => {
            format!("The header requires extensions that are not supported: `crit` is {}.", header("crit"))
        }
        VerifyError::MissingClaim(name) => format!("The claim `{name}` is missing."),
        VerifyError::InvalidClaim(name @ ("exp" | "nbf" | "iat")) => {
            format!("The claim `{name}` is {}; it must be a number of seconds since 1970.", claim(name))
        }
        VerifyError::InvalidClaim(name) => {
            format!("The claim `{name}` is {}, which is not valid.", claim(name))
        }
        VerifyError::WrongIssuer => format!(
            "The token was issued by {}; expected is {}.",
            claim("iss"),
            expected.issuer.as_deref().map_or_else(|| "another issuer".to_owned(), quoted)
        ),
        VerifyError::WrongAudience => wrong_audience(&token.claims["aud"], expected),
        VerifyError::Expired { ago } => {
            format!("The token expired {} ago{}.", duration(*ago), at(&token.claims["exp"]))
        }
        VerifyError::NotYetValid { wait } => {
            let start = |name: &str| token.claims[name].as_f64();
            let name = if start("nbf") >= start("iat") { "nbf" } else { "iat" };
            let at = at(&token.claims[name]);
            format!("The token is not valid yet: `{name}` is in {}{at}. Clocks may differ.", duration(*wait))
        }
        VerifyError::Revoked => "The token was revoked: its session has ended, or its key was withdrawn.".to_owned(),
    }
}

fn wrong_audience(aud: &Value, expected: &Expected) -> String {
    let mut text = format!("The token is meant for {}", shown(aud));
    if expected.audiences.is_empty() {
        text.push_str(", and the verifier was not told that this is its name.");
    } else {
        let _ = write!(text, "; expected is {}.", listed(&expected.audiences));
    }
    let first = match aud {
        Value::Array(several) => several.first().unwrap_or(&Value::Null),
        one => one,
    };
    if first.is_string() {
        let name = shown(first);
        let _ = write!(
            text,
            "\nIf you are meant, say so where the token is verified:\
             \n  PyJWT:      jwt.decode(token, key, algorithms=[...], audience={name})\
             \n  jose:       jwtVerify(token, key, {{ audience: {name} }})\
             \n  golang-jwt: jwt.Parse(token, keyFunc, jwt.WithAudience({name}))"
        );
    }
    text
}

/// A value as JSON (so control characters are escaped), cut to a bearable length.
fn shown(value: &Value) -> String {
    if value.is_null() {
        return "missing".to_owned();
    }
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn quoted(text: &str) -> String {
    shown(&Value::from(text))
}

fn listed(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    if quoted.is_empty() { "something else".to_owned() } else { quoted.join(" or ") }
}

fn duration(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn at(time: &Value) -> String {
    time.as_f64()
        .and_then(crate::registered::millis_of)
        .map(|millis| format!(", at {}", utc(millis.div_euclid(1000))))
        .unwrap_or_default()
}

/// RFC 3339 in UTC, for times from 1970 to 9999.
fn utc(seconds: i64) -> String {
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Count days from 0000-03-01, so that the leap day is the last of its year and every 400 years are alike.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
