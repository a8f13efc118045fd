//! How soon a token is refused here that was revoked there, and what happens when Mapae is away.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::time::{Instant, sleep};

use crate::process::{Example, Mapae};
use crate::{get as call, sign_up, token};

/// Within which a token must be refused that was revoked.
const LIMIT: Duration = Duration::from_secs(6);

/// Waits until the token is answered with another status than 200; that, what it says, and for how long.
async fn refused(example: &Example, token: &str) -> (u16, String, Duration) {
    let start = Instant::now();
    loop {
        let (status, _, body) = call(example, "/whoami", Some(token)).await;
        if status != 200 || start.elapsed() > Duration::from_secs(20) {
            return (status, body["detail"].as_str().unwrap_or_default().to_owned(), start.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn refused_soon(example: &Example, token: &str, what: &str) {
    let (status, detail, delay) = refused(example, token).await;
    println!("refused {delay:.1?} after {what}");
    assert_eq!((status, detail.as_str()), (401, "the token was revoked"));
    assert!(delay < LIMIT, "{delay:?}");
}

/// Two real processes: what happens at Mapae is known at the example.
#[tokio::test]
async fn what_mapae_ends_is_refused_within_six_seconds() {
    let mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    let id = sign_up(&mapae).await;
    let (ends, stays) = (token(&mapae, "").await, token(&mapae, "").await);
    for token in [&ends, &stays] {
        assert_eq!(call(&example, "/whoami", Some(token)).await.0, 200);
    }
    let sign_out = Client::new().post(format!("{}/users/signout", mapae.url)).bearer_auth(&ends);
    assert_eq!(sign_out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    refused_soon(&example, &ends, "signing out").await;
    assert_eq!(call(&example, "/whoami", Some(&stays)).await.0, 200);
    let again = token(&mapae, "").await;
    mapae.command(&["user", "disable", "johndoe"]);
    refused_soon(&example, &stays, "the account was disabled").await;
    assert_eq!(call(&example, "/whoami", Some(&again)).await.0, 401);
    mapae.command(&["user", "enable", "johndoe"]);
    let back = token(&mapae, "").await;
    let (status, _, body) = call(&example, "/whoami", Some(&back)).await;
    assert_eq!((status, &body["sub"]), (200, &id.into()));
}

#[tokio::test]
async fn without_mapae_it_does_what_it_was_told() {
    let mut mapae = Mapae::start(0);
    sign_up(&mapae).await;
    let start = |mode| Example::start_with(&mapae.url, &[("FEED_KEPT_SECONDS", "8"), ("FEED_FAILURE_MODE", mode)]);
    let (closed, open, patient) = (start("closed"), start("open"), Example::start(&mapae.url));
    let (ended, good) = (token(&mapae, "").await, token(&mapae, "").await);
    let sign_out = Client::new().post(format!("{}/users/signout", mapae.url)).bearer_auth(&ended);
    for example in [&closed, &open, &patient] {
        assert_eq!(call(example, "/whoami", Some(&ended)).await.0, 200);
    }
    assert_eq!(sign_out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    for example in [&closed, &open, &patient] {
        refused_soon(example, &ended, "signing out").await;
    }

    mapae.stop();
    assert_eq!(call(&closed, "/whoami", Some(&good)).await.0, 200, "the last feed counts for a while");
    let (status, _, delay) = refused(&closed, &good).await;
    println!("refused {delay:.1?} after Mapae went away");
    assert_eq!(status, 503);
    assert!(delay < Duration::from_secs(9), "{delay:?}");
    assert_eq!(call(&closed, "/whoami", Some(&ended)).await.0, 503);
    for example in [&open, &patient] {
        assert_eq!(call(example, "/whoami", Some(&good)).await.0, 200);
        assert_eq!(call(example, "/whoami", Some(&ended)).await.0, 401, "what was revoked stays so");
    }
}
