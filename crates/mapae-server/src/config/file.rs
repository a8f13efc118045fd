//! `mapae.toml`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::resolve::reason;
use super::setting::Setting;
use super::source::{Candidate, Layer, Name, Origin, nearest};
use super::table::SETTINGS;
use super::value;

/// The file that is read when it exists and no other is named.
pub(crate) const DEFAULT_PATH: &str = "mapae.toml";

/// Reads the file that was named, or else `mapae.toml` if there is one.
pub(crate) fn read(named: Option<PathBuf>) -> Layer {
    let must_exist = named.is_some();
    let path = named.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
    let mut layer = Layer::default();
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text, &mut layer),
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {}
        Err(error) => layer.problems.push(format!(
            "The configuration file {} cannot be read: {}.",
            path.display(),
            reason(&error)
        )),
    }
    layer
}

fn parse(path: &Path, text: &str, layer: &mut Layer) {
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            // The error's own text would quote the line, which may hold a secret.
            let line = error.span().map_or(1, |span| line_of(span.start));
            layer.problems.push(format!("{} line {line} is not valid TOML: {}.", path.display(), error.message()));
            return;
        }
    };
    let mut entries = Vec::new();
    for (key, value) in &table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            // `table` in the section `[users]` is `users_table`.
            ("users", DeValue::Table(section)) => {
                entries.extend(section.iter().map(|(key, value)| (format!("users_{}", key.get_ref()), key, value)));
            }
            (name, _) => entries.push((name.to_owned(), key, value)),
        }
    }
    for (name, key, value) in &entries {
        let line = line_of(key.span().start);
        match lookup(name) {
            Some((setting, form)) => layer.candidates.push(Candidate {
                setting,
                name: form,
                value: value::from_toml(form.kind(setting), value.get_ref()),
                origin: Origin::File { path: path.to_owned(), name: name.clone(), line },
            }),
            None => layer.problems.push(format!(
                "{} line {line}: {name:?} is not a setting; the nearest is {:?}.",
                path.display(),
                nearest(name, |setting| setting.name.to_owned())
            )),
        }
    }
}

fn lookup(name: &str) -> Option<(&'static Setting, Name)> {
    SETTINGS.iter().find_map(|setting| {
        let file = setting.kind.is_secret() && name.strip_suffix("_file") == Some(setting.name);
        (file || name == setting.name).then_some((setting, Name { alias: false, file }))
    })
}
