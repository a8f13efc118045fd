//! The process's environment and `.env`.

use std::ffi::OsString;
use std::path::Path;

use super::dotenv;
use super::resolve::reason;
use super::setting::Setting;
use super::source::{Layer, Name, Origin, nearest};
use super::table::SETTINGS;

/// The variable that names the configuration file. It is no setting: it cannot stand in that file.
pub(crate) const CONFIG_VARIABLE: &str = "MAPAE_CONFIG";

/// A source of variables, and the configuration file that they name.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    pub(crate) layer: Layer,
    pub(crate) config_file: Option<String>,
}

/// Reads the settings out of the environment. An empty variable counts as not set.
pub(crate) fn from_process(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Variables {
    let mut found = Variables::default();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        let value = value.into_string().map_err(|_| "is not valid UTF-8");
        found.add(&name.clone(), value, || Origin::Environment(name));
    }
    found
}

/// Reads the settings out of `.env`; there need not be one, and a directory of that name is somebody's virtual
/// environment.
pub(crate) fn from_dotenv(path: &Path) -> Variables {
    let mut found = Variables::default();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(_) if path.is_dir() || !path.exists() => return found,
        Err(error) => {
            found.layer.problems.push(format!(".env cannot be read: {}.", reason(&error)));
            return found;
        }
    };
    // Later entries win; bytes that are no UTF-8 matter only in a value of ours.
    let mut entries = dotenv::parse(&String::from_utf8_lossy(&bytes));
    entries.reverse();
    let mut seen = Vec::new();
    for entry in entries {
        if seen.contains(&entry.name) {
            continue;
        }
        seen.push(entry.name.clone());
        let value = entry.value.and_then(|value| {
            if value.contains(char::REPLACEMENT_CHARACTER) { Err("is not valid UTF-8") } else { Ok(value) }
        });
        let line = entry.line;
        found.add(&entry.name.clone(), value, || Origin::DotEnv { variable: entry.name, line });
    }
    found
}

impl Variables {
    fn add(&mut self, name: &str, value: Result<String, &'static str>, origin: impl FnOnce() -> Origin) {
        if value.as_ref().is_ok_and(String::is_empty) {
            return;
        }
        let place = match lookup(name) {
            Some(place) => place,
            None if name == CONFIG_VARIABLE => {
                self.config_file = value.ok();
                return;
            }
            None => {
                let ours = name.strip_prefix("MAPAE_");
                if let Some(word) = ours.filter(|_| !is_kubernetes(name, value.as_deref().unwrap_or_default())) {
                    let suggestion = match word {
                        "PORT" => "MAPAE_LISTEN (or PORT)".to_owned(),
                        _ => nearest(word, Setting::variable),
                    };
                    let origin = origin().to_string();
                    self.layer.warnings.push(format!(
                        "{name} ({origin}) is not a setting and is ignored; the nearest is {suggestion}."
                    ));
                }
                return;
            }
        };
        match value {
            Ok(text) => self.layer.add_text(place.0, place.1, &text, origin()),
            Err(reason) => self.layer.problems.push(format!("{} {reason}.", origin().subject(place.0))),
        }
    }
}

fn lookup(name: &str) -> Option<(&'static Setting, Name)> {
    SETTINGS.iter().find_map(|setting| {
        let alias = setting.alias.unwrap_or_default();
        let variable = setting.variable();
        [(variable.as_str(), false), (alias, true)].into_iter().find_map(|(known, alias)| {
            if known.is_empty() {
                return None;
            }
            if name == known {
                return Some((setting, Name { alias, file: false }));
            }
            let file = setting.kind.is_secret() && name.strip_suffix("_FILE") == Some(known);
            file.then_some((setting, Name { alias, file }))
        })
    })
}

/// Whether Kubernetes made the variable for a service called `mapae` or `mapae-…`: it does so in every container beside
/// that service, and `MAPAE_PORT=tcp://10.0.0.7:80` is not about us.
fn is_kubernetes(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let is_address =
        || value.split_once("://").is_some_and(|(scheme, _)| PROTOCOLS.contains(&scheme.to_uppercase().as_str()));
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    if name.ends_with("_PORT") && is_address() {
        return true;
    }
    // …_PORT_8080_TCP, and the same with _PROTO, _PORT and _ADDR.
    let stem = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    stem.rsplit_once('_').is_some_and(|(rest, protocol)| {
        PROTOCOLS.contains(&protocol) && rest.rsplit_once("_PORT_").is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_kubernetes_service_are_known() {
        for (name, value) in [
            ("MAPAE_SERVICE_HOST", "10.0.0.7"),
            ("MAPAE_SERVICE_PORT", "80"),
            ("MAPAE_SERVICE_PORT_HTTP", "80"),
            ("MAPAE_PORT", "tcp://10.0.0.7:80"),
            ("MAPAE_PORT_8080_TCP", "tcp://10.0.0.7:80"),
            ("MAPAE_PORT_8080_TCP_PROTO", "tcp"),
            ("MAPAE_PORT_8080_TCP_PORT", "80"),
            ("MAPAE_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("MAPAE_DB_SERVICE_HOST", "10.0.0.8"),
        ] {
            assert!(is_kubernetes(name, value), "{name}");
        }
        for (name, value) in [("MAPAE_PORT", "8080"), ("MAPAE_LISEN", "x"), ("MAPAE_PORT_X_TCP", "x")] {
            assert!(!is_kubernetes(name, value), "{name}");
        }
    }

    #[test]
    fn no_setting_looks_like_kubernetes() {
        for setting in SETTINGS {
            assert!(!is_kubernetes(&setting.variable(), ""), "{}", setting.name);
        }
    }
}
