//! `/users`: signing up, and one's own account.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::api::{ApiRouter, Operation, answers_as, delete_with, get_with, patch_with, post_with};
use super::body::{Fields, FromFields, JsonBody, written_json};
use super::current_user::{OrDelegated, SignedIn};
use super::error::{ApiError, Problem};
use super::sent_from::Asker;
use super::times::rfc3339;
use crate::Service;
use crate::domain::scope::Me;
use crate::domain::{SecretText, User};
use crate::service::accounts::{AccountChange, ChangeError, NewAccount};
use crate::service::{Abilities, AuthenticateError};

/// An account, as its owner and administrators see it. It is written from the account itself: `/users/me` is asked for
/// more often than anything else.
pub(super) struct UserBody(Arc<User>);

/// An account, as its owner and administrators see it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
struct UserFields<'u> {
    /// The stable id, `sub` of the account's tokens.
    id: &'u str,
    username: Option<&'u str>,
    email: Option<&'u str>,
    full_name: Option<&'u str>,
    /// A disabled account can neither sign in nor use tokens that it already holds.
    disabled: bool,
    /// The scopes that the account holds, separated by spaces.
    scope: &'u str,
    /// Absent where the user table is the application's own.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
    /// Absent where the user table is the application's own.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    updated_at: Option<DateTime<Utc>>,
}

impl JsonSchema for UserBody {
    fn schema_name() -> Cow<'static, str> {
        UserFields::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        UserFields::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        UserFields::json_schema(generator)
    }
}

impl Serialize for UserBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = &*self.0;
        let fields = UserFields {
            id: user.id.as_str(),
            username: user.username.as_deref(),
            email: user.email.as_deref(),
            full_name: user.full_name.as_deref(),
            disabled: user.disabled,
            scope: user.scopes.as_str(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        };
        fields.serialize(serializer)
    }
}

impl From<Arc<User>> for UserBody {
    fn from(user: Arc<User>) -> Self {
        Self(user)
    }
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self(Arc::new(user))
    }
}

/// What an account is made from. At least one of `email` and `username` is needed.
#[derive(JsonSchema)]
#[schemars(rename = "SignUp", deny_unknown_fields)]
struct SignUpBody {
    email: Option<String>,
    username: Option<String>,
    full_name: Option<String>,
    #[schemars(with = "String", extend("format" = "password"))]
    password: SecretText,
}

impl FromFields for SignUpBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            email: fields.optional_string("email"),
            username: fields.optional_string("username"),
            full_name: fields.optional_string("full_name"),
            password: fields.secret("password"),
        }
    }
}

/// Changes to one's own account. Absent fields stay; `null` empties one. Another `email` asks for `password`.
#[derive(JsonSchema)]
#[schemars(rename = "AccountChange", deny_unknown_fields)]
struct ChangeBody {
    #[schemars(with = "Option<String>")]
    email: Option<Option<String>>,
    #[schemars(with = "Option<String>")]
    username: Option<Option<String>>,
    #[schemars(with = "Option<String>")]
    full_name: Option<Option<String>>,
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    password: Option<SecretText>,
}

impl FromFields for ChangeBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            email: fields.nullable_string("email"),
            username: fields.nullable_string("username"),
            full_name: fields.nullable_string("full_name"),
            password: fields.optional_secret("password"),
        }
    }
}

/// Another password.
#[derive(JsonSchema)]
#[schemars(rename = "PasswordChange", deny_unknown_fields)]
struct PasswordBody {
    #[schemars(with = "String", extend("format" = "password"))]
    current_password: SecretText,
    #[schemars(with = "String", extend("format" = "password"))]
    new_password: SecretText,
}

impl FromFields for PasswordBody {
    fn read(fields: &mut Fields) -> Self {
        Self { current_password: fields.secret("current_password"), new_password: fields.secret("new_password") }
    }
}

