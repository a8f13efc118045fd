//! An answered success is on disk: the server is killed again and again while people sign up, and while they refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::server::{PASSWORD, Server};
use crate::support::Home;

const KILLS: usize = 20;
/// People who sign up at the same time.
const PEOPLE: usize = 4;
/// People who refresh at the same time.
const REFRESHING: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_sign_up_survives_sigkill() {
    let home = Home::new();
    let mut answered: Vec<String> = Vec::new();
    for round in 0..KILLS {
        let mut server = Server::start(&home, &[]);
        let killed = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let people: Vec<_> = (0..PEOPLE)
            .map(|person| {
                let url = format!("{}/users/signup", server.url);
                let (killed, count) = (Arc::clone(&killed), Arc::clone(&count));
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    let mut made = Vec::new();
                    for number in 0.. {
                        let name = format!("r{round}p{person}n{number}");
                        let body = json!({ "username": name, "password": PASSWORD });
                        match client.post(&url).json(&body).send().await {
                            Ok(answer) => {
                                assert_eq!(answer.status(), 201, "{name}");
                                made.push(name);
                                count.fetch_add(1, Ordering::SeqCst);
                            }
                            // Cut off: it may or may not have been made, but nobody was told that it was.
                            Err(error) => {
                                assert!(killed.load(Ordering::SeqCst), "{error}");
                                return made;
                            }
                        }
                    }
                    made
                })
            })
            .collect();
        tokio::time::timeout(PATIENCE, async {
            while count.load(Ordering::SeqCst) < PEOPLE {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("people can sign up");
        // Each round is cut at another moment.
        tokio::time::sleep(Duration::from_millis(round as u64)).await;
        killed.store(true, Ordering::SeqCst);
        server.kill();
        for person in people {
            answered.extend(person.await.expect("no sign-up failed before the kill"));
        }
    }
    assert!(answered.len() >= KILLS * PEOPLE, "too few sign-ups to mean anything: {}", answered.len());

    let mut server = Server::start(&home, &[]);
    let listed = home.run(&["user", "list", "--json"], &[]);
    let accounts: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).expect("JSON");
    let names: std::collections::HashSet<_> =
        accounts.iter().map(|account| account["username"].as_str().expect("a name")).collect();
    let lost: Vec<_> = answered.iter().filter(|name| !names.contains(name.as_str())).collect();
    assert!(lost.is_empty(), "answered but lost: {lost:?}");
    // Not only listed: the accounts work.
    for name in [&answered[0], &answered[answered.len() - 1]] {
        assert_eq!(server.sign_in(name, PASSWORD, "").await.0, 200, "{name}");
    }
    let checked = home.run(&["db", "check"], &[]);
    assert_eq!(checked.status, Some(0), "{checked:?}");
    println!("{KILLS} kills, {} answered sign-ups, none lost", answered.len());
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_refresh_survives_sigkill() {
    let home = Home::new();
    let mut tokens: Vec<String> = Vec::new();
    let mut answered = 0;
    for round in 0..KILLS {
        let mut server = Server::start(&home, &[]);
        if round == 0 {
            for person in 0..REFRESHING {
                let name = format!("p{person}");
                let body = json!({ "username": name, "password": PASSWORD });
                let made = reqwest::Client::new().post(format!("{}/users/signup", server.url)).json(&body).send().await;
                assert_eq!(made.expect("an answer").status(), 201);
                let (_, body) = server.sign_in(&name, PASSWORD, "").await;
                tokens.push(body["refresh_token"].as_str().expect("a token").to_owned());
            }
        }
        let killed = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let people: Vec<_> = tokens
            .drain(..)
            .map(|mut token| {
                let url = format!("{}/oauth2/token", server.url);
                let (killed, count) = (Arc::clone(&killed), Arc::clone(&count));
                tokio::spawn(async move {
                    let client = reqwest::Client::new();
                    loop {
                        // The first of each round shows a token of before the kill.
                        match refreshed(&client, &url, &token).await {
                            Ok(successor) => token = successor,
                            Err(error) => {
                                assert!(killed.load(Ordering::SeqCst), "{error}");
                                return token;
                            }
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        tokio::time::timeout(PATIENCE, async {
            while count.load(Ordering::SeqCst) < 4 * REFRESHING {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("people can refresh");
        // Each round is cut at another moment.
        tokio::time::sleep(Duration::from_micros(700 * round as u64)).await;
        killed.store(true, Ordering::SeqCst);
        server.kill();
        for person in people {
            tokens.push(person.await.expect("no refresh failed before the kill"));
        }
        answered += count.load(Ordering::SeqCst);
    }
    let mut server = Server::start(&home, &[]);
    for token in &tokens {
        let url = format!("{}/oauth2/token", server.url);
        refreshed(&reqwest::Client::new(), &url, token).await.expect("it is still good");
    }
    // A token that the database does not know of yet would be taken too, and written down.
    let trail = home.run(&["audit", "export"], &[]).stdout;
    assert!(trail.contains("session.") || trail.contains("sign-in."), "the trail is read: {trail}");
    assert!(!trail.contains("refresh-token."), "answered but lost: {trail}");
    println!("{KILLS} kills, {answered} answered refreshes, none lost");
    server.stop();
}

/// The successor of a refresh token.
async fn refreshed(client: &reqwest::Client, url: &str, token: &str) -> Result<String, reqwest::Error> {
    let form = [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", token)];
    let answer = client.post(url).form(&form).send().await?;
    let status = answer.status();
    let body: serde_json::Value = answer.json().await?;
    assert_eq!(status, 200, "{body}");
    Ok(body["refresh_token"].as_str().expect("a token").to_owned())
}
