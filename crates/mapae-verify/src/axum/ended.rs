//! What closes a connection that outlives its token.

use std::future::ready;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::sleep;

use super::{Bearer, ScopedClaims};
use crate::TokenError;

/// Close code of a WebSocket whose token is not good any more: "Unauthorized" in IANA's registry of close codes, the
/// counterpart of HTTP's 401. Connecting again needs a new token.
pub const CLOSE_UNAUTHORIZED: u16 = 3000;
/// Close code of a WebSocket whose token cannot be checked just now: "Try Again Later" in the same registry, the
/// counterpart of HTTP's 503.
pub const CLOSE_TRY_AGAIN_LATER: u16 = 1013;

/// How often an open connection looks whether its token was revoked.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time passes in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// Why a token that was good is not any more; from [`Bearer::ended`]. Its text is short enough for the reason of a
/// WebSocket's close frame (123 bytes) and never repeats the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Ended {
    reason: TokenError,
}

impl Ended {
    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &TokenError {
        &self.reason
    }

    /// The close code for a WebSocket: [`CLOSE_UNAUTHORIZED`] or [`CLOSE_TRY_AGAIN_LATER`].
    #[must_use]
    pub const fn close_code(&self) -> u16 {
        match self.reason {
            TokenError::Refused(_) => CLOSE_UNAUTHORIZED,
            TokenError::Unavailable => CLOSE_TRY_AGAIN_LATER,
        }
    }
}

/// Waits until `check` fails; why it did. It is made at once and then again every second, or sooner where it answers
/// that something ends sooner: what it answers is how long that takes.
///
/// [`Bearer::ended`] waits so; it is for whoever knows more about a caller than the token says.
pub async fn until_refused<E, F>(mut check: impl FnMut() -> F) -> E
where
    F: Future<Output = Result<Duration, E>>,
{
    loop {
        match check().await {
            Ok(left) => sleep(left.clamp(SHORTEST, INTERVAL)).await,
            Err(reason) => return reason,
        }
    }
}

impl<S, C: ScopedClaims> Bearer<S, C> {
    /// Waits until the token is not good any more, as a new request with it would find: it has expired (leeway
    /// included), it, its session or its key was revoked, or there is nothing recent enough to check it with.
    /// Revocation is looked up every second, at the cost of a few hash look-ups.
    ///
    /// For a WebSocket, which has to be closed with a code and a reason:
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
    /// use axum::response::Response;
    /// use mapae_verify::axum::Bearer;
    ///
    /// async fn live(caller: Bearer, upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.on_upgrade(async move |mut socket| serve(caller, &mut socket).await)
    /// }
    ///
    /// async fn serve(caller: Bearer, socket: &mut WebSocket) {
    ///     let mut ended = pin!(caller.ended());
    ///     loop {
    ///         tokio::select! {
    ///             ended = &mut ended => {
    ///                 let frame = CloseFrame { code: ended.close_code(), reason: ended.to_string().into() };
    ///                 // Nobody may be there any more.
    ///                 let _ = socket.send(Message::Close(Some(frame))).await;
    ///                 return;
    ///             }
    ///             message = socket.recv() => {
    ///                 let Some(Ok(Message::Text(text))) = message else { return };
    ///                 let _ = socket.send(Message::Text(text)).await;
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static + use<S, C> {
        let (token, verifier) = (self.token.clone(), self.verifier.clone());
        let check = move || ready(verifier.check_again(&token).map(|()| verifier.expires_in(&token)));
        async move { Ended { reason: until_refused(check).await } }
    }

    /// A stream that ends when the token does; see [`Self::ended`].
    ///
    /// For server-sent events, whose connection closes with the stream. A browser's `EventSource` then connects again
    /// by itself; that request is answered with 401, and it stops.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use axum::response::sse::{Event, Sse};
    /// use futures_util::{Stream, stream};
    /// use mapae_verify::axum::Bearer;
    ///
    /// async fn news(caller: Bearer) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    ///     let news = stream::repeat_with(|| Ok(Event::default().data("nothing new")));
    ///     Sse::new(caller.until_end(news))
    /// }
    /// ```
    pub fn until_end<T: Stream>(&self, stream: T) -> impl Stream<Item = T::Item> + use<T, S, C> {
        stream.take_until(self.ended())
    }
}
