//! People who use the service while it fails, and who remember what they were told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::fleet::{Balancer, Fleet, REQUEST_LIMIT, Target};
use super::ledger::{Ledger, Outcome, since};
use crate::server::{PASSWORD, now};

/// People who act at the same time.
pub(super) const PEOPLE: usize = 8;
/// Between two acts of one of them.
const PAUSE: Duration = Duration::from_millis(25);
/// Whoever is disabled or signed out on one node is refused on all others after this time.
const SEEN: Duration = Duration::from_secs(1);

/// An account that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    id: String,
    state: State,
    /// Somebody has tried a wrong password.
    is_attacked: bool,
    pub(super) sessions: Vec<Session>,
}

/// What accounts had when a backup of them was made.
pub(super) struct BackedUp(Vec<(String, usize)>);

impl BackedUp {
    pub(super) fn of(accounts: &[Account]) -> Self {
        Self(accounts.iter().map(|account| (account.name.clone(), account.sessions.len())).collect())
    }

    /// What is left of accounts where this backup, of this time, is restored.
    pub(super) fn left_of(&self, mut accounts: Vec<Account>, made: Instant) -> Vec<Account> {
        accounts.retain_mut(|account| {
            let sessions = self.0.iter().find(|(name, _)| *name == account.name).map(|(_, sessions)| *sessions);
            account.sessions.truncate(sessions.unwrap_or_default());
            // Who has gone since then is back: that is what a backup is.
            account.forget_ends_since(made);
            sessions.is_some()
        });
        let sessions = accounts.iter().map(|account| account.sessions.len()).sum::<usize>();
        assert!(sessions > 5, "too few to mean anything: {sessions}");
        accounts
    }
}

impl Account {
    /// What was ended since then may be back: a backup was restored.
    fn forget_ends_since(&mut self, time: Instant) {
        let states = self.sessions.iter_mut().map(|session| &mut session.state).chain([&mut self.state]);
        for state in states.filter(|state| matches!(state, State::Ended(at) if *at >= time)) {
            *state = State::Unknown;
        }
    }
}

/// A session that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The id of its account.
    owner: String,
    access: String,
    refresh: String,
    state: State,
    /// Nobody was told whether a refresh was done.
    is_in_doubt: bool,
}

/// What is known of an account or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    /// It was acknowledged then that it has ended.
    Ended(Instant),
    /// Nobody was told whether it has ended.
    Unknown,
}

impl State {
    /// Whether a request that was sent then must be refused.
    fn is_over(self, sent: Instant) -> bool {
        matches!(self, Self::Ended(at) if sent >= at + SEEN)
    }

    fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Acknowledged => Self::Ended(now()),
            Outcome::Refused => Self::Live,
            Outcome::Unavailable | Outcome::CutOff => Self::Unknown,
        }
    }
}

/// How many loads there were, so that no two make accounts of one name.
static LOADS: AtomicUsize = AtomicUsize::new(0);

/// A load that runs until it is stopped.
pub(super) struct Load {
    people: JoinSet<Vec<Account>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    /// Goes on with these accounts.
    pub(super) fn start(fleet: &Fleet, ledger: &Arc<Ledger>, accounts: Vec<Account>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut people = JoinSet::new();
        let mut shares: Vec<Vec<Account>> = (0..PEOPLE).map(|_| Vec::new()).collect();
        for (number, account) in accounts.into_iter().enumerate() {
            shares[number % PEOPLE].push(account);
        }
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        for (number, accounts) in shares.into_iter().enumerate() {
            let (caller, name) = (Caller::new(fleet, ledger, number), format!("l{load}p{number}"));
            people.spawn(Person { caller, name, accounts }.act(Arc::clone(&is_over)));
        }
        Self { people, is_over }
    }

    /// Everybody ends what he does; the accounts.
    pub(super) async fn stop(mut self) -> Vec<Account> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut accounts = Vec::new();
        while let Some(person) = self.people.join_next().await {
            accounts.extend(person.expect("nobody panics"));
        }
        accounts
    }
}

/// Sends requests, and writes down what comes of them.
pub(super) struct Caller {
    client: Client,
    balancer: Balancer,
    ledger: Arc<Ledger>,
    admin: String,
    /// Of a sequence that only has to look arbitrary.
    dice: u64,
}

