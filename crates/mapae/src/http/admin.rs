//! `/admin/users`: everybody's accounts, for holders of `mapae:admin`.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{ApiRouter, Operation, get_with, patch_with};
use super::body::{Fields, FromFields, JsonBody};
use super::current_user::SignedIn;
use super::error::{ApiError, FieldProblem};
use super::query::{Params, cursor, decode_cursor, limit};
use super::users::UserBody;
use crate::Service;
use crate::domain::UserId;
use crate::domain::scope::Admin;
use crate::service::accounts::{AccountError, AdminChange};
use crate::service::{Abilities, By};

/// Accounts on a page unless the request says otherwise.
const DEFAULT_LIMIT: u64 = 50;
/// The most accounts on a page.
const MAX_LIMIT: u64 = 200;
/// The longest search, in characters; no name is longer.
const MAX_SEARCH_CHARS: usize = 254;

/// Which accounts to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Part of a name, address or full name; upper and lower case are the same.
    q: Option<String>,
    /// Accounts on a page, 1 to 200; 50 unless given.
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of accounts.
#[derive(Serialize, JsonSchema)]
struct UserList {
    users: Vec<UserBody>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Changes that only an administrator makes. Absent fields stay.
#[derive(JsonSchema)]
#[schemars(rename = "AdminChange", deny_unknown_fields)]
struct ChangeBody {
    /// Disabling ends every session of the account.
    disabled: Option<bool>,
    /// Scopes to grant, separated by spaces.
    #[schemars(with = "Option<String>")]
    grant: Scopes,
    /// Scopes to withdraw, separated by spaces.
    #[schemars(with = "Option<String>")]
    withdraw: Scopes,
}

impl FromFields for ChangeBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            disabled: fields.optional_bool("disabled"),
            grant: fields.scopes("grant"),
            withdraw: fields.scopes("withdraw"),
        }
    }
}

/// The id of an account in the path.
#[derive(Deserialize, JsonSchema)]
pub(super) struct UserPath {
    /// The account's id.
    id: String,
}

fn tag(operation: Operation<'_>) -> Operation<'_> {
    operation.tag("admin")
}

/// What can be done where accounts are.
pub(super) fn router(abilities: Abilities) -> ApiRouter<Service> {
    let mut one = get_with(show, |op| tag(op).id("read_user").summary("One account"));
    if abilities.sets_active || abilities.sets_scopes {
        one = one.merge(patch_with(change, |op| {
            tag(op).id("change_user").summary("Disable, enable, grant and withdraw scopes")
        }));
    }
    let router = ApiRouter::new().api_route("/admin/users/{id}", one);
    if !abilities.lists {
        return router;
    }
    router.api_route("/admin/users", get_with(list, |op| tag(op).id("list_users").summary("List and search accounts")))
}

async fn list(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    Params(query): Params<ListQuery>,
) -> Result<Json<UserList>, ApiError> {
    let mut problems = Vec::new();
    let after = decode_cursor(query.cursor.as_deref(), UserId::new, &mut problems);
    let limit = limit(query.limit, DEFAULT_LIMIT, MAX_LIMIT, &mut problems);
    let search = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS || text.contains(char::is_control)) {
        let message = format!("Search for at most {MAX_SEARCH_CHARS} characters, none of them control characters");
        problems.push(FieldProblem::query("q", "invalid_search", message));
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let page = service.list_accounts(search, after.as_ref(), limit).await?;
    Ok(Json(UserList {
        users: page.users.into_iter().map(UserBody::from).collect(),
        next_cursor: page.next.map(|id| cursor(id.as_str())),
    }))
}

async fn show(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    AccountId(id): AccountId,
) -> Result<Json<UserBody>, ApiError> {
    Ok(Json(service.account_by_id(&id).await?.into()))
}

async fn change(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    AccountId(id): AccountId,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Json<UserBody>, ApiError> {
    let change = AdminChange { disabled: body.disabled, grant: body.grant, withdraw: body.withdraw };
    Ok(Json(service.administer(&id, change, By::User(&admin)).await?.into()))
}

/// The id in the path. What cannot be an id is the id of nobody.
pub(super) struct AccountId(pub(super) UserId);

impl<S: Send + Sync> FromRequestParts<S> for AccountId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<UserPath>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(UserPath { id })| UserId::new(id));
        Ok(Self(id.ok_or(AccountError::NotFound)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<ChangeBody>();
    }
}
