//! What is said to the servers before they are loaded.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

/// The password of every account; `bench-load` knows it too.
pub(crate) const PASSWORD: &str = "a tablet for nine post horses";

/// What a protected route answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A client that reports errors as answers.
pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    config.into()
}

/// Makes an account and signs it in; its token.
pub(crate) fn sign_up(origin: &str) -> Result<String> {
    let account =
        json!({ "email": "rider@example.com", "username": "rider", "full_name": "A Rider", "password": PASSWORD });
    let url = format!("{origin}/users/signup");
    read(&url, agent().post(&url).send_json(account)?)?;
    sign_in(origin, "rider")
}

/// Signs somebody in with the tutorials' form; the token.
pub(crate) fn sign_in(origin: &str, user: &str) -> Result<String> {
    let url = format!("{origin}/token");
    let answer = read(&url, agent().post(&url).send_form([("username", user), ("password", PASSWORD)])?)?;
    answer["access_token"].as_str().map(str::to_owned).context("the answer to the sign-in holds no token")
}

/// Asks with a token.
pub(crate) fn fetch(url: &str, token: &str) -> Result<Answer> {
    let mut response = agent().get(url).header("Authorization", format!("Bearer {token}")).call()?;
    ensure!(response.status() == 200, "{url} answered {}", response.status());
    let content_type = response.headers().get("content-type").context("no Content-Type")?.to_str()?.to_owned();
    Ok(Answer { content_type, body: response.body_mut().read_to_vec()? })
}

/// Whether the address answers with success.
pub(crate) fn answers(agent: &Agent, url: &str) -> bool {
    agent.get(url).call().is_ok_and(|response| response.status().is_success())
}

fn read(url: &str, mut response: Response<ureq::Body>) -> Result<Value> {
    let status = response.status();
    let text = response.body_mut().read_to_string()?;
    if !status.is_success() {
        bail!("{url} answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}
