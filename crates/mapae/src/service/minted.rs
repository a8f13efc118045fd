//! The tokens that somebody minted: making, looking through and revoking them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::Subject;

use super::accounts::{AccountError, ChangeError, FieldError, parse_password};
use super::credentials::Proven;
use super::minting::{MintError, Minted, Parent};
use super::{By, IssueError, Principal, Service};
use crate::domain::audit::Actor;
use crate::domain::delegation::{Narrowing, Rights};
use crate::domain::scope::Me;
use crate::domain::{
    DeclaredScope, Device, EndReason, MintedKind, PersonalToken, SecretText, Sender, Session, UserId, WantedKind,
};
use crate::store::{Sessions, StoreError};

/// The most tokens that are listed.
const MOST_LISTED: u64 = 1_000;

/// How long a personal access token is good unless it is said.
const PERSONAL_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// A token to be minted.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What kind of token.
    pub kind: WantedKind,
    /// What its owner calls it.
    pub label: Option<String>,
    /// How it is weaker.
    pub narrowing: Narrowing,
}

/// A token that was minted.
#[derive(Clone, Debug)]
pub struct MintedToken {
    /// The token itself; a personal one is in no other answer ever again.
    pub token: SecretText,
    /// Its session.
    pub session: Session,
}

impl Service {
    /// Mints a token from a person's own, which must be one of a sign-in. A personal access token outlives that, so it
    /// asks for the password.
    ///
    /// # Errors
    /// [`MintError`].
    pub async fn mint_token(
        &self,
        principal: &Principal,
        new: NewToken,
        password: Option<&SecretText>,
        sender: &Sender,
    ) -> Result<MintedToken, MintError> {
        if principal.is_delegated() {
            return Err(MintError::Delegated);
        }
        let proven = match new.kind {
            WantedKind::AccessToken => None,
            WantedKind::PersonalToken => Some((principal, self.prove_given(principal, password).await?)),
        };
        let (parent, by) = (Parent::of(principal), &principal.actor());
        let minted = self.mint_from(parent, new, sender.device(), proven, by).await;
        if let Err(error) = &minted {
            self.note_not_minted(error, by, Some(&principal.user.id)).await;
        }
        minted
    }

    async fn prove_given(&self, principal: &Principal, given: Option<&SecretText>) -> Result<Proven, ChangeError> {
        let mut errors = Vec::new();
        match given {
            Some(given) => {
                if let Some(password) = parse_password("password", given, &mut errors) {
                    return self.prove_own(principal, &password).await;
                }
            }
            None => {
                errors.push(FieldError::new("password", "missing", "A personal access token asks for your password."));
            }
        }
        Err(AccountError::Invalid(errors).into())
    }

    /// Mints a token on behalf of an account without any token of it, for the command line and tests.
    ///
    /// # Errors
    /// [`MintError`].
    pub async fn mint_token_for(&self, user: &UserId, new: NewToken, by: By<'_>) -> Result<MintedToken, MintError> {
        let found = self.found_by_id(user).await?.map(|found| found.user).filter(|user| !user.disabled);
        let grantor = Arc::new(found.ok_or(IssueError::NoSuchUser)?);
        let rights = Rights {
            scope: grantor.scopes.clone(),
            audience: self.settings().audiences().into_iter().map(str::to_owned).collect(),
            expires_at: DateTime::<Utc>::MAX_UTC,
            subject: None,
            depth: 0,
            may_name_subject: true,
        };
        let parent = Parent { grantor, session: None, jti: None, rights, actor: None };
        self.mint_from(parent, new, Device::default(), None, &by.actor()).await
    }

    async fn mint_from(
        &self,
        mut parent: Parent,
        new: NewToken,
        device: Device,
        proven: Option<(&Principal, Proven)>,
        by: &Actor,
    ) -> Result<MintedToken, MintError> {
        let NewToken { kind, label, mut narrowing } = new;
        let client = &self.built_in_client();
        let longest = match kind {
            WantedKind::AccessToken => self.access_lifetime(client),
            WantedKind::PersonalToken => {
                let longest = TimeDelta::seconds(i64::from(self.settings().personal_token_lifetime));
                let lifetime = narrowing.lifetime.unwrap_or_else(|| PERSONAL_TOKEN_LIFETIME.min(longest));
                if lifetime > longest {
                    let days = u32::try_from(longest.num_days()).unwrap_or(u32::MAX);
                    return Err(MintError::TooLong(days));
                }
                narrowing.lifetime = Some(lifetime);
                // It has a life of its own.
                parent.rights.expires_at = DateTime::<Utc>::MAX_UTC;
                longest
            }
        };
        let (tx, minting) = self.begin_minting(&parent, &narrowing, (client, longest), None, proven).await?;
        let scope = self.settings().scopes.still(&minting.rights.scope, &minting.user.scopes, &client.scopes);
        let personal = (kind == WantedKind::PersonalToken).then(|| PersonalToken::from_random(self.ids().random()));
        let kind = personal.as_ref().map_or(MintedKind::AccessToken, |token| MintedKind::PersonalToken(token.hash()));
        let user = minting.user.clone();
        let session = self.write_minted(tx, minting, Minted { client, scope, kind, label, device, by }).await?;
        let token = match personal {
            Some(token) => token.into_text(),
            None => self.minted_access_token(&user, &session, client).await?.access_token,
        };
        Ok(MintedToken { token, session })
    }

    /// The minted tokens of an account that are still good, newest first; `None` for everybody's.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn minted_tokens(&self, user: Option<&UserId>) -> Result<Vec<Session>, StoreError> {
        self.store().minted(user, MOST_LISTED).await
    }

    /// Revokes one of a person's own minted tokens, and what was minted from it; whether there was such a one.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn revoke_own_token(&self, principal: &Principal, id: &str) -> Result<bool, ChangeError> {
        let mut tx = self.begin_as(principal, Me::NAME).await?;
        let ended =
            tx.end(Sessions::Minted { user: &principal.user.id, id }, EndReason::SignedOut, &principal.actor()).await?;
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// Revokes a minted token, whoever's it is, for the command line; whether there was such a one.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revoke_minted_token(&self, id: &str, by: By<'_>) -> Result<bool, StoreError> {
        let session = self.store().session_by_id(id).await?.filter(|session| session.delegation.is_some());
        let Some(session) = session else { return Ok(false) };
        let mut tx = self.store().begin().await?;
        let which = Sessions::Minted { user: &session.user_id, id };
        let ended = tx.end(which, EndReason::Administrator, &by.actor()).await?;
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// Revokes every token that speaks for a thing; how many. For the application, when somebody else may speak for it
    /// from now on.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn revoke_tokens_of(&self, thing: &Subject, by: By<'_>) -> Result<usize, StoreError> {
        let mut tx = self.store().begin().await?;
        let ended = tx.end(Sessions::OfSubject(thing), EndReason::Administrator, &by.actor()).await?;
        tx.commit().await?;
        Ok(ended)
    }
}
