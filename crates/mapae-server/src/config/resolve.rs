//! Which source's value holds, for each setting.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use mapae::domain::SecretText;
use zeroize::Zeroizing;

use super::listen::{Listen, Part};
use super::setting::{Default, Setting};
use super::source::{Candidate, Layer, Origin};
use super::table::SETTINGS;
use super::value::{self, Value};

/// A setting with the value that holds.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) setting: &'static Setting,
    /// `None` when it is not set, or when what was given is wrong.
    pub(crate) value: Option<Value>,
    /// Where it came from; two places when `PORT` changed the port of an address from elsewhere.
    pub(crate) origins: Vec<Origin>,
    /// The file that held the secret.
    pub(crate) file: Option<PathBuf>,
}

impl Resolved {
    /// How an error names it.
    pub(crate) fn subject(&self) -> String {
        self.origins.first().map_or_else(|| self.setting.name.to_owned(), |origin| origin.subject(self.setting))
    }

    /// Whether any source gave it.
    pub(crate) fn is_given(&self) -> bool {
        !self.origins.iter().all(|origin| matches!(origin, Origin::Default | Origin::Derived(_)))
    }
}

/// Settles every setting from the layers, the strongest first. What is wrong goes to `problems`.
pub(crate) fn resolve(layers: &[Layer], problems: &mut Vec<String>) -> Vec<Resolved> {
    SETTINGS
        .iter()
        .map(|setting| match setting.name {
            "listen" => listen(setting, layers, problems),
            _ => layers
                .iter()
                .find_map(|layer| choose(setting, layer, problems))
                .map_or_else(|| default(setting), |candidate| settle(candidate, problems)),
        })
        .collect()
}

/// The value that a layer gives to a setting. Our own name wins over a tutorial's, which may be another program's.
fn choose<'a>(setting: &Setting, layer: &'a Layer, problems: &mut Vec<String>) -> Option<&'a Candidate> {
    [false, true].into_iter().find_map(|alias| {
        let mut named = layer
            .candidates
            .iter()
            .filter(|candidate| candidate.setting.name == setting.name && candidate.name.alias == alias);
        let first = named.next()?;
        if let Some(second) = named.next() {
            problems.push(format!(
                "{} and {} are both given; give one of them.",
                first.origin.subject(setting),
                second.origin.subject(setting)
            ));
        }
        Some(first)
    })
}

fn settle(candidate: &Candidate, problems: &mut Vec<String>) -> Resolved {
    let subject = || candidate.origin.subject(candidate.setting);
    let mut file = None;
    let value = match &candidate.value {
        Ok(Value::Text(path)) if candidate.name.file => {
            let path = Path::new(path);
            file = Some(path.to_owned());
            read_secret(path)
                .map(Value::Secret)
                .map_err(|reason| format!("names the file {}, which {reason}", path.display()))
        }
        value => value.clone(),
    };
    let value = value.map_err(|reason| problems.push(format!("{} {reason}.", subject()))).ok();
    Resolved { setting: candidate.setting, value, origins: vec![candidate.origin.clone()], file }
}

fn default(setting: &'static Setting) -> Resolved {
    let (value, origin) = match setting.default {
        Default::Is(text) => {
            (Some(value::from_text(setting.kind, text).expect("a default of its kind")), Origin::Default)
        }
        Default::From(from) => (None, Origin::Derived(from)),
        Default::Unset(_) => (None, Origin::Default),
    };
    Resolved { setting, value, origins: vec![origin], file: None }
}

/// Host and port are settled apart, since `PORT` gives the port alone.
fn listen(setting: &'static Setting, layers: &[Layer], problems: &mut Vec<String>) -> Resolved {
    let (mut host, mut port) = (None, None);
    let mut wrong = None;
    for layer in layers {
        for alias in [false, true] {
            let candidate = layer
                .candidates
                .iter()
                .find(|candidate| candidate.setting.name == setting.name && candidate.name.alias == alias);
            let Some(candidate) = candidate.filter(|_| host.is_none() || port.is_none()) else { continue };
            let part = match &candidate.value {
                Ok(Value::Text(text)) => Part::parse(text),
                Ok(Value::Integer(port)) => Ok(Part { host: None, port: u16::try_from(*port).ok() }),
                Ok(_) => Ok(Part::default()),
                Err(reason) => Err(reason.clone()),
            };
            match part {
                Ok(part) => {
                    host = host.or(part.host.map(|host| (host, candidate.origin.clone())));
                    port = port.or(part.port.map(|port| (port, candidate.origin.clone())));
                }
                Err(reason) => {
                    wrong = Some(candidate.origin.clone());
                    problems.push(format!("{} {reason}.", candidate.origin.subject(setting)));
                }
            }
        }
    }
    let Default::Is(text) = setting.default else { unreachable!("listen has a default") };
    let standard = Part::parse(text).expect("the default is an address");
    let (host, host_origin) = host.unwrap_or((standard.host.unwrap_or_default(), Origin::Default));
    let (port, port_origin) = port.unwrap_or((standard.port.unwrap_or_default(), Origin::Default));
    let mut origins = vec![port_origin, host_origin];
    origins.dedup();
    origins.sort_by_key(|origin| *origin == Origin::Default);
    match wrong {
        Some(origin) => Resolved { setting, value: None, origins: vec![origin], file: None },
        None => {
            let value = Some(Value::Text(Listen { host, port }.to_string()));
            Resolved { setting, value, origins, file: None }
        }
    }
}

/// Reads the secret in a file, without the line's end that editors and `echo` add.
///
/// # Errors
///
/// The end of a sentence.
pub(crate) fn read_secret(path: &Path) -> Result<SecretText, String> {
    const LIMIT: u64 = 64 * 1024;
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if bytes.len() as u64 > LIMIT {
        return Err("is too large for a secret".to_owned());
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|_| "is not text; `mapae secret generate` makes a key".to_owned())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(SecretText::new(text.to_owned()))
}

/// What went wrong, without the number that nobody needs.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
