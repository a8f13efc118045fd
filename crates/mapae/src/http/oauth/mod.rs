//! `/oauth2` and the metadata that says what is there: the standards' endpoints, beside the tutorial's `/token`.

mod error;
mod exchange;
mod form;
mod metadata;
mod token;
mod tokens;
mod userinfo;

pub(super) use error::OAuthError;
#[cfg(feature = "openapi")]
pub(super) use {token::TokenForm, tokens::Question};
#[cfg(feature = "openapi")]
pub(super) mod documented {
    pub(in crate::http) use super::token::Documented as TokenRequest;
    pub(in crate::http) use super::tokens::Documented as TokenQuestion;
}

use super::api::ApiRouter;
use crate::Service;

pub(super) fn router(service: &Service) -> ApiRouter<Service> {
    ApiRouter::new()
        .merge(token::router())
        .merge(tokens::router())
        .merge(userinfo::router())
        .merge(metadata::router(&service.settings().base_url))
}
