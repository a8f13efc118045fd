//! Connections that close when their token ends.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{any, get};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use mapae_verify::axum::{Bearer, CLOSE_TRY_AGAIN_LATER, CLOSE_UNAUTHORIZED, TokenVerifier};
use mapae_verify::revocations::Entries;
use mapae_verify::{
    Clock, KeySet, ManualClock, RegisteredView, Revocations, SharedKeys, SystemClock, TokenError, VerifyError,
};
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message as ClientMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::feeds::{FeedIssuer, strict};
use crate::support::{KEY, Me, NOW, Server, builder, token_with};

const LONGEST: Duration = Duration::from_millis(2500);

async fn live(caller: Bearer<Me>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| echo(caller, &mut socket).await)
}

async fn echo(caller: Bearer<Me>, socket: &mut WebSocket) {
    let mut ended = pin!(caller.ended());
    loop {
        select! {
            ended = &mut ended => {
                let frame = CloseFrame { code: ended.close_code(), reason: ended.to_string().into() };
                socket.send(Message::Close(Some(frame))).await.unwrap();
                return;
            }
            message = socket.recv() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                socket.send(Message::Text(text)).await.unwrap();
            }
        }
    }
}

/// An event every 20 ms, for ever.
async fn events(caller: Bearer<Me>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0, |count| async move {
        sleep(Duration::from_millis(20)).await;
        Some((Ok(Event::default().data(count.to_string())), count + 1))
    });
    Sse::new(caller.until_end(ticks)).keep_alive(KeepAlive::default())
}

/// Events that never come.
async fn silence(caller: Bearer<Me>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(caller.until_end(stream::pending()))
}

async fn serve(verifier: impl Into<TokenVerifier>) -> Server {
    let routes = Router::new().route("/ws", any(live)).route("/events", get(events)).route("/silence", get(silence));
    Server::start(routes.with_state(verifier.into())).await
}

#[derive(Clone, Default)]
struct Ended(Arc<RwLock<Entries>>);

