//! The pool that hashes passwords, and the time that a refusal takes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use mapae::domain::SecretText;
use mapae::service::By;
use mapae::settings::{HashPoolSettings, Settings};
use mapae_password::{Argon2Params, BcryptCost, Format};
use mapae_verify::Scopes;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::server::{PASSWORD, Server, disable, header, id_of, problem};

fn one_slow_thread(settings: &mut Settings) {
    settings.passwords.argon2 = Argon2Params::new(64 * 1024, 3, 1).unwrap();
    settings.hash_pool = HashPoolSettings { threads: NonZeroUsize::MIN, queue: 2 };
}

async fn sign_in(server: &Server, username: &str, password: &str) -> Response {
    let body = json!({ "username": username, "password": password });
    server.post("/users/signin").json(&body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_is_refused_in_part_and_slows_nobody_else() {
    let server = Arc::new(Server::start_with(one_slow_thread).await);
    let (_, token) = server.newcomer("ann").await;
    let began = Instant::now();
    server.sign_in("ann").await;
    let one_hash = began.elapsed();

    let sign_ins: Vec<_> = (0..24)
        .map(|number| {
            let server = server.clone();
            // Some knock with the form, which answers in the other style.
            tokio::spawn(async move {
                if number % 2 == 0 {
                    sign_in(&server, "ann", PASSWORD).await
                } else {
                    server.post("/token").form(&[("username", "ann"), ("password", PASSWORD)]).send().await.unwrap()
                }
            })
        })
        .collect();
    let mut reads = Vec::new();
    while !sign_ins.iter().all(tokio::task::JoinHandle::is_finished) || reads.len() < 20 {
        let began = Instant::now();
        assert_eq!(server.status_of_me(&token).await, 200);
        reads.push(began.elapsed());
        sleep(Duration::from_millis(1)).await;
    }
    let (mut let_in, mut refused) = (0, 0);
    for task in sign_ins {
        let response = task.await.unwrap();
        if response.status() == 200 {
            let_in += 1;
            continue;
        }
        refused += 1;
        assert_eq!(header(&response, "retry-after"), "2");
        if header(&response, "content-type") == "application/json" {
            assert_eq!(response.status(), 503);
            let body: Value = response.json().await.unwrap();
            assert!(body["detail"].as_str().unwrap().contains("Try again"), "{body}");
        } else {
            problem(response, StatusCode::SERVICE_UNAVAILABLE, "too_busy").await;
        }
    }
    reads.sort_unstable();
    let median = reads[reads.len() / 2];
    let worst = reads[reads.len() - 1];
    println!("one sign-in {one_hash:?}; {let_in} let in, {refused} refused; reads: median {median:?}, worst {worst:?}");
    assert!(let_in >= 3, "the one on the thread and those in the queue");
    assert!(refused >= 1);
    assert!(median < one_hash / 2, "reads took {median:?} beside hashes of {one_hash:?}");
    assert_eq!(sign_in(&server, "ann", PASSWORD).await.status(), 200, "and afterwards all is well");
}

/// Signing up and changing a password hash too: they are refused in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_hashes_is_refused_when_the_queue_is_full() {
    let server = Arc::new(Server::start_with(one_slow_thread).await);
    let (_, token) = server.newcomer("ann").await;
    let body = json!({ "current_password": PASSWORD, "new_password": "seven purple elephants" });
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let request = match number % 3 {
                0 => server
                    .post("/users/signup")
                    .json(&json!({ "username": format!("user{number}"), "password": PASSWORD })),
                1 => server.delete("/users/me").bearer_auth(&token).json(&json!({ "password": "not the password" })),
                _ => server.post("/users/me/password").bearer_auth(&token).json(&body),
            };
            tokio::spawn(async move { request.send().await.unwrap() })
        })
        .collect();
    let (mut busy, mut made) = (0, 0);
    for task in tasks {
        let response = task.await.unwrap();
        match response.status().as_u16() {
            503 => {
                busy += 1;
                problem(response, StatusCode::SERVICE_UNAVAILABLE, "too_busy").await;
            }
            201 => made += 1,
            204 | 403 => {}
            other => panic!("{other}"),
        }
    }
    assert!(busy >= 1);
    assert_eq!(server.accounts().await, 1 + made, "a 503 means that nothing was made");
}

/// Times of refused sign-ins, interleaved so that a busy moment of the machine meets all alike; the median of each.
async fn medians<const N: usize>(server: &Server, logins: [&str; N]) -> [Duration; N] {
    let mut took = [(); N].map(|()| Vec::new());
    for _ in 0..15 {
        for (login, took) in logins.iter().zip(&mut took) {
            let began = Instant::now();
            assert_eq!(sign_in(server, login, "wrong password").await.status(), 401);
            took.push(began.elapsed());
        }
    }
    took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_wrong_and_disabled_are_refused_alike() {
    let server = Server::start_with(|settings| {
        settings.passwords.argon2 = Argon2Params::new(4 * 1024, 2, 1).unwrap();
        settings.throttle = None;
    })
    .await;
    server.sign_up("ann").await;
    let disabled = server.sign_up("bob").await;
    server.mapae.administer(&id_of(&disabled), disable(true), By::System).await.unwrap();

    let mut answers = Vec::new();
    for (login, password) in
        [("ann", "wrong password"), ("nobody", PASSWORD), ("bob", PASSWORD), ("bob", "wrong password")]
    {
        let response = sign_in(&server, login, password).await;
        let mut headers: Vec<String> = response
            .headers()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort_unstable();
        answers.push((headers, problem(response, StatusCode::UNAUTHORIZED, "incorrect_credentials").await));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");

    let took = medians(&server, ["ann", "nobody", "bob"]).await;
    println!("refused after: wrong password {:?}, unknown {:?}, disabled {:?}", took[0], took[1], took[2]);
    alike(&took);
}

/// An imported hash that costs a fraction of a new one must not tell that the account exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_cheap_legacy_hash_is_refused_as_late_as_any() {
    let server = Server::start_with(|settings| {
        settings.passwords.write = Format::Bcrypt2b;
        settings.passwords.costs.bcrypt = Some(BcryptCost::new(4).unwrap());
        settings.throttle = None;
    })
    .await;
    server.sign_up("legacy").await;
    let server = server
        .restart_with(|settings| {
            settings.passwords = mapae_password::Context::default();
            settings.passwords.argon2 = Argon2Params::new(16 * 1024, 2, 1).unwrap();
        })
        .await;
    server.sign_up("ann").await;
    let took = medians(&server, ["ann", "legacy", "nobody"]).await;
    println!("refused after: new hash {:?}, legacy hash {:?}, unknown {:?}", took[0], took[1], took[2]);
    alike(&took);

    // Many tries at the one cheap account do not teach the server to refuse it sooner.
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let mapae = server.mapae.clone();
        tries.spawn(async move {
            let wrong = SecretText::new("wrong password".to_owned());
            mapae.sign_in("legacy", &wrong, &Scopes::default()).await.unwrap_err()
        });
    }
    tries.join_all().await;
    let [legacy] = medians(&server, ["legacy"]).await;
    println!("and after many tries at it {legacy:?}");
    assert!(legacy * 2 > took[0], "{legacy:?} beside {took:?}");
}

fn alike(took: &[Duration]) {
    let (least, most) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!(*most < *least * 2, "{took:?}");
}
