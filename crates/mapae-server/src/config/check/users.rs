//! The settings of another application's user table.

use mapae::domain::UserMapping;
use mapae::domain::user_mapping::{ActiveColumn, Filling, FullNameColumns, IdType, Preset};
use mapae_password::{Argon2Params, BcryptCost, Costs, Format, InvalidCost, Pbkdf2Rounds, ScryptCost, ShaCryptRounds};

use super::super::checked::SharedUsers;
use super::super::value::Value;
use super::Checker;

/// What Flask-Security calls its salt.
pub(super) const HMAC_KEY: &str = "users_password_hmac_key";
/// What stands for a column that the preset names and this table lacks.
const NONE: &str = "-";

impl Checker<'_> {
    pub(super) fn users(&mut self) -> Option<SharedUsers> {
        let first = self.first_of_users()?;
        let preset = self.text("users_preset").and_then(|word| word.parse::<Preset>().ok());
        let before = self.problems.len();
        let mapping = self.mapping(preset.map(Preset::mapping), first);
        let format = self.hash_format(preset);
        let costs = self.hash_costs(format);
        if self.get("password_pepper").is_given() || self.get("old_password_peppers").is_given() {
            let pepper =
                if self.get("password_pepper").is_given() { "password_pepper" } else { "old_password_peppers" };
            self.refuse(
                pepper,
                "cannot be used together with another application's user table, which could not check such hashes",
            );
        }
        let hmac_key = self.secret(HMAC_KEY);
        let argon2 = preset.filter(|_| !self.argon2_is_given()).and_then(|preset| {
            let (memory, passes, lanes) = preset.argon2_cost();
            Argon2Params::new(memory, passes, lanes).ok()
        });
        (self.problems.len() == before).then_some(SharedUsers { mapping: mapping?, format, argon2, costs, hmac_key })
    }

    /// The first setting that says that accounts are in another application's table. The key of Flask-Security's hashes
    /// does not, since such hashes may have been imported.
    pub(super) fn first_of_users(&self) -> Option<&'static str> {
        let names = self.resolved.iter().filter(|one| one.is_given()).map(|one| one.setting.name);
        names.into_iter().find(|name| name.starts_with("users_") && *name != HMAC_KEY)
    }

    fn argon2_is_given(&self) -> bool {
        ["argon2_memory_kib", "argon2_iterations", "argon2_parallelism"].iter().any(|name| self.get(name).is_given())
    }

    /// The preset's mapping, or one with the columns alone that are given.
    fn mapping(&mut self, preset: Option<UserMapping>, first: &str) -> Option<UserMapping> {
        let has_preset = preset.is_some();
        if !has_preset {
            for needed in ["users_table", "users_password"] {
                if !self.get(needed).is_given() {
                    let variable = self.get(needed).setting.variable();
                    self.refuse(first, &format!("is given, so {variable} is needed too, or MAPAE_USERS_PRESET"));
                    return None;
                }
            }
        }
        let mut mapping = preset.unwrap_or_else(|| UserMapping {
            username: None,
            username_required: false,
            email: None,
            active: None,
            full_name: None,
            insert: Vec::new(),
            ..Preset::Django.mapping()
        });
        for (name, column) in [
            ("users_table", &mut mapping.table),
            ("users_id", &mut mapping.id),
            ("users_password", &mut mapping.password),
        ] {
            *column = self.text(name).unwrap_or_else(|| column.clone());
        }
        for (name, column) in [
            ("users_username", &mut mapping.username),
            ("users_email", &mut mapping.email),
            ("users_uniquifier", &mut mapping.uniquifier),
        ] {
            *column = self.column(name, column.take());
        }
        mapping.active = self.active(mapping.active.take());
        mapping.full_name = self.full_name_columns(mapping.full_name.take());
        mapping.insert = self.insert(mapping.insert);
        if let Some(id_type) = self.text("users_id_type").and_then(|word| word.parse::<IdType>().ok()) {
            mapping.id_type = id_type;
        }
        mapping.username_required = self.switch("users_username_required").unwrap_or(mapping.username_required);
        mapping.read_only = self.switch("users_read_only").unwrap_or(false);
        mapping.rehash = self.switch("users_rehash").unwrap_or(false);
        let email_sign_in = self.switch("users_email_sign_in");
        mapping.email_sign_in =
            email_sign_in.unwrap_or(if has_preset { mapping.email_sign_in } else { mapping.username.is_none() })
                && mapping.email.is_some();
        if mapping.username.is_none() && !mapping.email_sign_in {
            self.refuse(first, "leaves nothing to sign in with: name the column users_username, or users_email");
        }
        Some(mapping)
    }

    fn switch(&self, name: &str) -> Option<bool> {
        match self.get(name).value {
            Some(Value::Switch(on)) => Some(on),
            _ => None,
        }
    }

    /// A column that need not be there.
    fn column(&self, name: &str, preset: Option<String>) -> Option<String> {
        match self.text(name) {
            Some(none) if none == NONE => None,
            Some(column) => Some(column),
            None => preset,
        }
    }

    fn active(&mut self, preset: Option<ActiveColumn>) -> Option<ActiveColumn> {
        match (self.text("users_active"), self.text("users_disabled")) {
            (Some(_), Some(_)) => {
                self.refuse("users_disabled", "and users_active are both given; give one of them");
                None
            }
            (Some(none), None) if none == NONE => None,
            (Some(column), None) => Some(ActiveColumn::Active(column)),
            (None, Some(column)) => Some(ActiveColumn::Disabled(column)),
            (None, None) => preset,
        }
    }

    fn full_name_columns(&mut self, preset: Option<FullNameColumns>) -> Option<FullNameColumns> {
        match (self.text("users_full_name"), self.text("users_first_name"), self.text("users_last_name")) {
            (None, None, None) => preset,
            (Some(none), None, None) if none == NONE => None,
            (Some(column), None, None) => Some(FullNameColumns::One(column)),
            (None, Some(first), Some(last)) => Some(FullNameColumns::Two(first, last)),
            (Some(_), ..) => {
                self.refuse("users_full_name", "stands for first and last name; give it or those two");
                None
            }
            (None, first, _) => {
                let name = if first.is_some() { "users_first_name" } else { "users_last_name" };
                self.refuse(name, "is given alone; give users_first_name and users_last_name");
                None
            }
        }
    }

    fn insert(&mut self, preset: Vec<(String, Filling)>) -> Vec<(String, Filling)> {
        if !self.get("users_insert").is_given() {
            return preset;
        }
        let mut columns = Vec::new();
        for item in self.list("users_insert") {
            match item.split_once('=').map(|(column, word)| (column, word.parse::<Filling>())) {
                Some((column, Ok(filling))) if !column.is_empty() => columns.push((column.to_owned(), filling)),
                _ => self.refuse(
                    "users_insert",
                    &format!("has {item:?}, but must have column=word with false, true, empty, now or random"),
                ),
            }
        }
        columns
    }

    fn hash_format(&mut self, preset: Option<Preset>) -> Format {
        let default = preset.map_or(Format::Argon2id, Preset::hash_format);
        let Some(word) = self.text("users_hash_format") else { return default };
        word.parse().unwrap_or_else(|_| {
            self.refuse(
                "users_hash_format",
                &format!("is {word:?}, which is no format; docs/passwords.md has them all"),
            );
            default
        })
    }

    fn hash_costs(&mut self, format: Format) -> Costs {
        let mut costs = Costs::default();
        let Some(Value::Integer(cost)) = self.get("users_hash_cost").value else { return costs };
        // At most 999,999,999.
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let name = format.name();
        let set: Result<(), InvalidCost> = if name.contains("argon2") {
            let reason = "is not the cost of Argon2: argon2_memory_kib and its siblings are";
            self.refuse("users_hash_cost", reason);
            Ok(())
        } else if name.contains("bcrypt") {
            BcryptCost::new(cost).map(|cost| costs.bcrypt = Some(cost))
        } else if name.contains("pbkdf2") {
            Pbkdf2Rounds::new(cost).map(|cost| costs.pbkdf2 = Some(cost))
        } else if name.contains("crypt") && name.starts_with("sha") {
            ShaCryptRounds::new(cost).map(|cost| costs.sha_crypt = Some(cost))
        } else {
            let parallelism = if format == Format::DjangoScrypt { 5 } else { 1 };
            let log_n = u8::try_from(cost).unwrap_or(u8::MAX);
            ScryptCost::new(log_n, 8, parallelism).map(|cost| costs.scrypt = Some(cost))
        };
        if let Err(error) = set {
            self.refuse("users_hash_cost", &format!("cannot be used: {error}"));
        }
        costs
    }
}
