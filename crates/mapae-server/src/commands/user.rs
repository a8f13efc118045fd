//! `mapae user …`

use std::io::{BufRead, IsTerminal};

use chrono::{DateTime, Utc};
use mapae::Mapae;
use mapae::domain::DeclaredScope;
use mapae::domain::User;
use mapae::domain::scope::Admin;
use mapae::service::By;
use mapae::service::accounts::{AccountError, AdminChange, NewAccount};
use mapae_verify::Scopes;
use serde_json::json;

use super::{Failure, export, import, password, print, print_json, sentence};
use crate::cli::{UserAdd, UserCommand, UserDelete, UserList, UserName, UserPasswd, UserScopes, UserShow};

/// Accounts read at once.
const PAGE: u64 = 500;

pub(super) async fn run(mapae: &Mapae, by: By<'_>, command: UserCommand) -> Result<(), Failure> {
    if let (UserCommand::Import(_), Some(mapping)) = (&command, &mapae.settings().mapped_users) {
        return Err(Failure::command(format!(
            "The accounts are in {}, the table of another application, which makes new ones: nothing is imported there. To \
             import into Mapae's own table, run this without MAPAE_USERS_PRESET and its siblings.",
            mapping.table
        )));
    }
    match command {
        UserCommand::Add(arguments) => add(mapae, by, arguments).await,
        UserCommand::List(arguments) => list(mapae, arguments).await,
        UserCommand::Show(arguments) => show(mapae, arguments).await,
        UserCommand::Disable(user) => set_disabled(mapae, by, &user, true).await,
        UserCommand::Enable(user) => set_disabled(mapae, by, &user, false).await,
        UserCommand::Passwd(arguments) => passwd(mapae, by, arguments).await,
        UserCommand::Delete(arguments) => delete(mapae, by, arguments).await,
        UserCommand::Grant(arguments) => grant(mapae, by, arguments, true).await,
        UserCommand::Ungrant(arguments) => grant(mapae, by, arguments, false).await,
        UserCommand::Export => export::run(mapae).await,
        UserCommand::Import(arguments) => import::run(mapae, by, arguments).await,
    }
}

async fn add(mapae: &Mapae, by: By<'_>, arguments: UserAdd) -> Result<(), Failure> {
    let (username, email) = match (arguments.name.contains('@'), arguments.email) {
        (true, Some(_)) => {
            return Err(Failure::usage("NAME is an e-mail address already, so --email cannot be given as well."));
        }
        (true, None) => (None, Some(arguments.name)),
        (false, email) => (Some(arguments.name), email),
    };
    let mut scopes = mapae.settings().default_scopes.clone();
    if !arguments.scopes.is_empty() {
        scopes = parse_scopes(&arguments.scopes)?;
    }
    if arguments.admin {
        scopes = scopes.union(&parse_scopes(&[Admin::NAME.to_owned()])?);
    }
    mapae.settings().scopes.check(&scopes).map_err(sentence)?;
    let password = password::read(&arguments.password)?;
    let account = NewAccount { email, username, full_name: arguments.full_name, password };
    let user = mapae.add_account(account, Some(scopes), by).await.map_err(sentence)?;
    if arguments.output.json {
        return print_json(&to_json(&user));
    }
    print(&format!("Made the account {} with the scopes {}.\n", called(&user), listed(&user.scopes)))
}

