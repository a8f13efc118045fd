//! The parameters of a token exchange (RFC 8693 §2.1).

use chrono::TimeDelta;
use mapae_verify::{Scopes, Subject};

use super::error::OAuthError;
use super::form::OAuthForm;
use crate::domain::SecretText;
use crate::domain::delegation::{NarrowError, Narrowing};
use crate::service::{MintError, TokenExchange};

/// The type of the tokens that are taken and issued (RFC 8693 §3).
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same, for who knows that an access token here is one.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Reads what is to be exchanged. `requested_subject` and `requested_expires_in` are this service's own: the standard has
/// no names for them.
pub(super) fn read(form: &mut OAuthForm, scope: &Scopes) -> Result<TokenExchange, OAuthError> {
    let subject_token = form.secret("subject_token")?;
    let subject_token_type = form.required("subject_token_type")?;
    check_type("subject_token_type", &subject_token_type)?;
    let actor_token = actor(form)?;
    if let Some(wanted) = form.take("requested_token_type") {
        check_type("requested_token_type", &wanted)?;
    }
    let audience = match (form.take("audience"), form.take("resource")) {
        (Some(audience), Some(resource)) if audience != resource => {
            return Err(OAuthError::bad_request("invalid_target", "audience and resource name two: ask for one."));
        }
        (audience, resource) => audience.or(resource),
    };
    let lifetime = form.take("requested_expires_in").map(|text| seconds(&text)).transpose()?;
    let subject = form.take("requested_subject").map(|text| Subject::parse(&text)).transpose();
    let subject = subject.map_err(|_| MintError::Narrow(NarrowError::Subject))?;
    let narrowing = Narrowing { scope: scope.clone(), audience, lifetime, subject };
    Ok(TokenExchange { subject_token, actor_token, narrowing })
}

fn actor(form: &mut OAuthForm) -> Result<Option<SecretText>, OAuthError> {
    match (form.take("actor_token").map(SecretText::new), form.take("actor_token_type")) {
        (None, None) => Ok(None),
        (Some(token), Some(token_type)) => {
            check_type("actor_token_type", &token_type)?;
            Ok(Some(token))
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(OAuthError::invalid_request("actor_token and actor_token_type come together or not at all."))
        }
    }
}

fn check_type(name: &str, given: &str) -> Result<(), OAuthError> {
    if [ACCESS_TOKEN, JWT].contains(&given) {
        return Ok(());
    }
    Err(OAuthError::invalid_request(format!("{name} is not {ACCESS_TOKEN}, the one type that is exchanged here.")))
}

fn seconds(text: &str) -> Result<TimeDelta, OAuthError> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let number = number.filter(|seconds| *seconds > 0);
    let number =
        number.ok_or_else(|| OAuthError::invalid_request("requested_expires_in is not a number of seconds."))?;
    Ok(TimeDelta::seconds(i64::from(number)))
}
