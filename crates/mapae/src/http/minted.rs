//! `/users/me/tokens`: tokens that a person mints for programs, and for things of the application's own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Actor, Scopes, Subject};
use schemars::JsonSchema;
use serde::Serialize;

use super::api::{ApiRouter, answers_as, delete_with, get_with, post_with};
use super::body::{Fields, FromFields, JsonBody};
use super::current_user::SignedIn;
use super::error::{ApiError, ErrorCode, FieldProblem, Problem};
use super::minted_id::MintedId;
use super::sent_from::{SentFrom, tidy};
use super::times::{rfc3339, written};
use crate::Service;
use crate::domain::delegation::{NarrowError, Narrowing};
use crate::domain::scope::Me;
use crate::domain::{MintedKind, SecretText, Session, WantedKind};
use crate::service::{AuthenticateError, IssueError, MintError, MintedToken, NewToken};

const PROBLEM: &str = "application/problem+json";

/// What the token is to be. Whatever is left out is as in the token that asks.
#[derive(JsonSchema)]
#[schemars(rename = "NewToken", deny_unknown_fields)]
struct NewTokenBody {
    /// `access_token`: good at once, and at most as long as the token that asks. `personal_token`: long-lived; it is
    /// exchanged at `/oauth2/token`, or introspected.
    kind: String,
    /// What you call it.
    label: Option<String>,
    /// The scopes asked for, separated by spaces.
    #[schemars(with = "Option<String>")]
    scope: Scopes,
    /// How long it is good, in seconds; a personal token 30 days unless this says otherwise.
    expires_in: Option<u32>,
    /// The one audience that it is meant for.
    audience: Option<String>,
    /// The thing that it speaks for instead of you, such as `car:42`.
    subject: Option<String>,
    /// Yours, which a personal token asks for.
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    password: Option<SecretText>,
}

impl FromFields for NewTokenBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            kind: fields.string("kind"),
            label: fields.optional_string("label"),
            scope: fields.scopes("scope"),
            expires_in: fields.optional_number("expires_in"),
            audience: fields.optional_string("audience"),
            subject: fields.optional_string("subject"),
            password: fields.optional_secret("password"),
        }
    }
}

impl NewTokenBody {
    fn check(self) -> Result<(NewToken, Option<SecretText>), ApiError> {
        let mut problems = Vec::new();
        let kind = self.kind.parse::<WantedKind>();
        if kind.is_err() {
            let message = "Input should be access_token or personal_token";
            problems.push(FieldProblem::body("kind", "unknown_kind", message));
        }
        if self.expires_in == Some(0) {
            problems.push(FieldProblem::body("expires_in", "too_short", "A token is good for at least a second"));
        }
        let subject = self.subject.as_deref().map(Subject::parse).transpose();
        if subject.is_err() {
            problems.push(field(NarrowError::Subject));
        }
        match (kind, subject) {
            (Ok(kind), Ok(subject)) if problems.is_empty() => {
                let lifetime = self.expires_in.map(|seconds| TimeDelta::seconds(i64::from(seconds)));
                let narrowing = Narrowing { scope: self.scope, audience: self.audience, lifetime, subject };
                Ok((NewToken { kind, label: self.label.as_deref().and_then(tidy), narrowing }, self.password))
            }
            _ => Err(ApiError::validation(problems)),
        }
    }
}

/// A minted token, without the token itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MintedToken")]
struct MintedBody {
    /// `sid` of it, or of what it is exchanged for.
    id: String,
    /// `access_token` or `personal_token`.
    kind: &'static str,
    label: Option<String>,
    /// On whose behalf it speaks.
    sub: String,
    /// Who acts.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    act: Actor,
    client_id: String,
    /// The scopes that it carries, separated by spaces.
    scope: String,
    aud: Vec<String>,
    #[serde(serialize_with = "written")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "written")]
    expires_at: DateTime<Utc>,
    /// Of a personal token, give or take a minute.
    #[serde(serialize_with = "rfc3339")]
    last_used_at: Option<DateTime<Utc>>,
}

impl MintedBody {
    /// `None` for the session of a sign-in.
    fn of(session: Session) -> Option<Self> {
        let delegation = *session.delegation?;
        let expires_at = match delegation.kind {
            MintedKind::AccessToken => session.access_expires_at,
            MintedKind::PersonalToken(_) => session.expires_at,
        };
        Some(Self {
            id: session.id,
            kind: delegation.kind.as_str(),
            label: delegation.label,
            sub: delegation.subject.map_or_else(|| session.user_id.to_string(), |thing| thing.to_string()),
            act: delegation.actor,
            client_id: session.client_id,
            scope: session.scope.to_string(),
            aud: delegation.audience,
            created_at: session.created_at,
            expires_at,
            last_used_at: delegation.last_used_at,
        })
    }
}

