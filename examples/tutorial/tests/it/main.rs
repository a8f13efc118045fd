//! The contract of the example `tutorial`, checked over HTTP and in a browser.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod browser;
mod in_browser;
mod python;
mod sequel;
mod tutorial;

use example_support::testing::{Example, Field, Launch};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-tutorial");

fn tutorial() -> Example {
    Example::start(PROGRAM)
}

fn sequel() -> Example {
    Launch::of(PROGRAM).argument("--scopes").start()
}

async fn sign_in(example: &Example, username: &str, password: &str, scope: &str) -> String {
    let fields = [("username", username), ("password", password), ("scope", scope)];
    Field::AccessToken.token(&example.form("/token", &fields).await)
}

fn john() -> Value {
    json!({ "username": "johndoe", "email": "johndoe@example.com", "full_name": "John Doe", "disabled": false })
}

fn items() -> Value {
    json!([{ "item_id": "Foo", "owner": "johndoe" }])
}
