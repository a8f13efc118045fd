//! Sessions: a person's own, and those of others for administrators.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin::AccountId;
use super::api::{ApiRouter, delete_with, get_with, post_with};
use super::cookies;
use super::current_user::SignedIn;
use super::error::{ApiError, ErrorCode};
use super::times::written;
use crate::Service;
use crate::domain::Session;
use crate::domain::scope::{Admin, Me};
use crate::service::EndSessionError;

/// A session: what began with a sign-in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct SessionBody {
    /// `sid` of its tokens.
    id: String,
    /// Whether it is the one that this request belongs to.
    current: bool,
    client_id: String,
    /// What was granted at the sign-in, separated by spaces.
    scope: String,
    /// What the client called it, or its `User-Agent`.
    device_name: Option<String>,
    /// The network address that it was begun from.
    address: Option<String>,
    #[serde(serialize_with = "written")]
    created_at: DateTime<Utc>,
    /// The sign-in or the last refresh.
    #[serde(serialize_with = "written")]
    last_used_at: DateTime<Utc>,
    /// When it ends unless it is refreshed.
    #[serde(serialize_with = "written")]
    expires_at: DateTime<Utc>,
}

/// Sessions, newest first.
#[derive(Serialize, JsonSchema)]
struct SessionList {
    sessions: Vec<SessionBody>,
}

impl SessionList {
    fn new(sessions: Vec<Session>, current: &str) -> Json<Self> {
        let body = |session: Session| SessionBody {
            current: session.id == current,
            last_used_at: session.last_used_at(),
            expires_at: session.ends_at(),
            id: session.id,
            client_id: session.client_id,
            scope: session.scope.to_string(),
            device_name: session.device.name,
            address: session.device.address,
            created_at: session.created_at,
        };
        Json(Self { sessions: sessions.into_iter().map(body).collect() })
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/users/signout",
            post_with(sign_out, |op| {
                op.id("sign_out")
                    .tag("sessions")
                    .summary("Sign out")
                    .description("Ends the session of the token, and clears its cookies.")
                    .response::<204, ()>()
            }),
        )
        .api_route(
            "/users/me/sessions",
            get_with(list_own, |op| op.id("list_own_sessions").tag("sessions").summary("Your sessions")).merge(
                delete_with(end_others, |op| {
                    op.id("end_other_sessions")
                        .tag("sessions")
                        .summary("End all your other sessions")
                        .response::<204, ()>()
                }),
            ),
        )
        .api_route(
            "/users/me/sessions/{session}",
            delete_with(end_own, |op| {
                op.id("end_own_session").tag("sessions").summary("End one of your sessions").response::<204, ()>()
            }),
        )
}

pub(super) fn admin_router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/admin/users/{id}/sessions",
            get_with(list_of, |op| op.id("list_sessions").tag("admin").summary("The sessions of an account")).merge(
                delete_with(end_all_of, |op| {
                    op.id("end_sessions").tag("admin").summary("End all sessions of an account").response::<204, ()>()
                }),
            ),
        )
        .api_route(
            "/admin/users/{id}/sessions/{session}",
            delete_with(end_of, |op| {
                op.id("end_session").tag("admin").summary("End a session of an account").response::<204, ()>()
            }),
        )
}

async fn sign_out(State(service): State<Service>, who: SignedIn<()>, headers: HeaderMap) -> Result<Response, ApiError> {
    service.sign_out(&who).await?;
    Ok((cookies::clear(&headers), StatusCode::NO_CONTENT).into_response())
}

async fn list_own(State(service): State<Service>, who: SignedIn<Me>) -> Result<Json<SessionList>, ApiError> {
    let sessions = service.sessions(Some(&who.user.id)).await?;
    Ok(SessionList::new(sessions, &who.session.id))
}

async fn end_others(State(service): State<Service>, who: SignedIn<Me>) -> Result<StatusCode, ApiError> {
    service.end_other_sessions(&who).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_own(
    State(service): State<Service>,
    who: SignedIn<Me>,
    SessionId(id): SessionId,
) -> Result<StatusCode, ApiError> {
    service.end_own_session(&who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_of(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    AccountId(id): AccountId,
) -> Result<Json<SessionList>, ApiError> {
    Ok(SessionList::new(service.sessions_of(&id).await?, &admin.session.id))
}

async fn end_all_of(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    AccountId(id): AccountId,
) -> Result<StatusCode, ApiError> {
    service.end_sessions_of(&id, None, &admin).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_of(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    AccountId(id): AccountId,
    SessionId(session): SessionId,
) -> Result<StatusCode, ApiError> {
    service.end_sessions_of(&id, Some(&session), &admin).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct SessionPath {
    /// The session's id.
    session: String,
}

/// The session's id in the path. What cannot be an id is the id of none.
pub(super) struct SessionId(String);

impl<S: Send + Sync> FromRequestParts<S> for SessionId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<SessionPath>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|_| EndSessionError::NotFound)?.0.session))
    }
}

impl From<EndSessionError> for ApiError {
    fn from(error: EndSessionError) -> Self {
        match error {
            EndSessionError::NotFound => Self::new(ErrorCode::SessionNotFound, error.to_string()),
            EndSessionError::Change(error) => error.into(),
        }
    }
}
