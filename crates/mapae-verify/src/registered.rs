//! The strict pass over the claims that every token is held to, whatever type it is read into.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::{Fault, NameFault, Names, Text, read_object};
use crate::{Audience, Claims, NoExtra, Scopes, Subject, VerifyError};

/// The last second of the year 9999; later times are mistakes (milliseconds, mostly).
pub(crate) const LATEST: i64 = 253_402_300_799;
/// Most claims beside the registered ones.
const MAX_OTHER_CLAIMS: usize = 256;

const NOT_AN_OBJECT: &str = "the claims are not a JSON object";

/// Milliseconds of a time with fractions, if it is between 1970 and the end of 9999.
pub(crate) fn millis_of(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "bounded just before")]
    (0.0..=LATEST as f64).contains(&seconds).then(|| (seconds * 1000.0).floor() as i64)
}

/// The registered claims, each of the right type. Times are in milliseconds.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Registered<'a> {
    pub(crate) iss: Option<Cow<'a, str>>,
    pub(crate) sub: Option<Cow<'a, str>>,
    pub(crate) aud: Option<Recipients<'a>>,
    pub(crate) exp: Option<i64>,
    pub(crate) iat: Option<i64>,
    pub(crate) nbf: Option<i64>,
    pub(crate) jti: Option<Cow<'a, str>>,
    pub(crate) client_id: Option<Cow<'a, str>>,
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) sid: Option<Cow<'a, str>>,
    /// Read only where it is asked for: other issuers may have an `act` of another form.
    pub(crate) act: Option<&'a RawValue>,
    pub(crate) others: Names<'a>,
}

/// The recipients in `aud`.
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Recipients<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Recipients<'a> {
    pub(crate) fn as_slice(&self) -> &[Cow<'a, str>] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<'a> Registered<'a> {
    /// Reads claims. Times with fractions are errors unless `fractional_times`.
    pub(crate) fn read(payload: &'a str, fractional_times: bool) -> Result<Self, VerifyError> {
        let mut claims = Self::none();
        claims.fill(payload, fractional_times)?;
        Ok(claims)
    }

    /// As [`Self::read`], into what was [none](Self::none): it is too big to be handed around for nothing.
    pub(crate) fn fill(&mut self, payload: &'a str, fractional_times: bool) -> Result<(), VerifyError> {
        if self.fill_flat(payload).is_some() {
            return Ok(());
        }
        *self = Self::none();
        self.fill_any(payload, fractional_times)
    }

    pub(crate) fn fill_any(&mut self, payload: &'a str, fractional_times: bool) -> Result<(), VerifyError> {
        let fault = Fault::default();
        let visitor = RegisteredVisitor { claims: self, fault: &fault, fractional_times };
        read_object(payload, &fault, visitor, NOT_AN_OBJECT)
    }

    pub(crate) const fn none() -> Self {
        Self {
            iss: None,
            sub: None,
            aud: None,
            exp: None,
            iat: None,
            nbf: None,
            jti: None,
            client_id: None,
            scope: None,
            sid: None,
            act: None,
            others: Names::at_most(MAX_OTHER_CLAIMS),
        }
    }

    /// Which of [`REGISTERED_CLAIMS`](crate::REGISTERED_CLAIMS) are there, the first in the lowest bit.
    pub(crate) fn present(&self) -> u16 {
        let present = [
            self.iss.is_some(),
            self.sub.is_some(),
            self.aud.is_some(),
            self.exp.is_some(),
            self.iat.is_some(),
            self.nbf.is_some(),
            self.jti.is_some(),
            self.client_id.is_some(),
            self.scope.is_some(),
            self.sid.is_some(),
            self.act.is_some(),
        ];
        present.into_iter().rev().fold(0, |bits, is_there| bits << 1 | u16::from(is_there))
    }

    /// The claims as [`Claims`] would be read from the same text, without reading it again.
    pub(crate) fn to_claims(&self) -> Result<Claims, VerifyError> {
        fn text(claim: Option<&Cow<'_, str>>, name: &'static str) -> Result<String, VerifyError> {
            Ok(claim.ok_or(VerifyError::MissingClaim(name))?.as_ref().to_owned())
        }
        let seconds = |millis: i64| millis.div_euclid(1000);
        let sub = self.sub.as_deref().ok_or(VerifyError::MissingClaim("sub"))?;
        let aud = self.aud.as_ref().ok_or(VerifyError::MissingClaim("aud"))?;
        Ok(Claims {
            iss: text(self.iss.as_ref(), "iss")?,
            sub: Subject::parse(sub).map_err(|_| VerifyError::InvalidClaim("sub"))?,
            aud: aud.as_slice().iter().collect::<Audience>(),
            exp: seconds(self.exp.ok_or(VerifyError::MissingClaim("exp"))?),
            iat: seconds(self.iat.ok_or(VerifyError::MissingClaim("iat"))?),
            nbf: self.nbf.map(seconds),
            jti: text(self.jti.as_ref(), "jti")?,
            client_id: text(self.client_id.as_ref(), "client_id")?,
            scope: Scopes::parse(self.scope.as_deref().unwrap_or_default())
                .map_err(|_| VerifyError::InvalidClaim("scope"))?,
            sid: self.sid.as_deref().map(str::to_owned),
            act: self
                .act
                .map(|act| serde_json::from_str(act.get()).map_err(|_| VerifyError::InvalidClaim("act")))
                .transpose()?,
            extra: NoExtra {},
        })
    }
}

