//! `GET /admin/users`: pages and search.

use std::collections::BTreeSet;

use mapae::service::By;
use mapae::service::accounts::NewAccount;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::server::{PASSWORD, Server, expect, new_account, refused_fields, text};

async fn list(server: &Server, admin: &str, query: &[(&str, &str)]) -> Response {
    server.get("/admin/users").query(query).bearer_auth(admin).send().await.unwrap()
}

/// Every id, in the order of the pages, and how many pages there were.
async fn walk(server: &Server, admin: &str, limit: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let mut query = vec![("limit", limit)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = expect(list(server, admin, &query).await, StatusCode::OK).await;
        pages += 1;
        ids.extend(page["users"].as_array().unwrap().iter().map(|user| text(&user["id"])));
        match page.get("next_cursor") {
            Some(next) => cursor = Some(text(next)),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn pages_have_neither_gaps_nor_repeats() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    for number in 1..120 {
        server.mapae.add_account(new_account(&format!("user{number}")), None, By::System).await.unwrap();
        // Some are made within one millisecond, and some are not.
        server.clock.advance_millis(number % 3);
    }
    let (all, pages) = walk(&server, &admin, "200").await;
    assert_eq!((all.len(), pages), (120, 1));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 120);
    for (limit, expected) in [("1", 120), ("7", 18), ("40", 3), ("119", 2), ("120", 1)] {
        assert_eq!(walk(&server, &admin, limit).await, (all.clone(), expected), "by {limit}");
    }
    let page = expect(list(&server, &admin, &[]).await, StatusCode::OK).await;
    assert_eq!(page["users"].as_array().unwrap().len(), 50, "unless the request says otherwise");

    // Somebody who signs up between two pages moves nobody else.
    let cursor = text(&page["next_cursor"]);
    server.sign_up("late").await;
    let rest = expect(list(&server, &admin, &[("cursor", &cursor), ("limit", "200")]).await, StatusCode::OK).await;
    let rest: Vec<String> = rest["users"].as_array().unwrap().iter().map(|user| text(&user["id"])).collect();
    assert_eq!((&rest[..70], rest.len()), (&all[50..], 71));
}

#[tokio::test]
async fn search_finds_parts_of_names_however_written() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    for (username, email, full_name) in [
        ("per%cent", None, None),
        ("under_score", None, None),
        ("back\\slash", None, None),
        ("JohnDoe", Some("John@Example.com"), Some("John Doe")),
        ("jane", Some("jane@bücher.example"), Some("Jane O'Neil")),
        ("ozgur", None, Some("Özgür Ünal")),
        ("gildong", None, Some("홍길동")),
    ] {
        let owned = |text: &str| text.to_owned();
        let names = NewAccount { email: email.map(owned), full_name: full_name.map(owned), ..new_account(username) };
        server.mapae.add_account(names, None, By::System).await.unwrap();
    }
    for (search, found) in [
        ("%", &["per%cent"][..]),
        ("_", &["under_score"]),
        ("\\", &["back\\slash"]),
        ("r%c", &["per%cent"]),
        ("under_s", &["under_score"]),
        ("%%", &[]),
        ("j_n", &[]),
        ("JOHN", &["JohnDoe"]),
        ("ohnd", &["JohnDoe"]),
        ("example.com", &["JohnDoe"]),
        ("John@E", &["JohnDoe"]),
        ("doe", &["JohnDoe"]),
        (" doe ", &["JohnDoe"]),
        ("O'NEIL", &["jane"]),
        ("jane@BÜCHER", &["jane"]),
        ("xn--bcher", &["jane"]),
        ("\u{ff4a}ane", &["jane"]),
        ("Özgür", &["ozgur"]),
        ("özgür ÜNAL", &["ozgur"]),
        ("O\u{308}zgu\u{308}r", &["ozgur"]),
        ("길동", &["gildong"]),
        ("\u{1100}\u{1175}\u{11af}", &["gildong"]),
        ("' OR 1=1 --", &[]),
    ] {
        let page = expect(list(&server, &admin, &[("q", search)]).await, StatusCode::OK).await;
        let names: Vec<String> = page["users"].as_array().unwrap().iter().map(|user| text(&user["username"])).collect();
        assert_eq!(names, found, "{search:?}");
    }
    for everything in ["", " "] {
        let page = expect(list(&server, &admin, &[("q", everything)]).await, StatusCode::OK).await;
        assert_eq!(page["users"].as_array().unwrap().len(), 8);
    }
}

#[tokio::test]
async fn search_follows_a_change_of_name() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (_, token) = server.newcomer("ann").await;
    let change = serde_json::json!({ "full_name": "Émile", "email": "emile@bücher.example", "password": PASSWORD });
    expect(server.patch("/users/me").bearer_auth(&token).json(&change).send().await.unwrap(), StatusCode::OK).await;
    for (search, found) in [("émile", 1), ("BÜCHER", 1), ("ann", 1)] {
        let page = expect(list(&server, &admin, &[("q", search)]).await, StatusCode::OK).await;
        assert_eq!(page["users"].as_array().unwrap().len(), found, "{search}");
    }
    let change = serde_json::json!({ "full_name": null });
    expect(server.patch("/users/me").bearer_auth(&token).json(&change).send().await.unwrap(), StatusCode::OK).await;
    let page = expect(list(&server, &admin, &[("q", "Émile")]).await, StatusCode::OK).await;
    assert_eq!(page["users"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let long = "x".repeat(60_000);
    for (parameter, value) in [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "99999999999999999999"),
        ("cursor", "%"),
        ("cursor", "a"),
        ("cursor", "=="),
        ("cursor", ""),
        ("cursor", "/w"),
        ("cursor", "Og"),
        ("cursor", "_w"),
        ("q", &long),
        ("q", "a\0"),
        ("q", "a\nb"),
        ("offset", "3"),
        ("Limit", "3"),
    ] {
        let response = list(&server, &admin, &[(parameter, value)]).await;
        let named = refused_fields(response).await;
        assert_eq!(named.len(), 1, "{parameter}={value}");
    }
    let twice = list(&server, &admin, &[("limit", "1"), ("limit", "2")]).await;
    refused_fields(twice).await;
}
