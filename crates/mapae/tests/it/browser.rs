//! Headless Chromium, driven through chromedriver: what a page loads, says and looks like.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::text;

/// What a page may take: this machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Browser {
    pub(crate) page: Client,
    session_url: String,
    driver: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser hangs on a pipe to its driver and ends with it, also when a test fails.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, url) = start_driver(profile.path());
        let options = json!({
            "binary": program(&["chromium", "chromium-browser", "google-chrome"]),
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
                "--no-first-run", "--no-proxy-server", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
                "--window-size=1200,1600", "about:blank", format!("--user-data-dir={}", profile.path().join("profile").display()),
                // Whatever a page wants from elsewhere is noted by the test, and not fetched.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        });
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let page = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await.unwrap();
        let session_url = format!("{url}/session/{}", page.session_id().await.unwrap().unwrap());
        let browser = Self { page, session_url, driver, _profile: profile };
        // What the browser itself loaded to begin with is not the page's doing.
        browser.page.goto("about:blank").await.unwrap();
        browser.requests_and_complaints().await;
        browser
    }

    /// The element, as soon as it is there and shown.
    pub(crate) async fn wait_for(&self, css: &str) -> Element {
        let wait = self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        wait.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub(crate) async fn click(&self, css: &str) {
        self.wait_for(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    pub(crate) async fn type_into(&self, css: &str, keys: &str) {
        let field = self.wait_for(css).await;
        field.clear().await.unwrap();
        field.send_keys(keys).await.unwrap();
    }

    /// The text of an element, once it holds `part`.
    pub(crate) async fn wait_for_text(&self, css: &str, part: &str) -> String {
        let began = tokio::time::Instant::now();
        loop {
            let found = self.wait_for(css).await.text().await.unwrap_or_default();
            if found.contains(part) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{css} says {found:?}, not {part:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn screenshot(&self, name: &str) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, self.page.screenshot().await.unwrap()).unwrap();
        println!("a picture is in {}", path.display());
    }

    /// Everything that the page asked for since the last call, and what it complained about on its console.
    pub(crate) async fn requests_and_complaints(&self) -> (Vec<String>, Vec<String>) {
        let mut requests = Vec::new();
        for entry in self.log("performance").await {
            let event: Value = serde_json::from_str(&text(&entry["message"])).unwrap();
            if event["message"]["method"] == "Network.requestWillBeSent" {
                requests.push(text(&event["message"]["params"]["request"]["url"]));
            }
        }
        let complaint = |entry: &Value| format!("{}: {}", text(&entry["level"]), text(&entry["message"]));
        let console = self.log("browser").await;
        let is_complaint = |entry: &&Value| matches!(entry["level"].as_str(), Some("WARNING" | "SEVERE"));
        (requests, console.iter().filter(is_complaint).map(complaint).collect())
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let url = format!("{}/se/log", self.session_url);
        let answer = reqwest::Client::new().post(url).json(&json!({ "type": kind })).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["value"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    pub(crate) async fn close(self) {
        self.page.clone().close().await.unwrap();
    }
}

/// The first of these programs on the path.
fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        std::env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    candidates.find(|candidate| candidate.is_file()).unwrap_or_else(|| {
        panic!("{} is not installed: `cargo xtask test` installs it", names[0]);
    })
}

/// Starts chromedriver on a free port; the process and its address.
fn start_driver(home: &Path) -> (Child, String) {
    let mut driver = Command::new(program(&["chromedriver"]))
        .arg("--port=0")
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.split_once("successfully on port ").map(|(_, port)| port.to_owned()));
    let port = port.expect("chromedriver says its port").trim_end_matches('.').to_owned();
    // It would wait for a reader of what else it says.
    std::thread::spawn(move || lines.for_each(drop));
    (driver, format!("http://127.0.0.1:{port}"))
}
