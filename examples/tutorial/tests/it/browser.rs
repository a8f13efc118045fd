//! Headless Chromium, driven through chromedriver.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a page may take: this machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Browser {
    pub(crate) page: Client,
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
                "--window-size=1000,1250", format!("--user-data-dir={}", profile.path().join("profile").display()),
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank",
            ],
        });
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let page = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await.unwrap();
        Self { page, driver, _profile: profile }
    }

    /// The element, as soon as it is there.
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
        let mut found = String::new();
        for _ in 0..PATIENCE.as_millis() / 50 {
            found = self.wait_for(css).await.text().await.unwrap_or_default();
            if found.contains(part) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{css} says {found:?}, not {part:?}");
    }

    pub(crate) async fn screenshot(&self, name: &str) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, self.page.screenshot().await.unwrap()).unwrap();
        println!("a picture is in {}", path.display());
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
