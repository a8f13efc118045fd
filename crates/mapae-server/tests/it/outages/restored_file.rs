//! A backup of SQLite's file that was made beside a busy server, and is put in its place when more was answered: whoever was
//! signed in when it was made stays signed in. What was done since is undone, and what came since is refused.

use std::fs;
use std::sync::Arc;

use reqwest::Client;
use serde_json::json;

use super::after::until_well;
use super::fleet::{Fleet, variables};
use super::ledger::Ledger;
use super::load::{BackedUp, Load};
use super::restored::expect_restored;
use super::{BEFORE, lasts};
use crate::everything::{text, token_endpoint};
use crate::server::{PASSWORD, Server, now};

/// One session of somebody.
struct Held {
    access: String,
    refresh: String,
}

impl Held {
    async fn sign_in(server: &Server, name: &str) -> Self {
        let (status, tokens) = server.sign_in(name, PASSWORD, "").await;
        assert_eq!(status, 200, "{name}: {tokens}");
        Self { access: text(&tokens["access_token"]), refresh: text(&tokens["refresh_token"]) }
    }

    /// Refreshes; the status.
    async fn refresh(&mut self, server: &Server) -> u16 {
        let form = [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", self.refresh.as_str())];
        let (status, tokens) = token_endpoint(server, &form).await;
        if status == 200 {
            *self = Self { access: text(&tokens["access_token"]), refresh: text(&tokens["refresh_token"]) };
        }
        status
    }

    async fn me(&self, server: &Server) -> u16 {
        server.status(&Client::new(), "/users/me", &self.access).await
    }

    async fn sign_out(&self, server: &Server) {
        let request = Client::new().post(format!("{}/users/signout", server.url)).bearer_auth(&self.access);
        assert_eq!(request.send().await.expect("an answer").status(), 204);
    }

    async fn expect_live(mut self, server: &Server, who: &str) {
        assert_eq!((self.me(server).await, self.refresh(server).await), (200, 200), "{who}");
        assert_eq!((self.me(server).await, self.refresh(server).await), (200, 200), "{who}, from then on");
    }

    async fn expect_refused(mut self, server: &Server, who: &str) {
        assert_eq!((self.me(server).await, self.refresh(server).await), (401, 400), "{who}");
    }
}

async fn sign_up(server: &Server, name: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer =
        Client::new().post(format!("{}/users/signup", server.url)).json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{name}");
    text(&answer.json::<serde_json::Value>().await.expect("JSON")["id"])
}

async fn disable(fleet: &mut Fleet, id: &str) {
    let url = format!("{}/admin/users/{id}", fleet.server(0).url);
    let request = fleet.client.patch(url).bearer_auth(&fleet.admin).json(&json!({ "disabled": true }));
    assert_eq!(request.send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_file_restored() {
    let mut variables = variables("");
    variables.remove("DATABASE_URL");
    let mut fleet = Fleet::start(vec![variables]).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&fleet, &ledger, Vec::new());
    let server = fleet.server(0);
    sign_up(server, "ann").await;
    sign_up(server, "bob").await;
    let cat = sign_up(server, "cat").await;
    let (mut stays, ended) = (Held::sign_in(server, "ann").await, Held::sign_in(server, "ann").await);
    let (left, disabled) = (Held::sign_in(server, "bob").await, Held::sign_in(server, "cat").await);
    ended.sign_out(server).await;
    tokio::time::sleep(BEFORE * 2).await;
    let known = load.stop().await;
    let kept = BackedUp::of(&known);

    // Beside a server that is busy; and then more is done.
    let load = Load::start(&fleet, &ledger, known);
    tokio::time::sleep(BEFORE).await;
    let made = now();
    let took = fleet.command(&["db", "backup", "backup.db"]);
    assert_eq!(took.status, Some(0), "{took:?}");
    let server = fleet.server(0);
    for _ in 0..3 {
        assert_eq!(stays.refresh(server).await, 200);
    }
    left.sign_out(server).await;
    sign_up(server, "dan").await;
    let (late, newcomer) = (Held::sign_in(server, "ann").await, Held::sign_in(server, "dan").await);
    disable(&mut fleet, &cat).await;
    tokio::time::sleep(lasts()).await;
    let accounts = load.stop().await;

    // As it is done.
    fleet.stop();
    let data = fleet.home(0).path().join("mapae-data");
    fs::rename(data.join("mapae.db"), data.join("old.db")).expect("it is moved away");
    for name in ["mapae.db-wal", "mapae.db-shm"] {
        assert!(!data.join(name).exists(), "{name} is left after a stop");
    }
    fs::rename(fleet.home(0).path().join("backup.db"), data.join("mapae.db")).expect("it is put back");
    fleet.run(0);
    ledger.recovered(now(), until_well(&fleet, &ledger).await);

    let server = fleet.server(0);
    stays.expect_live(server, "whose refresh token is newer than the backup").await;
    left.expect_live(server, "who signed out since").await;
    disabled.expect_live(server, "who was disabled since").await;
    ended.expect_refused(server, "who signed out before").await;
    late.expect_refused(server, "a session of since then").await;
    newcomer.expect_refused(server, "an account of since then").await;
    assert_eq!(server.sign_in("dan", PASSWORD, "").await.0, 401);
    sign_up(server, "dan").await;

    // Of what else was acknowledged before the backup began, the same is true.
    expect_restored("backup_of_a_file_restored", &fleet, &ledger, kept.left_of(accounts, made)).await;
    let checked = fleet.command(&["db", "check"]);
    assert_eq!(checked.status, Some(0), "{checked:?}");
    fleet.stop();
}
