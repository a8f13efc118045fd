//! What is looked at when a fault is over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::json;

use super::fleet::{Fleet, Target};
use super::ledger::{Ledger, Outcome, since};
use super::load::{Caller, PEOPLE};
use crate::server::{PASSWORD, now};

/// A refusal is in the audit trail after this time.
const AUDITED: Duration = Duration::from_secs(2);

/// How long it takes until somebody can sign in, refresh and be known on every node: until he begins to, since how long
/// that takes is the machine's affair.
pub(super) async fn until_well(fleet: &Fleet, ledger: &Arc<Ledger>) -> Duration {
    let began = now();
    let nodes = fleet.balancer.all();
    let well = join_all(nodes.iter().map(async |target| {
        let mut caller = Caller::new(fleet, ledger, 2 * PEOPLE + target.node);
        loop {
            let tried = since(began);
            if is_well(&mut caller, target).await {
                return tried;
            }
            assert!(tried < Duration::from_secs(30), "node {} does not recover", target.node);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));
    well.await.into_iter().max().unwrap_or_default()
}

async fn is_well(caller: &mut Caller, target: &Target) -> bool {
    let body = json!({ "email": "admin@example.com", "password": PASSWORD });
    let sign_in = |client: &Client, url: &str| client.post(format!("{url}/users/signin")).json(&body);
    let Some((Outcome::Acknowledged, _, tokens)) = caller.send_to(target, "probe", sign_in).await else {
        return false;
    };
    let text = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let me = |client: &Client, url: &str| client.get(format!("{url}/users/me")).bearer_auth(&access);
    let form = [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", &refresh)];
    let refresh = |client: &Client, url: &str| client.post(format!("{url}/oauth2/token")).form(&form);
    let known = caller.send_to(target, "probe", me).await.is_some_and(|(outcome, ..)| outcome == Outcome::Acknowledged);
    let refreshed = caller.send_to(target, "probe", refresh).await;
    // A load balancer must hear of it too.
    let ready = |client: &Client, url: &str| client.get(format!("{url}/health/ready"));
    let is_ready = caller.send_to(target, "probe", ready).await;
    known && [refreshed, is_ready].into_iter().flatten().filter(|(one, ..)| *one == Outcome::Acknowledged).count() == 2
}

/// What is refused from now on is in the audit trail, on whichever node it was.
pub(super) async fn expect_audited(fleet: &Fleet, ledger: &Arc<Ledger>) {
    let mut caller = Caller::new(fleet, ledger, 3 * PEOPLE);
    let mut names = Vec::new();
    for target in fleet.balancer.all() {
        let name = format!("nobody{}", target.node);
        let body = json!({ "username": name, "password": PASSWORD });
        let sign_in = |client: &Client, url: &str| client.post(format!("{url}/users/signin")).json(&body);
        let answer = caller.send_to(&target, "attack", sign_in).await;
        if answer.as_ref().is_none_or(|(outcome, ..)| *outcome != Outcome::Refused) {
            ledger.wrong(format!("the sign-in of {name} came out as {answer:?}"));
        }
        names.push(name);
    }
    let began = now();
    loop {
        let trail = fleet.command(&["audit", "export", "--event", "sign-in.refused"]);
        let refused = trail.stdout.lines().filter(|line| line.contains("no-such-account")).count();
        if refused >= names.len() {
            return;
        }
        if since(began) > AUDITED {
            return ledger.wrong(format!("{refused} of {} refusals are in the audit trail", names.len()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
