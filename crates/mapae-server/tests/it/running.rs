//! The server while it runs, and how it stops.

use std::time::Duration;

use reqwest::Client;

use crate::server::{PASSWORD, Server, now};
use crate::support::{GOOD_KEY, Home};

#[tokio::test]
async fn settings_reach_the_service() {
    let home = Home::new().with("mapae.toml", "[scopes]\nitems = \"Read items.\"\n");
    let variables = [
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "7"),
        ("MAPAE_AUDIENCE", "https://api.example.com"),
        ("MAPAE_DEFAULT_SCOPES", "me items"),
        ("MAPAE_PASSWORD_MIN_LENGTH", "20"),
        ("MAPAE_BODY_LIMIT_KIB", "1"),
        ("MAPAE_SIGNUP", "open"),
    ];
    let server = Server::start(&home, &variables);
    let client = Client::new();
    let sign_up = async |body: serde_json::Value| {
        let answer = client.post(format!("{}/users/signup", server.url)).json(&body).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let account = |password: &str| serde_json::json!({ "username": "ada", "password": password });
    assert_eq!(sign_up(account("gnu quartz vim 7")).await, 422);
    assert_eq!(sign_up(account(&"x".repeat(2000))).await, 413);
    assert_eq!(sign_up(account(PASSWORD)).await, 201);
    let (_, body) = server.sign_in("ada", PASSWORD, "").await;
    assert_eq!((&body["expires_in"], &body["scope"]), (&420.into(), &"me items".into()), "{body}");
    let token = body["access_token"].as_str().expect("a token");
    let shown = home.run(
        &["token", "inspect", token, "--json", "--audience", "https://api.example.com"],
        &[crate::server::BASE_URL],
    );
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(
        (&shown["valid"], &shown["claims"]["aud"]),
        (&true.into(), &"https://api.example.com".into()),
        "{shown}"
    );
}

#[tokio::test]
async fn sign_up_can_be_closed() {
    let server = Server::start(&Home::new(), &[("MAPAE_SIGNUP", "closed")]);
    let body = serde_json::json!({ "username": "ada", "password": PASSWORD });
    let answer =
        Client::new().post(format!("{}/users/signup", server.url)).json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn every_algorithm_signs() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let home = Home::new();
        let server = Server::start(&home, &[("ALGORITHM", algorithm)]);
        home.add_user(&["ada"]);
        let (_, body) = server.sign_in("ada", PASSWORD, "").await;
        let token = body["access_token"].as_str().expect("a token");
        assert_eq!(server.status(&Client::new(), "/users/me", token).await, 200);
        // Commands leave the server's keys alone, even those that were told of no ALGORITHM.
        let keys = home.beside(&["key", "list", "--json"]).stdout;
        assert!(keys.contains(&format!("\"algorithm\": \"{algorithm}\"")), "{keys}");
    }
}

#[tokio::test]
async fn hs256_signs_with_the_secret_key() {
    let home = Home::new().with("key", GOOD_KEY);
    let server = Server::start(&home, &[("ALGORITHM", "HS256"), ("SECRET_KEY", GOOD_KEY)]);
    let hs256 = [("ALGORITHM", "HS256"), ("SECRET_KEY", GOOD_KEY), crate::server::BASE_URL];
    let added = home.run_with_input(&["user", "add", "ada", "--password-stdin"], &hs256, PASSWORD);
    assert_eq!(added.status, Some(0), "{added:?}");
    let (_, body) = server.sign_in("ada", PASSWORD, "").await;
    let token = body["access_token"].as_str().expect("a token");
    let audience = crate::server::BASE_URL.1;
    let shown =
        home.run(&["token", "inspect", token, "--key-file", "key", "--expect-audience", audience, "--json"], &[]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((&shown["header"]["alg"], &shown["valid"]), (&"HS256".into(), &true.into()), "{shown}");
    assert!(home.run(&["key", "list"], &hs256).stdout.contains("SECRET_KEY"));
}

#[tokio::test]
async fn commands_take_effect_in_a_running_server_within_200_ms() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.add_user(&["ada"]);
    let client = Client::new();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
        assert_eq!(server.status(&client, "/users/me", &token).await, 200);
        assert_eq!(server.status(&client, "/users/me", &token).await, 200, "from memory now");
        assert_eq!(home.beside(&["user", "disable", "ada"]).status, Some(0));
        let since = now();
        while server.status(&client, "/users/me", &token).await != 401 {
            assert!(since.elapsed() < Duration::from_secs(5), "a disabled account still gets in");
        }
        slowest = slowest.max(since.elapsed());
        assert_eq!(home.beside(&["user", "enable", "ada"]).status, Some(0));
    }
    assert!(slowest <= Duration::from_millis(200), "it took {slowest:?}");
}

