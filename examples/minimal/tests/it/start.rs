//! What the environment and `.env` say, and what every example says about it.

use example_support::testing::forge::claims_under;
use example_support::testing::{Example, Field, KEY, Launch};

use crate::PROGRAM;

async fn token(example: &Example) -> String {
    let answer = example.form("/token", &[("username", "johndoe"), ("password", "secret")]).await;
    Field::AccessToken.token(&answer)
}

#[tokio::test]
async fn a_good_key_is_taken_in_silence() {
    let mut example = Example::start(PROGRAM);
    claims_under(KEY, &token(&example).await);
    assert_eq!(example.kill(), "");
    assert!(example.folder().join("example-minimal.db").is_file(), "the database is named after the example");
}

#[tokio::test]
async fn keys_of_tutorials_are_taken_aloud() {
    for key in [
        "secret",
        "SECRET+FASTAPI",
        "1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    ] {
        let mut example = Launch::of(PROGRAM).set("SECRET_KEY", key).start();
        claims_under(key, &token(&example).await);
        let said = example.kill();
        assert!(said.contains("WARNING") && said.contains("ANYBODY CAN FORGE TOKENS"), "{key}: {said}");
        assert!(!said.contains(key) || key == "secret", "a key is not printed");
    }
}

#[tokio::test]
async fn without_a_key_one_is_made_for_the_time_being() {
    let mut said = Vec::new();
    let mut tokens = Vec::new();
    for launch in [Launch::of(PROGRAM).unset("SECRET_KEY"), Launch::of(PROGRAM).set("SECRET_KEY", "")] {
        let mut example = launch.start();
        tokens.push(token(&example).await);
        said.push(example.kill());
    }
    for said in said {
        assert!(said.contains("SECRET_KEY is not set"), "{said}");
        assert!(!said.contains("WARNING"), "{said}");
    }
    // Made in the same second they would be equal under the same key.
    let signatures: Vec<&str> = tokens.iter().filter_map(|token| token.rsplit('.').next()).collect();
    assert_ne!(signatures[0], signatures[1]);
    for token in &tokens {
        let guessed = std::panic::catch_unwind(|| claims_under("", token));
        assert!(guessed.is_err(), "the empty key signs nothing");
    }
}

#[tokio::test]
async fn a_file_says_what_the_environment_does_not() {
    let in_file = "FROM-A-FILE-0123456789abcdef0123456789";
    let dotenv = format!("# a comment\nSECRET_KEY={in_file}\nDATABASE_URL=sqlite://elsewhere.db\nPORT=1\n");
    let example = Launch::of(PROGRAM).unset("SECRET_KEY").file(".env", &dotenv).start();
    claims_under(in_file, &token(&example).await);
    assert!(example.folder().join("elsewhere.db").is_file());
    assert!(!example.folder().join("example-minimal.db").exists());

    let example = Launch::of(PROGRAM).file(".env", &dotenv).start();
    claims_under(KEY, &token(&example).await);
}

#[test]
fn what_cannot_be_done_is_said() {
    for port in ["http", "65536", "-1"] {
        let said = Launch::of(PROGRAM).set("PORT", port).fails();
        assert!(said.contains(&format!("PORT={port} is no port")), "{said}");
    }
    let said = Launch::of(PROGRAM).set("DATABASE_URL", "sqlite://no/such/folder/a.db").fails();
    assert!(said.contains("unable to open database file"), "{said}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string().leak();
    let said = Launch::of(PROGRAM).set("PORT", port).fails();
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("PORT sets another port"), "{said}");
}
