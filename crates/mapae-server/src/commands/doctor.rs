//! `mapae doctor`

use mapae::Mapae;
use mapae::service::Checkup;
use serde_json::json;

use super::{Failure, print, print_json, sentence};
use crate::cli::Output;

/// Looks at the accounts; anything wrong is a failure.
pub(super) async fn run(mapae: &Mapae, output: &Output) -> Result<(), Failure> {
    let checkup = mapae.check_accounts().await.map_err(sentence)?;
    if output.json {
        print_json(&json!({
            "ok": checkup.problems.is_empty(),
            "problems": checkup.problems,
            "accounts": checkup.accounts,
            "formats": checkup.formats,
            "peppers": checkup.peppers,
            "without_password": checkup.without_password,
        }))?;
    } else {
        print(&text(mapae, &checkup))?;
    }
    if checkup.problems.is_empty() { Ok(()) } else { Err(Failure::Silent) }
}

fn text(mapae: &Mapae, checkup: &Checkup) -> String {
    let table = mapae.settings().mapped_users.as_ref().map_or("mapae_user", |mapping| mapping.table.as_str());
    let mut text = format!("Accounts in {table}: {}\n", checkup.accounts);
    for (format, count) in &checkup.formats {
        text.push_str(&format!("  {count} with a hash of {format}\n"));
    }
    for (pepper, count) in &checkup.peppers {
        text.push_str(&format!("  {count} with the pepper {pepper}\n"));
    }
    if checkup.without_password > 0 {
        text.push_str(&format!("  {} without a password\n", checkup.without_password));
    }
    for problem in &checkup.problems {
        text.push_str(&format!("Problem: {problem}\n"));
    }
    if checkup.problems.is_empty() {
        text.push_str("All is well.\n");
    }
    text
}
