//! Requests whose body is held back until what let them in has ended.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mapae::Mapae;
use mapae::domain::{SecretText, UserId};
use mapae::service::By;
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, disable, withdraw};

/// A request that was let in and of which one byte is missing.
struct Held {
    stream: TcpStream,
    last: u8,
}

/// Sends everything but the last byte. `100 Continue` says that the server wants the body: it has looked at the token.
fn hold(server: &Server, method: &str, path: &str, token: &str, body: &Value) -> Held {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(std::str::from_utf8(&go_on).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    let (last, first) = body.as_bytes().split_last().unwrap();
    stream.write_all(first).unwrap();
    Held { stream, last: *last }
}

impl Held {
    /// Sends the rest; status, challenge and `code` of the answer.
    fn finish(mut self) -> (u16, String, String) {
        self.stream.write_all(&[self.last]).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let challenge = head.lines().find_map(|line| line.strip_prefix("www-authenticate: ")).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        (status, challenge.to_owned(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// What ends somebody's right to go on, done elsewhere.
#[derive(Clone, Copy, Debug)]
enum End {
    Disable,
    Delete,
    Password,
    Scope(&'static str),
}

async fn end(other: &Mapae, id: &UserId, how: End) {
    match how {
        End::Disable => drop(other.administer(id, disable(true), By::System).await.unwrap()),
        End::Delete => other.delete_account(id, By::System).await.unwrap(),
        End::Password => {
            other.set_password(id, &SecretText::new("seven purple elephants".into()), By::System).await.unwrap()
        }
        End::Scope(scope) => drop(other.administer(id, withdraw(scope), By::System).await.unwrap()),
    }
}

fn refused(how: End, scope: &str, (status, challenge, code): (u16, String, String)) {
    let expected = if matches!(how, End::Scope(_)) { (403, "insufficient_scope") } else { (401, "invalid_token") };
    assert_eq!((status, code.as_str()), expected, "{how:?}");
    assert!(challenge.starts_with(&format!("Bearer error=\"{code}\"")), "{how:?}: {challenge}");
    assert!(challenge.ends_with(&format!("scope=\"{scope}\"")), "{how:?}: {challenge}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_who_is_one_no_more_changes_nothing() {
    let server = Server::start().await;
    let other = server.another_process().await;
    let (friend, _) = server.newcomer("friend").await;
    let path = format!("/admin/users/{friend}");
    let grant = json!({ "grant": "mapae:admin" });
    for (number, how) in [End::Disable, End::Delete, End::Password, End::Scope("mapae:admin")].into_iter().enumerate() {
        let name = format!("root{number}");
        let id = server.sign_up_with_scopes(&name, "me mapae:admin").await;
        let token = server.sign_in_for(&name, "mapae:admin").await;
        let held = hold(&server, "PATCH", &path, &token, &grant);
        end(&other, &id, how).await;
        refused(how, "mapae:admin", held.finish());
        let friend = other.find_account("friend").await.unwrap();
        assert!(!friend.scopes.contains("mapae:admin"), "{how:?}");
    }
    // Whoever still is one may take their time.
    let token = server.administrator().await;
    assert_eq!(hold(&server, "PATCH", &path, &token, &grant).finish().0, 200);
    assert!(other.find_account("friend").await.unwrap().scopes.contains("mapae:admin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_in_no_more_changes_nothing() {
    let server = Server::start().await;
    let other = server.another_process().await;
    let new_password = "twelve yellow giraffes";
    let requests = [
        ("PATCH", "/users/me", json!({ "full_name": "Changed" })),
        ("PATCH", "/users/me", json!({ "email": "changed@example.com", "password": PASSWORD })),
        ("POST", "/users/me/password", json!({ "current_password": PASSWORD, "new_password": new_password })),
        ("DELETE", "/users/me", json!({ "password": PASSWORD })),
    ];
    for (number, (method, path, body)) in requests.iter().enumerate() {
        for (ending, how) in [End::Disable, End::Password, End::Scope("me"), End::Delete].into_iter().enumerate() {
            let name = format!("ann{number}-{ending}");
            let (id, token) = server.newcomer(&name).await;
            let held = hold(&server, method, path, &token, body);
            end(&other, &id, how).await;
            let before = other.store().credential_by_id(&id).await.unwrap();
            refused(how, "me", held.finish());
            let after = other.store().credential_by_id(&id).await.unwrap();
            assert_eq!(after.is_some(), !matches!(how, End::Delete), "{method} {path}");
            if let (Some(before), Some(after)) = (before, after) {
                assert!(before.user == after.user && before.hash == after.hash, "{method} {path} after {how:?}");
            }
        }
        let (_, token) = server.newcomer(&format!("bob{number}")).await;
        let status = hold(&server, method, path, &token, body).finish().0;
        assert!(matches!(status, 200 | 204), "{method} {path}: {status}");
    }
}

/// A session that its owner ended by a password change elsewhere, with the new password in the held request.
#[tokio::test(flavor = "multi_thread")]
async fn the_new_password_does_not_make_up_for_an_ended_session() {
    let server = Server::start().await;
    let (id, token) = server.newcomer("ann").await;
    let held = hold(&server, "DELETE", "/users/me", &token, &json!({ "password": "seven purple elephants" }));
    end(&server.another_process().await, &id, End::Password).await;
    refused(End::Password, "me", held.finish());
    assert_eq!(server.accounts().await, 1);
}
