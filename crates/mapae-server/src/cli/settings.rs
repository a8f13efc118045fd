//! The settings as flags, made from their one table. They work before and after every command.

use std::path::PathBuf;

use clap::error::{Error, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{Default, Kind, Layer, Name, Origin, SETTINGS, Setting};

/// Settings given on the command line.
#[derive(Debug, Default)]
pub(crate) struct SettingFlags {
    /// What was given.
    pub(crate) layer: Layer,
    /// `--config`.
    pub(crate) config_file: Option<PathBuf>,
}

const CONFIG: &str = "config";

/// Settings whose flags mean something of the client's own in `mapae client add`; there they are set otherwise.
const OWN_OF_CLIENT_ADD: [&str; 2] = ["scopes", "audience"];

/// The id of a setting's argument, apart from those of the commands' own arguments.
fn id(setting: &Setting, file: bool) -> String {
    format!("setting:{}{}", setting.name, if file { ":file" } else { "" })
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file [env: MAPAE_CONFIG] [default: mapae.toml if there is one]");
        let settings = SETTINGS.iter().flat_map(|setting| {
            let plain = setting.has_plain_flag().then(|| plain_flag(setting));
            let file = setting
                .kind
                .is_secret()
                .then(|| Arg::new(id(setting, true)).long(format!("{}-file", setting.flag())).value_name("FILE"));
            plain.into_iter().chain(file)
        });
        // Forty settings would bury each command's own options: `mapae serve --help` lists them once.
        command.args([config].into_iter().chain(settings).map(|arg| arg.global(true).hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn plain_flag(setting: &Setting) -> Arg {
    let arg = Arg::new(id(setting, false)).long(setting.flag());
    match setting.kind {
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::List => arg.action(ArgAction::Append),
        _ => arg,
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.config_file = matches.get_one(CONFIG).cloned();
        let client_add = matches
            .subcommand()
            .is_some_and(|(name, client)| name == "client" && client.subcommand_name() == Some("add"));
        for setting in SETTINGS.iter().filter(|setting| !(client_add && OWN_OF_CLIENT_ADD.contains(&setting.name))) {
            for file in [false, true] {
                let exists = if file { setting.kind.is_secret() } else { setting.has_plain_flag() };
                if !exists {
                    continue;
                }
                let flag = format!("--{}{}", setting.flag(), if file { "-file" } else { "" });
                let Some(values) = matches.get_many::<String>(&id(setting, file)) else { continue };
                let text = values.map(String::as_str).collect::<Vec<_>>().join(",");
                if text.is_empty() && setting.kind != Kind::List {
                    return Err(Error::raw(ErrorKind::InvalidValue, format!("{flag} is empty.\n")));
                }
                self.layer.add_text(setting, Name { alias: false, file }, &text, Origin::Flag(flag));
            }
        }
        Ok(())
    }
}

/// The settings as a section of a help text: all of them, or those that most people need.
pub(crate) fn help_section(all: bool) -> String {
    let mut text = format!(
        "Settings (as flags, as variables in the environment or .env, or in mapae.toml{}):\n",
        if all { "" } else { "; all: mapae serve --help" }
    );
    for setting in SETTINGS.iter().filter(|setting| all || setting.common) {
        let flag = match setting.kind {
            Kind::Secret => format!("{}-file <FILE>", setting.flag()),
            Kind::Switch => setting.flag(),
            _ => format!("{} <VALUE>", setting.flag()),
        };
        let mut variables = setting.variable();
        if let Some(alias) = setting.alias {
            variables.push_str(" or ");
            variables.push_str(alias);
        }
        let default = match setting.default {
            Default::Is(text) | Default::From(text) | Default::Unset(text) => text,
        };
        text.push_str(&format!("  --{flag}\n          {} [env: {variables}] [default: {default}]\n", setting.help));
    }
    text.push_str(
        "  --config <FILE>\n          Configuration file [env: MAPAE_CONFIG] [default: mapae.toml if there is one]\n",
    );
    text.push_str(
        "\nA secret may come from a file: SECRET_KEY_FILE=/run/secrets/key, secret_key_file = \"…\", and so on.\n",
    );
    text
}
