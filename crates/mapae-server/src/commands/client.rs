//! `mapae client …`

use mapae::Mapae;
use mapae::domain::{Client, ClientType, GrantType, Lifetimes, SecretText};
use mapae::service::{By, ClientError, NewClient};
use serde_json::{Value, json};

use super::user::parse_scopes;
use super::{Failure, password, print, print_json, sentence};
use crate::cli::{ClientAdd, ClientCommand, ClientRemove, ClientRotate, ClientShow, SecretSource};

pub(super) async fn run(mapae: &Mapae, by: By<'_>, command: ClientCommand) -> Result<(), Failure> {
    match command {
        ClientCommand::Add(arguments) => add(mapae, by, arguments).await,
        ClientCommand::List(output) => list(mapae, output.json).await,
        ClientCommand::Show(arguments) => show(mapae, arguments).await,
        ClientCommand::RotateSecret(arguments) => rotate(mapae, by, arguments).await,
        ClientCommand::Remove(ClientRemove { id }) => {
            mapae.remove_client(&id, by).await.map_err(|error| named(&id, error))?;
            print(&format!("{id} is removed; its sessions have ended.\n"))
        }
    }
}

async fn add(mapae: &Mapae, by: By<'_>, arguments: ClientAdd) -> Result<(), Failure> {
    let grants = arguments.grants.iter().map(|word| {
        word.parse::<GrantType>().map_err(|()| {
            let words = GrantType::ALL.map(GrantType::as_str).join(", ");
            Failure::command(format!("There is no grant {word:?}; there are {words}."))
        })
    });
    let new = NewClient {
        grants: grants.collect::<Result<_, _>>()?,
        client_type: if arguments.confidential { ClientType::Confidential } else { ClientType::Public },
        scopes: parse_scopes(&arguments.scopes)?,
        audiences: arguments.audiences,
        lifetimes: Lifetimes {
            access_token: arguments.access_token_seconds,
            session_idle: arguments.session_idle_seconds,
            session: arguments.session_max_seconds,
        },
        secret: given(&arguments.secret)?,
        id: arguments.id,
    };
    let id = new.id.clone();
    let (client, made) = mapae.add_client(new, by).await.map_err(|error| named(&id, error))?;
    if arguments.output.json {
        return print_json(&with_secret(to_json(&client), made.as_ref()));
    }
    print(&format!("Registered the {} client {id}.\n", client.client_type.as_str()))?;
    print_secret(made.as_ref())
}

async fn list(mapae: &Mapae, json: bool) -> Result<(), Failure> {
    let clients = mapae.clients().await.map_err(sentence)?;
    if json {
        return print_json(&clients.iter().map(to_json).collect());
    }
    if clients.is_empty() {
        return print("There are no clients but mapae itself.\n");
    }
    for client in &clients {
        let (id, kind, grants) = (&client.id, client.client_type.as_str(), grants(client).join(","));
        print(&format!("{id:<24}  {kind:<12}  {:<32}  {}\n", dash(&grants), dash(client.scopes.as_str())))?;
    }
    Ok(())
}

async fn show(mapae: &Mapae, arguments: ClientShow) -> Result<(), Failure> {
    let client = mapae.client(&arguments.id).await.map_err(|error| named(&arguments.id, error))?;
    if arguments.output.json {
        return print_json(&to_json(&client));
    }
    let seconds = |own: Option<u32>| own.map_or_else(|| "(the server's)".to_owned(), |seconds| format!("{seconds} s"));
    let Lifetimes { access_token, session_idle, session } = client.lifetimes;
    print(&format!(
        "Id            {}\nType          {}\nGrants        {}\nScopes        {}\nAudiences     {}\nAccess token  {}\n\
         Session idle  {}\nSession       {}\nMade          {}\nChanged       {}\n",
        client.id,
        client.client_type.as_str(),
        dash(&grants(&client).join(", ")),
        dash(client.scopes.as_str()),
        dash(&client.audiences.join(" ")),
        seconds(access_token),
        seconds(session_idle),
        seconds(session),
        client.created_at.to_rfc3339(),
        client.updated_at.to_rfc3339(),
    ))
}

async fn rotate(mapae: &Mapae, by: By<'_>, arguments: ClientRotate) -> Result<(), Failure> {
    let id = arguments.id;
    let made = mapae.rotate_client_secret(&id, given(&arguments.secret)?, by).await;
    let made = made.map_err(|error| named(&id, error))?;
    if arguments.output.json {
        return print_json(&with_secret(json!({ "client_id": id }), made.as_ref()));
    }
    print(&format!("{id} has another secret; the old one is of no use.\n"))?;
    print_secret(made.as_ref())
}

fn given(source: &SecretSource) -> Result<Option<SecretText>, Failure> {
    if source.secret_stdin { password::from_stdin("secret").map(Some) } else { Ok(None) }
}

fn print_secret(made: Option<&SecretText>) -> Result<(), Failure> {
    match made {
        Some(secret) => print(&format!("Its secret, which is shown only now: {}\n", secret.expose())),
        None => Ok(()),
    }
}

fn named(id: &str, error: ClientError) -> Failure {
    match error {
        ClientError::NotFound => Failure::command(format!("There is no client {id:?}.")),
        other => sentence(other),
    }
}

fn grants(client: &Client) -> Vec<&'static str> {
    client.grants.iter().map(|grant| grant.as_str()).collect()
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// As the HTTP interface writes a client.
fn to_json(client: &Client) -> Value {
    json!({
        "client_id": client.id.as_str(),
        "confidential": client.client_type == ClientType::Confidential,
        "grant_types": grants(client),
        "scope": client.scopes.to_string(),
        "audiences": client.audiences,
        "access_token_lifetime": client.lifetimes.access_token,
        "session_idle": client.lifetimes.session_idle,
        "session_lifetime": client.lifetimes.session,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    })
}

fn with_secret(mut body: Value, made: Option<&SecretText>) -> Value {
    if let Some(secret) = made {
        body["client_secret"] = json!(secret.expose());
    }
    body
}