/// Fills in place: the struct is too big to be handed around.
struct RegisteredVisitor<'f, 'de> {
    claims: &'f mut Registered<'de>,
    fault: &'f Fault,
    fractional_times: bool,
}

impl<'de> Visitor<'de> for RegisteredVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        enum Slot<'s, 'de> {
            Text(&'s mut Option<Cow<'de, str>>),
            Time(&'s mut Option<i64>),
        }

        let fault = self.fault;
        let duplicate = || VerifyError::Malformed("a claim comes twice");
        let claims = self.claims;
        while let Some(Text(name)) = map.next_key()? {
            let (slot, name) = match &*name {
                "iss" => (Slot::Text(&mut claims.iss), "iss"),
                "sub" => (Slot::Text(&mut claims.sub), "sub"),
                "exp" => (Slot::Time(&mut claims.exp), "exp"),
                "iat" => (Slot::Time(&mut claims.iat), "iat"),
                "nbf" => (Slot::Time(&mut claims.nbf), "nbf"),
                "jti" => (Slot::Text(&mut claims.jti), "jti"),
                "client_id" => (Slot::Text(&mut claims.client_id), "client_id"),
                "scope" => (Slot::Text(&mut claims.scope), "scope"),
                "sid" => (Slot::Text(&mut claims.sid), "sid"),
                "aud" => {
                    let aud = fault.value(&mut map, PhantomData, || VerifyError::InvalidClaim("aud"))?;
                    if claims.aud.replace(aud).is_some() {
                        return Err(fault.fail(duplicate()));
                    }
                    continue;
                }
                "act" => {
                    if claims.act.replace(map.next_value()?).is_some() {
                        return Err(fault.fail(duplicate()));
                    }
                    continue;
                }
                _ => {
                    claims.others.add(name).map_err(|reason| {
                        fault.fail(match reason {
                            NameFault::Duplicate => duplicate(),
                            NameFault::TooMany => VerifyError::Malformed("there are too many claims"),
                        })
                    })?;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let wrong_type = || VerifyError::InvalidClaim(name);
            let is_repeated = match slot {
                Slot::Text(slot) => {
                    let Text(text) = fault.value(&mut map, PhantomData, wrong_type)?;
                    slot.replace(text).is_some()
                }
                Slot::Time(slot) => {
                    let seed = NumericDate { fractional: self.fractional_times };
                    slot.replace(fault.value(&mut map, seed, wrong_type)?).is_some()
                }
            };
            if is_repeated {
                return Err(fault.fail(duplicate()));
            }
        }
        Ok(())
    }
}

/// A time of RFC 7519 §2, in milliseconds. Never a string; fractions only if wanted.
struct NumericDate {
    fractional: bool,
}

impl<'de> DeserializeSeed<'de> for NumericDate {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_i64(self)
    }
}

impl Visitor<'_> for NumericDate {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<i64, E> {
        if (0..=LATEST).contains(&seconds) { Ok(seconds * 1000) } else { Err(E::custom("out of range")) }
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<i64, E> {
        self.visit_i64(i64::try_from(seconds).map_err(E::custom)?)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<i64, E> {
        millis_of(seconds).filter(|_| self.fractional).ok_or_else(|| E::custom("not a time"))
    }
}

impl<'de> Deserialize<'de> for Recipients<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecipientsVisitor;

        impl<'de> Visitor<'de> for RecipientsVisitor {
            type Value = Recipients<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E: de::Error>(self, one: &'de str) -> Result<Recipients<'de>, E> {
                Ok(Recipients::One(Cow::Borrowed(one)))
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Recipients<'de>, E> {
                Ok(Recipients::One(Cow::Owned(one.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Recipients<'de>, A::Error> {
                let mut many = Vec::new();
                while let Some(Text(item)) = items.next_element()? {
                    many.push(item);
                }
                Ok(Recipients::Many(many))
            }
        }

        deserializer.deserialize_any(RecipientsVisitor)
    }
}

#[cfg(test)]
#[path = "registered_tests.rs"]
mod tests;
