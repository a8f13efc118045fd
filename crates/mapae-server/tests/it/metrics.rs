//! `/metrics` on its own listener.

use std::collections::BTreeSet;

use crate::server::{PASSWORD, Server};
use crate::support::Home;

async fn metrics(server: &Server) -> String {
    let url = server.listening["metrics"].as_str().expect("its address");
    let answer = reqwest::get(url).await.expect("an answer");
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!((answer.status().as_u16(), kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    answer.text().await.expect("text")
}

/// The value of the one sample whose line begins with this.
fn sample(text: &str, begin: &str) -> f64 {
    let mut lines = text.lines().filter(|line| line.starts_with(begin));
    let (line, None) = (lines.next().unwrap_or_else(|| panic!("no {begin}: {text}")), lines.next()) else {
        panic!("several {begin}: {text}");
    };
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[tokio::test]
async fn what_happens_is_counted_and_each_name_is_in_the_book() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let server = Server::start(&home, &[("MAPAE_METRICS_LISTEN", "127.0.0.1:0"), ("MAPAE_HASH_THREADS", "1")]);
    let (status, token) = server.sign_in("ada", PASSWORD, "").await;
    assert_eq!(status, 200);
    assert_eq!(server.sign_in("ada", "wrong", "").await.0, 401);
    let client = reqwest::Client::new();
    for token in [token["access_token"].as_str().expect("a token"), "nonsense"] {
        for _ in 0..3 {
            server.status(&client, "/users/me", token).await;
        }
    }
    let odd = reqwest::Method::from_bytes(b"BREW").expect("a method");
    client.request(odd, format!("{}/users/me", server.url)).send().await.expect("an answer");
    server.status(&client, "/nowhere", "x").await;

    // What was refused is written down a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let text = metrics(&server).await;
    let requests = |labels: &str| sample(&text, &format!("mapae_http_request_duration_seconds_count{{{labels}}}"));
    assert_eq!(requests("method=\"POST\",route=\"/token\",status=\"200\""), 1.0);
    assert_eq!(requests("method=\"POST\",route=\"/token\",status=\"401\""), 1.0);
    assert_eq!(requests("method=\"GET\",route=\"/users/me\",status=\"200\""), 3.0);
    assert_eq!(requests("method=\"GET\",route=\"-\",status=\"404\""), 1.0);
    assert_eq!(requests("method=\"_OTHER\",route=\"/users/me\",status=\"405\""), 1.0);
    assert_eq!(sample(&text, "mapae_refusals_total{code=\"invalid_token\"}"), 3.0);
    let events = |event: &str| sample(&text, &format!("mapae_events_total{{event=\"{event}\"}}"));
    assert_eq!((events("sign-in.succeeded"), events("sign-in.refused")), (1.0, 1.0));
    assert_eq!(sample(&text, "mapae_tokens_issued_total"), 1.0);
    assert_eq!(sample(&text, "mapae_tokens_verified_total{cache=\"miss\"}"), 1.0);
    assert_eq!(sample(&text, "mapae_tokens_verified_total{cache=\"hit\"}"), 2.0);
    assert!(sample(&text, "mapae_token_cache_bytes") > 100.0);
    assert_eq!(sample(&text, "mapae_password_queue_depth"), 0.0);
    assert!(sample(&text, "mapae_password_hash_seconds_count") >= 2.0);
    assert!(sample(&text, "mapae_password_queue_wait_seconds_count") >= 2.0);
    assert_eq!(sample(&text, "mapae_database_connections{pool=\"write\",state=\"idle\"}"), 1.0);

    let names: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let book = include_str!("../../../../docs/metrics.md");
    for name in names {
        assert!(book.contains(&format!("`{name}`")), "{name} is not in the book");
    }
    // Not where everybody can read it.
    assert_eq!(server.status(&client, "/metrics", "x").await, 404);
}

#[tokio::test]
async fn a_full_queue_shows() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let costly = [
        ("MAPAE_METRICS_LISTEN", "127.0.0.1:0"),
        ("MAPAE_HASH_THREADS", "1"),
        ("MAPAE_HASH_QUEUE", "1"),
        ("MAPAE_ARGON2_MEMORY_KIB", "65536"),
        ("MAPAE_ARGON2_ITERATIONS", "4"),
    ];
    let server = Server::start(&home, &costly);
    let tries = (0..12).map(|number| {
        let name = format!("nobody{number}");
        let server = &server;
        async move { server.sign_in(&name, "wrong", "").await.0 }
    });
    let statuses = futures_util::future::join_all(tries).await;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(refused > 0, "{statuses:?}");
    let text = metrics(&server).await;
    assert_eq!(sample(&text, "mapae_password_queue_refusals_total"), refused as f64);
}
