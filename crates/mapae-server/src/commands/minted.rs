//! `mapae token …`, as far as it is about tokens that are minted from others.

use chrono::{DateTime, TimeDelta, Utc};
use mapae::Mapae;
use mapae::domain::delegation::Narrowing;
use mapae::domain::{MintedKind, Session, User, WantedKind};
use mapae::service::{By, MintedToken, NewToken};
use mapae_verify::{Scopes, Subject};
use serde_json::{Value, json};

use super::session::owner;
use super::{Failure, print, print_json, sentence};
use crate::cli::{OfAccount, TokenMint, TokenRevoke};

/// Whether more is asked for than an ordinary access token of the account.
pub(super) fn is_asked_for(arguments: &TokenMint) -> bool {
    let TokenMint { subject, personal, audience, expires_in, label, .. } = arguments;
    *personal || subject.is_some() || audience.is_some() || expires_in.is_some() || label.is_some()
}

pub(super) async fn mint(
    mapae: &Mapae,
    user: &User,
    by: By<'_>,
    scope: Scopes,
    arguments: TokenMint,
) -> Result<(), Failure> {
    let subject = arguments.subject.as_deref().map(thing).transpose()?;
    let lifetime = arguments.expires_in.map(|seconds| TimeDelta::seconds(i64::from(seconds)));
    let new = NewToken {
        kind: if arguments.personal { WantedKind::PersonalToken } else { WantedKind::AccessToken },
        // Control characters would steer the terminal that lists them.
        label: arguments.label.map(|label| label.chars().filter(|c| !c.is_control()).take(200).collect()),
        narrowing: Narrowing { scope, audience: arguments.audience, lifetime, subject },
    };
    let MintedToken { token, session } = mapae.mint_token_for(&user.id, new, by).await.map_err(sentence)?;
    if arguments.output.json {
        let mut shown = to_json(&session);
        shown["token"] = json!(token.expose());
        return print_json(&shown);
    }
    print(&format!("{}\n", token.expose()))
}

pub(super) async fn list(mapae: &Mapae, arguments: OfAccount) -> Result<(), Failure> {
    let user = match arguments.user {
        Some(user) => Some(owner(mapae, user).await?),
        None => None,
    };
    let tokens = mapae.minted_tokens(user.as_ref()).await.map_err(sentence)?;
    if arguments.output.json {
        return print_json(&tokens.iter().map(to_json).collect());
    }
    if tokens.is_empty() {
        return print("There are no minted tokens.\n");
    }
    for token in &tokens {
        print(&row(token))?;
    }
    Ok(())
}

pub(super) async fn revoke(mapae: &Mapae, by: By<'_>, arguments: TokenRevoke) -> Result<(), Failure> {
    if let Some(subject) = arguments.subject {
        let revoked = mapae.revoke_tokens_of(&thing(&subject)?, by).await.map_err(sentence)?;
        return match revoked {
            1 => print("Revoked 1 token.\n"),
            revoked => print(&format!("Revoked {revoked} tokens.\n")),
        };
    }
    // One of the two is there, says the parser.
    let id = arguments.token.unwrap_or_default();
    if mapae.revoke_minted_token(&id, by).await.map_err(sentence)? {
        return print("Revoked 1 token.\n");
    }
    Err(Failure::command("There is no such token, or it was revoked before. `mapae token list` has their ids."))
}

fn thing(text: &str) -> Result<Subject, Failure> {
    Subject::parse(text).map_err(|_| Failure::usage("--subject takes a kind and an id, such as car:42."))
}

fn row(session: &Session) -> String {
    let Value::Object(shown) = to_json(session) else { return String::new() };
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!(
        "{}  {:<14}  {:<36}  until {}  used {}  {:<20}  {}\n",
        text("id"),
        text("kind"),
        text("sub"),
        text("expires_at"),
        text("last_used_at"),
        text("scope"),
        text("label"),
    )
}

fn to_json(session: &Session) -> Value {
    let Some(delegation) = &session.delegation else { return Value::Null };
    let expires_at: DateTime<Utc> = match delegation.kind {
        MintedKind::AccessToken => session.access_expires_at,
        MintedKind::PersonalToken(_) => session.expires_at,
    };
    json!({
        "id": session.id,
        "kind": delegation.kind.as_str(),
        "user_id": session.user_id.as_str(),
        "sub": delegation.subject.as_ref().map_or_else(|| session.user_id.to_string(), ToString::to_string),
        "act": delegation.actor,
        "client_id": session.client_id,
        "scope": session.scope.to_string(),
        "aud": delegation.audience,
        "label": delegation.label,
        "created_at": session.created_at,
        "expires_at": expires_at,
        "last_used_at": delegation.last_used_at,
    })
}
