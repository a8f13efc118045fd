//! `mapae key …`

use chrono::{DateTime, Utc};
use mapae::Mapae;
use mapae::domain::{KeyState, SecretText};
use mapae::service::{By, KeySummary};
use mapae::settings::Signing;
use mapae_verify::{JwkSet, KeySet, SigningKey, VerificationKey};
use serde_json::json;

use super::{Failure, print, print_json, sentence};
use crate::cli::{KeyCommand, KeyExport, KeyFormat, KeyImport, KeyRevoke, KeyRotate};
use crate::config::read_secret;

pub(super) async fn run(mapae: &Mapae, by: By<'_>, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::List(output) => list(mapae, output.json).await,
        KeyCommand::Rotate(KeyRotate { now }) => {
            mapae.rotate_keys(now, by).await.map_err(sentence)?;
            list(mapae, false).await
        }
        KeyCommand::Revoke(KeyRevoke { kid, leaked: false }) => {
            mapae.revoke_key(&kid, by).await.map_err(sentence)?;
            list(mapae, false).await
        }
        KeyCommand::Revoke(KeyRevoke { kid, leaked: true }) => {
            let ended = mapae.revoke_leaked_key(&kid, by).await.map_err(sentence)?;
            print(&format!("Sessions that have ended: {ended}.\n"))?;
            list(mapae, false).await
        }
        KeyCommand::Import(arguments) => import(mapae, by, arguments).await,
        KeyCommand::ExportPublic(arguments) => export(mapae, &arguments),
    }
}

async fn list(mapae: &Mapae, json: bool) -> Result<(), Failure> {
    let mut keys = mapae.list_keys().await.map_err(sentence)?;
    keys.sort_by_key(|key| match key.state {
        KeyState::Active => 0,
        KeyState::Next => 1,
        KeyState::Retiring => 2,
    });
    if json {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid,
                    "algorithm": key.algorithm.as_str(),
                    "state": key.state.as_str(),
                    "created_at": key.created_at,
                    "activated_at": key.activated_at,
                    "retired_at": key.retired_at,
                })
            })
            .collect();
        return print_json(&json!(keys));
    }
    if let Signing::SharedSecret(..) = mapae.settings().signing {
        print("Tokens are signed with SECRET_KEY. A key that is active here signs the revocation feed alone.\n")?;
    }
    for key in &keys {
        print(&line(key))?;
    }
    Ok(())
}

fn line(key: &KeySummary) -> String {
    let (state, algorithm) = (key.state.as_str(), key.algorithm.as_str());
    format!("{}  {state:<8}  {algorithm:<5}  made {}\n", key.kid, key.created_at.to_rfc3339())
}

async fn import(mapae: &Mapae, by: By<'_>, arguments: KeyImport) -> Result<(), Failure> {
    let KeyImport { file, verify_only, until, kid } = arguments;
    let shown = file.display();
    let text: SecretText =
        read_secret(&file).map_err(|reason| Failure::command(format!("The key file {shown} {reason}.")))?;
    let refused = |error| Failure::command(format!("The key file {shown} cannot be used: {error}."));
    let summary = if verify_only {
        let until = until.map(|until| parse_time(&until)).transpose()?;
        let mut key = VerificationKey::from_key_file(text.expose()).map_err(refused)?;
        if let Some(kid) = kid {
            key = key.with_kid(kid);
        }
        mapae.import_verifying_key(&key, until, by).await.map_err(sentence)?
    } else {
        let mut key = SigningKey::from_key_file(text.expose()).map_err(refused)?;
        if let Some(kid) = kid {
            key = key.with_kid(kid);
        }
        mapae.import_key(&key, by).await.map_err(sentence)?
    };
    print(&line(&summary))
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Failure> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| Failure::usage(&format!("{text:?} is no time such as 2026-12-31T00:00:00Z.")))
}

fn export(mapae: &Mapae, arguments: &KeyExport) -> Result<(), Failure> {
    let mut set: JwkSet = serde_json::from_str(&mapae.jwks()).map_err(sentence)?;
    if let Some(kid) = &arguments.kid {
        set.keys.retain(|key| key.kid.as_ref() == Some(kid));
        if set.keys.is_empty() {
            return Err(Failure::command(format!("There is no public key {kid}: `mapae key list` shows them.")));
        }
    }
    match arguments.format {
        KeyFormat::Jwks => print_json(&serde_json::to_value(&set).map_err(sentence)?),
        KeyFormat::Pem => {
            let keys = KeySet::from_jwks_strict(&set).map_err(sentence)?;
            let blocks: String = keys.iter().filter_map(|key| key.to_pem()).collect();
            print(&blocks)
        }
    }
}
