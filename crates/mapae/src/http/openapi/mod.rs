//! The OpenAPI document: what is not written by the routes themselves (feature `openapi`).

mod inputs;
mod more_inputs;

use aide::generate::GenContext;
use aide::openapi::{
    Components, Info, MediaType, OAuth2Flow, OAuth2Flows, OpenApi, ReferenceOr, Response, SchemaObject, SecurityScheme,
    StatusCode,
};
use indexmap::IndexMap;
use mapae_verify::axum::{SECURITY_SCHEME, finish_openapi};
use serde_json::json;

use super::error::{ErrorCode, Problem};
use crate::Service;

/// Where *Authorize* signs in, relative to the documentation page, so that it survives a proxy's path prefix.
pub(super) const TOKEN_URL: &str = "token";
/// Where a refresh token gives the next access token, relative to the same.
const REFRESH_URL: &str = "oauth2/token";

/// A document with the password flow and the scopes of the service, before any route is added.
pub(super) fn document(service: &Service, title: &str, version: &str) -> OpenApi {
    let scopes: Vec<_> = service.settings().scopes.iter().collect();
    let mut document = with_password_flow(title, TOKEN_URL, Some(REFRESH_URL), &scopes);
    version.clone_into(&mut document.info.version);
    document
}

/// A document with the password flow, for routes that bring their scopes with them.
pub(super) fn bare_document(title: &str, version: &str) -> OpenApi {
    let mut document = with_password_flow(title, TOKEN_URL, None, &[]);
    version.clone_into(&mut document.info.version);
    document
}

/// A document with the password flow and these scopes. The URLs are relative, so that they survive a proxy's path prefix.
pub(super) fn with_password_flow(
    title: &str,
    token_url: &str,
    refresh_url: Option<&str>,
    scopes: &[(&str, &str)],
) -> OpenApi {
    let scopes = scopes.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let flow =
        OAuth2Flow::Password { token_url: token_url.to_owned(), refresh_url: refresh_url.map(str::to_owned), scopes };
    let scheme = SecurityScheme::OAuth2 {
        flows: OAuth2Flows { password: Some(flow), ..OAuth2Flows::default() },
        description: Some("Sign in with a user name or e-mail address and a password.".to_owned()),
        extensions: IndexMap::default(),
    };
    OpenApi {
        info: Info { title: title.to_owned(), version: "0.1.0".to_owned(), ..Info::default() },
        components: Some(Components {
            security_schemes: IndexMap::from_iter([(SECURITY_SCHEME.to_owned(), ReferenceOr::Item(scheme))]),
            ..Components::default()
        }),
        ..OpenApi::default()
    }
}

/// Completes a document that every route has written itself into.
pub(super) fn finish(document: &mut OpenApi) {
    finish_openapi(document, TOKEN_URL);
}

/// A documented error with an example.
fn error_response(ctx: &mut GenContext, code: ErrorCode, description: &str) -> (Option<StatusCode>, Response) {
    let mut example = json!({
        "type": "about:blank",
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": description,
        "code": code.as_str(),
    });
    if code == ErrorCode::ValidationFailed {
        example["errors"] =
            json!([{ "type": "missing", "loc": ["body", "password"], "msg": "Field required", "input": null }]);
    }
    let media_type = MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<Problem<'static>>(),
            example: None,
            external_docs: None,
        }),
        example: Some(example),
        ..MediaType::default()
    };
    let response = Response {
        description: description.to_owned(),
        content: IndexMap::from_iter([("application/problem+json".to_owned(), media_type)]),
        ..Response::default()
    };
    (Some(StatusCode::Code(code.status().as_u16())), response)
}
