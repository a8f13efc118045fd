//! `POST /users/refresh`: the next tokens, by the refresh token in its cookie.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use mapae_verify::Scopes;

use super::api::{ApiRouter, post_with};
use super::cookies::{self, InCookies, SameOrigin, SetCookies};
use super::error::ApiError;
use super::sent_from::SentFrom;
use super::token::TokenBody;
use crate::Service;
use crate::domain::SecretText;
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::service::{ClientAuth, GrantRequest, IssueError, TokenError, TokenRequest};

/// The refresh token in the cookie of a request that a page of this service's own origin sent.
pub(super) struct RefreshCookie {
    token: SecretText,
    /// Where the page has its tokens.
    places: InCookies,
}

impl FromRequestParts<Service> for RefreshCookie {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        SameOrigin::check(&parts.headers, service)?;
        let token = cookies::refresh_token(&parts.headers).ok_or_else(ApiError::not_authenticated)?;
        let places = InCookies { refresh: true, access: cookies::access_token(&parts.headers).is_some() };
        Ok(Self { token, places })
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/users/refresh",
        post_with(refresh, |op| {
            op.id("refresh")
                .tag("token")
                .summary("Another access token, by the refresh cookie")
                .description(
                    "For pages of this server's own origin that signed in with `refresh_cookie`, and `access_cookie` \
                     if they like.",
                )
                .response::<200, Json<TokenBody>>()
        }),
    )
}

async fn refresh(
    State(service): State<Service>,
    sent_from: SentFrom,
    RefreshCookie { token, places }: RefreshCookie,
) -> Result<(SetCookies, Json<TokenBody>), ApiError> {
    let client = ClientAuth { id: FIRST_PARTY_CLIENT_ID.to_owned(), secrets: Vec::new() };
    let grant = GrantRequest::RefreshToken(token);
    let request = TokenRequest { client, grant, scope: Scopes::default(), sender: sent_from.called(None) };
    let mut tokens = service.grant_tokens(request).await?;
    Ok((places.take(&service, &mut tokens), Json(TokenBody::new(tokens, places))))
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Throttled { retry_after } => Self::throttled(retry_after),
            TokenError::Busy(_) => Self::too_busy(),
            TokenError::Issue(IssueError::Store(error)) => error.into(),
            TokenError::Issue(error @ (IssueError::NoSuchUser | IssueError::NoKey | IssueError::Sign(_))) => {
                Self::internal(&error)
            }
            TokenError::InvalidGrant(_)
            | TokenError::InvalidScope(_)
            | TokenError::InvalidClient
            | TokenError::Mint(_)
            | TokenError::UnauthorizedClient => Self::invalid_token(error.to_string(), String::new()),
        }
    }
}
