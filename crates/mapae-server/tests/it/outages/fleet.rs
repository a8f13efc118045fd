//! Nodes of one service, as a load balancer has them.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::ledger::since;
use crate::server::{BASE_URL, CHEAP, PASSWORD, Server, now};
use crate::support::{Ended, GOOD_KEY, Home};

/// Whatever becomes of a request, it is answered within this time.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(8);
/// Limits under which a fault of a few seconds is felt; for all nodes.
const LIMITS: [(&str, &str); 4] = [
    ("MAPAE_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "2"),
    ("MAPAE_DATABASE_STATEMENT_TIMEOUT_SECONDS", "2"),
    ("MAPAE_REQUEST_TIMEOUT_SECONDS", "8"),
    ("MAPAE_SIGNUP", "open"),
];
const ADMIN: &str = "admin@example.com";

/// Settings of one node.
pub(super) type Variables = HashMap<String, String>;

/// Where requests go.
#[derive(Clone, Default)]
pub(super) struct Balancer(Arc<RwLock<Vec<Slot>>>);

#[derive(Clone, Default)]
struct Slot {
    url: String,
    /// Whether new requests go there.
    is_in: bool,
    /// How often it went away without a word.
    losses: u32,
}

/// A node that a request goes to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) node: usize,
    pub(super) url: String,
    losses: u32,
}

impl Balancer {
    /// One of the nodes that are in, by this number.
    pub(super) fn pick(&self, number: usize) -> Target {
        let slots = self.0.read().expect("no panic");
        let there: Vec<_> = slots.iter().enumerate().filter(|(_, slot)| slot.is_in).collect();
        assert!(!there.is_empty(), "no node is in");
        let (node, slot) = there[number % there.len()];
        Target { node, url: slot.url.clone(), losses: slot.losses }
    }

    /// All nodes that are in.
    pub(super) fn all(&self) -> Vec<Target> {
        let slots = self.0.read().expect("no panic");
        let there = slots.iter().enumerate().filter(|(_, slot)| slot.is_in);
        there.map(|(node, slot)| Target { node, url: slot.url.clone(), losses: slot.losses }).collect()
    }

    /// Whether a request to this node may have been cut off.
    pub(super) fn was_lost(&self, target: &Target) -> bool {
        let slots = self.0.read().expect("no panic");
        slots[target.node].losses > target.losses
    }

    fn change(&self, node: usize, change: impl FnOnce(&mut Slot)) {
        change(&mut self.0.write().expect("no panic")[node]);
    }
}

/// Nodes on one database.
pub(super) struct Fleet {
    pub(super) balancer: Balancer,
    pub(super) client: Client,
    nodes: Vec<Node>,
    /// An administrator's tokens.
    pub(super) admin: String,
    pub(super) refresh: String,
}

struct Node {
    server: Option<Server>,
    home: Home,
    variables: Variables,
    /// What the process is started through, with its arguments.
    through: Vec<String>,
}

impl Fleet {
    /// Starts a node for each of these settings, one after the other.
    pub(super) async fn start(nodes: Vec<Variables>) -> Self {
        Self::start_through(&[], nodes).await
    }

    /// As [`Self::start`], each through this program.
    pub(super) async fn start_through(through: &[&str], nodes: Vec<Variables>) -> Self {
        let balancer = Balancer::default();
        balancer.0.write().expect("no panic").resize(nodes.len(), Slot::default());
        let through: Vec<_> = through.iter().map(|word| (*word).to_owned()).collect();
        let node = |variables| Node { server: None, home: Home::new(), variables, through: through.clone() };
        let nodes: Vec<_> = nodes.into_iter().map(node).collect();
        let client = client();
        let mut fleet = Self { balancer, client, nodes, admin: String::new(), refresh: String::new() };
        for node in 0..fleet.nodes.len() {
            fleet.run(node);
        }
        (fleet.admin, fleet.refresh) = fleet.sign_in_admin().await;
        fleet
    }