async fn list(mapae: &Mapae, arguments: UserList) -> Result<(), Failure> {
    let search = arguments.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let mut after = None;
    let mut count = 0_u64;
    if arguments.output.json {
        print("[")?;
    }
    loop {
        let page = mapae.list_accounts(search, after.as_ref(), PAGE).await.map_err(sentence)?;
        for user in &page.users {
            if arguments.output.json {
                let separator = if count == 0 { "\n" } else { ",\n" };
                print(&format!("{separator}{}", to_json(user)))?;
            } else {
                print(&row(user))?;
            }
            count += 1;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    match (arguments.output.json, count) {
        (true, _) => print("\n]\n"),
        (false, 0) => print("There are no such accounts.\n"),
        (false, _) => Ok(()),
    }
}

async fn show(mapae: &Mapae, arguments: UserShow) -> Result<(), Failure> {
    let user = find(mapae, &arguments.user).await?;
    if arguments.output.json {
        return print_json(&to_json(&user));
    }
    let or_unknown =
        |time: Option<DateTime<Utc>>| time.map_or_else(|| "(unknown)".to_owned(), |time| time.to_rfc3339());
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    print(&format!(
        "Id         {}\nUser name  {}\nE-mail     {}\nFull name  {}\nScopes     {}\nState      {}\nMade       {}\nChanged    {}\n",
        user.id,
        or_none(&user.username),
        or_none(&user.email),
        or_none(&user.full_name),
        listed(&user.scopes),
        if user.disabled { "disabled" } else { "active" },
        or_unknown(user.created_at),
        or_unknown(user.updated_at),
    ))
}

async fn set_disabled(mapae: &Mapae, by: By<'_>, which: &UserName, disabled: bool) -> Result<(), Failure> {
    let user = find(mapae, which).await?;
    let change = AdminChange { disabled: Some(disabled), ..AdminChange::default() };
    let user = mapae.administer(&user.id, change, by).await.map_err(sentence)?;
    let effect = if disabled { "disabled; its sessions have ended" } else { "enabled" };
    print(&format!("{} is {effect}.\n", called(&user)))
}

async fn passwd(mapae: &Mapae, by: By<'_>, arguments: UserPasswd) -> Result<(), Failure> {
    let user = find(mapae, &arguments.user).await?;
    let password = password::read(&arguments.password)?;
    mapae.set_password(&user.id, &password, by).await.map_err(sentence)?;
    print(&format!("{} has a new password; its sessions have ended.\n", called(&user)))
}

async fn delete(mapae: &Mapae, by: By<'_>, arguments: UserDelete) -> Result<(), Failure> {
    let user = find(mapae, &arguments.user).await?;
    if !arguments.yes && !confirmed(&format!("Delete the account {} for good? [y/N] ", called(&user)))? {
        return Err(Failure::command("Nothing was deleted."));
    }
    mapae.delete_account(&user.id, by).await.map_err(sentence)?;
    print(&format!("{} is deleted.\n", called(&user)))
}

async fn grant(mapae: &Mapae, by: By<'_>, arguments: UserScopes, give: bool) -> Result<(), Failure> {
    let user = find(mapae, &arguments.user).await?;
    let scopes = parse_scopes(&arguments.scopes)?;
    let change = if give {
        AdminChange { grant: scopes, ..AdminChange::default() }
    } else {
        AdminChange { withdraw: scopes, ..AdminChange::default() }
    };
    let user = mapae.administer(&user.id, change, by).await.map_err(sentence)?;
    print(&format!("{} holds {}.\n", called(&user), listed(&user.scopes)))
}

/// The account that the argument names.
pub(super) async fn find(mapae: &Mapae, which: &UserName) -> Result<User, Failure> {
    mapae.find_account(&which.user).await.map_err(|error| match error {
        AccountError::NotFound => Failure::command(format!("There is no account {:?}.", which.user)),
        other => sentence(other),
    })
}

/// Scopes as arguments: one each, or several separated by spaces.
pub(super) fn parse_scopes(arguments: &[String]) -> Result<Scopes, Failure> {
    Scopes::parse(&arguments.join(" ")).map_err(sentence)
}

/// How people call the account.
pub(super) fn name_of(user: &User) -> &str {
    user.username.as_deref().or(user.email.as_deref()).unwrap_or(user.id.as_str())
}

/// Name and id, since two names can look alike.
fn called(user: &User) -> String {
    match name_of(user) {
        name if name == user.id.as_str() => name.to_owned(),
        name => format!("{name} ({})", user.id),
    }
}

fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("There is no terminal to ask on; add --yes to delete without being asked."));
    }
    print(question)?;
    let mut answer = String::new();
    // An answer that cannot be read is no yes.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn listed(scopes: &Scopes) -> String {
    if scopes.is_empty() { "(none)".to_owned() } else { scopes.to_string() }
}

fn row(user: &User) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let state = if user.disabled { "disabled" } else { "active" };
    format!(
        "{}  {:<8}  {:<20}  {:<30}  {}\n",
        user.id,
        state,
        or_dash(&user.username),
        or_dash(&user.email),
        listed(&user.scopes)
    )
}

/// As the HTTP interface writes an account.
fn to_json(user: &User) -> serde_json::Value {
    json!({
        "id": user.id.as_str(),
        "username": user.username,
        "email": user.email,
        "full_name": user.full_name,
        "disabled": user.disabled,
        "scope": user.scopes.to_string(),
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    })
}
