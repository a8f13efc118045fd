//! From records to keys that sign and verify.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Jwk, JwkSet, KeySet, SigningKey, VerificationKey};

use super::make::is_feed_key;
use super::{JWKS_MAX_AGE, StartError};
use crate::domain::secret::WrapUse;
use crate::domain::{KeyState, MasterKey, SecretText, SigningKeyRecord};
use crate::settings::{Settings, Signing};
use crate::store::{RevokedKind, Store, StoreError};

/// Private keys that were unwrapped, by `kid`: they outlive the master key that this process was started with.
pub(super) type Pairs = HashMap<String, Arc<SigningKey>>;

pub(super) struct Loaded {
    pub(super) set: KeySet,
    pub(super) jwks: String,
    /// What signs; the reason, if it does not open with this process's master key.
    pub(super) signing: Result<Signers, StartError>,
}

pub(super) struct Signers {
    pub(super) active: Arc<SigningKey>,
    pub(super) feed: Option<Arc<SigningKey>>,
}

/// How long a retiring key stays: for the life of its last token, the leeway, and the time for which others keep a copy.
pub(super) fn stays(settings: &Settings) -> TimeDelta {
    let seconds = i64::from(settings.access_token_lifetime) + i64::from(settings.leeway) + i64::from(JWKS_MAX_AGE);
    TimeDelta::seconds(seconds)
}

/// Whether tokens of this key can still be good.
pub(super) fn still_verifies(key: &SigningKeyRecord, settings: &Settings, now: DateTime<Utc>) -> bool {
    key.retired_at.is_none_or(|retired| now < retired + stays(settings))
}

/// Turns records into keys that sign and verify. What is in `pairs` need not be unwrapped again.
pub(super) fn load(
    records: Vec<SigningKeyRecord>,
    settings: &Settings,
    master: &MasterKey,
    now: DateTime<Utc>,
    pairs: &mut Pairs,
) -> Result<Loaded, StartError> {
    pairs.retain(|kid, _| records.iter().any(|record| record.kid == *kid));
    if let Signing::SharedSecret(algorithm, secret) = &settings.signing {
        let active = SigningKey::hmac(None, *algorithm, secret.expose().as_bytes())?;
        // Tokens are verified with the secrets alone.
        let mut verifying = vec![active.verification_key()];
        for old in &settings.old_secret_keys {
            let old = VerificationKey::hmac(None, *algorithm, old.expose().as_bytes())?;
            if !verifying.iter().any(|key| key.same_key(&old)) {
                verifying.push(old);
            }
        }
        let feed = records.iter().find(|key| is_feed_key(key)).map(|key| private(key, master, pairs)).transpose()?;
        let keys = feed.iter().filter_map(|key| key.public_jwk()).collect();
        let jwks = serde_json::to_string(&JwkSet { keys }).unwrap_or_default();
        let signing = Ok(Signers { active: Arc::new(active), feed });
        return Ok(Loaded { set: KeySet::from_keys(verifying)?, jwks, signing });
    }
    let mut verifying = Vec::new();
    let mut public = JwkSet { keys: Vec::new() };
    let mut active = None;
    for record in records.iter().filter(|key| still_verifies(key, settings, now)) {
        let jwk: Jwk =
            serde_json::from_str(&record.public_jwk).map_err(|error| corrupt(&record.kid, &error.to_string()))?;
        // One without a private half is another program's, whose tokens are none of this service's sessions.
        if !record.wrapped_private.is_empty() {
            verifying.push(VerificationKey::from_jwk_with_algorithm(&jwk, record.algorithm)?);
        }
        public.keys.push(jwk);
        let configured = record.algorithm == settings.signing.algorithm();
        match record.state {
            KeyState::Active if configured || active.is_none() => active = Some(private(record, master, pairs)),
            // Opened early, so that it can sign when its time comes, whatever became of the master key.
            KeyState::Next => _ = private(record, master, pairs),
            KeyState::Active | KeyState::Retiring => {}
        }
    }
    let active = active.unwrap_or_else(|| Err(corrupt("(none)", "no key is active").into()));
    Ok(Loaded {
        set: KeySet::from_keys(verifying)?,
        jwks: serde_json::to_string(&public).unwrap_or_default(),
        signing: active.map(|active| Signers { feed: Some(Arc::clone(&active)), active }),
    })
}

fn private(record: &SigningKeyRecord, master: &MasterKey, pairs: &mut Pairs) -> Result<Arc<SigningKey>, StartError> {
    if let Some(pair) = pairs.get(&record.kid) {
        return Ok(Arc::clone(pair));
    }
    let pkcs8 = master
        .unwrap(WrapUse::SigningKey, &record.kid, &record.wrapped_private)
        .map_err(|error| corrupt(&record.kid, &error.to_string()))?;
    let pair = Arc::new(SigningKey::from_pkcs8(record.algorithm, &pkcs8)?.with_kid(&record.kid));
    pairs.insert(record.kid.clone(), Arc::clone(&pair));
    Ok(pair)
}

fn corrupt(kid: &str, why: &str) -> StoreError {
    StoreError::Corrupt { table: "mapae_signing_key", why: format!("{kid}: {why}") }
}

/// Refuses shared secrets that were given up as leaked.
pub(super) async fn check_secrets(store: &Store, settings: &Settings) -> Result<(), StartError> {
    let mut secrets = shared_secrets(settings).peekable();
    if secrets.peek().is_none() {
        return Ok(());
    }
    let revoked = store.revocations().await?;
    let is_leaked = |secret: &SecretText| {
        let name = name_of_secret(secret);
        revoked.iter().any(|one| one.kind == RevokedKind::Key && one.value == name)
    };
    if secrets.any(is_leaked) { Err(StartError::SecretLeaked) } else { Ok(()) }
}

/// The secrets that sign or verify tokens.
pub(super) fn shared_secrets(settings: &Settings) -> impl Iterator<Item = &SecretText> {
    let current = match &settings.signing {
        Signing::SharedSecret(_, secret) => Some(secret),
        Signing::Generated(_) => None,
    };
    current.into_iter().chain(settings.old_secret_keys.iter().filter(move |_| current.is_some()))
}

/// The name of a leaked secret among revoked keys. No more can be learnt from it than from any token.
pub(super) fn name_of_secret(secret: &SecretText) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, b"mapae/v1/secret-name");
    format!("secret:{}", URL_SAFE_NO_PAD.encode_to_string(&tag.as_ref()[..16]))
}
