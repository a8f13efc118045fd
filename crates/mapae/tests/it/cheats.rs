//! Databases that break a promise: each is found out by the checks that it names, and every check finds one out.

use std::collections::BTreeSet;

use mapae::store::{Migrate, Store};
use mapae::testing::{Report, SuiteError, conformance, races};
use sea_orm::{ConnectionTrait, Database};

use crate::cheating_pooler::Pooler;
use crate::database::{Directory, is_postgres};

/// What a database does wrong.
struct Cheat {
    /// In words.
    name: &'static str,
    how: How,
    /// Checks of the two suites that must fail.
    conformance: &'static [&'static str],
    races: &'static [&'static str],
}

enum How {
    /// SQL, on the finished schema.
    Sql(String),
    /// SQL, before there is one.
    SqlFirst(String),
    /// Something between us and PostgreSQL, which writes other statements than those that we send.
    Between(&'static [(&'static str, &'static str)]),
}

/// What no file of SQLite's can be made to do wrong from within.
const SOUND_IN_SQLITE: &[&str] = &["commit", "rollback", "row_lock", "turn"];

/// A trigger, in the words of the engine: `when` and `do_it` speak of `NEW`, and on PostgreSQL decide what becomes of it.
fn trigger(on: &str, table: &str, when: &str, postgres: &str, sqlite: &str) -> String {
    if is_postgres() {
        return format!(
            "CREATE FUNCTION cheat() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN IF {when} THEN {postgres} END IF; RETURN NEW; END$$; \
             CREATE TRIGGER cheat BEFORE {on} ON {table} FOR EACH ROW EXECUTE FUNCTION cheat()"
        );
    }
    format!("CREATE TRIGGER cheat AFTER {on} ON {table} WHEN {when} BEGIN {sqlite}; END")
}

/// Says that a column was updated, and leaves it as it was.
fn keeps(table: &str, column: &str) -> How {
    let back = format!("UPDATE {table} SET {column} = OLD.{column} WHERE rowid = NEW.rowid");
    How::Sql(trigger("UPDATE", table, "true", &format!("NEW.{column} := OLD.{column};"), &back))
}

/// Stores something else in a column.
fn alters(table: &str, column: &str, when: &str, [postgres, sqlite]: [&str; 2]) -> How {
    let other = format!("UPDATE {table} SET {column} = {sqlite} WHERE rowid = NEW.rowid");
    How::Sql(trigger("INSERT", table, when, &format!("NEW.{column} := {postgres};"), &other))
}

/// Drops new rows.
fn swallows(table: &str, when: &str) -> How {
    let gone = format!("DELETE FROM {table} WHERE rowid = NEW.rowid");
    How::Sql(trigger("INSERT", table, when, "RETURN NULL;", &gone))
}

fn cheats() -> Vec<Cheat> {
    let cheat = |name, how, conformance, races| Cheat { name, how, conformance, races };
    let mut all = vec![
        cheat(
            "no index of names",
            How::Sql("DROP INDEX mapae_user_username_canonical_key".to_owned()),
            &["unique_name"],
            &["one_name"],
        ),
        cheat(
            "no index of addresses",
            How::Sql("DROP INDEX mapae_user_email_canonical_key".to_owned()),
            &["unique_address"],
            &[],
        ),
        cheat(
            "texts are trimmed",
            alters("mapae_user", "full_name", "true", ["trim(NEW.full_name)"; 2]),
            &["exact_text"],
            &[],
        ),
        cheat(
            "texts for searching lose their accents",
            alters("mapae_user", "search", "true", ["replace(NEW.search, 'ü', 'u')"; 2]),
            &["list"],
            &[],
        ),
        cheat("a password stays", keeps("mapae_user", "password_hash"), &["swap_password"], &["one_swap"]),
        cheat(
            "nobody is deleted",
            How::Sql(if is_postgres() {
                "CREATE RULE cheat AS ON DELETE TO mapae_user DO INSTEAD NOTHING".to_owned()
            } else {
                "CREATE TRIGGER cheat BEFORE DELETE ON mapae_user BEGIN SELECT raise(IGNORE); END".to_owned()
            }),
            &["delete"],
            &[],
        ),
        cheat(
            "times are of whole seconds",
            alters(
                "mapae_session",
                "expires_at",
                "true",
                ["date_trunc('second', NEW.expires_at)", "substr(NEW.expires_at, 1, 19) || '+00:00'"],
            ),
            &["exact_time"],
            &[],
        ),
        cheat(
            "a generation stays",
            keeps("mapae_session", "generation"),
            &["advance"],
            &["one_advance", "one_successor"],
        ),
        cheat(
            "a session does not end",
            keeps("mapae_session", "ended_at"),
            &["end", "reuse"],
            &["one_end", "no_session"],
        ),
        cheat("a ticket stays unused", keeps("mapae_ticket", "used_at"), &["ticket"], &["one_use"]),
        cheat("nothing is audited", swallows("mapae_audit", "true"), &["audit"], &[]),
        cheat("no change is noted", swallows("mapae_invalidation", "true"), &["change"], &["all_heard"]),
        cheat("some changes are not noted", swallows("mapae_invalidation", "NEW.id % 10 < 5"), &[], &["all_heard"]),
        cheat(
            "changes are numbered backwards",
            alters("mapae_invalidation", "id", "NEW.id > 0", ["-NEW.id"; 2]),
            &["change_order"],
            &[],
        ),
        cheat(
            "some revocations are lost",
            swallows("mapae_revocation", "NEW.seq % 50 = 0"),
            &["feed"],
            &["feed_order"],
        ),
        cheat("failures are not counted", keeps("mapae_throttle", "clear_at"), &["counter"], &["exact_limit"]),
        cheat(
            "bytes are cut off",
            alters("mapae_data_key", "wrapped", "length(NEW.name) > 30", ["substr(NEW.wrapped, 1, 65536)"; 2]),
            &["exact_bytes"],
            &[],
        ),
        cheat("a key stays in its state", keeps("mapae_signing_key", "state"), &[], &["one_rotation"]),
        cheat(
            "migrations are not noted",
            How::SqlFirst(format!(
                "CREATE TABLE mapae_migrations (version text PRIMARY KEY, applied_at bigint NOT NULL); {}",
                match swallows("mapae_migrations", "true") {
                    How::Sql(sql) | How::SqlFirst(sql) => sql,
                    How::Between(_) => unreachable!(),
                }
            )),
            &[],
            &["migrate"],
        ),
    ];
    if is_postgres() {
        all.extend([
            cheat(
                "numbers are given to connections in advance",
                How::Sql("ALTER TABLE mapae_invalidation ALTER COLUMN id SET CACHE 50".to_owned()),
                &["change_order"],
                &[],
            ),
            cheat("rows are not locked", How::Between(&[(" FOR UPDATE", "")]), &["row_lock"], &[]),
            cheat(
                "there is no turn to take",
                How::Between(&[("SELECT pg_advisory_xact_lock($1, $2)", "SELECT $1::int, $2::int")]),
                &["turn"],
                &["migrate", "feed_order"],
            ),
            cheat("what is undone is committed", How::Between(&[("ROLLBACK", "COMMIT")]), &["rollback"], &[]),
            cheat(
                "what was committed is gone",
                How::Sql(
                    "CREATE FUNCTION cheat() RETURNS trigger LANGUAGE plpgsql AS \
                     $$BEGIN DELETE FROM mapae_user WHERE id = NEW.id; RETURN NULL; END$$; \
                     CREATE CONSTRAINT TRIGGER cheat AFTER INSERT ON mapae_user DEFERRABLE INITIALLY DEFERRED \
                     FOR EACH ROW EXECUTE FUNCTION cheat()"
                        .to_owned(),
                ),
                &["commit"],
                &[],
            ),
        ]);
    }
    all
}

async fn reports(cheat: &Cheat) -> Vec<(&'static [&'static str], Result<Report, SuiteError>)> {
    let directory = Directory::new();
    let mut url = directory.empty_url();
    let (first, finished) = match &cheat.how {
        How::SqlFirst(sql) => (Some(sql), None),
        How::Sql(sql) => (None, Some(sql)),
        How::Between(_) => (None, None),
    };
    // One file is made by whoever comes first.
    if !is_postgres() {
        std::fs::File::create(directory.path().join("mapae.db")).unwrap();
    }
    if finished.is_some() {
        Store::migrate(&url, true, Migrate::Apply).await.unwrap();
    }
    if let Some(sql) = first.or(finished) {
        let database = Database::connect(&url).await.unwrap();
        database.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{}: {error}: {sql}", cheat.name));
        database.close().await.unwrap();
    }
    let pooler = match &cheat.how {
        How::Between(others) => Some(Pooler::start(&mut url, others).await),
        How::Sql(_) | How::SqlFirst(_) => None,
    };
    let mut reports = Vec::new();
    if !cheat.races.is_empty() {
        reports.push((cheat.races, races::run_only(&url, cheat.races).await));
    }
    if !cheat.conformance.is_empty() {
        reports.push((cheat.conformance, conformance::run_only(&url, cheat.conformance).await));
    }
    drop(pooler);
    reports
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cheat_is_found_out_and_every_check_finds_one_out() {
    let mut finding = BTreeSet::new();
    for cheat in cheats() {
        for (expected, report) in reports(&cheat).await {
            let report = report.unwrap_or_else(|error| panic!("{}: {error}", cheat.name));
            assert_eq!(report.broken().len(), expected.len(), "{}: {expected:?}\n{report}", cheat.name);
            finding.extend(expected);
        }
    }
    if !is_postgres() {
        finding.extend(SOUND_IN_SQLITE);
    }
    let directory = Directory::new();
    let honest = [conformance::run(directory.url()).await.unwrap(), races::run(directory.url()).await.unwrap()];
    let checks: BTreeSet<_> =
        honest.iter().flat_map(|report| report.findings().iter().map(|finding| finding.check)).collect();
    assert_eq!(checks, finding);
}
