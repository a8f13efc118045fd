//! People who sign up, sign in, stay signed in and sign out, on one node or another.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use ureq::Agent;

/// How many people are at it at once.
const PEOPLE: usize = 6;
/// What each of them types.
const PASSWORD: &str = "a tablet for nine post horses";

/// The load, until [`Load::finish`].
pub(super) struct Load {
    shared: Arc<Shared>,
    people: Vec<JoinHandle<Result<()>>>,
}

struct Shared {
    origins: Mutex<Vec<String>>,
    answered: AtomicU64,
    over: AtomicBool,
}

/// What the load did.
pub(super) struct Counts {
    pub(super) answered: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests answered", self.answered)
    }
}

/// Answers of any status are answers; nothing takes longer than ten seconds.
pub(super) fn agent() -> Agent {
    let limit = Some(Duration::from_secs(10));
    Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(limit).build().into()
}

impl Load {
    /// Starts it against these nodes.
    pub(super) fn start(origins: &[String]) -> Result<Self> {
        let shared = Arc::new(Shared {
            origins: Mutex::new(origins.to_vec()),
            answered: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let person = |number| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().spawn(move || live(&shared, number)).context("a thread")
        };
        let people = (0..PEOPLE).map(person).collect::<Result<_>>()?;
        Ok(Self { shared, people })
    }

    /// From now on only these nodes are asked. A request under way is answered by the graceful stop of its node.
    pub(super) fn set_origins(&self, origins: &[String]) {
        *self.shared.origins.lock().unwrap_or_else(PoisonError::into_inner) = origins.to_vec();
    }

    /// What has been done so far.
    pub(super) fn report(&self) -> Counts {
        Counts { answered: self.shared.answered.load(Ordering::Relaxed) }
    }

    /// Ends it. An answer that was not wanted is an error.
    pub(super) fn finish(self) -> Result<Counts> {
        self.shared.over.store(true, Ordering::Relaxed);
        for person in self.people {
            person.join().map_err(|_| anyhow!("a part of the load panicked"))??;
        }
        Ok(Counts { answered: self.shared.answered.load(Ordering::Relaxed) })
    }
}

/// One person's life: a session from before the upgrade that is kept to the end, and short ones beside it.
fn live(shared: &Shared, person: usize) -> Result<()> {
    let mut me = Person { shared, agent: agent(), turn: person };
    let name = format!("rider{person}");
    me.sign_up(&name)?;
    let mut kept = me.sign_in(&name)?;
    for round in 0_u64.. {
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        me.me(&kept)?;
        kept = me.refresh(&kept)?;
        let guest = format!("guest{person}-{round}");
        me.sign_up(&guest)?;
        let short = me.sign_in(&guest)?;
        me.me(&short)?;
        me.sign_out(&short)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    kept = me.refresh(&kept).context("a session that began before the upgrade")?;
    me.me(&kept)
}

struct Tokens {
    access: String,
    refresh: String,
}

struct Person<'a> {
    shared: &'a Shared,
    agent: Agent,
    turn: usize,
}

impl Person<'_> {
    fn sign_up(&mut self, name: &str) -> Result<()> {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        self.send("/users/signup", None, Some(body)).map(drop)
    }

    fn sign_in(&mut self, name: &str) -> Result<Tokens> {
        let answer = self.send("/users/signin", None, Some(json!({ "username": name, "password": PASSWORD })))?;
        tokens(&answer)
    }

    fn refresh(&mut self, tokens_before: &Tokens) -> Result<Tokens> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "mapae"),
            ("refresh_token", tokens_before.refresh.as_str()),
        ];
        let url = self.url("/oauth2/token");
        let mut answer = self.agent.post(&url).send_form(form).with_context(|| url.clone())?;
        tokens(&self.read(&url, &mut answer)?)
    }

    fn me(&mut self, tokens: &Tokens) -> Result<()> {
        self.send("/users/me", Some(tokens), None).map(drop)
    }

    fn sign_out(&mut self, tokens: &Tokens) -> Result<()> {
        let url = self.url("/oauth2/revoke");
        let form = [("client_id", "mapae"), ("token", tokens.refresh.as_str())];
        let mut answer = self.agent.post(&url).send_form(form).with_context(|| url.clone())?;
        self.read(&url, &mut answer).map(drop)
    }

    /// The next node's URL, as a load balancer that goes around would choose it.
    fn url(&mut self, path: &str) -> String {
        let origins = self.shared.origins.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn += 1;
        format!("{}{path}", origins[self.turn % origins.len()])
    }

    fn send(&mut self, path: &str, tokens: Option<&Tokens>, body: Option<Value>) -> Result<Value> {
        let url = self.url(path);
        let bearer = tokens.map(|tokens| format!("Bearer {}", tokens.access));
        let mut answer = match (body, bearer) {
            (Some(body), _) => self.agent.post(&url).send_json(body),
            (None, Some(bearer)) => self.agent.get(&url).header("Authorization", bearer).call(),
            (None, None) => self.agent.get(&url).call(),
        }
        .with_context(|| url.clone())?;
        self.read(&url, &mut answer)
    }

    fn read(&self, url: &str, answer: &mut ureq::http::Response<ureq::Body>) -> Result<Value> {
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        ensure!(status.is_success(), "{url} answered {status}: {text}");
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

fn tokens(answer: &Value) -> Result<Tokens> {
    let text =
        |name: &str| answer[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in the answer"));
    Ok(Tokens { access: text("access_token")?, refresh: text("refresh_token")? })
}
