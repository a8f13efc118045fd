//! `/oauth2/userinfo` (OpenID Connect Core §5.3): who a token speaks for.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Service;
use crate::domain::scope::Me;
use crate::http::api::{ApiRouter, get_with, post_with};
use crate::http::current_user::{OrDelegated, SignedIn};

/// The account, in the names of OpenID Connect.
#[derive(Serialize, JsonSchema)]
struct UserInfo {
    /// The stable id.
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

pub(super) fn router() -> ApiRouter<Service> {
    let summary = "Who the token speaks for (OpenID Connect)";
    ApiRouter::new().api_route(
        "/oauth2/userinfo",
        get_with(userinfo, |op| op.id("oauth2_userinfo").tag("oauth2").summary(summary))
            .merge(post_with(userinfo, |op| op.id("oauth2_userinfo_post").tag("oauth2").summary(summary))),
    )
}

async fn userinfo(who: SignedIn<Me, OrDelegated>) -> Json<UserInfo> {
    let user = &who.user;
    Json(UserInfo {
        sub: user.id.to_string(),
        name: user.full_name.clone(),
        preferred_username: user.username.clone(),
        email: user.email.clone(),
    })
}
