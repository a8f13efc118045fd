//! `/admin/users`: everybody's accounts, for holders of `mapae:admin`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use base64_simd::URL_SAFE_NO_PAD;
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{ApiRouter, Operation, get_with, patch_with};
use super::body::{Fields, FromFields, JsonBody};
use super::current_user::SignedIn;
use super::error::{ApiError, FieldProblem};
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
    if !abilities.is_own {
        return router;
    }
    router.api_route("/admin/users", get_with(list, |op| tag(op).id("list_users").summary("List and search accounts")))
}

async fn list(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    ListParams(query): ListParams,
) -> Result<Json<UserList>, ApiError> {
    let after = query.cursor.as_deref().map(decode_cursor).transpose()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("Input should be from 1 to {MAX_LIMIT}");
        return Err(ApiError::validation(vec![FieldProblem::query("limit", "out_of_range", message)]));
    }
    let search = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS || text.contains(char::is_control)) {
        let message = format!("Search for at most {MAX_SEARCH_CHARS} characters, none of them control characters");
        return Err(ApiError::validation(vec![FieldProblem::query("q", "invalid_search", message)]));
    }
    let page = service.store().list_users(search, after.as_ref(), limit).await?;
    Ok(Json(UserList {
        users: page.users.iter().map(UserBody::from).collect(),
        next_cursor: page.next.map(|id| URL_SAFE_NO_PAD.encode_to_string(id.as_str())),
    }))
}

async fn show(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    AccountId(id): AccountId,
) -> Result<Json<UserBody>, ApiError> {
    let user = service.account_by_id(&id).await?;
    Ok(Json(UserBody::from(&user)))
}

async fn change(
    State(service): State<Service>,
    admin: SignedIn<Admin>,
    AccountId(id): AccountId,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Json<UserBody>, ApiError> {
    let change = AdminChange { disabled: body.disabled, grant: body.grant, withdraw: body.withdraw };
    Ok(Json(UserBody::from(&service.administer(&id, change, By::User(&admin)).await?)))
}

fn decode_cursor(cursor: &str) -> Result<UserId, ApiError> {
    let bad = || {
        ApiError::validation(vec![FieldProblem::query(
            "cursor",
            "invalid_cursor",
            "Use next_cursor of the page before",
        )])
    };
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(cursor).map_err(|_| bad())?;
    String::from_utf8(bytes).ok().and_then(UserId::new).ok_or_else(bad)
}

/// Query parameters whose rejection is an error of ours.
pub(super) struct ListParams(ListQuery);

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await.map_err(|error: QueryRejection| {
            ApiError::validation(vec![FieldProblem::query("query", "invalid", error.body_text())])
        })?;
        Ok(Self(query.0))
    }
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
