//! What closes a connection that outlives what it was let in by.

use std::fmt;

use futures_util::{Stream, StreamExt};
use mapae_verify::axum::until_refused;
pub use mapae_verify::axum::{CLOSE_TRY_AGAIN_LATER, CLOSE_UNAUTHORIZED};

use super::caller::{Caller, Disabled};
use super::current_user::{CurrentUser, KnownUser};
use super::error::{ApiError, ErrorCode};
use crate::domain::ScopeSet;
use crate::service::account::Account;

/// Close code of a WebSocket whose account may not be here any more: "Forbidden" in IANA's registry of close codes, the
/// counterpart of HTTP's 403. Another token of the same account would not help.
pub const CLOSE_FORBIDDEN: u16 = 3003;

/// The longest reason in a close frame, in bytes (RFC 6455 §5.5).
const MAX_REASON_BYTES: usize = 123;

/// Why an account that was let in would not be any more; from [`CurrentUser::ended`]. Its text is short enough for the
/// reason of a WebSocket's close frame.
#[derive(Clone, Debug)]
pub struct Ended {
    error: ApiError,
}

impl Ended {
    pub(super) const fn new(error: ApiError) -> Self {
        Self { error }
    }

    /// What a new request would be answered with.
    #[must_use]
    pub const fn error(&self) -> &ApiError {
        &self.error
    }

    /// The close code for a WebSocket: [`CLOSE_UNAUTHORIZED`], [`CLOSE_FORBIDDEN`] or [`CLOSE_TRY_AGAIN_LATER`].
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match self.error.code() {
            ErrorCode::InsufficientScope | ErrorCode::InactiveUser | ErrorCode::WrongSubject => CLOSE_FORBIDDEN,
            code if code.status().is_server_error() => CLOSE_TRY_AGAIN_LATER,
            _ => CLOSE_UNAUTHORIZED,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.error.detail();
        f.write_str(&reason[..reason.floor_char_boundary(MAX_REASON_BYTES)])
    }
}

impl std::error::Error for Ended {}

impl<S: ScopeSet, U: Account> CurrentUser<S, U> {
    /// Waits until the account would not be let in any more: its token has expired, its session was ended, it was
    /// disabled or deleted, scopes were withdrawn, the key of the token was removed, or the database does not answer.
    /// Looked up every second: in memory, except for rows of an application's own table that are not remembered.
    ///
    /// For a WebSocket, which has to be closed with a code and a reason:
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
    /// use axum::response::Response;
    /// use mapae::CurrentUser;
    ///
    /// async fn live(user: CurrentUser, upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.on_upgrade(async move |mut socket| serve(user, &mut socket).await)
    /// }
    ///
    /// async fn serve(user: CurrentUser, socket: &mut WebSocket) {
    ///     let mut ended = pin!(user.ended());
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
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static + use<S, U> {
        ended::<S, U>(self.caller.clone(), Disabled::Refused)
    }

    /// A stream that ends when the account would not be let in any more; see [`Self::ended`].
    ///
    /// For server-sent events, whose connection closes with the stream. A browser's `EventSource` then connects again by
    /// itself; that request is answered with 401, and it stops.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use axum::response::sse::{Event, Sse};
    /// use futures_util::{Stream, stream};
    /// use mapae::CurrentUser;
    ///
    /// async fn news(user: CurrentUser) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    ///     let news = stream::repeat_with(|| Ok(Event::default().data("nothing new")));
    ///     Sse::new(user.until_end(news))
    /// }
    /// ```
    pub fn until_end<T: Stream>(&self, stream: T) -> impl Stream<Item = T::Item> + use<T, S, U> {
        stream.take_until(self.ended())
    }
}

impl<S: ScopeSet, U: Account> KnownUser<S, U> {
    /// As [`CurrentUser::ended`], but a disabled account of the application's own table stays.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static + use<S, U> {
        ended::<S, U>(self.caller.clone(), Disabled::Passes)
    }

    /// As [`CurrentUser::until_end`], but a disabled account of the application's own table stays.
    pub fn until_end<T: Stream>(&self, stream: T) -> impl Stream<Item = T::Item> + use<T, S, U> {
        stream.take_until(self.ended())
    }
}

async fn ended<S: ScopeSet, U: Account>(caller: Caller<U>, disabled: Disabled) -> Ended {
    let check = || {
        let caller = caller.clone();
        async move { caller.check_again::<S>(disabled).await }
    };
    Ended { error: until_refused(check).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut() {
        let of = |error| Ended { error }.to_string();
        assert_eq!(of(ApiError::insufficient_scope("s".repeat(200))).len(), MAX_REASON_BYTES);
        assert_eq!(of(ApiError::insufficient_scope("열".repeat(200))).chars().last(), Some('열'));
        assert_eq!(of(ApiError::inactive_user()), "This account is disabled.");
    }
}
