//! How much of what strangers send the log takes.

use reqwest::header::ORIGIN;

use crate::captured_log::capture;
use crate::server::Server;

#[tokio::test]
async fn origins_do_not_fill_the_log() {
    let (log, _guard) = capture();
    let server = Server::start().await;
    let logged = || {
        let log = log.take();
        log.lines().filter(|line| line.contains("MAPAE_CORS_ORIGINS")).collect::<Vec<_>>().join("\n")
    };
    let call = async |origin: String| {
        server.get("/version").header(ORIGIN, origin).send().await.unwrap();
        logged()
    };
    logged();

    let blocked = call("https://other.example".into()).await;
    assert!(blocked.contains("https://other.example"), "{blocked}");
    assert_eq!(call("https://other.example".into()).await, "", "said once");

    let long = call(format!("https://{}.example", "x".repeat(60_000))).await;
    assert!(long.contains(&format!("https://{}", "x".repeat(192))) && long.len() < 600, "{} bytes", long.len());
    assert_eq!(call(format!("https://{}.other", "x".repeat(60_000))).await, "", "the same as far as it is logged");

    let mut all = 0;
    for number in 0..200 {
        all += call(format!("https://{number}-{}.example", "x".repeat(500))).await.lines().count();
    }
    assert_eq!(all, 62, "64 in all");
}