/// A token that was just minted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewlyMintedToken")]
struct NewlyMintedBody {
    /// The token itself, which is shown only now.
    token: String,
    #[serde(flatten)]
    minted: Option<MintedBody>,
}

/// Minted tokens that are still good, newest first.
#[derive(Serialize, JsonSchema)]
struct MintedTokenList {
    tokens: Vec<MintedBody>,
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/users/me/tokens",
            get_with(list, |op| op.id("list_minted_tokens").tag("tokens").summary("The tokens that you minted")).merge(
                post_with(mint, |op| {
                    let op = op
                        .id("mint_token")
                        .tag("tokens")
                        .summary("Mint a weaker token, for a program or a thing")
                        .description(
                            "From the token that asks, which must be one of a sign-in. It is never good for your account, \
                             your sessions and tokens, or administration. 403 is `subject_refused` if you may not speak \
                             for the thing, `delegated_token` if the token that asks was handed on, `wrong_password` if \
                             that is wrong. 409 is `too_many_tokens`.",
                        )
                        .response::<201, Json<NewlyMintedBody>>();
                    let op = answers_as::<409, Problem<'static>>(op, PROBLEM);
                    answers_as::<429, Problem<'static>>(op, PROBLEM)
                }),
            ),
        )
        .api_route(
            "/users/me/tokens/{token}",
            delete_with(revoke, |op| {
                op.id("revoke_minted_token")
                    .tag("tokens")
                    .summary("Revoke a token that you minted")
                    .description("What it was exchanged for ends with it.")
                    .response::<204, ()>()
            }),
        )
}

async fn list(State(service): State<Service>, who: SignedIn<Me>) -> Result<Json<MintedTokenList>, ApiError> {
    let sessions = service.minted_tokens(Some(&who.user.id)).await?;
    Ok(Json(MintedTokenList { tokens: sessions.into_iter().filter_map(MintedBody::of).collect() }))
}

async fn mint(
    State(service): State<Service>,
    who: SignedIn<Me>,
    sent_from: SentFrom,
    JsonBody(body): JsonBody<NewTokenBody>,
) -> Result<(StatusCode, Json<NewlyMintedBody>), ApiError> {
    let (new, password) = body.check()?;
    let minted = service.mint_token(&who, new, password.as_ref(), &sent_from.called(None)).await?;
    let MintedToken { token, session } = minted;
    let body = NewlyMintedBody { token: token.expose().to_owned(), minted: MintedBody::of(session) };
    Ok((StatusCode::CREATED, Json(body)))
}

async fn revoke(
    State(service): State<Service>,
    who: SignedIn<Me>,
    MintedId(id): MintedId,
) -> Result<StatusCode, ApiError> {
    if service.revoke_own_token(&who, &id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_token()) }
}

pub(super) fn no_such_token() -> ApiError {
    ApiError::new(ErrorCode::TokenNotFound, "There is no such token.")
}

/// What is wrong with what was asked for, as the field that asks for it.
fn field(error: NarrowError) -> FieldProblem {
    let (name, code) = match error {
        NarrowError::Scope => ("scope", "not_granted"),
        NarrowError::Audience => ("audience", "not_granted"),
        NarrowError::Subject | NarrowError::NewSubject => ("subject", "invalid_subject"),
        NarrowError::ChainTooLong | NarrowError::Over => ("expires_in", "too_late"),
    };
    FieldProblem::body(name, code, error.to_string())
}

impl From<MintError> for ApiError {
    fn from(error: MintError) -> Self {
        let detail = error.to_string();
        match error {
            MintError::Token(error @ AuthenticateError::Ended) => {
                Self::from_authenticate(error, <Me as crate::domain::DeclaredScope>::NAME.to_owned())
            }
            MintError::Token(error) => Self::from_authenticate(error, String::new()),
            MintError::ClientToken | MintError::Delegated => Self::delegated_token(),
            MintError::Narrow(error) => Self::validation(vec![field(error)]),
            MintError::MayNotSpeak(_) => Self::new(ErrorCode::SubjectRefused, detail),
            MintError::TooMany(_) => Self::new(ErrorCode::TooManyTokens, detail),
            MintError::TooLong(_) => Self::validation(vec![FieldProblem::body("expires_in", "too_long", detail)]),
            MintError::Change(error) => error.into(),
            MintError::Issue(IssueError::Store(error)) => error.into(),
            MintError::Issue(IssueError::NoSuchUser) => {
                Self::from_authenticate(AuthenticateError::Ended, String::new())
            }
            MintError::Issue(error @ (IssueError::NoKey | IssueError::Sign(_))) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<NewTokenBody>();
    }
}
