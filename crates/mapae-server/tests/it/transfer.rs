//! `mapae user import` and `export`.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, now};
use crate::support::{Ended, Home};

/// bcrypt of "secret", as passlib writes it.
const BCRYPT: &str = "$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu";

fn import(home: &Home, arguments: &[&str], input: &str) -> Ended {
    home.run_with_input(&[&["user", "import"], arguments].concat(), &[], input)
}

fn done(imported: u32, already_there: u32, refused: u32) -> String {
    format!("Imported {imported}; {already_there} were there already; {refused} were refused.\n")
}

fn export(home: &Home) -> Vec<Value> {
    let ended = home.beside(&["user", "export"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_elsewhere() {
    let first = Home::migrated();
    first.add_user(&["ada", "--email", "Ada@Example.com", "--full-name", "Ada \"L\" 가", "--admin"]);
    first.add_user(&["bob@example.com"]);
    first.add_user(&["Cleo"]);
    assert_eq!(first.beside(&["user", "disable", "cleo"]).status, Some(0));
    let exported = first.beside(&["user", "export"]).stdout;
    assert_eq!(exported.lines().count(), 3, "{exported}");
    let ada: Value = serde_json::from_str(exported.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&ada["username"], &ada["scopes"]), (&json!("ada"), &json!(["me", "mapae:admin"])));

    let second = Home::migrated();
    let imported = import(&second, &[], &exported);
    assert_eq!((imported.status, imported.stdout), (Some(0), done(3, 0, 0)), "{}", imported.stderr);
    assert_eq!(second.beside(&["user", "export"]).stdout, exported, "nothing is lost or changed");

    // Again, and once more under other names for the same rows: nobody is doubled.
    let again = import(&second, &["-", "--format", "jsonl"], &exported);
    assert_eq!((again.status, again.stdout), (Some(0), done(0, 3, 0)), "{}", again.stderr);
    assert_eq!(second.beside(&["user", "export"]).stdout, exported);

    let server = Server::start(&second, &[]);
    assert_eq!(server.sign_in("ADA", PASSWORD, "mapae:admin").await.0, 200);
    assert_eq!(server.sign_in("bob@example.com", PASSWORD, "").await.0, 200);
    assert_eq!(server.sign_in("cleo", PASSWORD, "").await.0, 401, "still disabled");
}

#[tokio::test]
async fn people_of_another_program_sign_in_at_once() {
    let home = Home::migrated();
    let server = Server::start(&home, &[]);
    let django = "pbkdf2_sha256$500$salt$cWBdGH+pAUzgwAqlCMiGgy2gVkQ0KGR4Y3i/9TO70UQ=";
    let rows = lines(&[
        json!({ "id": 42, "username": "ada", "password_hash": BCRYPT, "created_at": "2019-05-01T12:00:00+09:00" }),
        json!({ "id": "old|7", "username": "Bob@Example.com", "password_hash": django, "scopes": "me mapae:admin" }),
        json!({ "email": "cleo@example.com", "username": null, "password_hash": BCRYPT, "disabled": true }),
        json!({ "id": 43, "username": "dan", "password_hash": BCRYPT, "created_at": "2095-01-01T00:00:00Z" }),
    ]);
    let imported = import(&home, &[], &rows);
    assert_eq!((imported.status, imported.stdout), (Some(0), done(4, 0, 0)), "{}", imported.stderr);

    let (status, token) = server.sign_in("ada", "secret", "").await;
    assert_eq!(status, 200, "{token}");
    let inspected = home.beside(&["token", "inspect", "--json", token["access_token"].as_str().expect("a token")]);
    assert!(inspected.stdout.contains("\"sub\": \"42\""), "{}", inspected.stdout);
    assert_eq!(server.sign_in("bob@example.com", "비밀번호", "mapae:admin").await.0, 200);
    assert_eq!(server.sign_in("cleo@example.com", "secret", "").await.0, 401);

    let exported = export(&home);
    let of = |id: &str| exported.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{exported:?}")).clone();
    assert_eq!(of("42")["created_at"], "2019-05-01T03:00:00Z");
    assert!(of("43")["created_at"].as_str().expect("a time") < "2095", "it has not come yet");
    assert_eq!(home.run(&["db", "check"], &[]).status, Some(0));
    assert!(of("42")["password_hash"].as_str().expect("a hash").starts_with("$argon2id$"), "renewed by signing in");
    assert_eq!((&of("old|7")["email"], &of("old|7")["username"]), (&json!("Bob@Example.com"), &Value::Null));
    // Without an id of its own, a row is known again by its names.
    let again = import(&home, &[], &rows);
    assert_eq!((again.status, again.stdout), (Some(0), done(0, 4, 0)), "{}", again.stderr);
    assert_eq!(export(&home), exported, "what changed meanwhile stays");
}

#[test]
fn every_refused_row_is_named_with_its_reason() {
    let home = Home::migrated();
    home.add_user(&["ada", "--email", "ada@example.com"]);
    let id = export(&home)[0]["id"].as_str().expect("an id").to_owned();
    let row = |id: &str, rest: Value| {
        let mut row = json!({ "id": id, "username": id, "password_hash": BCRYPT });
        row.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        row.to_string()
    };
    let huge = format!("{{\"password_hash\":\"{}\"}}", "x".repeat(1 << 20));
    let cases = [
        ("nonsense".to_owned(), "line 1: The line is no JSON object."),
        (format!("[\"1\",\"eve\",null,null,false,null,\"{BCRYPT}\"]"), "The line is no JSON object."),
        ("{\"id\":\"x\",".to_owned(), "The line is not JSON from column 10 on."),
        (row("a", json!({ "disabeld": true })), "id \"a\": The line does not fit: unknown field `disabeld`"),
        (
            "{\"id\":\"b\",\"username\":\"b\"}".to_owned(),
            "id \"b\": The line does not fit: missing field `password_hash`",
        ),
        (row("c", json!({ "disabled": "HASHED" })), "id \"c\": The member at column"),
        (row("d", json!({ "created_at": "HASHED" })), "id \"d\": The member at column"),
        (huge, "The line is longer than 1048576 bytes."),
        (row("a:b", json!({ "username": "fay" })), "The id must have 1 to 255 bytes"),
        (row("", json!({ "username": "fay" })), "The id must have 1 to 255 bytes"),
        (row("e", json!({ "username": null })), "There is neither a user name nor an e-mail address."),
        (row("f", json!({ "username": "two words" })), "no spaces"),
        (row("g", json!({ "email": "nobody" })), "This is not an e-mail address"),
        (row("h", json!({ "email": "h@example.com", "username": "other@example.com" })), "must not contain @"),
        (row("i", json!({ "full_name": "x".repeat(201) })), "at most 200 characters"),
        (row("j", json!({ "scopes": ["nonsense"] })), "scope `nonsense` does not exist"),
        (row("k", json!({ "scopes": ["\""] })), "The scopes cannot be read"),
        (
            row("l", json!({ "password_hash": "" })),
            "The password cannot be checked: the stored password hash is of no known",
        ),
        (row("m", json!({ "password_hash": "$2b$04$HASHED" })), "the stored password hash is malformed"),
        (row("n", json!({ "password_hash": BCRYPT.replace("$04$", "$31$") })), "would cost more than the limits"),
        (
            row("o", json!({ "password_hash": format!("$mapae-pepper$0123456789abcdef${BCRYPT}") })),
            "needs the pepper 0123456789abcdef, which is not configured",
        ),
        (row("p", json!({ "username": "ADA" })), "The user name belongs to the account "),
        (row("q", json!({ "email": "Ada@example.com" })), "The e-mail address belongs to the account "),
        (row(&id, json!({ "username": "someone-else" })), "The id belongs already to an account of another user name"),
    ];
    let good = row("good", json!({}));
    let before = export(&home);
    for (line, expected) in &cases {
        let ended = import(&home, &[], &format!("{line}\n"));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), done(0, 0, 1).as_str()), "{expected}");
        assert!(ended.stderr.starts_with("mapae: line 1") && ended.stderr.contains(expected), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("HASHED"), "no value is quoted: {}", ended.stderr);
    }
    assert_eq!(export(&home), before);

    // All together, with good ones between: those are imported, the others counted.
    let all: String = cases.iter().map(|(line, _)| format!("{line}\n")).collect();
    let ended = import(&home, &["--json"], &format!("{all}\n{good}\n{good}\n"));
    assert_eq!(ended.status, Some(1));
    let counts: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(counts, json!({ "imported": 1, "already_there": 1, "refused": cases.len() }));
    assert_eq!(ended.stderr.lines().count(), cases.len());
    assert_eq!(export(&home).len(), 2);
}

