//! Requests that come at the same moment.

use std::sync::Arc;
use std::time::Duration;

use mapae::Settings;
use mapae::domain::UserName;
use mapae::service::By;
use mapae::service::accounts::AdminChange;
use mapae::store::Login;
use mapae_password::Argon2Params;
use mapae_verify::Scopes;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::server::{PASSWORD, Server, text, withdraw};

/// Sends all requests at once, each from its own task; the status and body of each, in order.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<(StatusCode, Value)> {
    let requests: Vec<RequestBuilder> = requests.into_iter().collect();
    let barrier = Arc::new(Barrier::new(requests.len()));
    let send = |request: RequestBuilder| {
        let barrier = barrier.clone();
        tokio::spawn(async move {
            barrier.wait().await;
            let response = request.send().await.unwrap();
            (response.status(), response.json().await.unwrap_or(Value::Null))
        })
    };
    let tasks: Vec<_> = requests.into_iter().map(send).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn count(answers: &[(StatusCode, Value)], status: u16) -> usize {
    answers.iter().filter(|(got, _)| *got == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_sign_ups_for_one_name_one_wins() {
    let server = Server::start().await;
    let spellings = ["José", "josé", "JOSE\u{301}", "\u{ff2a}osé"];
    let answers = at_once((0..20).map(|number| {
        let body = json!({
            "username": spellings[number % 4], "email": format!("user{number}@example.com"), "password": PASSWORD,
        });
        server.post("/users/signup").json(&body)
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 19), "{answers:?}");
    assert!(answers.iter().all(|(status, body)| *status == 201 || body["code"] == "username_taken"));
    let users = server.mapae.store().list_users(None, None, 200).await.unwrap().users;
    let winner = answers.iter().find(|(status, _)| *status == 201).unwrap();
    assert_eq!(users.iter().map(|user| user.id.to_string()).collect::<Vec<_>>(), [text(&winner.1["id"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_sign_ups_for_one_address_one_wins() {
    let server = Server::start().await;
    let spellings =
        ["a@bücher.example", "A@BÜCHER.example", "a@xn--bcher-kva.example", "\u{ff41}@bu\u{308}cher.example"];
    let answers = at_once((0..20).map(|number| {
        let body = json!({ "username": format!("user{number}"), "email": spellings[number % 4], "password": PASSWORD });
        server.post("/users/signup").json(&body)
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 19), "{answers:?}");
    assert!(answers.iter().all(|(status, body)| *status == 201 || body["code"] == "email_taken"));
    assert_eq!(server.accounts().await, 1);
}

/// Each wants what others want too, the name, the address or both: nobody gets half, and each is told what was taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_an_address_that_many_want_are_each_given_once() {
    let server = Server::start().await;
    let (names, addresses) = (["Ann", "ANN", "ann"], ["a@example.com", "A@Example.com", "a@EXAMPLE.COM"]);
    let answers = at_once((0..21).map(|number| {
        let (mut username, mut email) = (format!("user{number}"), format!("user{number}@example.com"));
        if number % 3 != 1 {
            names[number / 3 % 3].clone_into(&mut username);
        }
        if number % 3 != 2 {
            addresses[number / 3 % 3].clone_into(&mut email);
        }
        server.post("/users/signup").json(&json!({ "username": username, "email": email, "password": PASSWORD }))
    }))
    .await;
    let won: Vec<usize> = (0..21).filter(|number| answers[*number].0 == 201).collect();
    // One who wanted both, or one for each.
    assert!(matches!(won.as_slice(), [one] if one % 3 == 0) || won.len() == 2, "{answers:?}");
    assert_eq!(count(&answers, 409), 21 - won.len(), "{answers:?}");
    for (number, (status, body)) in answers.iter().enumerate().filter(|(_, (status, _))| *status != 201) {
        let told = (number % 3, body["code"].as_str().unwrap());
        assert!(matches!(told, (0 | 2, "username_taken") | (0 | 1, "email_taken")), "{told:?} {status}");
    }
    assert_eq!(server.accounts().await, won.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_want_one_name_one_gets_it() {
    let server = Server::start().await;
    let mut requests = Vec::new();
    for number in 0..6 {
        let (_, token) = server.newcomer(&format!("user{number}")).await;
        requests.push(server.patch("/users/me").bearer_auth(&token).json(&json!({ "username": "wanted" })));
    }
    requests.push(server.post("/users/signup").json(&json!({ "username": "Wanted", "password": PASSWORD })));
    let answers = at_once(requests).await;
    assert_eq!((count(&answers, 200) + count(&answers, 201), count(&answers, 409)), (1, 6), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_password_changes_one_happens() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let passwords: Vec<String> = (0..8).map(|number| format!("purple elephants dancing {number}")).collect();
    let answers = at_once(passwords.iter().map(|new| {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        server.post("/users/me/password").bearer_auth(&token).json(&body)
    }))
    .await;
    assert_eq!((count(&answers, 204), count(&answers, 403)), (1, 7), "{answers:?}");
    let winner = answers.iter().position(|(status, _)| *status == 204).unwrap();
    for (number, password) in passwords.iter().enumerate() {
        let body = json!({ "username": "ann", "password": password });
        let status = server.post("/users/signin").json(&body).send().await.unwrap().status();
        assert_eq!(status == 200, number == winner, "{number}");
    }
}

/// Whichever comes first: once the account is disabled, no token of it works, nor when it is enabled again.
#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_slips_past_a_disabling() {
    // Hashes of some milliseconds: the account changes while they run.
    let slow = |settings: &mut Settings| {
        settings.passwords.argon2 = Argon2Params::new(4 * 1024, 2, 1).unwrap();
        // Of a disabled account every attempt is a failed one.
        settings.throttle = None;
    };
    let server = Server::start_with(slow).await;
    let admin = server.administrator().await;
    let (id, _) = server.newcomer("ann").await;
    let path = format!("/admin/users/{id}");
    let sign_in = json!({ "username": "ann", "password": PASSWORD });
    let (mut before, mut after) = (0, 0);
    for _ in 0..4 {
        let disable = server.patch(&path).bearer_auth(&admin).json(&json!({ "disabled": true }));
        let sign_ins = (0..8).map(|_| server.post("/users/signin").json(&sign_in));
        let answers = at_once(sign_ins.chain([disable])).await;
        assert_eq!(answers.last().unwrap().0, 200);
        let mut tokens = Vec::new();
        for (status, body) in &answers[..8] {
            match status.as_u16() {
                200 => tokens.push(text(&body["access_token"])),
                401 => assert_eq!(body["code"], "incorrect_credentials"),
                other => panic!("{other}: {body}"),
            }
        }
        (before, after) = (before + tokens.len(), after + 8 - tokens.len());
        for token in &tokens {
            assert_eq!(server.status_of_me(token).await, 401);
        }
        let enable = server.patch(&path).bearer_auth(&admin).json(&json!({ "disabled": false }));
        assert_eq!(enable.send().await.unwrap().status(), 200);
        for token in &tokens {
            assert_eq!(server.status_of_me(token).await, 401, "its session ended with the disabling");
        }
    }
    println!("{before} sign-ins came before a disabling and {after} after it");
}

/// An account that is read all the time: what was read before a change is not served after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_read_before_a_change_is_not_served_after_it() {
    let server = Arc::new(Server::start().await);
    let admin = server.administrator().await;
    for round in 0..6 {
        let (id, token) = server.newcomer(&format!("user{round}")).await;
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (server, token) = (server.clone(), token.clone());
                tokio::spawn(async move { while server.status_of_me(&token).await == 200 {} })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(readers.iter().all(|reader| !reader.is_finished()));
        // A change that leaves the account signed in, then one that does not.
        for change in [json!({ "withdraw": "me" }), json!({ "grant": "me" }), json!({ "disabled": true })] {
            let path = format!("/admin/users/{id}");
            let response = server.patch(&path).bearer_auth(&admin).json(&change).send().await.unwrap();
            assert_eq!(response.status(), 200);
            let expected = if change["grant"].is_string() {
                200
            } else if change["withdraw"].is_string() {
                403
            } else {
                401
            };
            for _ in 0..10 {
                assert_eq!(server.status_of_me(&token).await, expected, "{change}");
            }
        }
        for reader in readers {
            reader.await.unwrap();
        }
    }
}

/// A reader that finds nothing in memory goes to the database just as the row changes there: what it brings back must
/// not be remembered if it is the old row.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_while_it_is_read_is_not_remembered() {
    let server = Server::start().await;
    let (id, token) = server.newcomer("ann").await;
    let mut usual = Duration::from_millis(3);
    for round in 0..250_u32 {
        let grant = round % 2 == 1;
        let change = AdminChange { grant: Scopes::parse("me").unwrap(), ..AdminChange::default() };
        let change = if grant { change } else { withdraw("me") };
        // The last change has emptied the memory; this reader fills it, each time closer to the end of the change.
        let delay = usual * (750 + round) / 1000;
        let (mapae, secret) = (server.mapae.clone(), token.clone());
        let reader = tokio::spawn(async move {
            let start = Instant::now();
            while start.elapsed() < delay {
                tokio::task::yield_now().await;
            }
            mapae.authenticate(&secret).await.unwrap();
        });
        let began = Instant::now();
        server.mapae.administer(&id, change, By::System).await.unwrap();
        usual = (usual * 7 + began.elapsed()) / 8;
        reader.await.unwrap();
        let seen = server.mapae.authenticate(&token).await.unwrap();
        assert_eq!(seen.user.scopes.contains("me"), grant, "in round {round}");
    }
}

/// Hashes that are weaker than new ones are replaced at sign-in. Two who sign in at once both know the password.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_in_while_a_hash_is_renewed() {
    let server = Server::start().await;
    for number in 0..4 {
        server.sign_up(&format!("user{number}")).await;
    }
    let server = server.restart_with(|settings| settings.passwords.argon2 = Argon2Params::new(64, 2, 1).unwrap()).await;
    for number in 0..4 {
        let username = format!("user{number}");
        let body = json!({ "username": username, "password": PASSWORD });
        let answers = at_once((0..8).map(|_| server.post("/users/signin").json(&body))).await;
        assert_eq!(count(&answers, 200), 8, "{answers:?}");
        for (_, body) in answers {
            assert_eq!(server.status_of_me(&text(&body["access_token"])).await, 200);
        }
        let login = Login::Name(UserName::parse(&username).unwrap());
        let stored = server.mapae.store().credential_by_login(&login).await.unwrap().unwrap();
        assert!(stored.hash.as_str().starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "the hash was renewed");
    }
}
