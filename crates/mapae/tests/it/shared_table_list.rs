//! Accounts of another application's table, listed and found, and columns of PostgreSQL's own types.

use mapae::domain::UserMapping;
use mapae::domain::user_mapping::{ActiveColumn, Filling, IdType, Preset};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::database::is_postgres;
use crate::server::{PASSWORD, expect, id_of, text};
use crate::shared_table::Shared;

async fn list(shared: &Shared, admin: &str, query: &[(&str, &str)]) -> Value {
    let request = shared.server.get("/admin/users").query(query).bearer_auth(admin);
    expect(request.send().await.unwrap(), StatusCode::OK).await
}

fn names(page: &Value) -> Vec<&str> {
    page["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn administrators_list_and_search_their_table() {
    let shared = Shared::start().await;
    for number in 1..=11 {
        shared.add(&format!("user{number}"), PASSWORD).await;
    }
    shared.add("100%_x", PASSWORD).await;
    shared
        .set("first_name = 'Bo', last_name = 'Van Dyck', email = 'Bo@Elsewhere.org', is_active = FALSE", "user5")
        .await;
    let admin = shared.admin("user1").await;

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", "5")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = list(&shared, &admin, &query).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        match page.get("next_cursor") {
            Some(next) => cursor = Some(text(next)),
            None => break,
        }
    }
    let all: Vec<String> = (1..=11).map(|number| format!("user{number}")).chain(["100%_x".to_owned()]).collect();
    assert_eq!(seen, all, "in the order of their numbers");

    let found = list(&shared, &admin, &[("q", "USER5")]).await;
    let user = json!({
        "id": "5", "username": "user5", "email": "Bo@Elsewhere.org", "full_name": "Bo Van Dyck", "disabled": true,
        "scope": "me",
    });
    assert_eq!(found["users"], json!([user]), "times are not known here");
    assert_eq!(list(&shared, &admin, &[("q", "user1")]).await["users"][0]["scope"], "me mapae:admin");
    for (search, count) in [
        ("elsewhere", 1),
        ("bo van", 1),
        ("n d", 1),
        ("user1", 3),
        ("%", 1),
        ("_", 1),
        ("\\", 0),
        ("nobody", 0),
        ("'", 0),
    ] {
        assert_eq!(names(&list(&shared, &admin, &[("q", search)]).await).len(), count, "{search}");
    }
    // A cursor that is no key of this table: nothing comes after it. "x" in base64.
    assert_eq!(list(&shared, &admin, &[("cursor", "eA")]).await["users"], json!([]));
}

/// As fastapi-users makes it, with what else there is on PostgreSQL; any name of a type will do on SQLite.
#[tokio::test]
async fn columns_of_postgresql_take_what_they_hold() {
    let table = r#"CREATE TABLE "user" (
        id uuid PRIMARY KEY, email varchar(320) NOT NULL UNIQUE, hashed_password varchar(1024) NOT NULL,
        is_active smallint NOT NULL, token uuid, since timestamp with time zone NOT NULL,
        changed timestamp NOT NULL, note char(8) NOT NULL, level integer NOT NULL)"#;
    let insert =
        [("since", Filling::Now), ("changed", Filling::Now), ("note", Filling::Empty), ("level", Filling::False)];
    let mapping = UserMapping {
        active: Some(ActiveColumn::Active("is_active".to_owned())),
        uniquifier: Some("token".to_owned()),
        insert: insert.into_iter().map(|(column, filling)| (column.to_owned(), filling)).collect(),
        id_type: IdType::Text,
        ..Preset::FastapiUsers.mapping()
    };
    let shared = Shared::start_with(table, mapping, |_| {}).await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD });
    let ann = expect(shared.sign_up(body).await, StatusCode::CREATED).await;
    shared.sign_up(json!({ "email": "bob@example.com", "password": PASSWORD })).await;
    assert_eq!(text(&ann["id"]).len(), 36);
    let token = shared.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(shared.status(&token).await, 200);
    let change = json!({ "current_password": PASSWORD, "new_password": "seven purple elephants dancing" });
    let before = shared.one(r#"SELECT CAST(token AS TEXT) FROM "user" WHERE email LIKE 'ann%'"#).await;
    let changed = shared.server.post("/users/me/password").bearer_auth(&token).json(&change).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    assert_ne!(shared.one(r#"SELECT CAST(token AS TEXT) FROM "user" WHERE email LIKE 'ann%'"#).await, before);
    if is_postgres() {
        for column in ["since", "changed"] {
            let time =
                format!(r#"SELECT CAST({column} AT TIME ZONE 'UTC' AS TEXT) FROM "user" WHERE email LIKE 'ann%'"#);
            assert!(shared.one(&time).await.starts_with("2026-01-01 00:00:00"), "{column}");
        }
    }

    let admin = shared.admin("bob@example.com").await;
    let page = list(&shared, &admin, &[("limit", "1")]).await;
    let cursor = text(&page["next_cursor"]);
    let rest = list(&shared, &admin, &[("cursor", &cursor)]).await;
    assert_eq!(rest["users"].as_array().unwrap().len(), 1);
    assert_ne!(page["users"][0]["id"], rest["users"][0]["id"]);
    assert_eq!(list(&shared, &admin, &[("cursor", "eA")]).await["users"], json!([]), "no key is after x");

    let id = id_of(&ann);
    let path = format!("/admin/users/{id}");
    let disabled = shared.server.patch(&path).bearer_auth(&admin).json(&json!({ "disabled": true }));
    assert_eq!(expect(disabled.send().await.unwrap(), StatusCode::OK).await["disabled"], true);
    assert_eq!(shared.status(&token).await, 401);
    for id in ["x", "ann%", &"0".repeat(36), &text(&ann["id"]).to_uppercase()] {
        let request = shared.server.get(&format!("/admin/users/{id}")).bearer_auth(&admin);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND, "{id}");
    }
    assert_eq!(shared.server.mapae.check_accounts().await.unwrap().problems, [] as [String; 0]);
}
