//! The files in `deploy/`: what they name is there, and as far as that goes without their programs, they are run.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use tempfile::TempDir;

use crate::programs::{Running, free_port, program};
use crate::server::{PASSWORD, Server, now};
use crate::support::{GOOD_KEY, Home};

const UNIT: &str = include_str!("../../../../deploy/mapae.service");
const IMAGE: &str = include_str!("../../../../deploy/Dockerfile");
const COMPOSE: &str = include_str!("../../../../deploy/compose.yaml");
const KUBERNETES: &str = include_str!("../../../../deploy/kubernetes.yaml");
const NGINX: &str = include_str!("../../../../deploy/nginx.conf");

/// The variables that a line of one of the files sets, those of a line that is commented out too.
fn variables_of(line: &str) -> Vec<(String, String)> {
    let line = line.trim().trim_start_matches('#');
    let pair = |text: &str, between: &str| {
        let (name, value) = text.split_once(between)?;
        let ours = name.starts_with("MAPAE_") || name.starts_with("DATABASE_URL");
        ours.then(|| (name.to_owned(), value.trim_matches('"').to_owned()))
    };
    let found = if let Some(unit) = line.strip_prefix("Environment=") {
        vec![pair(unit, "=")]
    } else if let Some(image) = line.strip_prefix("ENV ") {
        image.split(' ').map(|one| pair(one, "=")).collect()
    } else if let Some(kubernetes) = line.strip_prefix("- { name: ") {
        vec![pair(kubernetes.trim_end_matches(" }"), ", value: ")]
    } else {
        vec![pair(line, ": ")]
    };
    found.into_iter().flatten().collect()
}

/// The variables of a file, with secrets in files of this directory.
fn variables(file: &str, home: &Home) -> Vec<(String, String)> {
    let mut found: Vec<_> = file.lines().flat_map(variables_of).collect();
    for (name, value) in &mut found {
        if name.ends_with("_FILE") {
            let secret = if name.starts_with("DATABASE_URL") { "postgres://mapae:secret@db/mapae" } else { GOOD_KEY };
            *value = home.path().join(name.to_lowercase()).display().to_string();
            fs::write(&*value, secret).expect("the secret is written");
        }
        *value = value.replace("%S", &home.path().display().to_string());
    }
    found
}

fn borrowed(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What follows this word in a file, up to a blank, a comma or the end of the line, as a number.
fn number_after(file: &str, word: &str) -> u64 {
    let rest = file.split(word).nth(1).unwrap_or_else(|| panic!("{word} is in the file")).trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("a number follows {word}"))
}

/// Every path of ours that a file names.
fn health_paths(file: &str) -> Vec<&str> {
    let ends = [' ', ',', '}', '\'', '"', '\n'];
    file.split("/health/").skip(1).map(|rest| rest.split(ends).next().expect("at least one part")).collect()
}

#[test]
fn every_variable_is_a_setting_and_is_taken() {
    for (name, file, count) in
        [("unit", UNIT, 4), ("image", IMAGE, 2), ("compose", COMPOSE, 4), ("kubernetes", KUBERNETES, 5)]
    {
        let home = Home::new();
        let mut variables = variables(file, &home);
        assert_eq!(variables.len(), count, "{name}: {variables:?}");
        if name == "image" {
            variables.push(("MAPAE_BASE_URL".to_owned(), "https://auth.example.com".to_owned()));
        }
        let shown = home.settings(&[], &borrowed(&variables));
        assert_eq!(shown.warnings(), [""; 0], "{name}");
        for (variable, _) in &variables {
            let setting = variable.trim_start_matches("MAPAE_").trim_end_matches("_FILE").to_lowercase();
            assert!(shown.from(&setting).concat().contains(&format!("environment {variable}")), "{name}: {variable}");
        }
    }
    assert_eq!(variables_of("    MAPAE_LISEN: x"), [("MAPAE_LISEN".to_owned(), "x".to_owned())]);
    let unknown = Home::new().settings(&[], &[("MAPAE_LISEN", "x")]);
    assert_eq!(unknown.warnings().len(), 1, "a name that is no setting would be noticed");
}

