//! User tables that break a promise: each is found out by the checks that it names, and every check finds one out.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mapae::service::user_store::{InsertUser, Inserted, NewStoredUser, SetActive, SetPasswordHash, SubjectClaims};
use mapae::testing::conformance::{KnownUser, KnownUsers};
use mapae::testing::{Report, Verdict, conformance, races};
use mapae::{StoredUser, UserStore, UserTable};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cheat {
    Honest,
    FindsSomebodyElse,
    MixesAnswersUp,
    FindsTheFirst,
    KnowsNobodyDisabled,
    ForgetsNewUsers,
    KeepsNamesApart,
    KeepsAddressesApart,
    LooksThenInserts,
    ForgetsPasswords,
    ComparesNothing,
    LooksThenReplaces,
    ForgetsActive,
    KnowsEverybody,
    IsLate,
}

#[derive(Clone, Debug)]
struct Person {
    id: u32,
    name: String,
    address: String,
    hash: String,
    active: bool,
}

impl StoredUser for Person {
    type Claims = SubjectClaims;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn password_hash(&self) -> &str {
        &self.hash
    }

    fn is_active(&self) -> bool {
        self.active
    }
}

/// A table in memory.
#[derive(Clone)]
struct Table {
    cheat: Cheat,
    people: Arc<Mutex<Vec<Person>>>,
    /// Whom the last one asked for.
    asked: Arc<Mutex<String>>,
}

impl Table {
    fn new(cheat: Cheat) -> Self {
        let person = |id: u32, name: &str, active| Person {
            id,
            name: name.to_owned(),
            address: format!("{name}@example.org"),
            hash: format!("hash of {name}"),
            active,
        };
        let people = vec![person(7, "ann", true), person(8, "bob", true), person(9, "cid", false)];
        Self { cheat, people: Arc::new(Mutex::new(people)), asked: Arc::default() }
    }

    fn does(&self, cheat: Cheat) -> bool {
        self.cheat == cheat
    }

    /// Somebody else has a turn, as where a database is asked twice.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn find(&self, asked: String, is: impl Fn(&Person, &str) -> bool) -> Option<Person> {
        let asked = if self.does(Cheat::MixesAnswersUp) {
            *self.asked.lock().unwrap() = asked;
            self.pause().await;
            self.asked.lock().unwrap().clone()
        } else {
            asked
        };
        let people = self.people.lock().unwrap();
        let mut found = people.iter().find(|person| is(person, &asked)).cloned()?;
        if self.does(Cheat::FindsSomebodyElse) {
            found = people.iter().find(|person| person.id != found.id).cloned()?;
        }
        found.active |= self.does(Cheat::KnowsNobodyDisabled);
        Some(found)
    }
}

fn has_login(person: &Person, login: &str) -> bool {
    person.name == login || person.address == login
}

impl UserStore for Table {
    type User = Person;
    type Error = Infallible;

    async fn by_login(&self, login: &str) -> Result<Option<Person>, Infallible> {
        Ok(self.find(login.to_owned(), has_login).await)
    }

    async fn by_id(&self, id: &str) -> Result<Option<Person>, Infallible> {
        let found = self.find(id.to_owned(), |person, id| person.id.to_string() == id).await;
        let first = self.people.lock().unwrap().first().cloned();
        Ok(found.or(first.filter(|_| self.does(Cheat::FindsTheFirst))))
    }
}

impl InsertUser for Table {
    async fn insert(&self, new: NewStoredUser) -> Result<Inserted<Person>, Infallible> {
        let person = |id| Person {
            id,
            name: new.username.as_ref().unwrap().canonical().to_owned(),
            address: new.email.as_ref().unwrap().canonical().to_owned(),
            hash: new.password_hash.as_str().to_owned(),
            active: true,
        };
        let taken = |people: &[Person]| {
            let new = person(0);
            let is_name = people.iter().any(|person| person.name == new.name) && !self.does(Cheat::KeepsNamesApart);
            let is_address =
                people.iter().any(|person| person.address == new.address) && !self.does(Cheat::KeepsAddressesApart);
            if is_name {
                return Some(Inserted::UsernameTaken);
            }
            is_address.then_some(Inserted::EmailTaken)
        };
        if self.does(Cheat::LooksThenInserts) {
            let taken = taken(&self.people.lock().unwrap());
            if let Some(taken) = taken {
                return Ok(taken);
            }
            self.pause().await;
        }
        let mut people = self.people.lock().unwrap();
        if !self.does(Cheat::LooksThenInserts)
            && let Some(taken) = taken(&people)
        {
            return Ok(taken);
        }
        let made = person(10 + u32::try_from(people.len()).unwrap());
        if !self.does(Cheat::ForgetsNewUsers) {
            people.push(made.clone());
        }
        Ok(Inserted::Made(made))
    }
}

