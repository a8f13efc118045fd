//! Accounts.

use std::collections::HashMap;

use mapae_password::HashText;
use mapae_verify::Scopes;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::pages::Pages;
use super::{Check, HashProblem, Place, quoted, word};
use crate::domain::{EmailAddress, UserId, UserName};
use crate::store::StoreError;
use crate::store::entity::{shared_account, user};
use crate::store::users::search_text;

/// Names in the wrong form that are remembered, to tell when two of them are the same.
const MOST_REMEMBERED: usize = 10_000;

/// A name and the form in which it is compared, as one row has them.
struct Name<'a> {
    what: &'static str,
    columns: [&'static str; 2],
    canonical: user::Column,
    given: Option<&'a str>,
    stored: Option<&'a str>,
    /// What the stored form should be, or the rule that the name breaks.
    wanted: Option<Result<String, String>>,
}

impl Check<'_> {
    pub(super) async fn users(&mut self) -> Result<(), StoreError> {
        let mut wrong_names = HashMap::new();
        let mut pages = Pages::<user::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                self.user(&row, &mut wrong_names).await?;
            }
        }
        self.settings();
        Ok(())
    }

    async fn user(&mut self, row: &user::Model, wrong: &mut HashMap<String, String>) -> Result<(), StoreError> {
        let at = Place { table: "mapae_user", key: "id", row: &row.id };
        if UserId::new(row.id.as_str()).is_none() {
            self.fault(&at, "its id can be no account's", format!("make the account anew, then {}", at.delete()));
        }
        if let Err(error) = Scopes::parse(&row.scopes) {
            let remedy = format!("{}, then grant them with `mapae user grant`", at.update("scopes", "''"));
            self.fault(&at, format!("its scopes cannot be read: {error}"), remedy);
        }
        let hash = HashText::new(row.password_hash.clone());
        if let Some(HashProblem { problem, setting }) = self.judge.hash_problem(&hash) {
            let problem = format!("its password hash cannot be used: {problem}");
            match setting {
                Some(setting) => self.setting(&at, problem, setting),
                None => {
                    let remedy = format!("set another password with `mapae user passwd {}`", word(&row.id));
                    self.fault(&at, problem, remedy);
                }
            }
        }
        let names = [
            Name {
                what: "user name",
                columns: ["username", "username_canonical"],
                canonical: user::Column::UsernameCanonical,
                given: row.username.as_deref(),
                stored: row.username_canonical.as_deref(),
                wanted: row.username.as_deref().map(|name| {
                    UserName::parse(name).map(|name| name.canonical().to_owned()).map_err(|error| error.to_string())
                }),
            },
            Name {
                what: "address",
                columns: ["email", "email_canonical"],
                canonical: user::Column::EmailCanonical,
                given: row.email.as_deref(),
                stored: row.email_canonical.as_deref(),
                wanted: row.email.as_deref().map(|email| {
                    let parsed = EmailAddress::parse(email);
                    parsed.map(|email| email.canonical().to_owned()).map_err(|error| error.to_string())
                }),
            },
        ];
        for name in names {
            self.name(&at, name, wrong).await?;
        }
        if row.search != search_text([&row.username, &row.email, &row.email_canonical, &row.full_name]) {
            let remedy = format!("write its full name anew, with PATCH /admin/users/{}", row.id);
            self.fault(&at, "a search does not find it by its present names", remedy);
        }
        let changed = [("its last change", Some(row.updated_at))];
        self.times(&at, row.created_at, &changed, &at.made_when_changed());
        Ok(())
    }

    async fn name(
        &mut self,
        at: &Place<'_>,
        name: Name<'_>,
        wrong: &mut HashMap<String, String>,
    ) -> Result<(), StoreError> {
        let Name { what, columns: [given_column, stored_column], canonical, given, stored, wanted } = name;
        let rename = format!("give it another with PATCH /admin/users/{}", at.row);
        let wanted = match (wanted, stored) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                let remedy = at.update(stored_column, "NULL");
                self.fault(at, format!("it can be signed in to by a {what} that it does not show"), remedy);
                return Ok(());
            }
            (Some(Err(rule)), _) => {
                let shown = given.unwrap_or_default();
                self.fault(at, format!("its {what} {shown:?} is none: {rule}"), rename);
                return Ok(());
            }
            (Some(Ok(wanted)), Some(stored)) if wanted == stored => return Ok(()),
            (Some(Ok(wanted)), _) => wanted,
        };
        let other: Option<String> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(canonical.eq(wanted.as_str()))
            .filter(user::Column::Id.ne(at.row))
            .into_tuple()
            .one(self.db)
            .await?;
        let remembered = format!("{given_column}:{wanted}");
        let other = other.or_else(|| wrong.get(&remembered).cloned());
        if wrong.len() < MOST_REMEMBERED {
            wrong.entry(remembered).or_insert_with(|| at.row.to_owned());
        }
        match other {
            Some(other) => self.fault(
                at,
                format!("its {what} is that of the account {other} too, in the form in which they are compared"),
                format!("{rename}, or the other one"),
            ),
            None => self.fault(
                at,
                format!("its {what} is not stored in the form in which it is compared, so nobody can sign in with it"),
                at.update(stored_column, &quoted(&wanted)),
            ),
        }
        Ok(())
    }

    pub(super) async fn shared_accounts(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<shared_account::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            for row in rows {
                let at = Place { table: "mapae_shared_account", key: "user_id", row: &row.user_id };
                if UserId::new(row.user_id.as_str()).is_none() {
                    self.fault(&at, "its id can be no account's", at.delete());
                }
                if let Some(error) = row.scopes.as_deref().and_then(|scopes| Scopes::parse(scopes).err()) {
                    let remedy = format!("{}, then grant them with `mapae user grant`", at.update("scopes", "''"));
                    self.fault(&at, format!("its scopes cannot be read: {error}"), remedy);
                }
            }
        }
        Ok(())
    }
}