/// As systemd would start it, with a database of SQLite.
#[tokio::test]
async fn the_units_server_keeps_all_in_its_directory_and_answers_every_probe() {
    assert!(UNIT.contains("\nExecStart=/usr/local/bin/mapae serve\n"), "its arguments are those of `Server`");
    let home = Home::new();
    let directory = home.path().join("mapae");
    fs::create_dir(&directory).expect("the state directory");
    let mut variables = variables(UNIT, &home);
    variables.retain(|(name, _)| name != "DATABASE_URL_FILE");
    let mut server = Server::start_with(&home, &[], &borrowed(&variables));
    let mut paths = Vec::new();
    for (name, file) in [("compose", COMPOSE), ("kubernetes", KUBERNETES)] {
        let named = health_paths(file);
        assert!(!named.is_empty(), "{name} has a probe");
        paths.extend(named);
    }
    for path in paths {
        let answer = Client::new().get(format!("{}/health/{path}", server.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
    server.stop();
    let made: Vec<_> =
        fs::read_dir(&directory).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(made, ["mapae.db"], "the key that was given is the only one");
}

#[test]
fn a_stop_is_given_time() {
    let shown = Home::new().settings(&[], &[]);
    let grace = shown.value("shutdown_grace_seconds").as_u64().expect("a number");
    let pause = number_after(KUBERNETES, "command: [sleep, \"");
    for (name, given) in [
        ("unit", number_after(UNIT, "TimeoutStopSec=")),
        ("compose", number_after(COMPOSE, "stop_grace_period:")),
        ("kubernetes", number_after(KUBERNETES, "terminationGracePeriodSeconds:") - pause),
    ] {
        assert!(given >= grace + 5, "{name}: {given} s for {grace} s and closing the database");
    }
}

#[test]
fn the_image_is_built_with_our_compiler_and_served_where_it_is_looked_for() {
    assert!(IMAGE.contains(&format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"))));
    let listens = IMAGE.contains("MAPAE_LISTEN=0.0.0.0:8080") && KUBERNETES.contains("\"0.0.0.0:8080\"");
    assert!(listens && KUBERNETES.contains("containerPort: 8080") && COMPOSE.contains("/127.0.0.1/8080"));
    assert_eq!(NGINX.matches(":8080 ").count(), 2);
    let network = COMPOSE.split("MAPAE_TRUSTED_PROXIES: ").nth(1).and_then(|rest| rest.lines().next());
    assert_eq!(COMPOSE.matches(network.expect("the proxy's network")).count(), 2, "it is the network that is made");
}

/// nginx with the configuration of the compose file, in front of these two; it ends with this value.
struct Balancer {
    url: String,
    running: Running,
    _directory: TempDir,
}

impl Balancer {
    fn start(nodes: [&Server; 2]) -> Self {
        let port = free_port();
        let mut text = NGINX.to_owned();
        // All in one process and one directory, as any user may run it.
        let http = "http {\n client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n \
                    uwsgi_temp_path uwsgi; scgi_temp_path scgi;";
        let around = "daemon off; master_process off; pid nginx.pid; error_log stderr;";
        let [one, two] = nodes.map(|node| node.url.trim_start_matches("http://").to_owned());
        for (written, here) in [
            ("worker_processes auto;", around),
            ("http {", http),
            ("listen 80;", &format!("listen 127.0.0.1:{port};")),
            ("mapae-1:8080", &one),
            ("mapae-2:8080", &two),
        ] {
            assert_eq!(text.matches(written).count(), 1, "{written}");
            text = text.replace(written, here);
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("nginx.conf"), text).expect("it is written");
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c", "nginx.conf"]).stdin(Stdio::null());
        let running = Running::start(&mut command);
        Self { url: format!("http://127.0.0.1:{port}"), running, _directory: directory }
    }

    async fn get(&mut self, token: &str) -> u16 {
        let deadline = now() + Duration::from_secs(20);
        loop {
            let request = Client::new().get(format!("{}/users/me", self.url)).bearer_auth(token);
            match request.send().await {
                Ok(answer) => return answer.status().as_u16(),
                Err(error) => {
                    self.running.check().expect("nginx runs");
                    assert!(now() < deadline, "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn nginx_passes_over_a_node_that_is_killed() {
    let home = Home::new();
    let mut first = Server::start(&home, &[]);
    let second = Server::start(&home, &[]);
    home.sign_up("ada");
    let (status, tokens) = first.sign_in("ada", PASSWORD, "").await;
    assert_eq!(status, 200, "{tokens}");
    let token = tokens["access_token"].as_str().expect("a token").to_owned();
    let mut nginx = Balancer::start([&first, &second]);
    for _ in 0..10 {
        assert_eq!(nginx.get(&token).await, 200);
    }
    first.kill();
    for _ in 0..20 {
        assert_eq!(nginx.get(&token).await, 200, "nobody notices");
    }
}