/// The password, repeated for a grave step.
#[derive(JsonSchema)]
#[schemars(rename = "AccountDeletion", deny_unknown_fields)]
struct DeleteBody {
    #[schemars(with = "String", extend("format" = "password"))]
    password: SecretText,
}

impl FromFields for DeleteBody {
    fn read(fields: &mut Fields) -> Self {
        Self { password: fields.secret("password") }
    }
}

fn tag(operation: Operation<'_>) -> Operation<'_> {
    operation.tag("users")
}

/// A route that asks for the password once more.
fn repeats_password(operation: Operation<'_>) -> Operation<'_> {
    answers_as::<429, Problem<'static>>(tag(operation), "application/problem+json")
}

/// `/users/signup`, where accounts can be made.
pub(super) fn signup_router(abilities: Abilities) -> ApiRouter<Service> {
    let router = ApiRouter::new();
    if !abilities.inserts {
        return router;
    }
    router.api_route(
        "/users/signup",
        post_with(sign_up, |op| tag(op).id("sign_up").summary("Make an account").response::<201, Json<UserBody>>()),
    )
}

/// `/users/me`, as far as can be done where accounts are.
pub(super) fn router(abilities: Abilities) -> ApiRouter<Service> {
    let mut own =
        get_with(me, |op| tag(op).id("read_users_me").summary("The current user").response::<200, Json<UserBody>>());
    if abilities.is_own {
        own = own
            .merge(patch_with(change_me, |op| {
                repeats_password(op).id("change_users_me").summary("Change your account")
            }))
            .merge(delete_with(delete_me, |op| {
                repeats_password(op).id("delete_users_me").summary("Delete your account").response::<204, ()>()
            }));
    }
    let router = ApiRouter::new().api_route("/users/me", own).route("/users/me/", get(me));
    if !abilities.sets_password_hash {
        return router;
    }
    router.api_route(
        "/users/me/password",
        post_with(change_password, |op| {
            repeats_password(op)
                .id("change_password")
                .summary("Change your password")
                .description("Ends all your other sessions.")
                .response::<204, ()>()
        }),
    )
}

async fn sign_up(
    State(service): State<Service>,
    Asker(source): Asker,
    JsonBody(body): JsonBody<SignUpBody>,
) -> Result<(StatusCode, Json<UserBody>), ApiError> {
    let SignUpBody { email, username, full_name, password } = body;
    let user = service.sign_up(NewAccount { email, username, full_name, password }, source).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

async fn me(me: SignedIn<Me, OrDelegated>) -> Response {
    written_json(me.shown(|user| serde_json::to_vec(&UserBody::from(Arc::clone(user))).map(Bytes::from)))
}

async fn change_me(
    State(service): State<Service>,
    me: SignedIn<Me>,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Json<UserBody>, ApiError> {
    let ChangeBody { email, username, full_name, password } = body;
    let change = AccountChange { email, username, full_name, password };
    Ok(Json(service.change_account(&me, change).await?.into()))
}

async fn change_password(
    State(service): State<Service>,
    me: SignedIn<Me>,
    JsonBody(body): JsonBody<PasswordBody>,
) -> Result<StatusCode, ApiError> {
    service.change_password(&me, &body.current_password, &body.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_me(
    State(service): State<Service>,
    me: SignedIn<Me>,
    JsonBody(body): JsonBody<DeleteBody>,
) -> Result<StatusCode, ApiError> {
    service.delete_own_account(&me, &body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever may not go on is answered as if the request came now.
impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Ended { scope } => Self::from_authenticate(AuthenticateError::Ended, scope.to_owned()),
            ChangeError::InsufficientScope { scope } => Self::insufficient_scope(scope.to_owned()),
            ChangeError::Delegated => Self::delegated_token(),
            ChangeError::Account(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<SignUpBody>();
        assert_documented::<ChangeBody>();
        assert_documented::<PasswordBody>();
        assert_documented::<DeleteBody>();
    }
}