#[tokio::test]
async fn log_lines_are_json_with_the_request_id_of_the_response() {
    let server = Server::start(&Home::new(), &[]);
    let answer = Client::new().get(format!("{}/users/me", server.url)).send().await.expect("an answer");
    let id = answer.headers()["x-request-id"].to_str().expect("ASCII").to_owned();
    let line = server.wait_for(|line| line["status"] == 401);
    assert_eq!(
        (line["span"]["request_id"].as_str(), line["level"].as_str()),
        (Some(id.as_str()), Some("INFO")),
        "{line}"
    );
}

#[tokio::test]
async fn a_blocked_origin_is_logged_with_the_settings_name() {
    let server = Server::start(&Home::new(), &[("MAPAE_CORS_ORIGINS", "https://app.example.com")]);
    let get = async |origin: &str| {
        let request = Client::new().get(format!("{}/health/live", server.url)).header("origin", origin);
        let answer = request.send().await.expect("an answer");
        answer.headers().get("access-control-allow-origin").map(|value| value.to_str().expect("ASCII").to_owned())
    };
    assert_eq!(get("https://app.example.com").await.as_deref(), Some("https://app.example.com"));
    assert_eq!(get("https://evil.example.com").await, None);
    let line = server.wait_for(|line| line.to_string().contains("MAPAE_CORS_ORIGINS"));
    assert!(line["level"] == "WARN" && line.to_string().contains("https://evil.example.com"), "{line}");
}

#[tokio::test]
async fn warnings_of_the_configuration_are_in_the_log() {
    let server = Server::start(&Home::new(), &[("MAPAE_LISEN", "x"), ("ACCESS_TOKEN_EXPIRE_MINUTES", "90")]);
    for part in ["MAPAE_LISTEN", "60 or fewer"] {
        server.wait_for(|line| {
            line["level"] == "WARN" && line["message"].as_str().is_some_and(|text| text.contains(part))
        });
    }
}

#[tokio::test]
async fn sigterm_lets_running_requests_finish_and_refuses_new_ones() {
    let home = Home::new();
    // One sign-in takes long enough to be in the middle of it.
    let slow = [("MAPAE_ARGON2_MEMORY_KIB", "65536"), ("MAPAE_ARGON2_ITERATIONS", "12")];
    let mut server = Server::start_with(&home, &[], &slow);
    let added = home.run_with_input(&["user", "add", "ada", "--password-stdin"], &slow, PASSWORD);
    assert_eq!(added.status, Some(0), "{added:?}");

    let client = Client::new();
    assert_eq!(client.get(format!("{}/health/live", server.url)).send().await.expect("an answer").status(), 200);
    let began = now();
    let running = {
        let (client, url) = (Client::new(), format!("{}/token", server.url));
        tokio::spawn(async move {
            let request = client.post(url).header("content-type", "application/x-www-form-urlencoded");
            let form = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
            request.body(form).send().await.expect("the running request is answered").status()
        })
    };
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(!running.is_finished(), "the sign-in was too fast for this test");
    server.terminate();
    server.wait_for(|line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping")));
    assert!(!running.is_finished(), "the sign-in was too fast for this test");
    // A new connection, and the idle one of before.
    for client in [Client::new(), client] {
        let refused = client.get(format!("{}/health/live", server.url)).send().await;
        assert!(refused.expect_err("new requests are refused").is_connect());
    }
    assert_eq!(running.await.expect("no panic"), 200);
    assert_eq!(server.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "it does not wait for the whole grace time");
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let home = Home::new();
    let mut server = Server::start(&home, &[]);
    // A request that never ends: its body is announced, but does not come.
    let address = server.url.strip_prefix("http://").expect("http").to_owned();
    let mut stuck = tokio::net::TcpStream::connect(&address).await.expect("it connects");
    let head = "POST /users/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    tokio::io::AsyncWriteExt::write_all(&mut stuck, head.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.terminate();
    server.wait_for(|line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping")));
    std::thread::sleep(Duration::from_millis(100));
    let since = now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[tokio::test]
async fn silent_connections_neither_stop_the_service_nor_hold_up_its_end() {
    let mut server = Server::start(&Home::new(), &[]);
    let address = server.url.strip_prefix("http://").expect("http").to_owned();
    let mut silent = Vec::new();
    for number in 0..60 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it connects");
        // Half of them begin as HTTP/2 does.
        let sent: &[u8] = if number % 2 == 0 { b"" } else { b"PRI * HTTP/2.0\r\n" };
        tokio::io::AsyncWriteExt::write_all(&mut stream, sent).await.expect("it is sent");
        silent.push(stream);
    }
    let live = Client::new().get(format!("{}/health/live", server.url)).send().await.expect("an answer");
    assert_eq!((live.status().as_u16(), live.version()), (200, reqwest::Version::HTTP_11));
    silent.retain({
        let mut number = 0;
        move |_| {
            number += 1;
            number % 2 == 1
        }
    });
    server.stop();
}
