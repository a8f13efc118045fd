//! The users of a realm as Keycloak exports them: `kc.sh export`, with users in the realm's file or in files of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::{DateTime, Utc};
use mapae::service::import::ImportRow;
use mapae_password::keycloak::Credential;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::super::json_lines::quoted_id;
use super::{BATCH, Source, SourceRow};
use crate::commands::Failure;

/// Users that are read from a file of any size, by a thread that stays a batch ahead.
pub(super) struct KeycloakRows {
    users: Receiver<SourceRow>,
    /// Ends with what is wrong with the file.
    reading: Option<JoinHandle<Result<(), String>>>,
}

impl KeycloakRows {
    pub(super) fn new(input: impl BufRead + Send + 'static) -> Self {
        let (sender, users) = sync_channel(BATCH);
        let reading = std::thread::spawn(move || read(input, &sender));
        Self { users, reading: Some(reading) }
    }
}

impl Source for KeycloakRows {
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        if let Ok(row) = self.users.recv() {
            return Ok(Some(row));
        }
        match self.reading.take().map(JoinHandle::join) {
            Some(Ok(Err(why))) => Err(Failure::command(why)),
            Some(Err(_)) => Err(Failure::command("The file cannot be read.")),
            Some(Ok(Ok(()))) | None => Ok(None),
        }
    }
}

fn read(input: impl Read, users: &SyncSender<SourceRow>) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(input));
    let read = Realm(users).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    // The error itself may quote a value.
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("The file is no JSON export of a realm with its users, from line {line}, column {column} on.")
    })
}

/// The object around the users, of which nothing else is kept.
struct Realm<'a>(&'a SyncSender<SourceRow>);

impl<'de> DeserializeSeed<'de> for Realm<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Realm<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a realm with its users")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "users" {
                map.next_value_seed(Users(self.0))?;
                found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(Error::missing_field("users")) }
    }
}

struct Users<'a>(&'a SyncSender<SourceRow>);

impl<'de> DeserializeSeed<'de> for Users<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Users<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut users: A) -> Result<(), A::Error> {
        let mut number = 0_u64;
        while let Some(user) = users.next_element::<Value>()? {
            number += 1;
            let id = user.get("id").map(quoted_id).unwrap_or_default();
            let account = match serde_json::from_value(user) {
                Ok(user) => User::into_account(user),
                Err(_) => Err("It is not what Keycloak writes for a user.".to_owned()),
            };
            let row = SourceRow { place: format!("user {number}"), id, account };
            if self.0.send(row).is_err() {
                return Err(Error::custom("nobody imports any more"));
            }
        }
        Ok(())
    }
}

/// What is imported of a user; the rest is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: Option<String>,
    username: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    #[serde(default)]
    enabled: bool,
    created_timestamp: Option<i64>,
    service_account_client_id: Option<String>,
    #[serde(default)]
    credentials: Vec<StoredCredential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCredential {
    #[serde(rename = "type")]
    kind: String,
    /// JSON in a text.
    secret_data: Option<String>,
    credential_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialData {
    algorithm: String,
    hash_iterations: u64,
    #[serde(default)]
    additional_parameters: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct SecretData {
    salt: String,
    value: String,
}

impl User {
    fn into_account(self) -> Result<ImportRow, String> {
        if self.service_account_client_id.is_some() {
            return Err("It is the service account of a client, and nobody signs in to it.".to_owned());
        }
        let stored = self.credentials.iter().find(|credential| credential.kind == "password");
        let stored = stored.ok_or("There is no password to sign in with.")?;
        let full_name: Vec<String> = [self.first_name, self.last_name].into_iter().flatten().collect();
        Ok(ImportRow {
            password_hash: stored.hash_text()?,
            id: self.id,
            username: self.username,
            email: self.email,
            full_name: (!full_name.is_empty()).then(|| full_name.join(" ")),
            disabled: !self.enabled,
            scopes: None,
            created_at: self.created_timestamp.and_then(DateTime::<Utc>::from_timestamp_millis),
        })
    }
}

impl StoredCredential {
    fn hash_text(&self) -> Result<mapae_password::HashText, String> {
        let parts = || {
            let data: CredentialData = serde_json::from_str(self.credential_data.as_deref()?).ok()?;
            let secret: SecretData = serde_json::from_str(self.secret_data.as_deref()?).ok()?;
            Some((data, secret))
        };
        let (data, secret) = parts().ok_or("The password's secretData or credentialData cannot be read.")?;
        let additional: Vec<(&str, &str)> = data
            .additional_parameters
            .iter()
            .filter_map(|(name, values)| Some((name.as_str(), values.first()?.as_str())))
            .collect();
        let credential = Credential {
            algorithm: &data.algorithm,
            hash_iterations: data.hash_iterations,
            additional_parameters: &additional,
            salt: &secret.salt,
            value: &secret.value,
        };
        credential.to_hash_text().map_err(|error| format!("The password cannot be checked: {error}."))
    }
}
