//! Three nodes behind a load, and what befalls them. Every success that was answered is remembered, and must be there
//! afterwards; nobody may be let in who has ended his session or was disabled; and when a fault is over, all is well
//! within two seconds, without a restart.
//!
//! Each fault lasts five seconds here, and a minute in `cargo xtask soak`.

mod after;
mod cluster;
mod disk;
mod fleet;
mod kinds;
mod ledger;
mod load;
mod proxy;
mod restored;
mod restored_file;
mod routes;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use url::Url;

use self::after::{expect_audited, until_well};
use self::fleet::{Fleet, Variables, variables};
use self::ledger::{Ledger, since};
use self::load::{Load, check};
use self::proxy::Proxy;
use crate::postgres::OwnDatabase;
use crate::server::now;

/// How long a fault lasts, in seconds.
const SECONDS: &str = "MAPAE_FAULT_SECONDS";
/// Unless it is said.
const USUALLY: u64 = 5;
/// The load is under way when a fault comes.
const BEFORE: Duration = Duration::from_secs(1);
/// All is well when a fault has been over for so long.
const WELL: Duration = Duration::from_secs(2);
/// For so long it is seen whether it stays so.
const AFTER: Duration = Duration::from_millis(1_500);

/// How long a fault lasts.
fn lasts() -> Duration {
    let seconds = std::env::var(SECONDS).ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(USUALLY))
}

/// Held while a fault lasts.
static ONE_FAULT: Mutex<()> = Mutex::const_new(());

/// Lets a load run through a fault, which is over when `fault` returns, and checks everything.
async fn through(name: &str, fleet: &mut Fleet, fault: impl AsyncFnOnce(&mut Fleet)) -> Arc<Ledger> {
    // How soon all is well says little while another fault has the machine.
    let _alone = ONE_FAULT.lock().await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(fleet, &ledger, Vec::new());
    tokio::time::sleep(BEFORE).await;
    fault(fleet).await;
    let over = now();
    ledger.recovered(over, until_well(fleet, &ledger).await);
    tokio::time::sleep((WELL + AFTER).saturating_sub(since(over))).await;
    let accounts = load.stop().await;
    ledger.expect_well(WELL);
    check(fleet, &ledger, accounts).await;
    expect_audited(fleet, &ledger).await;
    report(name, &ledger);
    ledger.settle();
    ledger
}

fn report(name: &str, ledger: &Ledger) {
    println!("fault {name}: {ledger}");
}

/// Says past the harness, which swallows what tests print, what could not be tested. Whoever asks for faults of some
/// length wants them all.
fn note(what: &str) {
    assert!(std::env::var_os(SECONDS).is_none(), "skipped: {what}");
    let _ = writeln!(std::io::stderr(), "note: {what}");
}

/// A database, and a proxy to it for each of three nodes.
struct Proxied {
    database: OwnDatabase,
    proxies: [Proxy; 3],
}

impl Proxied {
    /// `None` where there is no PostgreSQL, which is then said.
    async fn new(name: &'static str) -> Option<(Self, Fleet)> {
        Self::with(name, |_| {}).await
    }

    /// The same, with other settings.
    async fn with(name: &'static str, change: impl Fn(&mut Variables)) -> Option<(Self, Fleet)> {
        let database = OwnDatabase::new(name).await?;
        let upstream = address(&database.url);
        let proxies = [Proxy::start(upstream).await, Proxy::start(upstream).await, Proxy::start(upstream).await];
        let nodes = proxies.iter().map(|proxy| {
            let mut variables = variables(&by_way_of(&database.url, proxy.address));
            change(&mut variables);
            variables
        });
        let fleet = Fleet::start(nodes.collect()).await;
        Some((Self { database, proxies }, fleet))
    }

    async fn end(self, mut fleet: Fleet) {
        fleet.stop();
        drop(self.proxies);
        self.database.drop().await;
    }
}

/// Where a database's server is.
fn address(url: &str) -> SocketAddr {
    let url = Url::parse(url).expect("a URL");
    let (host, port) = (url.host_str().expect("a host"), url.port().expect("a port"));
    format!("{host}:{port}").parse().expect("an address")
}

/// The same database by another address.
fn by_way_of(url: &str, address: SocketAddr) -> String {
    let mut url = Url::parse(url).expect("a URL");
    url.set_port(Some(address.port())).expect("a URL with a port");
    url.into()
}
