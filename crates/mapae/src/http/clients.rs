//! `/admin/clients`: the OAuth clients, for holders of `mapae:admin`.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{ApiRouter, Operation, delete_with, get_with, post_with};
use super::body::{Fields, FromFields, JsonBody};
use super::current_user::SignedIn;
use super::error::{ApiError, ErrorCode, FieldProblem};
use super::times::written;
use crate::Service;
use crate::domain::scope::Admin;
use crate::domain::{Client, ClientType, GrantType, Lifetimes, SecretText};
use crate::service::accounts::FieldError;
use crate::service::{By, ClientError, NewClient};

/// An OAuth client.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Client")]
struct ClientBody {
    client_id: String,
    /// Whether it has a secret.
    confidential: bool,
    grant_types: Vec<&'static str>,
    /// The most that its tokens may carry, separated by spaces.
    scope: String,
    /// `aud` of its tokens; empty for the server's own.
    audiences: Vec<String>,
    /// In seconds, where shorter than the server's.
    access_token_lifetime: Option<u32>,
    /// In seconds, where shorter than the server's.
    session_idle: Option<u32>,
    /// In seconds, where shorter than the server's.
    session_lifetime: Option<u32>,
    #[serde(serialize_with = "written")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "written")]
    updated_at: DateTime<Utc>,
}

/// A client with the secret that was made for it, which is shown this once.
#[derive(Serialize, JsonSchema)]
struct RegisteredClient {
    #[serde(flatten)]
    client: ClientBody,
    /// Absent if the client is public or its secret was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// A secret, if it was made here; it is shown this once.
#[derive(Serialize, JsonSchema)]
struct MadeSecret {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ClientList {
    clients: Vec<ClientBody>,
}

impl From<Client> for ClientBody {
    fn from(client: Client) -> Self {
        Self {
            client_id: client.id.to_string(),
            confidential: client.client_type == ClientType::Confidential,
            grant_types: client.grants.iter().map(|grant| grant.as_str()).collect(),
            scope: client.scopes.to_string(),
            audiences: client.audiences,
            access_token_lifetime: client.lifetimes.access_token,
            session_idle: client.lifetimes.session_idle,
            session_lifetime: client.lifetimes.session,
            created_at: client.created_at,
            updated_at: client.updated_at,
        }
    }
}

/// A client to be registered.
#[derive(JsonSchema)]
#[schemars(rename = "NewClient", deny_unknown_fields)]
struct NewBody {
    /// Letters, digits and `._~-`.
    #[schemars(with = "String")]
    client_id: String,
    /// Whether it can keep a secret; `false` unless given.
    confidential: Option<bool>,
    /// `password`, `refresh_token`, `client_credentials`; none for a server that only introspects.
    #[schemars(with = "Option<Vec<String>>")]
    grant_types: Vec<String>,
    /// The most that its tokens may carry, separated by spaces.
    #[schemars(with = "Option<String>")]
    scope: Scopes,
    /// `aud` of its tokens; the server's own unless given.
    #[schemars(with = "Option<Vec<String>>")]
    audiences: Vec<String>,
    access_token_lifetime: Option<u32>,
    session_idle: Option<u32>,
    session_lifetime: Option<u32>,
    /// Its secret; one is made unless it is given.
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    client_secret: Option<SecretText>,
}

impl FromFields for NewBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            client_id: fields.string("client_id"),
            confidential: fields.optional_bool("confidential"),
            grant_types: fields.strings("grant_types"),
            scope: fields.scopes("scope"),
            audiences: fields.strings("audiences"),
            access_token_lifetime: fields.optional_number("access_token_lifetime"),
            session_idle: fields.optional_number("session_idle"),
            session_lifetime: fields.optional_number("session_lifetime"),
            client_secret: fields.optional_secret("client_secret"),
        }
    }
}

/// Another secret; one is made unless it is given.
#[derive(JsonSchema)]
#[schemars(rename = "NewClientSecret", deny_unknown_fields)]
struct SecretBody {
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    client_secret: Option<SecretText>,
}

impl FromFields for SecretBody {
    fn read(fields: &mut Fields) -> Self {
        Self { client_secret: fields.optional_secret("client_secret") }
    }
}

