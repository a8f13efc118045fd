//! How soon a token is refused here whose session has ended there.

use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep};

use crate::process::{Example, Mapae};
use crate::{get, sign_up, token};

#[tokio::test]
async fn who_signs_out_is_refused_within_six_seconds() {
    let mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    sign_up(&mapae).await;
    let (ends, stays) = (token(&mapae, "").await, token(&mapae, "").await);
    for token in [&ends, &stays] {
        assert_eq!(get(&example, "/whoami", Some(token)).await.0, 200);
    }
    let sign_out = Client::new().post(format!("{}/users/signout", mapae.url)).bearer_auth(&ends);
    let signed_out = sign_out.send().await.unwrap();
    assert!(signed_out.status().is_success(), "{}", signed_out.status());
    let start = Instant::now();
    let (status, _, body) = loop {
        let answer = get(&example, "/whoami", Some(&ends)).await;
        if answer.0 != 200 || start.elapsed() > Duration::from_secs(10) {
            break answer;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let delay = start.elapsed();
    println!("refused {delay:.1?} after signing out");
    assert_eq!((status, body["detail"].as_str()), (401, Some("the token was revoked")));
    assert!(delay < Duration::from_secs(6), "{delay:?}");
    // Another session of the same account.
    assert_eq!(get(&example, "/whoami", Some(&stays)).await.0, 200);
}