impl Caller {
    pub(super) fn new(fleet: &Fleet, ledger: &Arc<Ledger>, number: usize) -> Self {
        let (balancer, admin) = (fleet.balancer.clone(), fleet.admin.clone());
        let dice = 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1);
        Self { client: fleet.client.clone(), balancer, ledger: Arc::clone(ledger), admin, dice }
    }

    /// A number below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        // xorshift64.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice as usize % limit.max(1)
    }

    /// Sends a request to any node; what came of it, when it was sent, and the body.
    async fn send(
        &mut self,
        what: &'static str,
        request: impl Fn(&Client, &str) -> RequestBuilder,
    ) -> (Outcome, Instant, Value) {
        loop {
            let number = self.roll(1 << 20);
            let target = self.balancer.pick(number);
            if let Some(answered) = self.send_to(&target, what, &request).await {
                return answered;
            }
        }
    }

    /// As [`Self::send`]; `None` if the request did not reach the node, which a load balancer makes good by another.
    pub(super) async fn send_to(
        &mut self,
        target: &Target,
        what: &'static str,
        request: impl Fn(&Client, &str) -> RequestBuilder,
    ) -> Option<(Outcome, Instant, Value)> {
        let sent = now();
        let answer = request(&self.client, &target.url).send().await;
        let (outcome, body) = match answer {
            Ok(answer) => {
                let (status, retry) = (answer.status(), answer.headers().contains_key("retry-after"));
                match answer.text().await {
                    Ok(text) => {
                        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
                        (self.outcome(what, target, (status, retry), &text), body)
                    }
                    Err(error) => (self.cut_off(what, target, &error), Value::Null),
                }
            }
            Err(error) if error.is_connect() => {
                assert!(since(sent) < REQUEST_LIMIT, "{what}: {error:?}");
                // The others are asked; this one only as long as the load balancer does not know better.
                tokio::time::sleep(Duration::from_millis(5)).await;
                return None;
            }
            Err(error) => (self.cut_off(what, target, &error), Value::Null),
        };
        if since(sent) > REQUEST_LIMIT + Duration::from_secs(1) {
            self.ledger.wrong(format!("{what} on node {} took {:?}", target.node, since(sent)));
        }
        self.ledger.note(what, outcome, sent);
        Some((outcome, sent, body))
    }

    fn outcome(&self, what: &str, target: &Target, (status, retry): (StatusCode, bool), text: &str) -> Outcome {
        match status.as_u16() {
            200..300 => Outcome::Acknowledged,
            503 if retry => Outcome::Unavailable,
            400..500 if status != StatusCode::TOO_MANY_REQUESTS => Outcome::Refused,
            _ => {
                self.ledger.wrong(format!("{what} on node {} was answered {status}: {text}", target.node));
                Outcome::Unavailable
            }
        }
    }

    fn cut_off(&self, what: &str, target: &Target, error: &reqwest::Error) -> Outcome {
        if !self.balancer.was_lost(target) {
            self.ledger.wrong(format!("{what} on node {} was not answered: {error:?}", target.node));
        }
        Outcome::CutOff
    }

    async fn sign_up(&mut self, name: String) -> Option<Account> {
        let body = json!({ "username": name, "password": PASSWORD });
        let (outcome, _, made) =
            self.send("sign-up", |client, url| client.post(format!("{url}/users/signup")).json(&body)).await;
        match outcome {
            Outcome::Acknowledged => {
                let id = made["id"].as_str().unwrap_or_default().to_owned();
                Some(Account { name, id, state: State::Live, is_attacked: false, sessions: Vec::new() })
            }
            Outcome::Refused => {
                self.ledger.wrong(format!("the sign-up of {name} was refused: {made}"));
                None
            }
            // It may have been made; nobody was told so.
            Outcome::Unavailable | Outcome::CutOff => None,
        }
    }

    async fn sign_in(&mut self, account: &mut Account) {
        let body = json!({ "username": account.name, "password": PASSWORD });
        let (outcome, _, tokens) =
            self.send("sign-in", |client, url| client.post(format!("{url}/users/signin")).json(&body)).await;
        match outcome {
            Outcome::Acknowledged => {
                let text = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
                let (access, refresh) = (text("access_token"), text("refresh_token"));
                let session =
                    Session { owner: account.id.clone(), access, refresh, state: State::Live, is_in_doubt: false };
                self.expect_own("sign-in", subject(&session.access), &session);
                account.sessions.push(session);
            }
            Outcome::Refused => self.ledger.wrong(format!("{} is lost: {tokens}", account.name)),
            Outcome::Unavailable | Outcome::CutOff => {}
        }
    }

    /// Tries a wrong password, once for each account, so that nobody has to wait for it afterwards.
    async fn attack(&mut self, account: &mut Account) {
        account.is_attacked = true;
        let body = json!({ "username": account.name, "password": "not the one" });
        let (outcome, _, answer) =
            self.send("attack", |client, url| client.post(format!("{url}/users/signin")).json(&body)).await;
        if outcome == Outcome::Acknowledged {
            self.ledger.wrong(format!("a wrong password was taken for {}: {answer}", account.name));
        }
    }

    /// What was answered must be of the one who asked.
    fn expect_own(&self, what: &str, of: Option<String>, session: &Session) {
        if of.as_ref() != Some(&session.owner) {
            self.ledger.wrong(format!("{what} of {} was answered with what belongs to {of:?}", session.owner));
        }
    }

    /// Asks who one is; `None` if there was no answer to that.
    async fn me(&mut self, session: &Session) -> Option<bool> {
        let (outcome, sent, body) =
            self.send("me", |client, url| client.get(format!("{url}/users/me")).bearer_auth(&session.access)).await;
        let judged = self.judge("a token", outcome, sent, session, &body);
        if judged == Some(true) {
            self.expect_own("me", body["id"].as_str().map(str::to_owned), session);
        }
        judged
    }

    /// Refreshes; `None` if nobody knows whether.
    pub(super) async fn refresh(&mut self, session: &mut Session) -> Option<bool> {
        let form =
            [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", session.refresh.as_str())];
        let (outcome, sent, tokens) =
            self.send("refresh", |client, url| client.post(format!("{url}/oauth2/token")).form(&form)).await;
        let judged = self.judge("a refresh token", outcome, sent, session, &tokens);
        match (judged, outcome) {
            (Some(true), _) => {
                let text = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
                (session.access, session.refresh) = (text("access_token"), text("refresh_token"));
                session.is_in_doubt = false;
                self.expect_own("refresh", subject(&session.access), session);
            }
            (None, _) => session.is_in_doubt = true,
            (Some(false), _) => {}
        }
        judged
    }

    /// Whether what was shown is good, and whether that is right.
    fn judge(&self, what: &str, outcome: Outcome, sent: Instant, session: &Session, body: &Value) -> Option<bool> {
        match outcome {
            Outcome::Acknowledged if session.state.is_over(sent) => {
                self.ledger.wrong(format!("{what} was accepted after its session had ended: {:?}", session.state));
                Some(true)
            }
            Outcome::Acknowledged => Some(true),
            Outcome::Refused if session.state == State::Live => {
                self.ledger.wrong(format!("{what} was refused although its session lives: {body}"));
                Some(false)
            }
            Outcome::Refused => Some(false),
            Outcome::Unavailable | Outcome::CutOff => None,
        }
    }

    async fn sign_out(&mut self, session: &mut Session) {
        let (outcome, _, body) = self
            .send("sign-out", |client, url| client.post(format!("{url}/users/signout")).bearer_auth(&session.access))
            .await;
        if outcome == Outcome::Refused {
            self.ledger.wrong(format!("a sign-out was refused: {body}"));
        }
        session.state = State::after(outcome);
    }

    async fn disable(&mut self, account: &mut Account) {
        let (admin, id) = (self.admin.clone(), account.id.clone());
        let (outcome, _, body) = self
            .send("disable", |client, url| {
                let body = json!({ "disabled": true });
                client.patch(format!("{url}/admin/users/{id}")).bearer_auth(&admin).json(&body)
            })
            .await;
        if outcome == Outcome::Refused {
            self.ledger.wrong(format!("{} could not be disabled: {body}", account.name));
        }
        account.state = State::after(outcome);
        for session in account.sessions.iter_mut().filter(|session| session.state == State::Live) {
            session.state = account.state;
        }
    }
}