fn tag(operation: Operation<'_>) -> Operation<'_> {
    operation.tag("admin")
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/admin/clients",
            get_with(list, |op| tag(op).id("list_clients").summary("The OAuth clients")).merge(post_with(add, |op| {
                tag(op).id("add_client").summary("Register an OAuth client").response::<201, Json<RegisteredClient>>()
            })),
        )
        .api_route(
            "/admin/clients/{client}",
            get_with(show, |op| tag(op).id("read_client").summary("One OAuth client")).merge(delete_with(
                remove,
                |op| {
                    tag(op)
                        .id("remove_client")
                        .summary("Remove an OAuth client")
                        .description("Its sessions end, and its tokens are good for nothing.")
                        .response::<204, ()>()
                },
            )),
        )
        .api_route(
            "/admin/clients/{client}/secret",
            post_with(rotate, |op| tag(op).id("rotate_client_secret").summary("Give a client another secret")),
        )
}

async fn list(State(service): State<Service>, _admin: SignedIn<Admin>) -> Result<Json<ClientList>, ApiError> {
    let clients = service.clients().await?;
    Ok(Json(ClientList { clients: clients.into_iter().map(ClientBody::from).collect() }))
}

async fn show(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    Id(id): Id,
) -> Result<Json<ClientBody>, ApiError> {
    Ok(Json(service.client(&id).await?.into()))
}

async fn add(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    JsonBody(body): JsonBody<NewBody>,
) -> Result<(StatusCode, Json<RegisteredClient>), ApiError> {
    let grants = body.grant_types.iter().map(|word| word.parse::<GrantType>()).collect::<Result<_, _>>();
    let grants = grants.map_err(|()| {
        let words = GrantType::ALL.map(GrantType::as_str).join(", ");
        ApiError::validation(vec![FieldProblem::body("grant_types", "unknown_grant", format!("Use some of: {words}"))])
    })?;
    let new = NewClient {
        id: body.client_id,
        client_type: if body.confidential == Some(true) { ClientType::Confidential } else { ClientType::Public },
        grants,
        scopes: body.scope,
        audiences: body.audiences,
        lifetimes: Lifetimes {
            access_token: body.access_token_lifetime,
            session_idle: body.session_idle,
            session: body.session_lifetime,
        },
        secret: body.client_secret,
    };
    let (client, made) = service.add_client(new, By::User(&admin)).await?;
    let client_secret = made.map(|secret| secret.expose().to_owned());
    Ok((StatusCode::CREATED, Json(RegisteredClient { client: client.into(), client_secret })))
}

async fn rotate(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    Id(id): Id,
    JsonBody(body): JsonBody<SecretBody>,
) -> Result<Json<MadeSecret>, ApiError> {
    let made = service.rotate_client_secret(&id, body.client_secret, By::User(&admin)).await?;
    Ok(Json(MadeSecret { client_id: id, client_secret: made.map(|secret| secret.expose().to_owned()) }))
}

async fn remove(State(service): State<Service>, admin: SignedIn<Admin>, Id(id): Id) -> Result<StatusCode, ApiError> {
    service.remove_client(&id, By::User(&admin)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ClientPath {
    /// `client_id`.
    client: String,
}

/// The id in the path. What cannot be an id is the id of none.
pub(super) struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<ClientPath>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|_| ClientError::NotFound)?.0.client))
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        let detail = error.to_string();
        match error {
            ClientError::Invalid(fields) => {
                // The names of this interface, which are the standard's.
                let name = |field| match field {
                    "grants" => "grant_types",
                    "secret" => "client_secret",
                    "lifetimes" => "access_token_lifetime",
                    other => other,
                };
                let problem = |FieldError { field, code, message }| FieldProblem::body(name(field), code, message);
                Self::validation(fields.into_iter().map(problem).collect())
            }
            ClientError::Taken => Self::new(ErrorCode::ClientTaken, detail),
            ClientError::NotFound => Self::new(ErrorCode::ClientNotFound, detail),
            ClientError::Public => Self::new(ErrorCode::Conflict, detail),
            ClientError::Busy(_) => Self::too_busy(),
            ClientError::Hash(error) => Self::internal(&error),
            ClientError::Change(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<NewBody>();
        assert_documented::<SecretBody>();
    }
}
