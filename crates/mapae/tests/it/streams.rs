//! Connections that close when whoever opened them may not be there any more.

use std::sync::Arc;
use std::time::Duration;

use mapae::Mapae;
use mapae::domain::audit::Actor;
use mapae::domain::{BaseUrl, MasterKey, SecretText, UserId};
use mapae::http::{CLOSE_FORBIDDEN, CLOSE_TRY_AGAIN_LATER, CLOSE_UNAUTHORIZED};
use mapae::service::{Background, By};
use mapae_verify::{Algorithm, ManualClock, Scopes, SigningKey};
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::database::Directory;
use crate::forge::parts;
use crate::live::{Live, closed, last_events, says};
use crate::people::{People, Person};
use crate::server::{MASTER_KEY, START, Server, disable, problem, withdraw};

const ENDED: (u16, &str) = (CLOSE_UNAUTHORIZED, "the session has ended");
const EXPIRED: (u16, &str) = (CLOSE_UNAUTHORIZED, "the token has expired");

fn is(closed: &(u16, String), expected: (u16, &str)) {
    assert_eq!((closed.0, closed.1.as_str()), expected);
}

async fn end_sessions(server: &Server, id: &UserId) {
    let mut tx = server.mapae.store().begin().await.unwrap();
    assert_eq!(tx.end_sessions(id, None, &Actor::system()).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn they_open_with_the_header_and_stay_open() {
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    let (_, token) = server.newcomer("ann").await;
    let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
    says(&mut socket, "hello").await;
    for path in ["/ws", "/ws/known"] {
        let (status, body) = live.socket(path, None).await.unwrap_err();
        assert!(status == 401 && body.contains("not_authenticated"), "{body}");
        let (status, body) = live.socket(path, Some("nonsense")).await.unwrap_err();
        assert!(status == 401 && body.contains("invalid_token"), "{body}");
    }
    let narrow = server.sign_in_for("ann", "me").await;
    let (status, body) = live.socket("/ws/items", Some(&narrow)).await.unwrap_err();
    assert!(status == 403 && body.contains("insufficient_scope"), "{body}");
    for path in ["/events", "/silence"] {
        problem(live.events(path, None).await, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    // Three looks found nothing wrong.
    sleep(Duration::from_millis(3100)).await;
    says(&mut socket, "still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_session_closes_them() {
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    let other = server.another_process().await;
    for (name, here) in [("here", true), ("there", false)] {
        let (id, token) = server.newcomer(name).await;
        let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
        says(&mut socket, "hello").await;
        let (events, silence) =
            (live.events("/events", Some(&token)).await, live.events("/silence", Some(&token)).await);
        let began = Instant::now();
        if here {
            end_sessions(&server, &id).await;
        } else {
            other.set_password(&id, &SecretText::new("seven purple elephants".into()), By::System).await.unwrap();
        }
        let (closed, events, silence) = tokio::join!(closed(&mut socket), last_events(events), last_events(silence));
        println!("everything was closed after {} ms", began.elapsed().as_millis());
        is(&closed, ENDED);
        assert!(events.starts_with("data: 0\n\n") && silence.is_empty(), "{events} {silence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_what_happens_to_the_account() {
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    let mut sockets = Vec::new();
    for name in ["disabled", "deleted", "withdrawn", "untouched"] {
        let (id, token) = server.newcomer(name).await;
        let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
        says(&mut socket, "hello").await;
        sockets.push((id, socket));
    }
    server.mapae.administer(&sockets[0].0, disable(true), By::System).await.unwrap();
    server.mapae.delete_account(&sockets[1].0, By::System).await.unwrap();
    server.mapae.administer(&sockets[2].0, withdraw("me"), By::System).await.unwrap();
    is(&closed(&mut sockets[0].1).await, ENDED);
    is(&closed(&mut sockets[1].1).await, ENDED);
    is(&closed(&mut sockets[2].1).await, (CLOSE_FORBIDDEN, "This needs a token with scope: me"));
    says(&mut sockets[3].1, "still here").await;
}

#[tokio::test]
async fn they_close_with_the_token_and_its_key() {
    let server = Server::start_with(|settings| settings.leeway = 0).await;
    let live = Live::start(&server.mapae).await;
    let (_, token) = server.newcomer("ann").await;
    let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
    says(&mut socket, "hello").await;
    server.clock.advance(899);
    sleep(Duration::from_millis(1100)).await;
    says(&mut socket, "one second left").await;
    let events = live.events("/events", Some(&token)).await;
    server.clock.advance(1);
    is(&closed(&mut socket).await, EXPIRED);
    last_events(events).await;

    let token = server.sign_in("ann").await;
    let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
    says(&mut socket, "hello").await;
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let mut tx = server.mapae.store().begin().await.unwrap();
    assert!(tx.remove_signing_key(parts(&token).0["kid"].as_str().unwrap()).await.unwrap());
    tx.commit().await.unwrap();
    is(&closed(&mut socket).await, (CLOSE_UNAUTHORIZED, "signed by an unknown key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_close_when_nobody_can_tell() {
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    let (_, token) = server.newcomer("ann").await;
    let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
    says(&mut socket, "hello").await;
    server.mapae.store().close().await;
    let reason = "The service cannot answer right now. Try again in a moment.";
    is(&closed(&mut socket).await, (CLOSE_TRY_AGAIN_LATER, reason));
}

/// On the application's own user table, with sessions.
pub(crate) struct OnTable {
    pub(crate) people: People,
    pub(crate) mapae: Mapae<Person>,
    _background: Background,
    _directory: Directory,
}

impl OnTable {
    pub(crate) async fn start() -> Self {
        let (people, directory) = (People::default(), Directory::new());
        let mapae = Mapae::builder(BaseUrl::parse("https://a.example").unwrap())
            .database(directory.options())
            .master_key(MasterKey::new(MASTER_KEY.to_vec()).unwrap())
            .clock(Arc::new(ManualClock::new(START)))
            .users(people.clone())
            .build()
            .await
            .unwrap();
        let background = mapae.service().unwrap().watch().await.unwrap();
        Self { people, mapae, _background: background, _directory: directory }
    }

    /// A new person's token.
    pub(crate) async fn newcomer(&self, id: &str) -> String {
        let person = self.people.add(id);
        self.mapae.issue(&person, &Scopes::parse("me").unwrap()).await.unwrap().access_token.expose().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_applications_table_with_sessions() {
    let app = OnTable::start().await;
    let live = Live::start(&app.mapae).await;
    let mut sockets = Vec::new();
    for name in ["disabled", "removed", "withdrawn"] {
        let token = app.newcomer(name).await;
        let mut socket = live.socket("/ws", Some(&token)).await.unwrap();
        says(&mut socket, "hello").await;
        sockets.push(socket);
    }
    app.people.change("disabled", |person| person.active = false);
    app.people.remove("removed");
    app.people.change("withdrawn", |person| person.scopes = "");
    is(&closed(&mut sockets[0]).await, ENDED);
    is(&closed(&mut sockets[1]).await, ENDED);
    assert_eq!(closed(&mut sockets[2]).await.0, CLOSE_FORBIDDEN);
}

fn stateless(people: &People, clock: &ManualClock) -> Mapae<Person> {
    let key = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
    Mapae::stateless(people.clone(), key).clock(Arc::new(clock.clone())).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_applications_table_without_sessions() {
    let (people, clock) = (People::default(), ManualClock::new(START));
    let mapae = stateless(&people, &clock);
    let live = Live::start(&mapae).await;
    let mut sockets = Vec::new();
    for (name, path) in [("disabled", "/ws"), ("removed", "/ws"), ("withdrawn", "/ws"), ("known", "/ws/known")] {
        let person = people.add(name);
        let token = mapae.issue(&person, &Scopes::parse("me").unwrap()).await.unwrap().access_token;
        let mut socket = live.socket(path, Some(token.expose())).await.unwrap();
        says(&mut socket, "hello").await;
        sockets.push(socket);
    }
    people.change("disabled", |person| person.active = false);
    people.change("known", |person| person.active = false);
    people.remove("removed");
    people.change("withdrawn", |person| person.scopes = "");
    is(&closed(&mut sockets[0]).await, (CLOSE_FORBIDDEN, "This account is disabled."));
    is(&closed(&mut sockets[1]).await, (CLOSE_UNAUTHORIZED, "the token names nobody here"));
    // Without sessions a token is what it says.
    says(&mut sockets[2], "still here").await;
    says(&mut sockets[3], "still here").await;
    clock.advance(900);
    is(&closed(&mut sockets[2]).await, EXPIRED);
    is(&closed(&mut sockets[3]).await, EXPIRED);
}

#[tokio::test]
async fn without_sessions_there_are_no_tickets() {
    let (people, clock) = (People::default(), ManualClock::new(START));
    let mapae = stateless(&people, &clock);
    let person = people.add("ann");
    let token = mapae.issue(&person, &Scopes::parse("me").unwrap()).await.unwrap().access_token;
    let routes = axum::Router::from(mapae.tickets_router());
    let live = Live::serve(routes.merge(crate::live::streams().with_state(mapae))).await;
    let asked = reqwest::Client::new().post(format!("{}/users/me/tickets", live.url)).bearer_auth(token.expose());
    assert_eq!(asked.send().await.unwrap().status(), 404);
    let ticket = format!("mt_{}", "A".repeat(43));
    let answer = live.events(&format!("/events?ticket={ticket}"), None).await;
    problem(answer, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    assert_eq!(live.events("/optional?ticket=x", None).await.text().await.unwrap(), "stranger");
}