/// Whose an access token is.
fn subject(access: &str) -> Option<String> {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(access).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

struct Person {
    caller: Caller,
    /// What the names of his accounts begin with.
    name: String,
    accounts: Vec<Account>,
}

impl Person {
    async fn act(mut self, is_over: Arc<AtomicBool>) -> Vec<Account> {
        for count in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            self.act_once(count).await;
            tokio::time::sleep(PAUSE).await;
        }
        self.accounts
    }

    async fn act_once(&mut self, count: usize) {
        // Whoever was not answered asks again, before anything else.
        let sessions = self.accounts.iter_mut().flat_map(|account| &mut account.sessions);
        let mut open = sessions.filter(|session| session.state == State::Live);
        if let Some(session) = open.find(|session| session.is_in_doubt) {
            self.caller.refresh(session).await;
            return;
        }
        let live: Vec<_> = (0..self.accounts.len()).filter(|at| self.accounts[*at].state == State::Live).collect();
        let what = self.caller.roll(100);
        if live.is_empty() || what < 12 {
            let name = format!("{}n{count}", self.name);
            let made = self.caller.sign_up(name).await;
            self.accounts.extend(made);
            return;
        }
        let which = live[self.caller.roll(live.len())];
        let account = &mut self.accounts[which];
        let live = account.sessions.iter().position(|session| session.state == State::Live);
        match (what, live) {
            (12..18, Some(_)) if !account.is_attacked => self.caller.attack(account).await,
            (12..26, _) | (_, None) => self.caller.sign_in(account).await,
            (26..50, Some(session)) => _ = self.caller.refresh(&mut account.sessions[session]).await,
            (50..56, Some(session)) => self.caller.sign_out(&mut account.sessions[session]).await,
            (56..60, Some(_)) => self.caller.disable(account).await,
            // Who has ended his session is refused, whomever he asks.
            (60..75, Some(_)) => self.show_an_ended_one().await,
            (_, Some(session)) => _ = self.caller.me(&account.sessions[session]).await,
        }
    }

    async fn show_an_ended_one(&mut self) {
        let sessions = self.accounts.iter().flat_map(|account| &account.sessions);
        let ended: Vec<_> = sessions.filter(|session| session.state.is_over(now())).collect();
        if ended.is_empty() {
            return;
        }
        // The newest: what is remembered of it is remembered still.
        let session = (*ended[ended.len() - 1 - self.caller.roll(ended.len().min(3))]).clone();
        self.caller.me(&session).await;
    }
}