#[test]
fn one_input_does_not_double_anybody_either() {
    let home = Home::migrated();
    let row = |id: Value, username: Value, email: Value| json!({ "id": id, "username": username, "email": email, "password_hash": BCRYPT });
    let rows = lines(&[
        row(json!("1"), json!("ada"), json!("ada@example.com")),
        row(json!("1"), json!("Ada"), json!("ADA@example.com")),
        row(Value::Null, json!("ada"), json!("ada@example.com")),
        row(json!("1"), json!("bob"), Value::Null),
        row(json!("2"), json!("ADA"), Value::Null),
        row(json!("2"), json!("bob"), json!("ada@EXAMPLE.com")),
        row(Value::Null, json!("ada"), Value::Null),
        row(Value::Null, json!("ada"), json!("other@example.com")),
        row(Value::Null, json!("cleo"), json!("ada@example.com")),
        row(json!("2"), json!("bob"), Value::Null),
    ]);
    for (imported, already_there) in [(2, 3), (0, 5)] {
        let ended = import(&home, &[], &rows);
        assert_eq!(ended.stdout, done(imported, already_there, 5), "{}", ended.stderr);
        for part in [
            "line 4, id \"1\": The id belongs already",
            "line 5, id \"2\": The",
            "line 6, id \"2\": The",
            "line 8: The user name belongs to the account 1 already.",
            "line 9: The e-mail address belongs to the account 1 already.",
        ] {
            assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
        }
    }
    assert_eq!(export(&home).len(), 2);
}

