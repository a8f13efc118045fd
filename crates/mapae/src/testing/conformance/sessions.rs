//! Sessions and tickets: times, generations, ends.

use chrono::TimeDelta;
use mapae_verify::{Audience, Claims, Scopes, Subject};

use crate::domain::audit::{Actor, Direction, Event, Filter};
use crate::domain::{EndReason, RefreshState, SecretText, Sender, Session, Ticket, TicketRecord};
use crate::service::{ClientAuth, GrantRequest, Service, TokenError, TokenRequest, TokenResponse};
use crate::store::{Advance, Sessions};
use crate::testing::nodes::Nodes;
use crate::testing::report::{Broken, Kept, broken, holds, same};

pub(super) async fn exact_time(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let millis = TimeDelta::milliseconds(1);
    let mut session = nodes.new_session(&user);
    session.created_at = chrono::DateTime::from_timestamp_millis(1_767_225_599_999).unwrap_or_default();
    session.expires_at = nodes.one.now() + millis * 7;
    let mut tx = nodes.one.store().begin().await?;
    tx.insert_session(&session).await?;
    tx.commit().await?;
    let stored = nodes.other.store().session_by_id(&session.id).await?;
    same(stored.map(|stored| (stored.created_at, stored.expires_at)), Some((session.created_at, session.expires_at)))?;
    // The database compares them, too.
    for (wait, open) in [(0, 1), (6, 1), (1, 0)] {
        nodes.clock.advance_millis(wait);
        same(nodes.other.store().sessions(Some(&user.id), 10).await?.len(), open)?;
    }
    Ok(())
}

/// Moves a session from one generation to another; whether it did.
pub(in crate::testing) async fn advance_on(node: &Service, id: &str, from: i64, to: i64) -> Result<bool, Broken> {
    let now = node.now();
    let to = RefreshState { generation: to, refreshed_at: now, idle_expires_at: now + TimeDelta::hours(1) };
    let mut tx = node.store().begin().await?;
    let advanced = tx.advance_session(id, Advance { from, to, access_expires_at: now }).await?;
    tx.commit().await?;
    Ok(advanced)
}

/// Ends one session; how many that ended.
pub(in crate::testing) async fn end_on(node: &Service, id: &str) -> Result<usize, Broken> {
    let mut tx = node.store().begin().await?;
    let ended = tx.end(Sessions::One(id), EndReason::SignedOut, &Actor::system()).await?;
    tx.commit().await?;
    Ok(ended)
}

/// The session's generation.
pub(in crate::testing) async fn generation(node: &Service, id: &str) -> Result<Option<i64>, Broken> {
    let session = node.store().session_by_id(id).await?;
    Ok(session.and_then(|session| session.refresh).map(|refresh| refresh.generation))
}

pub(super) async fn advance(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let (session, bystander) = (nodes.session(&user).await?, nodes.session(&user).await?);
    for (from, to, advanced, then) in
        [(1, 2, false, 0), (0, 1, true, 1), (0, 1, false, 1), (1, i64::MAX, true, i64::MAX)]
    {
        let seen = (advance_on(&nodes.one, &session.id, from, to).await?, generation(&nodes.other, &session.id).await?);
        same(seen, (advanced, Some(then)))?;
    }
    same(generation(&nodes.other, &bystander.id).await?, Some(0))?;
    same(end_on(&nodes.other, &bystander.id).await?, 1)?;
    same(advance_on(&nodes.one, &bystander.id, 0, 1).await?, false)
}

async fn ended(node: &Service, session: &Session) -> Result<Option<EndReason>, Broken> {
    let stored = node.store().session_by_id(&session.id).await?;
    Ok(stored.and_then(|stored| stored.ended).map(|(_, reason)| reason))
}

pub(super) async fn end(nodes: &Nodes) -> Kept {
    let user = nodes.user().await?;
    let (session, bystander) = (nodes.session(&user).await?, nodes.session(&user).await?);
    same((end_on(&nodes.one, &session.id).await?, end_on(&nodes.other, &session.id).await?), (1, 0))?;
    same(ended(&nodes.other, &session).await?, Some(EndReason::SignedOut))?;
    same(ended(&nodes.other, &bystander).await?, None)?;
    let told = nodes.other.store().revocations().await?;
    holds(told.iter().any(|one| one.value == session.id), "it in the feed", || "a feed without it".to_owned())
}

