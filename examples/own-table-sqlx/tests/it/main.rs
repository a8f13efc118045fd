//! The example `own-table-sqlx` as a process, over HTTP.

use example_support::testing::own_table;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-own-table-sqlx");

#[tokio::test]
async fn a_password_gives_a_token() {
    own_table::a_password_gives_a_token(PROGRAM).await;
}

#[tokio::test]
async fn the_token_says_who_asks() {
    own_table::the_token_says_who_asks(PROGRAM).await;
}
