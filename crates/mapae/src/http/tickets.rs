//! `/users/me/tickets`: single-use tickets for WebSockets and server-sent events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::{ApiRouter, post_with};
use super::body::{Fields, FromFields, JsonBody};
use super::current_user::SignedIn;
use super::error::ApiError;
use crate::Service;

/// What a ticket is to stand for.
#[derive(JsonSchema)]
#[schemars(rename = "TicketRequest", deny_unknown_fields)]
struct RequestBody {
    /// The scopes asked for, separated by spaces; none means all that the access token carries.
    #[schemars(with = "Option<String>")]
    scope: Scopes,
}

impl FromFields for RequestBody {
    fn read(fields: &mut Fields) -> Self {
        Self { scope: fields.scopes("scope") }
    }
}

/// A ticket, which stands for the access token that asked for it, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ticket")]
struct TicketBody {
    /// Give it as `?ticket=…`.
    ticket: String,
    /// How long it is good, in seconds.
    expires_in: u64,
    /// The scopes that it stands for, separated by spaces.
    scope: String,
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/users/me/tickets",
        post_with(issue, |op| {
            op.id("issue_ticket")
                .tag("token")
                .summary("Get a ticket for a WebSocket or server-sent events")
                .description(
                    "For browsers, whose `WebSocket` and `EventSource` send no header. It is good for 30 seconds, in the \
                     query of one request that opens such a connection, and stands for this access token there.",
                )
                .response::<201, Json<TicketBody>>()
        }),
    )
}

async fn issue(
    State(service): State<Service>,
    caller: SignedIn<()>,
    JsonBody(body): JsonBody<RequestBody>,
) -> Result<(StatusCode, Json<TicketBody>), ApiError> {
    let issued = service.issue_ticket(&caller, &body.scope).await?;
    let body = TicketBody {
        ticket: issued.ticket.expose().to_owned(),
        expires_in: issued.expires_in,
        scope: issued.scope.to_string(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<RequestBody>();
    }
}
