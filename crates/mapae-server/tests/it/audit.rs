//! The audit trail: every kind of row is made over HTTP or on the command line, and read back by both.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use mapae::domain::audit::{Event, Outcome};
use serde_json::{Value, json};

use crate::audit_acts::{Cast, FLOOD, Stage, text};
use crate::server::{BASE_URL, PASSWORD, Server, now};
use crate::support::Home;

const COMMAND_LINE: (&str, Option<&str>) = ("command-line", Some("operator"));
const SYSTEM: (&str, Option<&str>) = ("system", None);
const ANONYMOUS: (&str, Option<&str>) = ("anonymous", None);

/// Who did it to whom, and details that are there. One row at least must be so. Whoever adds an event says here what its
/// row is like, and lets it happen in `audit_acts`.
fn expected(event: Event, cast: &Cast) -> ((&str, Option<&str>), Option<String>, Value) {
    let ann = || Some(cast.ann.clone());
    let bob = || Some(cast.bob.clone());
    let root = || Some(cast.root.clone());
    let job = || Some("client:job".to_owned());
    let by_root = ("user", Some(&*cast.root));
    let by_ann = ("user", Some(&*cast.ann));
    match event {
        Event::SignInSucceeded => (by_ann, ann(), json!({ "scope": "me" })),
        Event::SignInRefused => (ANONYMOUS, ann(), json!({ "reason": "wrong-password" })),
        Event::PasswordRefused => (by_ann, ann(), json!({ "reason": "wrong-password" })),
        Event::UserSignedUp => (ANONYMOUS, ann(), json!({})),
        Event::UserAdded => (("command-line", None), bob(), json!({})),
        Event::UserChanged => (by_ann, ann(), json!({ "fields": ["full_name"] })),
        Event::EmailChanged | Event::PasswordChanged => (by_ann, ann(), json!({})),
        Event::UserDisabled | Event::UserEnabled => (by_root, bob(), json!({})),
        Event::UserDeleted => (("user", Some(&*cast.bob)), bob(), json!({})),
        Event::UsersImported => (COMMAND_LINE, None, json!({ "already_there": 0, "imported": 1, "refused": 1 })),
        Event::ScopeGranted | Event::ScopeWithdrawn => (by_root, bob(), json!({ "scope": "mapae:admin" })),
        Event::SessionStarted => (COMMAND_LINE, root(), json!({ "scope": "mapae:admin" })),
        Event::SessionEnded => (by_ann, ann(), json!({ "reason": "signed-out" })),
        Event::RefreshTokenReused => (ANONYMOUS, root(), json!({})),
        Event::RefreshTokenAhead => (by_root, root(), json!({})),
        Event::TokenMinted => {
            let (act, parent) = (json!({ "sub": cast.root }), &cast.minting_session);
            (by_root, root(), json!({ "scope": "me", "personal": true, "act": act, "parent": parent }))
        }
        Event::TokenRefused => (ANONYMOUS, None, json!({ "reason": "bad-token" })),
        Event::TokenRevoked => (("client", Some("mapae")), root(), json!({})),
        Event::TicketReused => (ANONYMOUS, root(), json!({})),
        Event::ClientTokenIssued => (("client", Some("job")), job(), json!({ "scope": "me" })),
        Event::ClientRefused => (ANONYMOUS, job(), json!({ "reason": "wrong-secret" })),
        Event::ClientAdded | Event::ClientSecretRotated | Event::ClientRemoved => (by_root, job(), json!({})),
        Event::KeyRotated => (COMMAND_LINE, Some(format!("key:{}", cast.kid)), json!({ "at_once": true })),
        Event::KeyRevoked => (COMMAND_LINE, Some(format!("key:{}", cast.revoked_kid)), json!({ "leaked": false })),
        Event::KeyImported => (COMMAND_LINE, Some(format!("key:{}", cast.imported_kid)), json!({})),
        Event::MasterKeyRotated => (COMMAND_LINE, None, json!({ "leaked": false })),
        Event::AuditDropped => (SYSTEM, None, json!({})),
    }
}

