//! `mapae key …`

use mapae::Mapae;
use mapae::domain::KeyState;
use mapae::service::By;
use mapae::settings::Signing;
use serde_json::json;

use super::{Failure, print, print_json, sentence};
use crate::cli::{KeyCommand, KeyRevoke, KeyRotate};

pub(super) async fn run(mapae: &Mapae, by: By<'_>, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::List(output) => list(mapae, output.json).await,
        KeyCommand::Rotate(KeyRotate { now }) => {
            mapae.rotate_keys(now, by).await.map_err(sentence)?;
            list(mapae, false).await
        }
        KeyCommand::Revoke(KeyRevoke { kid }) => {
            mapae.revoke_key(&kid, by).await.map_err(sentence)?;
            list(mapae, false).await
        }
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
    for key in keys {
        let (state, algorithm) = (key.state.as_str(), key.algorithm.as_str());
        print(&format!("{}  {state:<8}  {algorithm:<5}  made {}\n", key.kid, key.created_at.to_rfc3339()))?;
    }
    Ok(())
}