impl Revocations for Ended {
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
        self.0.read().unwrap().is_revoked(claims)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(server: &Server, token: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = (server.url.replace("http", "ws") + "/ws").into_client_request().unwrap();
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn says(socket: &mut Socket, text: &str) {
    socket.send(ClientMessage::text(text)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer.to_text().unwrap(), text);
}

/// Code and reason that the server closes with.
async fn closed(socket: &mut Socket) -> (u16, String) {
    let message = timeout(LONGEST, socket.next()).await.expect("closed in time").unwrap().unwrap();
    let ClientMessage::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert!(timeout(LONGEST, socket.next()).await.expect("the connection ends too").is_none());
    (frame.code.into(), frame.reason.to_string())
}

/// Waits for the end of a stream of events; what came.
async fn last_events(server: &Server, path: &str, token: &str) -> String {
    let response = server.get(path, token).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    timeout(LONGEST, response.text()).await.expect("it ends in time").unwrap()
}

#[tokio::test]
async fn they_close_when_the_token_expires() {
    let keys = KeySet::from_keys([KEY.verification_key()]).unwrap();
    let server = serve(builder(keys).clock(SystemClock).leeway(0).build()).await;
    let exp = SystemClock.now() + 2;
    let token = token_with(&KEY, &json!({ "exp": exp, "iat": exp - 60 }));
    let mut socket = connect(&server, &token).await.unwrap();
    says(&mut socket, "hello").await;
    let (closed, events, silence) = tokio::join!(
        closed(&mut socket),
        last_events(&server, "/events", &token),
        last_events(&server, "/silence", &token)
    );
    let late = SystemClock.now_millis() - exp * 1000;
    assert!((0..1000).contains(&late), "{late} ms after its end");
    assert_eq!(closed, (CLOSE_UNAUTHORIZED, "the token has expired".to_owned()));
    assert!(events.starts_with("data: 0\n\ndata: 1\n\n"), "{events}");
    assert_eq!(silence, "");
    // Who comes again needs another one.
    assert_eq!(server.get("/events", &token).await.status(), StatusCode::UNAUTHORIZED);
    let refused = connect(&server, &token).await.unwrap_err();
    assert!(matches!(&refused, tungstenite::Error::Http(answer) if answer.status() == 401), "{refused}");
}

#[tokio::test]
async fn they_close_when_the_session_ends() {
    let ended = Ended::default();
    let keys = KeySet::from_keys([KEY.verification_key()]).unwrap();
    let server = serve(builder(keys).revocations(Arc::new(ended.clone())).build()).await;
    let of_session = |sid: &str| token_with(&KEY, &json!({ "sid": sid }));
    let mut socket = connect(&server, &of_session("s1")).await.unwrap();
    let mut other = connect(&server, &of_session("s2")).await.unwrap();
    let end = async {
        sleep(Duration::from_millis(200)).await;
        ended.0.write().unwrap().end_session("s1");
        Instant::now()
    };
    let token = of_session("s1");
    let (closed, events, start) = tokio::join!(closed(&mut socket), last_events(&server, "/events", &token), end);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(closed, (CLOSE_UNAUTHORIZED, "the token was revoked".to_owned()));
    assert!(events.starts_with("data: 0\n\n"), "{events}");
    says(&mut other, "still here").await;
}

/// A clock that is moved counts, not the time that passes.
#[tokio::test]
async fn the_verifiers_clock_decides() {
    let clock = ManualClock::new(NOW);
    let keys = SharedKeys::new(KeySet::from_keys([KEY.verification_key()]).unwrap());
    let server = serve(builder(keys.clone()).clock(clock.clone()).build()).await;
    let token = token_with(&KEY, &json!({}));
    let mut socket = connect(&server, &token).await.unwrap();
    // The leeway counts as for requests.
    clock.set(NOW + 904);
    sleep(Duration::from_millis(1100)).await;
    says(&mut socket, "still here").await;
    clock.advance(1);
    assert_eq!(closed(&mut socket).await, (CLOSE_UNAUTHORIZED, "the token has expired".to_owned()));

    // A key that is withdrawn.
    clock.set(NOW);
    let mut socket = connect(&server, &token).await.unwrap();
    says(&mut socket, "hello").await;
    keys.store(KeySet::default());
    assert_eq!(closed(&mut socket).await, (CLOSE_UNAUTHORIZED, "signed by an unknown key".to_owned()));
}

#[tokio::test]
async fn the_feed_of_the_issuer_closes_them() {
    let issuer = FeedIssuer::start().await;
    let verifier = issuer.trusted().start_with(strict).unwrap();
    let server = serve(verifier).await;
    let token = issuer.token(&KEY, &json!({}));
    let mut socket = connect(&server, &token).await.unwrap();
    says(&mut socket, "hello").await;
    issuer.publish(2, |entries| entries.end_session("s1"));
    let (closed, events) = tokio::join!(closed(&mut socket), async {
        let response = server.get("/events", &token).await;
        response.text().await.unwrap()
    });
    assert_eq!(closed, (CLOSE_UNAUTHORIZED, "the token was revoked".to_owned()));
    assert!(events.contains("data: 0") || events.contains("invalid_token"), "{events}");
}

#[tokio::test]
async fn they_close_when_nobody_can_tell() {
    let issuer = FeedIssuer::start().await;
    let server = serve(issuer.trusted().start().unwrap()).await;
    let token = issuer.token(&KEY, &json!({}));
    let mut socket = connect(&server, &token).await.unwrap();
    says(&mut socket, "hello").await;
    issuer.fail(StatusCode::SERVICE_UNAVAILABLE);
    issuer.fetched_anew().await;
    issuer.clock.advance(300);
    let closed = closed(&mut socket).await;
    assert_eq!(closed, (CLOSE_TRY_AGAIN_LATER, "nothing to check tokens with".to_owned()));
}

/// A stream ends by itself as it would without.
#[tokio::test]
async fn a_stream_may_end_first() {
    let verifier = TokenVerifier::from(crate::support::verifier());
    let one = || stream::iter([Ok::<_, Infallible>(Event::default().data("a"))]);
    let routes = Router::new().route("/short", get(async move |caller: Bearer| Sse::new(caller.until_end(one()))));
    let server = Server::start(routes.with_state(verifier)).await;
    assert_eq!(last_events(&server, "/short", &token_with(&KEY, &json!({}))).await, "data: a\n\n");
}

/// RFC 6455 §5.5: a control frame has at most 125 bytes, two of them for the code.
#[test]
fn reasons_fit_into_a_close_frame() {
    let longest = VerifyError::Malformed("the claims do not fit the type they are read into");
    for error in [
        TokenError::Unavailable,
        TokenError::Refused(longest),
        TokenError::Refused(VerifyError::UnknownKey { kid: Some("k".repeat(64)) }),
        TokenError::Refused(VerifyError::InvalidClaim("client_id")),
    ] {
        assert!(error.to_string().len() <= 123, "{error}");
    }
}
