//! Accounts whose hash takes longer than today's: a refusal does not tell that they exist, not even the first.

use std::time::Duration;

use mapae::domain::SecretText;
use mapae::store::Login;
use mapae_password::{Argon2Params, BcryptCost, Context, Format, Password, Workspace};
use mapae_verify::Scopes;
use serde_json::json;
use tokio::time::Instant;

use crate::server::Server;

const WRONG: &str = "wrong password";

async fn refused_after(server: &Server, username: &str, password: &str) -> Duration {
    let body = json!({ "username": username, "password": password });
    let began = Instant::now();
    assert_eq!(server.post("/users/signin").json(&body).send().await.unwrap().status(), 401);
    began.elapsed()
}

/// The least that checking the stored hash of this account takes.
async fn cost(server: &Server, username: &str) -> Duration {
    let login = Login::parse(username).unwrap();
    let stored = server.mapae.store().credential_by_login(&login).await.unwrap().unwrap().hash;
    let (wrong, mut workspace) = (Password::new(WRONG).unwrap(), Workspace::new());
    let mut least = Duration::MAX;
    for _ in 0..4 {
        let began = Instant::now();
        assert!(!server.settings.passwords.verify(&stored, &wrong, &mut workspace).unwrap().matches);
        least = least.min(began.elapsed());
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_refusal_of_an_unknown_name_comes_as_late_as_any() {
    for costly in [Format::Argon2id, Format::Bcrypt2b] {
        let server = Server::start_with(|settings| {
            settings.passwords.write = costly;
            settings.throttle = None;
            settings.passwords.argon2 = Argon2Params::new(64 * 1024, 4, 1).unwrap();
            settings.passwords.costs.bcrypt = Some(BcryptCost::new(12).unwrap());
        })
        .await;
        server.sign_up("old").await;
        // Today's hashes cost next to nothing.
        let server = server
            .restart_with(|settings| {
                settings.passwords = Context::default();
                settings.passwords.argon2 = Argon2Params::new(8, 1, 1).unwrap();
            })
            .await;
        // What the costly hash takes is measured again and again, since a busy machine slows now one, now another: only
        // the least of all can be compared with what the server measured at its start.
        let mut old = cost(&server, "old").await;
        let unknown = refused_after(&server, "nobody", WRONG).await;
        server.sign_up("new").await;
        let new = refused_after(&server, "new", WRONG).await;
        old = old.min(cost(&server, "old").await);
        // However many tries there are at accounts that cost little.
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..150 {
            let mapae = server.mapae.clone();
            tries.spawn(async move {
                let wrong = SecretText::new(WRONG.to_owned());
                mapae.sign_in("new", &wrong, &Scopes::default()).await.unwrap_err()
            });
        }
        tries.join_all().await;
        let later = refused_after(&server, "nobody", WRONG).await;

        // Not with a refusal of the costly account, which lasts longer where the machine is busy just then.
        let (old, today) = (old.min(cost(&server, "old").await), cost(&server, "new").await);
        println!("{costly}: {old:?} against {today:?}; unknown {unknown:?}, new {new:?}, later {later:?}");
        assert!(old > Duration::from_millis(80) && old > today * 20);
        for refused in [unknown, new, later] {
            assert!(refused * 10 > old * 9, "{refused:?} is sooner than {old:?}");
        }
    }
}

/// A password that is typed in letters of two parts is tried in two forms: where that costs little, the answer waits as
/// long as where it costs much.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_two_forms_tells_nothing_either() {
    let server = Server::start_with(|settings| {
        settings.passwords.write = Format::Bcrypt2b;
        settings.passwords.costs.bcrypt = Some(BcryptCost::new(4).unwrap());
    })
    .await;
    server.sign_up("cheap").await;
    let server = server
        .restart_with(|settings| {
            settings.passwords = Context::default();
            settings.passwords.argon2 = Argon2Params::new(64 * 1024, 2, 1).unwrap();
        })
        .await;
    let quickest = async |password: &str| {
        let mut quickest = Duration::MAX;
        for _ in 0..4 {
            quickest = quickest.min(refused_after(&server, "cheap", password).await);
        }
        quickest
    };
    let (one, two) = (quickest(WRONG).await, quickest("wro\u{308}ng password").await);
    println!("one form {one:?}, two forms {two:?}");
    assert!(two * 10 > one * 17, "one form {one:?}, two forms {two:?}");
}
