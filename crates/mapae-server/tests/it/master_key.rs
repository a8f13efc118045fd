//! `mapae secret rotate`, beside a server that works, and cut off at any moment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::server::{BASE_URL, CHEAP, PASSWORD, Server};
use crate::support::{Ended, GOOD_KEY, Home, OTHER_KEY};

/// The rounds in which the command is killed at some moment.
const KILLS: u64 = 12;

fn done(ended: &Ended) -> &str {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("encrypted anew") && ended.stderr.contains("Backups"), "{ended:?}");
    &ended.stdout
}

fn key_files(home: &Home) -> Vec<String> {
    let names = fs::read_dir(home.path().join("mapae-data")).expect("readable");
    let mut names: Vec<_> =
        names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.retain(|name| name.starts_with("master.key"));
    names.sort();
    names
}

/// The refresh token's successor, and the access token that came with it.
async fn refresh(url: &str, token: &str) -> Result<(String, String), String> {
    let form = [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", token)];
    let body = form.map(|(name, value)| format!("{name}={value}")).join("&");
    let request = reqwest::Client::new().post(format!("{url}/oauth2/token"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let (status, body) = (answer.status(), answer.json::<Value>().await.map_err(|error| error.to_string())?);
    if status != 200 {
        return Err(format!("{status}: {body}"));
    }
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    Ok((text("refresh_token"), text("access_token")))
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_under_load_it_logs_nobody_out() {
    const PEOPLE: usize = 3;
    const ROTATIONS: usize = 3;
    let home = Home::new();
    let mut server = Server::start(&home, &[]);
    for person in 0..PEOPLE {
        home.sign_up(&format!("user{person}"));
    }
    let path = home.path().join("mapae-data/master.key");
    let first = fs::read(&path).expect("the key");
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let people: Vec<_> = (0..PEOPLE)
        .map(|person| {
            let (url, stop, rounds) = (server.url.clone(), Arc::clone(&stop), Arc::clone(&rounds));
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let form = format!("username=user{person}&password={}", PASSWORD.replace(' ', "+"));
                let sign_in =
                    client.post(format!("{url}/token")).header("content-type", "application/x-www-form-urlencoded");
                let answer = sign_in.body(form.clone()).send().await.expect("an answer");
                let body: Value = answer.json().await.expect("JSON");
                let first = body["access_token"].as_str().expect("a token").to_owned();
                let mut token = body["refresh_token"].as_str().expect("a token").to_owned();
                while !stop.load(Ordering::SeqCst) {
                    let (next, access) = refresh(&url, &token).await.expect("the session goes on");
                    token = next;
                    for access in [&first, &access] {
                        let me =
                            client.get(format!("{url}/users/me")).bearer_auth(access).send().await.expect("an answer");
                        assert_eq!(me.status(), 200);
                    }
                    let again =
                        client.post(format!("{url}/token")).header("content-type", "application/x-www-form-urlencoded");
                    assert_eq!(again.body(form.clone()).send().await.expect("an answer").status(), 200);
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
                (first, token)
            })
        })
        .collect();
    let mut keys = vec![first.clone()];
    for rotation in 0..ROTATIONS {
        let seen = rounds.load(Ordering::SeqCst);
        while rounds.load(Ordering::SeqCst) < seen + PEOPLE {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(people.iter().all(|person| !person.is_finished()), "somebody failed before rotation {rotation}");
        }
        assert_eq!(done(&home.beside(&["secret", "rotate"])), "", "no key is printed");
        let key = fs::read(&path).expect("the key");
        assert!(!keys.contains(&key));
        keys.push(key);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::SeqCst);
    let mut kept = Vec::new();
    for person in people {
        kept.push(person.await.expect("nobody failed"));
    }
    println!("{} rounds of refresh, two requests and a sign-in, {ROTATIONS} rotations", rounds.load(Ordering::SeqCst));
    assert_eq!(key_files(&home), ["master.key"]);

    server.stop();
    // The old key opens nothing any more, and the sentence says what to do.
    let newest = fs::read(&path).expect("the key");
    fs::write(&path, &first).expect("written");
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"], &[BASE_URL]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("mapae secret rotate") && refused.stderr.contains("master key"), "{refused:?}");
    fs::write(&path, &newest).expect("written");
    let server = Server::start(&home, &[]);
    let client = reqwest::Client::new();
    for (access, token) in kept {
        assert_eq!(server.status(&client, "/users/me", &access).await, 200);
        refresh(&server.url, &token).await.expect("the session goes on after a restart");
    }
}

#[test]
fn whenever_it_is_cut_off_what_is_left_can_be_started() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let list = || home.beside(&["key", "list"]);
    let before = list().stdout;
    for round in 0..KILLS {
        let mut child =
            home.command(&["secret", "rotate"], &[&CHEAP[..], &[BASE_URL]].concat()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(round * 4));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().expect("it can be waited for");
        let after = list();
        assert_eq!((after.status, after.stdout.as_str()), (Some(0), before.as_str()), "round {round}: {after:?}");
        assert_eq!(key_files(&home), ["master.key"], "round {round}");
    }
    Server::start(&home, &[]).stop();
}

/// Each moment at which it can be cut off, made by hand.
#[test]
fn either_key_is_found_again() {
    let home = Home::migrated();
    let (path, new) = (home.path().join("mapae-data/master.key"), home.path().join("mapae-data/master.key.new"));
    let first = fs::read(&path).expect("the key");
    let works = |what: &str, expected: &[u8]| {
        let listed = home.beside(&["key", "list"]);
        assert_eq!(listed.status, Some(0), "{what}: {listed:?}");
        assert_eq!(key_files(&home), ["master.key"], "{what}");
        assert_eq!(fs::read(&path).expect("the key"), expected, "{what}");
    };
    for (what, content) in [("nothing was written yet", ""), ("half", "abc"), ("before the commit", OTHER_KEY)] {
        fs::write(&new, content).expect("written");
        works(what, &first);
        fs::write(&new, content).expect("written");
        Server::start(&home, &[]).stop();
        works(what, &first);
    }
    done(&home.beside(&["secret", "rotate"]));
    let second = fs::read(&path).expect("the key");
    fs::rename(&path, &new).expect("renamed");
    fs::write(&path, &first).expect("written");
    Server::start(&home, &[]).stop();
    works("after the commit", &second);
    fs::rename(&path, &new).expect("renamed");
    works("after the commit, and the old one is gone", &second);

    fs::write(&path, &first).expect("written");
    fs::write(&new, OTHER_KEY).expect("written");
    let refused = home.beside(&["key", "list"]);
    assert!(refused.status == Some(1) && refused.stderr.contains("Neither"), "{refused:?}");
    assert_eq!(key_files(&home).len(), 2, "nothing is thrown away");
}

#[test]
fn a_key_that_is_given_is_printed_or_written_to_a_file() {
    let home = Home::new();
    let with = |key: &str, arguments: &[&str]| {
        home.run(arguments, &[&CHEAP[..], &[BASE_URL, ("MAPAE_MASTER_KEY", key)]].concat())
    };
    assert_eq!(with(GOOD_KEY, &["db", "migrate"]).status, Some(0));
    // Printed.
    let ended = with(GOOD_KEY, &["secret", "rotate"]);
    let printed = done(&ended).trim();
    assert_eq!(printed.len(), 43);
    assert!(!ended.stderr.contains(printed));
    let refused = with(GOOD_KEY, &["key", "list"]);
    assert!(refused.status == Some(1) && refused.stderr.contains("mapae secret rotate"), "{refused:?}");
    assert_eq!(with(printed, &["key", "list"]).status, Some(0));
    // Into a new file, and from one that is there.
    let file = home.path().join("next");
    assert_eq!(done(&with(printed, &["secret", "rotate", "--new-key-file", "next"])), "");
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&file).expect("text");
    assert_eq!(with(written.trim(), &["key", "list"]).status, Some(0));
    let same = with(written.trim(), &["secret", "rotate", "--new-key-file", "next"]);
    assert!(same.status == Some(1) && same.stderr.contains("is the old one"), "{same:?}");
    // Nothing is done with a key that the next start would refuse.
    fs::write(&file, "a".repeat(40)).expect("written");
    let weak = with(written.trim(), &["secret", "rotate", "--new-key-file", "next"]);
    assert!(weak.status == Some(1) && weak.stderr.contains("it repeats very few characters"), "{weak:?}");
    assert_eq!(with(written.trim(), &["key", "list"]).status, Some(0));
    fs::write(&file, OTHER_KEY).expect("written");
    done(&with(written.trim(), &["secret", "rotate", "--new-key-file", "next"]));
    assert_eq!(with(OTHER_KEY, &["key", "list"]).status, Some(0));

    let in_directory = Home::migrated().beside(&["secret", "rotate", "--new-key-file", "next"]);
    assert!(in_directory.status == Some(2) && in_directory.stderr.contains("data directory"), "{in_directory:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_leak_the_running_server_accepts_nothing() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.sign_up("ada");
    let (_, body) = server.sign_in("ada", PASSWORD, "").await;
    let text = |body: &Value, name: &str| body[name].as_str().expect("a text").to_owned();
    let (access, token) = (text(&body, "access_token"), text(&body, "refresh_token"));
    let ended = home.beside(&["secret", "rotate", "--leaked"]);
    assert!(ended.status == Some(0) && ended.stderr.contains("Sessions that have ended: 1."), "{ended:?}");
    server.wait_for(|line| line["message"].as_str().is_some_and(|text| text.contains("no token is accepted")));
    let client = reqwest::Client::new();
    assert_eq!(server.status(&client, "/users/me", &access).await, 401);
    assert!(refresh(&server.url, &token).await.is_err());
    assert_eq!(server.sign_in("ada", PASSWORD, "").await.0, 500);
    drop(server);

    let server = Server::start(&home, &[]);
    assert_eq!(server.status(&client, "/users/me", &access).await, 401);
    assert!(refresh(&server.url, &token).await.is_err());
    let (status, body) = server.sign_in("ada", PASSWORD, "").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(server.status(&client, "/users/me", &text(&body, "access_token")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_secret_key_verifies_until_it_is_left_out() {
    let home = Home::new();
    let hs256 = |key| [("ALGORITHM", "HS256"), ("SECRET_KEY", key)];
    let mut server = Server::start(&home, &hs256(GOOD_KEY));
    home.sign_up("ada");
    let token = server.sign_in("ada", PASSWORD, "").await.1["access_token"].as_str().expect("a token").to_owned();
    server.stop();
    let client = reqwest::Client::new();
    for (old, status) in [(GOOD_KEY, 200), ("", 401)] {
        let old = [("MAPAE_OLD_SECRET_KEYS", old)];
        let old = if old[0].1.is_empty() { &[] } else { &old[..] };
        let mut server = Server::start(&home, &[&hs256(OTHER_KEY), old].concat());
        assert_eq!(server.status(&client, "/users/me", &token).await, status);
        server.stop();
    }
    // Given up as leaked, it stops the start under either name.
    let leaked = home.run(&["secret", "rotate", "--leaked"], &[&hs256(OTHER_KEY)[..], &[BASE_URL]].concat());
    assert!(leaked.status == Some(0) && leaked.stderr.contains("SECRET_KEY is refused from now on"), "{leaked:?}");
    for variables in [&hs256(OTHER_KEY)[..], &[&hs256(GOOD_KEY)[..], &[("MAPAE_OLD_SECRET_KEYS", OTHER_KEY)]].concat()]
    {
        let refused = home.run(&["serve", "--listen", "127.0.0.1:0"], &[&CHEAP[..], &[BASE_URL], variables].concat());
        assert!(refused.status == Some(1) && refused.stderr.contains("given up as leaked"), "{refused:?}");
    }
    Server::start(&home, &hs256(GOOD_KEY)).stop();
}

#[test]
fn weak_old_keys_are_refused() {
    let home = Home::new();
    let given = [("ALGORITHM", "HS256"), ("SECRET_KEY", GOOD_KEY)];
    let refusal = home.refusal(&[], &[&given[..], &[("MAPAE_OLD_SECRET_KEYS", "secret")]].concat());
    assert!(refusal.contains("MAPAE_OLD_SECRET_KEYS has a key that") && !refusal.contains("\"secret\""), "{refusal}");
    let shown = home.settings(&[], &[("MAPAE_OLD_SECRET_KEYS", OTHER_KEY)]);
    assert!(shown.warnings().iter().any(|warning| warning.contains("is not used")), "{:?}", shown.warnings());
    assert_eq!(shown.value("old_secret_keys"), "(set, redacted)");
    assert_eq!(shown.value("key_rotation_days"), 90);
}
