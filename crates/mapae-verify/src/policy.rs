//! What a verifier asks of a token beside its signature.

use crate::registered::Registered;
use crate::revocations::FEED_TYPE;
use crate::{Header, REGISTERED_CLAIMS, VerifyError};

/// Default leeway of [`VerifierBuilder::rfc9068`](crate::VerifierBuilder::rfc9068), in seconds: enough for clocks
/// that are kept by NTP, and little beside the life of a token.
pub const DEFAULT_LEEWAY: u32 = 5;
/// Default limit for the length of a token, in bytes.
pub const DEFAULT_MAX_LENGTH: usize = 8 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) issuer: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: u32,
    pub(crate) max_length: usize,
    pub(crate) types: Vec<String>,
    pub(crate) ignore_typ: bool,
    pub(crate) ignore_kid: bool,
    pub(crate) fractional_times: bool,
    pub(crate) required: Required,
}

/// The claims that must be there, whatever their value. The registered ones are asked for all at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Required {
    /// As [`Registered::present`] has them.
    registered: u16,
    others: Vec<&'static str>,
}

impl Required {
    pub(crate) fn of(claims: &[&'static str]) -> Self {
        let mut required = Self::default();
        claims.iter().for_each(|claim| required.add(claim));
        required
    }

    pub(crate) fn add(&mut self, claim: &'static str) {
        match REGISTERED_CLAIMS.iter().position(|registered| *registered == claim) {
            Some(place) => self.registered |= 1 << place,
            None if self.others.contains(&claim) => {}
            None => self.others.push(claim),
        }
    }

    /// Of a registered claim.
    pub(crate) fn remove(&mut self, claim: &str) {
        if let Some(place) = REGISTERED_CLAIMS.iter().position(|registered| *registered == claim) {
            self.registered &= !(1 << place);
        }
    }

    fn missing_in(&self, claims: &Registered<'_>) -> Option<&'static str> {
        let missing = self.registered & !claims.present();
        match REGISTERED_CLAIMS.get(missing.trailing_zeros() as usize) {
            Some(missing) => Some(missing),
            None => self.others.iter().find(|name| !claims.others.contains(name)).copied(),
        }
    }
}

/// When a token is valid, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) exp: i64,
    pub(crate) nbf: Option<i64>,
    pub(crate) iat: Option<i64>,
}

impl Policy {
    pub(crate) fn check_type(&self, header: &Header) -> Result<(), VerifyError> {
        // Signed by the same keys, and never a token, whatever else a verifier accepts.
        let is_feed = header.is_type(&[FEED_TYPE]);
        let is_accepted = !is_feed && (self.ignore_typ || header.is_type(&self.types));
        if is_accepted { Ok(()) } else { Err(VerifyError::WrongType) }
    }

    /// The `kid` that decides, if it is not ignored.
    pub(crate) fn kid<'h>(&self, kid: Option<&'h str>) -> Option<&'h str> {
        kid.filter(|_| !self.ignore_kid)
    }

    /// All checks of claims; `now` is in milliseconds.
    pub(crate) fn check(&self, claims: &Registered<'_>, now: i64) -> Result<Times, VerifyError> {
        let exp = claims.exp.ok_or(VerifyError::MissingClaim("exp"))?;
        if let Some(missing) = self.required.missing_in(claims) {
            return Err(VerifyError::MissingClaim(missing));
        }
        if let Some(issuer) = &self.issuer {
            let iss = claims.iss.as_deref().ok_or(VerifyError::MissingClaim("iss"))?;
            if iss != issuer {
                return Err(VerifyError::WrongIssuer);
            }
        }
        match (&claims.aud, self.audiences.is_empty()) {
            (None, true) => {}
            (None, false) => return Err(VerifyError::MissingClaim("aud")),
            // Also when no audience is configured: a token that is meant for somebody is not for a verifier without a
            // name (RFC 7519 §4.1.3).
            (Some(aud), _) => {
                if !aud.as_slice().iter().any(|aud| self.audiences.iter().any(|audience| audience == aud)) {
                    return Err(VerifyError::WrongAudience);
                }
            }
        }
        let times = Times { exp, nbf: claims.nbf, iat: claims.iat };
        self.check_times(times, now)?;
        Ok(times)
    }

    /// When the token is not accepted any more, in milliseconds.
    pub(crate) fn end(&self, times: Times) -> i64 {
        times.exp.saturating_add(i64::from(self.leeway) * 1000)
    }

    /// The checks that change with time; `now` is in milliseconds.
    pub(crate) fn check_times(&self, times: Times, now: i64) -> Result<(), VerifyError> {
        let leeway = i64::from(self.leeway) * 1000;
        // "on or after which the JWT MUST NOT be accepted" (RFC 7519 §4.1.4)
        if now >= self.end(times) {
            return Err(VerifyError::Expired { ago: now.saturating_sub(times.exp) / 1000 });
        }
        for start in [times.nbf, times.iat].into_iter().flatten() {
            if now < start.saturating_sub(leeway) {
                return Err(VerifyError::NotYetValid { wait: start.saturating_sub(now).saturating_add(999) / 1000 });
            }
        }
        Ok(())
    }
}