/// Checks everything that was acknowledged, when all is well again.
pub(super) async fn check(fleet: &Fleet, ledger: &Arc<Ledger>, accounts: Vec<Account>) {
    let listed = fleet.command(&["user", "list", "--json"]);
    let users: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"));
    let users: HashMap<_, _> = users.iter().map(|user| (user["id"].as_str().unwrap_or_default(), user)).collect();
    for account in &accounts {
        match (users.get(account.id.as_str()), account.state) {
            (None, _) => ledger.wrong(format!("the account {} is lost", account.name)),
            (Some(user), State::Ended(_)) if user["disabled"] != true => {
                ledger.wrong(format!("{} is not disabled any more", account.name));
            }
            (Some(user), State::Live) if user["disabled"] == true => {
                ledger.wrong(format!("{} is disabled", account.name));
            }
            (Some(_), _) => {}
        }
    }
    let mut checks = JoinSet::new();
    let mut shares: Vec<Vec<Session>> = (0..PEOPLE).map(|_| Vec::new()).collect();
    let sessions = accounts.into_iter().flat_map(|account| account.sessions);
    for (number, session) in sessions.filter(|session| session.state != State::Unknown).enumerate() {
        shares[number % PEOPLE].push(session);
    }
    for (number, sessions) in shares.into_iter().enumerate() {
        let mut caller = Caller::new(fleet, ledger, PEOPLE + number);
        checks.spawn(async move {
            for mut session in sessions {
                let refreshed = caller.refresh(&mut session).await;
                let shown = caller.me(&session).await;
                if session.state == State::Live && (refreshed, shown) != (Some(true), Some(true)) {
                    caller.ledger.wrong(format!("a session cannot go on: {refreshed:?} {shown:?}"));
                }
            }
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked.expect("nobody panics");
    }
}