#[test]
fn csv_is_read_by_its_column_names() {
    let csv = format!(
        "\u{feff}username,password_hash, id ,disabled,full_name,created_at,scopes\r\n\
         ada,{BCRYPT},1,False,\"Lovelace, \"\"Ada\"\"\n of London\",2020-01-01T00:00:00Z,me\r\n\
         \r\n\
         bob,{BCRYPT},2,1,,,\"me mapae:admin\"\r\n\
         cleo,{BCRYPT},3\r\n\
         dora,{BCRYPT},4,perhaps,,,\r\n\
         eve,{BCRYPT},5,no,,yesterday,\r\n\
         fay,{BCRYPT},6,t,Fay,,\r\n"
    );
    let home = Home::migrated().with("people.CSV", csv.replace("\n of", " of"));
    let ended = import(&home, &["people.CSV"], "");
    assert_eq!((ended.status, ended.stdout), (Some(1), done(3, 0, 3)), "{}", ended.stderr);
    for part in [
        "line 5, id \"3\": The record has 3 fields, but there are 7 columns.",
        "line 6, id \"4\": The column disabled must be true or false.",
        "line 7, id \"5\": The column created_at must be a time",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
    }
    let exported = export(&home);
    assert_eq!(exported[0]["full_name"], "Lovelace, \"Ada\" of London");
    assert_eq!((&exported[1]["disabled"], &exported[1]["scopes"]), (&json!(true), &json!(["me", "mapae:admin"])));
    assert_eq!(exported[2]["disabled"], true);

    for (csv, expected) in [
        ("", "must name the columns"),
        ("username,email\n", "one must be password_hash"),
        ("username,hash\n", "There is no column \"hash\"; known columns: id, username"),
        ("id,id,password_hash\n", "There are two columns id."),
    ] {
        let ended = import(&home, &["--format", "csv"], csv);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{expected:?} in {}", ended.stderr);
    }
    let unclosed = format!("username,password_hash\n\"ada,{}", "x\n".repeat(1_000_000));
    let home = home.with("unclosed.csv", unclosed);
    let ended = import(&home, &["unclosed.csv"], "");
    assert!(ended.status == Some(1) && ended.stderr.contains("is a quote not closed?"), "{}", ended.stderr);
    let missing = import(&home, &["nowhere.csv"], "");
    assert_eq!(missing.stderr, "mapae: nowhere.csv cannot be read: No such file or directory.\n");
}

/// More rows than one batch, with a refused one in each: the counts and line numbers are right across batches.
#[test]
fn batches_are_seamless() {
    let home = Home::migrated();
    let rows: Vec<Value> = (1..=2_500)
        .map(|number| match number % 1_000 {
            500 => json!({ "id": number, "username": "two words", "password_hash": BCRYPT }),
            _ => json!({ "id": number, "username": format!("user{number}"), "password_hash": BCRYPT }),
        })
        .collect();
    let ended = import(&home, &[], &lines(&rows));
    assert_eq!(ended.stdout, done(2_497, 0, 3), "{}", ended.stderr);
    for line in [500, 1_500, 2_500] {
        assert!(ended.stderr.contains(&format!("line {line}, id {line}: ")), "{}", ended.stderr);
    }
    assert_eq!(export(&home).len(), 2_497);
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    let home = Home::migrated();
    let rows: Vec<Value> = (1..=2_500)
        .map(|number| json!({ "id": number, "email": format!("u{number}@example.com"), "password_hash": BCRYPT }))
        .collect();
    let mut child = home.command(&["user", "import"], &[]).stdin(Stdio::piped()).spawn().expect("mapae runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(lines(&rows).as_bytes()).expect("input is read");
    // The third batch waits for more.
    let deadline = now() + Duration::from_secs(60);
    while export(&home).len() < 2_000 {
        assert!(now() < deadline, "two batches are imported");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it runs");
    child.wait().expect("it can be waited for");
    assert_eq!(import(&home, &[], &lines(&rows)).stdout, done(500, 2_000, 0));
    assert_eq!(export(&home).len(), 2_500);
}
