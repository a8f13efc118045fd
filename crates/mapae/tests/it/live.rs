//! An application with WebSockets and server-sent events, beside the service's own routes.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use mapae::domain::scope::Me;
use mapae::http::Ended;
use mapae::service::account::Account;
use mapae::{CurrentUser, DeclaredScope, KnownUser, Mapae};
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as ClientMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A second, what the machine is busy with besides, and the second for which memory is believed without the database.
pub(crate) const LONGEST: Duration = Duration::from_secs(6);

pub(crate) struct Items;
impl DeclaredScope for Items {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Read items.";
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) struct Live {
    pub(crate) url: String,
    client: Client,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Live {
    /// Streams for the accounts of this service.
    pub(crate) async fn start<U: Account>(mapae: &Mapae<U>) -> Self {
        Self::serve(streams().with_state(mapae.clone())).await
    }

    pub(crate) async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>()).await.unwrap()
        });
        Self { url, client: Client::new(), serving }
    }

    /// Opens a WebSocket; status and body of the answer if it is refused.
    pub(crate) async fn socket(&self, path: &str, token: Option<&str>) -> Result<Socket, (u16, String)> {
        let mut request = format!("{}{path}", self.url.replace("http", "ws")).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8(body.to_vec()).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks for server-sent events, as `EventSource` does.
    pub(crate) async fn events(&self, path: &str, token: Option<&str>) -> reqwest::Response {
        self.request(path, token).header(ACCEPT, "text/event-stream").send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> reqwest::Response {
        self.request(path, token).send().await.unwrap()
    }

    pub(crate) fn request(&self, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.url));
        token.into_iter().fold(request, |request, token| request.bearer_auth(token))
    }
}

pub(crate) async fn says(socket: &mut Socket, text: &str) {
    socket.send(ClientMessage::text(text)).await.unwrap();
    let answer = timeout(LONGEST, socket.next()).await.expect("an answer").unwrap().unwrap();
    assert_eq!(answer.to_text().unwrap(), text);
}

/// Code and reason that the server closes with.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    let message = timeout(LONGEST, socket.next()).await.expect("closed in time").unwrap().unwrap();
    let ClientMessage::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert!(timeout(LONGEST, socket.next()).await.expect("the connection ends too").is_none());
    (frame.code.into(), frame.reason.to_string())
}

/// What comes until the stream of events ends.
pub(crate) async fn last_events(response: reqwest::Response) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    timeout(LONGEST, response.text()).await.expect("it ends in time").unwrap()
}

/// Streams of every kind.
pub(crate) fn streams<U: Account>() -> Router<Mapae<U>> {
    Router::new()
        .route("/ws", any(live::<U>))
        .route("/ws/known", any(live_known::<U>))
        .route("/ws/items", any(async |_: CurrentUser<Items, U>, upgrade: WebSocketUpgrade| upgrade.on_upgrade(hello)))
        .route("/events", get(events::<U>))
        .route("/silence", get(silence::<U>))
        .route("/twice", get(twice::<U>))
        .route("/optional", get(optional::<U>))
        .route("/plain", get(async |_: CurrentUser<(), U>| "plain").post(async |_: CurrentUser<(), U>| "posted"))
}

pub(crate) async fn hello(mut socket: WebSocket) {
    socket.send(Message::text("hello")).await.unwrap();
}

async fn live<U: Account>(user: CurrentUser<Me, U>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| echo(user.ended(), &mut socket).await)
}

async fn live_known<U: Account>(user: KnownUser<(), U>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| echo(user.ended(), &mut socket).await)
}

async fn echo(ended: impl Future<Output = Ended>, socket: &mut WebSocket) {
    let mut ended = pin!(ended);
    loop {
        tokio::select! {
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
async fn events<U: Account>(user: CurrentUser<Me, U>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0, |count| async move {
        sleep(Duration::from_millis(20)).await;
        Some((Ok(Event::default().data(count.to_string())), count + 1))
    });
    Sse::new(user.until_end(ticks))
}

/// Events that never come.
async fn silence<U: Account>(user: KnownUser<Me, U>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(user.until_end(stream::pending()))
}

async fn twice<U: Account>(
    _: CurrentUser<Me, U>,
    _: KnownUser<(), U>,
    optional: Option<CurrentUser<(), U>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let seen = if optional.is_some() { "known" } else { "stranger" };
    Sse::new(stream::iter([Ok(Event::default().data(seen))]))
}

async fn optional<U: Account>(user: Option<CurrentUser<(), U>>) -> &'static str {
    if user.is_some() { "known" } else { "stranger" }
}
