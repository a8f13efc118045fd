//! How the extractors of sessions, clients and the standards' endpoints document themselves.

use aide::generate::GenContext;
use aide::openapi::Operation;
use aide::{OperationInput, OperationOutput};
use axum::Form;
use axum::extract::{Path, Query};
use mapae_verify::axum::Bearer;

use super::error_response;
use super::inputs::Responses;
use crate::http::clients::{ClientPath, Id};
use crate::http::error::ErrorCode;
use crate::http::minted_id::{MintedId, MintedPath};
use crate::http::oauth::{OAuthError, Question, TokenForm, documented};
use crate::http::refresh_cookie::RefreshCookie;
use crate::http::sent_from::{Asker, SentFrom};
use crate::http::sessions::{SessionId, SessionPath};
use crate::http::verify::{self, Required};

/// Of sign-ins and refreshes alone.
impl OperationInput for SentFrom {
    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::TooManyAttempts, "Too many failed attempts; see `Retry-After`.")]
    }
}
impl OperationInput for Asker {}

impl OperationInput for TokenForm {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Form<documented::TokenRequest> as OperationInput>::operation_input(ctx, operation);
    }
}

impl OperationInput for Question {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Form<documented::TokenQuestion> as OperationInput>::operation_input(ctx, operation);
    }
}

impl OperationOutput for OAuthError {
    type Inner = Self;
}

impl OperationInput for SessionId {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Path<SessionPath> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::SessionNotFound, "There is no such session.")]
    }
}

impl OperationInput for MintedId {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Path<MintedPath> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::TokenNotFound, "There is no such token.")]
    }
}

impl OperationInput for Id {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Path<ClientPath> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::ClientNotFound, "There is no such client.")]
    }
}

impl OperationInput for RefreshCookie {
    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![
            error_response(ctx, ErrorCode::InvalidToken, "No cookie, or one whose session has ended."),
            error_response(ctx, ErrorCode::CrossSite, "The request comes from another site."),
        ]
    }
}

impl OperationInput for Required {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Query<verify::Documented> as OperationInput>::operation_input(ctx, operation);
        Bearer::<()>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Responses {
        let mut responses = Bearer::<()>::inferred_early_responses(ctx, operation);
        let lacks = "The token lacks a scope that was asked for.";
        responses.push(error_response(ctx, ErrorCode::InsufficientScope, lacks));
        responses
    }
}
