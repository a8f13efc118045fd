//! `mapae user export`

use mapae::Mapae;

use super::import::row::AccountLine;
use super::{Failure, print, sentence};

/// Accounts read at once.
const PAGE: u64 = 500;

pub(super) async fn run(mapae: &Mapae) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = mapae.list_credentials(after.as_ref(), PAGE).await.map_err(sentence)?;
        let mut lines = String::new();
        for credential in &page {
            let line = serde_json::to_string(&AccountLine::from(credential)).map_err(sentence)?;
            lines.push_str(&line);
            lines.push('\n');
        }
        print(&lines)?;
        match page.last() {
            Some(last) => after = Some(last.user.id.clone()),
            None => return Ok(()),
        }
    }
}