    /// Three nodes, each of which finds the database at its own address.
    pub(super) async fn of_three(databases: [String; 3]) -> Self {
        Self::start(databases.iter().map(|database| variables(database)).collect()).await
    }

    async fn sign_in_admin(&self) -> (String, String) {
        let url = format!("{}/users/signin", self.balancer.pick(0).url);
        let body = json!({ "email": ADMIN, "password": PASSWORD, "scope": "me mapae:admin" });
        let answer = self.client.post(url).json(&body).send().await.expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }

    /// Starts a node, and lets requests go there.
    pub(super) fn run(&mut self, node: usize) {
        let Node { server, home, variables, through } = &mut self.nodes[node];
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = CHEAP.into_iter().chain([BASE_URL]).chain(variables).collect();
        std::fs::write(home.path().join("admin"), PASSWORD).expect("written");
        let command = home.command(&["serve", "--listen", "127.0.0.1:0"], &variables);
        let started = server.insert(Server::of(started_through(through, command)));
        let url = started.url.clone();
        self.balancer.change(node, |slot| (slot.url, slot.is_in) = (url, true));
    }

    /// The running node.
    pub(super) fn server(&mut self, node: usize) -> &mut Server {
        self.nodes[node].server.as_mut().expect("it runs")
    }

    pub(super) fn home(&self, node: usize) -> &Home {
        &self.nodes[node].home
    }

    /// Sends no more requests there.
    pub(super) fn take_out(&self, node: usize) {
        self.balancer.change(node, |slot| slot.is_in = false);
    }

    /// Kills a node while requests run there, which may be cut off.
    pub(super) fn kill(&mut self, node: usize) {
        self.balancer.change(node, |slot| (slot.is_in, slot.losses) = (false, slot.losses + 1));
        if let Some(mut server) = self.nodes[node].server.take() {
            server.kill();
        }
    }

    /// Stops all nodes.
    pub(super) fn stop(&mut self) {
        for node in 0..self.nodes.len() {
            self.take_out(node);
            if let Some(mut server) = self.nodes[node].server.take() {
                server.stop();
            }
        }
    }

    /// A command beside the nodes.
    pub(super) fn command(&self, arguments: &[&str]) -> Ended {
        let Node { home, variables, .. } = &self.nodes[0];
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = CHEAP.into_iter().chain([BASE_URL]).chain(variables).collect();
        home.run(arguments, &variables)
    }

    /// The status of `GET`, without a token.
    pub(super) async fn status(&self, target: &Target, path: &str) -> u16 {
        let answer = self.client.get(format!("{}{path}", target.url)).send().await;
        answer.expect("an answer").status().as_u16()
    }

    /// Waits until a node says so of itself at `/health/ready`.
    pub(super) async fn until_ready_is(&self, target: &Target, status: u16) -> Duration {
        let began = now();
        while self.status(target, "/health/ready").await != status {
            assert!(since(began) < Duration::from_secs(5), "node {} is not {status}", target.node);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        since(began)
    }
}

/// The same command, started through another program.
fn started_through(through: &[String], command: Command) -> Command {
    let Some((program, arguments)) = through.split_first() else { return command };
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.current_dir(command.get_current_dir().expect("its home"));
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

/// A client whose patience ends after that of every node.
fn client() -> Client {
    Client::builder().timeout(REQUEST_LIMIT + Duration::from_secs(2)).build().expect("a client")
}

/// What every node is started with, besides its database.
pub(super) fn variables(database: &str) -> Variables {
    let administrator = [("MAPAE_ADMIN_EMAIL", ADMIN), ("MAPAE_ADMIN_PASSWORD_FILE", "admin")];
    let own = [("DATABASE_URL", database), ("MAPAE_MASTER_KEY", GOOD_KEY)];
    let all = LIMITS.into_iter().chain(administrator).chain(own);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
