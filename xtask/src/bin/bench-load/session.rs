//! One connection, and what is said over it.

use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// The password of every user.
pub(crate) const PASSWORD: &str = "a tablet for nine post horses";
/// Longer than any opponent takes under a flood.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer that is not the one wanted, in words.
pub(crate) type Refused = String;

/// A connection that is kept from one request to the next.
pub(crate) struct Session {
    agent: Agent,
    origin: String,
}

impl Session {
    pub(crate) fn new(origin: &str) -> Self {
        let config =
            Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { agent: config.into(), origin: origin.to_owned() }
    }

    /// Signs in with the tutorials' form.
    pub(crate) fn sign_in(&self, user: &str) -> Result<Value, Refused> {
        self.form("/token", &[("username", user), ("password", PASSWORD)])
    }

    /// Exchanges the refresh token.
    pub(crate) fn refresh(&self, refresh_token: &str) -> Result<Value, Refused> {
        let fields = [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", refresh_token)];
        self.form("/oauth2/token", &fields)
    }

    /// Makes an account.
    pub(crate) fn sign_up(&self, user: &str) -> Result<Value, Refused> {
        let account =
            serde_json::json!({ "username": user, "email": format!("{user}@example.com"), "password": PASSWORD });
        answer(self.agent.post(format!("{}/users/signup", self.origin)).send_json(account))
    }

    /// Asks for a protected path.
    pub(crate) fn get(&self, path: &str, token: &str) -> Result<Value, Refused> {
        let request = self.agent.get(format!("{}{path}", self.origin));
        answer(request.header("Authorization", format!("Bearer {token}")).call())
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, Refused> {
        answer(self.agent.post(format!("{}{path}", self.origin)).send_form(fields.iter().copied()))
    }
}

/// The whole answer, which frees the connection for the next request.
fn answer(response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, Refused> {
    let mut response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("{status}: {text}"));
    }
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

/// A text of the answer.
pub(crate) fn text(answer: &Value, name: &str) -> Result<String, Refused> {
    answer[name].as_str().map(str::to_owned).ok_or_else(|| format!("the answer holds no {name}"))
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one place here that measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