fn rows(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn export(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let ended = home.beside(&[&["audit", "export"], arguments].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    rows(&ended.stdout)
}

/// Every row of this event over HTTP, newest first.
async fn listed(server: &Server, admin: &str, event: Event) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut query = vec![("event", event.as_str()), ("limit", "200")];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let url = format!("{}/admin/audit", server.url);
        let request = reqwest::Client::new().get(url).query(&query).bearer_auth(admin);
        let page: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        all.extend(page["events"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        match page.get("next_cursor") {
            Some(next) => cursor = text(next),
            None => return all,
        }
    }
}

/// Whether the row has these details, perhaps among others.
fn has(row: &Value, details: &Value) -> bool {
    details.as_object().expect("an object").iter().all(|(name, value)| row["details"][name] == *value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_row_is_written_and_read_back() {
    let home = Home::migrated();
    let server = Server::start(&home, &[("MAPAE_THROTTLE", "false")]);
    let cast = Stage::new(&home, &server).play().await;
    let admin = home.beside(&["token", "mint", "root", "--scope", "mapae:admin"]).stdout.trim().to_owned();
    for event in Event::ALL.iter().copied() {
        let over_http = listed(&server, &admin, event).await;
        let mut exported = export(&home, &["--event", event.as_str()]);
        exported.reverse();
        assert!(over_http == exported, "{event:?}: {over_http:#?} {exported:#?}");
        let ((kind, actor), subject, details) = expected(event, &cast);
        let fits = |row: &&Value| {
            row["actor_kind"] == kind
                && row["actor"] == json!(actor)
                && row["subject"] == json!(subject)
                && has(row, &details)
        };
        let row = over_http.iter().find(fits).unwrap_or_else(|| panic!("no such {event:?}: {over_http:#?}"));
        assert_eq!(row["outcome"], event.outcome().as_str());
        // What came over HTTP says from where, with the id that the log has.
        let by_request = !matches!(kind, "command-line" | "system");
        assert_eq!(row["address"].is_string(), by_request, "{row}");
        if by_request && event != Event::TicketReused {
            assert_eq!(row["address"], "127.0.0.1");
            assert_eq!(text(&row["request_id"]).len(), 16);
        }
        if kind == "user" {
            assert!(row["session_id"].is_string() && row["client_id"] == "mapae", "{row}");
        }
    }

    // Refused with every reason, and what was typed is nowhere.
    let reasons: Vec<_> =
        export(&home, &["--event", "sign-in.refused"]).iter().map(|row| text(&row["details"]["reason"])).collect();
    assert_eq!(reasons, ["wrong-password", "no-such-account", "password-too-long"]);
    let (trail, refused) = (export(&home, &[]), export(&home, &["--outcome", "refused"]));
    let dropped: u64 = listed(&server, &admin, Event::AuditDropped)
        .await
        .iter()
        .map(|row| row["details"]["count"].as_u64().expect("a number"))
        .sum();
    let nobody = |row: &&Value| row["details"]["reason"] == "no-such-client";
    // Those of the flood, and the one with a name in the wrong field.
    let written = trail.iter().filter(nobody).count() as u64;
    assert_eq!((written + dropped, refused.len() < trail.len()), (FLOOD as u64 + 1, true));
    let whole = home.beside(&["audit", "export"]).stdout;
    for secret in &cast.secrets {
        assert!(!whole.contains(secret.as_str()), "{secret} is in the audit trail");
    }
    assert!(cast.secrets.len() > 20);
}

#[test]
fn filters_and_lines_of_the_command_line() {
    let home = Home::migrated();
    let ann = home.sign_up("ann");
    home.sign_up("bob");
    assert_eq!(export(&home, &["--user", "ann"]).len(), 1);
    assert_eq!(export(&home, &["--subject", &ann])[0]["event"], "user.added");
    assert_eq!(export(&home, &["--actor", "nobody"]).len(), 0);
    assert_eq!(export(&home, &["--until", "2020-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(export(&home, &["--since", "2020-01-01T09:00:00+09:00", "--outcome", "success"]).len(), 2);
    let tail = |arguments: &[&str]| home.beside(&[&["audit", "tail"], arguments].concat()).stdout;
    assert_eq!(tail(&[]).lines().count(), 2);
    let last = tail(&["-n", "1"]);
    assert!(last.contains("  user.added ") && last.contains("  by command-line  to "), "{last}");
    assert!(!last.contains(&ann) && !last.contains("bob"), "the newest, by its id: {last}");
    assert_eq!(rows(&tail(&["--lines", "1", "--json"]))[0]["event"], "user.added");
    for (arguments, part) in [
        (["--event", "sign-in"], "--event takes one of sign-in.succeeded, "),
        (["--outcome", "maybe"], "--outcome takes success or refused."),
        (["--since", "yesterday"], "--since takes a time of RFC 3339"),
        (["--until", "2026-01-01"], "--until takes a time of RFC 3339"),
        (["--address", "300.0.0.1"], "--address takes an IPv4 or IPv6 address."),
    ] {
        let ended = home.beside(&[&["audit", "export"], &arguments[..]].concat());
        assert!(ended.status == Some(2) && ended.stderr.contains(part), "{ended:?}");
    }
    let ended = home.beside(&["audit", "export", "--user", "carol"]);
    assert_eq!((ended.status, &*ended.stderr), (Some(1), "mapae: There is no account \"carol\".\n"));
    // The name comes from the environment of whoever runs the command, and cannot steer a terminal.
    let variables = [BASE_URL, ("USER", "root"), ("SUDO_USER", "e\u{1b}ve")];
    assert_eq!(home.run(&["user", "disable", "ann"], &variables).status, Some(0));
    assert_eq!(export(&home, &["--event", "user.disabled"])[0]["actor"], "eve");
}

#[tokio::test]
async fn following_shows_each_row_once() {
    let home = Home::migrated();
    home.add_user(&["ann"]);
    let mut server = Server::start(&home, &[]);
    server.sign_in("ann", "before it began", "").await;
    let deadline = now() + Duration::from_secs(5);
    while export(&home, &["--event", "sign-in.refused"]).is_empty() {
        assert!(now() < deadline, "a refusal is not written");
    }
    let arguments = ["audit", "tail", "--follow", "--json", "-n", "1", "--outcome", Outcome::Refused.as_str()];
    let mut follower = home.command(&arguments, &[BASE_URL]).spawn().expect("mapae runs");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    let mut ids = vec![text(&next()["id"])];
    for _ in 0..5 {
        server.sign_in("ann", "wrong", "").await;
        server.sign_in("ann", PASSWORD, "").await;
        ids.push(text(&next()["id"]));
    }
    follower.kill().expect("it runs");
    follower.wait().expect("it can be waited for");
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    // What waits is written before the end.
    server.sign_in("ann", "at the very end", "").await;
    server.stop();
    let refused = export(&home, &["--event", "sign-in.refused"]);
    assert_eq!(refused.len(), 7);
}

#[test]
fn the_book_knows_every_event() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for event in Event::ALL {
        assert!(page.contains(&format!("`{}`", event.as_str())), "{event:?}");
    }
}
