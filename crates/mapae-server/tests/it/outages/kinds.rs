//! The faults, one test for each.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cluster::{Cluster, Stop, programs};
use super::disk::SmallDisk;
use super::fleet::{Fleet, Variables, variables};
use super::ledger::{Outcome, since};
use super::proxy::Proxy;
use super::{Proxied, lasts, note, through};
use crate::postgres::{OwnDatabase, faketime};
use crate::server::{PASSWORD, Server, now};
use crate::support::Home;

const NODES: usize = 3;
/// A network that says nothing for less is hardly a fault.
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    let Some(database) = OwnDatabase::new("fault_killed").await else { return };
    let mut fleet = Fleet::of_three([&database.url; NODES].map(String::clone)).await;
    let ledger = through("killed", &mut fleet, async |fleet| {
        let began = now();
        for node in (0..NODES).cycle() {
            fleet.kill(node);
            tokio::time::sleep(Duration::from_millis(300)).await;
            fleet.run(node);
            if since(began) > lasts() {
                break;
            }
        }
    })
    .await;
    assert_eq!(ledger.count(Outcome::Unavailable), 0, "the other nodes have everything that they need");
    fleet.stop();
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarted() {
    let Some(programs) = programs() else { return note("not run without PostgreSQL: postgres_restarted") };
    let mut cluster = Cluster::start(programs, None);
    let url = format!("postgres://mapae@{}/postgres", cluster.address());
    let mut fleet = Fleet::of_three([&url; NODES].map(String::clone)).await;
    let elsewhere = super::routes::Elsewhere::new(&fleet).await;
    through("postgres_restarted", &mut fleet, async |fleet| {
        let began = now();
        cluster.stop(Stop::Immediate);
        cluster.run();
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.stop(Stop::Fast);
        for target in fleet.balancer.all() {
            fleet.until_ready_is(&target, 503).await;
            assert_eq!(fleet.status(&target, "/health/live").await, 200);
            assert_eq!(fleet.status(&target, "/.well-known/jwks.json").await, 200);
        }
        elsewhere.verifies().await;
        tokio::time::sleep(lasts().saturating_sub(since(began))).await;
        elsewhere.verifies().await;
        cluster.run();
    })
    .await;
    fleet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut() {
    let Some((proxied, mut fleet)) = Proxied::new("fault_cut").await else { return };
    through("connections_cut", &mut fleet, async |_| {
        let began = now();
        while since(began) < lasts() * 2 / 3 {
            for proxy in &proxied.proxies {
                proxy.cut_one();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while since(began) < lasts() {
            for proxy in &proxied.proxies {
                proxy.cut_all();
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    })
    .await;
    proxied.end(fleet).await;
}

/// Takes the database away from every node by this, until new connections are let through.
async fn database_away(fault: &str, database: &'static str, take_away: impl AsyncFn(&Proxy)) {
    let Some((proxied, mut fleet)) = Proxied::new(database).await else { return };
    through(fault, &mut fleet, async |fleet| {
        let began = now();
        for proxy in &proxied.proxies {
            take_away(proxy).await;
        }
        for target in fleet.balancer.all() {
            fleet.until_ready_is(&target, 503).await;
        }
        tokio::time::sleep(lasts().saturating_sub(since(began))).await;
        for proxy in &proxied.proxies {
            proxy.restore().await;
        }
    })
    .await;
    proxied.end(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_refuses() {
    database_away("database_refuses", "fault_refuses", Proxy::refuse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_paused() {
    let Some((proxied, mut fleet)) = Proxied::new("fault_paused").await else { return };
    through("network_paused", &mut fleet, async |fleet| {
        let (began, [away, others @ ..]) = (now(), &fleet.balancer.all()[..]) else { panic!("three nodes") };
        proxied.proxies[away.node].pause();
        fleet.until_ready_is(away, 503).await;
        for other in others {
            assert_eq!(fleet.status(other, "/health/ready").await, 200);
        }
        tokio::time::sleep(lasts().max(PAUSE).saturating_sub(since(began))).await;
        proxied.proxies[away.node].resume();
    })
    .await;
    proxied.end(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_lost() {
    database_away("network_lost", "fault_lost", Proxy::lose).await;
}

/// With the limits that nobody has set, and over before the nodes can know: what was under way would wait for ten seconds
/// and more, and everybody who waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn network_lost_for_a_moment() {
    let defaults = |variables: &mut Variables| variables.retain(|name, _| !name.starts_with("MAPAE_DATABASE_"));
    let Some((proxied, mut fleet)) = Proxied::with("fault_moment", defaults).await else { return };
    through("network_lost_for_a_moment", &mut fleet, async |_| {
        for proxy in &proxied.proxies {
            proxy.lose().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for proxy in &proxied.proxies {
            proxy.restore().await;
        }
    })
    .await;
    proxied.end(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full_under_postgres() {
    let Some(programs) = programs() else { return note("not run without PostgreSQL: disk_full_under_postgres") };
    let Some(disk) = SmallDisk::of(128) else {
        return note("not run without the right to mount a tmpfs (root): disk_full_under_postgres");
    };
    let mut cluster = Cluster::start(programs, Some(disk));
    let url = format!("postgres://mapae@{}/postgres", cluster.address());
    let mut fleet = Fleet::of_three([&url; NODES].map(String::clone)).await;
    let ledger = through("disk_full_under_postgres", &mut fleet, async |_| {
        let began = now();
        while since(began) < lasts() {
            cluster.disk().fill();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cluster.disk().free();
        // It ends by itself if it could not even write its log.
        if !cluster.is_running() {
            cluster.run();
        }
    })
    .await;
    assert!(ledger.count(Outcome::Unavailable) > 0, "the disk was never full");
    fleet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_jumps() {
    let Some(database) = OwnDatabase::new("fault_clock").await else { return };
    let library = faketime().expect("libfaketime, of Debian's package faketime");
    let home = Home::new().with("time", "+0s");
    let time = home.path().join("time");
    let mut jumping = variables(&database.url);
    for (name, value) in [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", time.to_str().expect("UTF-8")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ] {
        jumping.insert(name.to_owned(), value.to_owned());
    }
    let mut fleet = Fleet::start(vec![jumping, variables(&database.url), variables(&database.url)]).await;
    let ledger = through("clock_jumps", &mut fleet, async |_| {
        let began = now();
        for jump in [120, -120].into_iter().cycle() {
            std::fs::write(&time, format!("{jump:+}s")).expect("written");
            tokio::time::sleep(Duration::from_millis(700)).await;
            if since(began) > lasts() {
                break;
            }
        }
    })
    .await;
    assert_eq!(ledger.count(Outcome::Unavailable), 0, "nothing is missing");
    fleet.stop();
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restart() {
    let Some(database) = OwnDatabase::new("fault_rolling").await else { return };
    let mut fleet = Fleet::of_three([&database.url; NODES].map(String::clone)).await;
    let ledger = through("rolling_restart", &mut fleet, async |fleet| {
        let began = now();
        for node in (0..NODES).cycle() {
            restart(fleet, node).await;
            if since(began) > lasts() && node == NODES - 1 {
                break;
            }
        }
    })
    .await;
    assert_eq!((ledger.count(Outcome::Unavailable), ledger.count(Outcome::CutOff)), (0, 0), "none is lost");
    fleet.stop();
    database.drop().await;
}

/// As a load balancer and a supervisor do it. A request that has begun is answered all the same.
async fn restart(fleet: &mut Fleet, node: usize) {
    fleet.take_out(node);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let server = fleet.server(node);
    let body = format!(r#"{{"email":"admin@example.com","password":"{PASSWORD}"}}"#);
    let address = server.url.trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /users/signin HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(20);
    let mut connection = TcpStream::connect(&address).await.expect("it listens");
    connection.write_all(format!("{head}{first}").as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.terminate();
    server.wait_for(|line| line["message"].as_str().is_some_and(|text| text.starts_with("stopping")));
    connection.write_all(rest.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer, and then the end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.wait().code(), Some(0), "{:#?}", server.log());
    fleet.run(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full_under_sqlite() {
    let disk = SmallDisk::of(24);
    let mut variables = variables("");
    variables.remove("DATABASE_URL");
    if let Some(disk) = &disk {
        variables.insert("MAPAE_DATA_DIR".to_owned(), disk.path().join("data").display().to_string());
    }
    // A process that writes past its limit is killed unless it ignores that.
    let ignoring = ["/usr/bin/env", "--ignore-signal=XFSZ"];
    let mut fleet = Fleet::start_through(&ignoring, vec![variables]).await;
    let ledger = through("disk_full_under_sqlite", &mut fleet, async |fleet| {
        let began = now();
        while since(began) < lasts() {
            match &disk {
                Some(disk) => disk.fill(),
                None => limit_files(fleet.server(0), Some(1)),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match &disk {
            Some(disk) => disk.free(),
            None => limit_files(fleet.server(0), None),
        }
    })
    .await;
    assert!(ledger.count(Outcome::Unavailable) > 0, "the disk was never full");
    fleet.stop();
}

/// For those who may not mount anything: no file grows past so many bytes.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let mut prlimit = std::process::Command::new("prlimit");
    prlimit.args(["--pid", &server.id().to_string(), &format!("--fsize={limit}:unlimited")]);
    assert!(prlimit.status().expect("prlimit runs").success());
}