impl SetPasswordHash for Table {
    async fn set_password_hash(&self, id: &str, old: &str, new: &str) -> Result<bool, Infallible> {
        let is =
            |person: &Person| person.id.to_string() == id && (person.hash == old || self.does(Cheat::ComparesNothing));
        if self.does(Cheat::LooksThenReplaces) {
            if !self.people.lock().unwrap().iter().any(is) {
                return Ok(false);
            }
            self.pause().await;
        }
        let mut people = self.people.lock().unwrap();
        let looked = self.does(Cheat::LooksThenReplaces);
        let Some(person) = people.iter_mut().find(|person| looked && person.id.to_string() == id || is(person)) else {
            return Ok(false);
        };
        if !self.does(Cheat::ForgetsPasswords) {
            person.hash = new.to_owned();
        }
        Ok(true)
    }
}

impl Table {
    fn activate(&self, id: &str, active: bool) -> bool {
        let mut people = self.people.lock().unwrap();
        let Some(person) = people.iter_mut().find(|person| person.id.to_string() == id) else {
            return self.does(Cheat::KnowsEverybody);
        };
        if !self.does(Cheat::ForgetsActive) {
            person.active = active;
        }
        true
    }
}

impl SetActive for Table {
    async fn set_active(&self, id: &str, active: bool) -> Result<bool, Infallible> {
        if !self.does(Cheat::IsLate) {
            return Ok(self.activate(id, active));
        }
        let (later, user) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            later.pause().await;
            later.activate(&user, active)
        });
        Ok(self.by_id(id).await?.is_some())
    }
}

fn known() -> KnownUsers {
    KnownUsers {
        active: KnownUser::new("7", "ann"),
        other: KnownUser::new("8", "bob@example.org"),
        disabled: Some(KnownUser::new("9", "cid")),
    }
}

async fn reports(cheat: Cheat) -> [Report; 2] {
    let table = || UserTable::new(Table::new(cheat)).inserts().sets_password_hash().sets_active();
    [conformance::user_store(table(), &known()).await, races::user_store(table(), &known()).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cheat_is_found_out_and_every_check_finds_one_out() {
    for report in reports(Cheat::Honest).await {
        report.assert_kept();
    }
    let (mut checks, mut finding) = (BTreeSet::new(), BTreeSet::new());
    let cheats: [(Cheat, [&[&str]; 2]); 14] = [
        (Cheat::FindsSomebodyElse, [&["found"], &["look_ups"]]),
        (Cheat::MixesAnswersUp, [&[], &["look_ups"]]),
        (Cheat::FindsTheFirst, [&["nobody"], &[]]),
        (Cheat::KnowsNobodyDisabled, [&["disabled"], &[]]),
        (Cheat::ForgetsNewUsers, [&["insert"], &[]]),
        (Cheat::KeepsNamesApart, [&["taken"], &["one_name"]]),
        (Cheat::KeepsAddressesApart, [&["taken"], &["one_address"]]),
        (Cheat::LooksThenInserts, [&[], &["one_name", "one_address"]]),
        (Cheat::ForgetsPasswords, [&["swap_password"], &["one_swap"]]),
        (Cheat::ComparesNothing, [&["swap_password"], &["one_swap"]]),
        (Cheat::LooksThenReplaces, [&[], &["one_swap"]]),
        (Cheat::ForgetsActive, [&["set_active"], &["last_active"]]),
        (Cheat::KnowsEverybody, [&["set_active"], &[]]),
        (Cheat::IsLate, [&["set_active"], &["last_active"]]),
    ];
    for (cheat, expected) in cheats {
        for (expected, report) in expected.into_iter().zip(reports(cheat).await) {
            let broken = report.broken();
            for check in expected {
                assert!(broken.contains(check), "{cheat:?}: {check} did not notice\n{report}");
            }
            println!("{cheat:?}: {}", broken.join(", "));
            checks.extend(report.findings().iter().map(|finding| finding.check));
            finding.extend(expected);
        }
    }
    assert_eq!(checks, finding);
}

/// What a table does not say that it does is left out, and said to be.
#[tokio::test]
async fn a_table_that_is_only_read_is_asked_for_no_more() {
    let known = KnownUsers { disabled: None, ..known() };
    let left_out = |report: &Report| {
        let findings = report.findings().iter();
        findings.filter(|finding| matches!(finding.verdict, Verdict::LeftOut(_))).count()
    };
    for (report, expected) in [
        (conformance::user_store(Table::new(Cheat::Honest), &known).await, 5),
        (races::user_store(Table::new(Cheat::Honest), &known).await, 4),
    ] {
        report.assert_kept();
        assert_eq!(left_out(&report), expected, "{report}");
    }
}