/// Shows a refresh token.
pub(in crate::testing) async fn refresh(node: &Service, token: &SecretText) -> Result<TokenResponse, TokenError> {
    grant(node, GrantRequest::RefreshToken(token.clone())).await
}

async fn grant(node: &Service, grant: GrantRequest) -> Result<TokenResponse, TokenError> {
    let client = ClientAuth { id: "mapae".to_owned(), secrets: Vec::new() };
    node.grant_tokens(TokenRequest { client, grant, scope: Scopes::default(), sender: Sender::default() }).await
}

/// A refresh token of a new account, whose session this is.
pub(in crate::testing) async fn signed_in(nodes: &Nodes) -> Result<(SecretText, Session), Broken> {
    let (user, password) = nodes.registered().await?;
    let username = user.username.clone().unwrap_or_default();
    let tokens = grant(&nodes.one, GrantRequest::Password { username, password }).await?;
    let session = nodes.one.store().sessions(Some(&user.id), 1).await?.pop();
    match (tokens.refresh_token, session) {
        (Some(token), Some(session)) => Ok((token, session)),
        (_, session) => broken("a refresh token and its session", format!("{session:?}")),
    }
}

pub(super) async fn reuse(nodes: &Nodes) -> Kept {
    let (stolen, session) = signed_in(nodes).await?;
    let mut current = stolen.clone();
    for _ in 0..2 {
        let tokens = refresh(&nodes.one, &current).await?;
        current = tokens.refresh_token.unwrap_or(current);
    }
    for token in [&stolen, &current] {
        match refresh(&nodes.other, token).await {
            Err(TokenError::InvalidGrant(_)) => {}
            other => return broken("invalid_grant", format!("{other:?}")),
        }
    }
    same(ended(&nodes.one, &session).await?, Some(EndReason::Reuse))?;
    let filter = Filter {
        subject: Some(session.user_id.to_string()),
        event: Some(Event::RefreshTokenReused),
        ..Filter::default()
    };
    same(nodes.one.store().audit(&filter, Direction::Back(None), 10).await?.len(), 1)
}

/// A ticket that is good for a second.
pub(in crate::testing) async fn new_ticket(nodes: &Nodes) -> Result<TicketRecord, Broken> {
    let now = nodes.one.now();
    let subject = Subject::parse("suite")?;
    let (iat, exp) = (now.timestamp(), now.timestamp() + 60);
    let claims = Claims {
        iss: "http://suite.example".to_owned(),
        sub: subject,
        aud: Audience::one("http://suite.example"),
        exp,
        iat,
        nbf: None,
        jti: nodes.word(),
        client_id: "mapae".to_owned(),
        scope: Scopes::default(),
        sid: None,
        act: None,
        extra: Default::default(),
    };
    let ticket = TicketRecord {
        hash: Ticket::from_random(nodes.random()).hash(),
        claims,
        kid: None,
        created_at: now,
        expires_at: now + TimeDelta::seconds(1),
        used_at: None,
    };
    let mut tx = nodes.one.store().begin().await?;
    tx.insert_ticket(&ticket).await?;
    tx.commit().await?;
    Ok(ticket)
}

/// Uses a ticket up; whether it was good.
pub(in crate::testing) async fn use_on(node: &Service, ticket: &TicketRecord) -> Result<bool, Broken> {
    let mut tx = node.store().begin().await?;
    let used = tx.use_ticket(&ticket.hash).await?;
    tx.commit().await?;
    Ok(used)
}

pub(super) async fn ticket(nodes: &Nodes) -> Kept {
    let (ticket, late) = (new_ticket(nodes).await?, new_ticket(nodes).await?);
    same((use_on(&nodes.one, &ticket).await?, use_on(&nodes.other, &ticket).await?), (true, false))?;
    let stored = nodes.other.store().ticket(ticket.hash.clone()).await?;
    same(stored.map(|stored| stored.used_at), Some(Some(nodes.one.now())))?;
    nodes.clock.advance_millis(1_000);
    same(use_on(&nodes.other, &late).await?, false)
}
