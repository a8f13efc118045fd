//! `mapae secret …`

use mapae::Mapae;
use mapae::domain::SystemRng;
use mapae::service::{By, MasterRotation};
use mapae::settings::Signing;

use super::{Failure, print, sentence};
use crate::cli::SecretRotate;
use crate::config::Config;
use crate::data_dir;
use crate::key_file;

/// Prints a key of 256 random bits as 43 characters that need no quoting anywhere.
pub(super) fn generate() -> Result<(), Failure> {
    print_key(&key_file::random_key(&SystemRng))
}

fn print_key(key: &mapae::domain::SecretText) -> Result<(), Failure> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(64));
    text.push_str(key.expose());
    text.push('\n');
    print(&text)
}

/// Puts another master key in the place of the present one.
pub(super) async fn rotate(config: &Config, mapae: &Mapae, by: By<'_>, arguments: SecretRotate) -> Result<(), Failure> {
    let SecretRotate { leaked, new_key_file } = arguments;
    let (done, next) = match (&config.master_key, new_key_file) {
        (None, Some(_)) => {
            return Err(Failure::usage(
                "--new-key-file is for a master key that is given by a setting; here it is in the data directory, where \
                 the new one takes its place.",
            ));
        }
        (None, None) => {
            let done = key_file::rotate(config, mapae, by, leaked, &SystemRng).await?;
            let path = data_dir::key_path(config);
            (done, format!("{} holds it; back it up with the database.", path.display()))
        }
        (Some(_), Some(file)) => {
            let key = key_file::read_or_make(&file, &SystemRng)?;
            let done = mapae.rotate_master_key(key, leaked, by).await.map_err(sentence)?;
            (done, format!("Give the key in {} as master key in the place of the old one.", file.display()))
        }
        (Some(_), None) => {
            let key = key_file::random_key(&SystemRng);
            // Before anything depends on it: a key that nobody has seen would be lost.
            print_key(&key)?;
            let done = mapae.rotate_master_key(data_dir::to_key(&key)?, leaked, by).await.map_err(sentence)?;
            (done, "Give the key that was printed as master key in the place of the old one.".to_owned())
        }
    };
    say(&done, &next, leaked, mapae);
    Ok(())
}

/// On standard error, since the key itself may be on standard output.
fn say(done: &MasterRotation, next: &str, leaked: bool, mapae: &Mapae) {
    let mut text = format!("The master key was replaced; {} keys are encrypted anew. {next}\n", done.rewrapped);
    if leaked {
        text.push_str(&format!(
            "What the old one could open was replaced. Sessions that have ended: {}. Servers that are running accept and \
             issue nothing until they are started with the new key.\n",
            done.ended
        ));
        if let Signing::SharedSecret(..) = mapae.settings().signing {
            text.push_str("SECRET_KEY is refused from now on: set it to what `mapae secret generate` prints.\n");
        }
    } else {
        text.push_str("Servers that are running go on; at their next start they need the new key.\n");
    }
    text.push_str("Backups from before need the old key.\n");
    super::print_note(&text);
}
