//! The exported suites, on whichever database these tests have. That they would notice is shown in [`crate::cheats`].

use mapae::testing::{conformance, races};

use crate::database::Directory;

#[tokio::test(flavor = "multi_thread")]
async fn the_database_conforms() {
    let directory = Directory::new();
    for _ in 0..2 {
        conformance::run(directory.options()).await.unwrap().assert_kept();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_keeps_its_promises_when_many_come_at_once() {
    let directory = Directory::new();
    directory.empty_url();
    for _ in 0..2 {
        races::run(directory.options()).await.unwrap().assert_kept();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_serves_people_is_refused() {
    let server = crate::server::Server::start().await;
    let database = crate::database::options(server.directory());
    for refused in [conformance::run(&database).await, races::run(&database).await] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("a database of its own"), "{refused}");
    }
    assert_eq!(server.accounts().await, 0);
}
