//! Where minted tokens never pass: every route of the document is tried.

use mapae::service::By;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::delegation::{Garage, claims, exchange, server_with_cars};
use crate::forge::{Forge, parts, sign, stolen_key, with};
use crate::server::{PASSWORD, Server, expect, problem};

/// The routes that say that they take them.
const OPEN: [(&str, &str); 4] =
    [("get", "/users/me"), ("get", "/oauth2/userinfo"), ("post", "/oauth2/userinfo"), ("get", "/verify")];

/// Every operation that asks for a token.
async fn protected(server: &Server) -> Vec<(String, String)> {
    let document = expect(server.get("/openapi.json").send().await.unwrap(), StatusCode::OK).await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security").is_some() {
                found.push((method.clone(), path.clone()));
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

async fn call(server: &Server, method: &str, path: &str, token: &str) -> reqwest::Response {
    let path = path.replace(['{', '}'], "");
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = server.client.request(method, format!("{}{path}", server.url));
    request.bearer_auth(token).json(&json!({})).send().await.unwrap()
}

#[tokio::test]
async fn no_route_takes_them_unless_it_says_so() {
    let server = server_with_cars().await;
    server.sign_up_with_scopes("root", "me items drive mapae:admin").await;
    let own = server.sign_in_for("root", "me items drive mapae:admin").await;
    let bots = exchange(&server.url, &own, &[]).await;
    let car = exchange(&server.url, &own, &[("requested_subject", "car:42")]).await;
    assert_eq!(claims(&bots)["scope"], "me items drive", "mapae:admin is never passed on");
    // As if it had been, by whoever has stolen the signing key.
    let (header, carried) = parts(&bots);
    let forged = sign(&stolen_key(&server).await, &header, &with(&carried, "scope", json!("me mapae:admin")));
    let mut open = 0;
    for (method, path) in protected(&server).await {
        let name = format!("{method} {path}");
        if OPEN.contains(&(&method, &path)) {
            open += 1;
            assert_eq!(call(&server, &method, &path, &bots).await.status(), 200, "{name}");
        } else {
            for token in [&bots, &forged] {
                let refused =
                    problem(call(&server, &method, &path, token).await, StatusCode::FORBIDDEN, "delegated_token");
                assert!(refused.await["detail"].as_str().unwrap().contains("your own sign-in"), "{name}");
            }
        }
        // A car is no person anywhere.
        if path != "/verify" {
            problem(call(&server, &method, &path, &car).await, StatusCode::FORBIDDEN, "wrong_subject").await;
        }
    }
    assert_eq!(open, OPEN.len());
    assert_eq!(server.status_of_me(&own).await, 200, "nothing of it had any effect");
}

/// What an embedding application hands to the service is held to the same rule.
#[tokio::test]
async fn nor_does_the_service_itself() {
    let server = Server::start().await;
    let (_, own) = server.newcomer("ann").await;
    let bot = server.mapae.authenticate(&exchange(&server.url, &own, &[]).await).await.unwrap();
    let change = mapae::service::accounts::AccountChange { full_name: Some(None), ..Default::default() };
    let refused = server.mapae.change_account(&bot, change).await.unwrap_err();
    assert!(matches!(refused, mapae::service::accounts::ChangeError::Delegated), "{refused}");
    assert!(server.mapae.end_other_sessions(&bot).await.is_err());
    assert!(server.mapae.revoke_own_token(&bot, "x").await.is_err());
}

/// A token that only says that it speaks for a car, or for a person, on the session of another, speaks for nobody.
#[tokio::test]
async fn a_forged_subject_has_no_session() {
    let server = server_with_cars().await;
    server.sign_up_with_scopes("root", "me drive mapae:admin").await;
    let own = server.sign_in_for("root", "me drive mapae:admin").await;
    let car = exchange(&server.url, &own, &[("requested_subject", "car:42")]).await;
    let root = claims(&own)["sub"].clone();
    let forge = Forge::from(&server, &own).await;
    let of_car = Forge { key: stolen_key(&server).await, header: parts(&car).0, claims: parts(&car).1 };
    for forged in [
        forge.with_claim("sub", json!("car:42")),
        of_car.with_claim("sub", json!("car:43")),
        of_car.with_claim("sub", root),
        of_car.with_claim("sid", Value::Null),
    ] {
        assert_eq!(server.get("/verify").bearer_auth(&forged).send().await.unwrap().status(), 401);
    }
    for odd in [json!("x"), json!([]), json!({}), json!({ "sub": 1 }), json!({ "sub": "a", "act": "b" })] {
        assert_eq!(
            server.get("/verify").bearer_auth(of_car.with_claim("act", odd)).send().await.unwrap().status(),
            401
        );
    }
}

/// The extractor in an application of somebody's, whose hook says who may speak for a car.
#[tokio::test]
async fn a_cars_route_takes_cars_and_a_persons_route_persons() {
    let garage = Garage::start().await;
    let (id, ann) = garage.newcomer("ann", "me items drive").await;
    let (_, bob) = garage.newcomer("bob", "me drive").await;
    let ask = async |token: &str| exchange(&garage.url, token, &[("requested_subject", "car:42")]).await;
    let car = ask(&ann).await;
    assert_eq!(garage.asked(), ["ann car:42 me items drive"; 2], "before and after it is durable");
    let refused = crate::delegation::ask(&garage.url, &bob, &[("requested_subject", "car:42")]).await;
    assert_eq!(refused.status(), 400);
    let drives = garage.post("/drive").bearer_auth(&car).send().await.unwrap();
    assert_eq!(drives.text().await.unwrap(), format!("42 me items drive by {id}"));
    assert_eq!(garage.get("/locate", &car).await.text().await.unwrap(), "car:42 of ann");
    assert_eq!(garage.get("/locate", &ann).await.text().await.unwrap(), format!("{id} of ann"), "the route says so");
    assert_eq!(garage.get("/person", &ann).await.text().await.unwrap(), "ann");

    for (path, token, shown) in [("/drive", &ann, "user"), ("/drive", &bob, "user"), ("/person", &car, "car")] {
        let request =
            if path == "/drive" { garage.post(path) } else { garage.client.get(format!("{}{path}", garage.url)) };
        let why =
            problem(request.bearer_auth(token).send().await.unwrap(), StatusCode::FORBIDDEN, "wrong_subject").await;
        assert!(why["detail"].as_str().unwrap().ends_with(&format!("speaks for a {shown}.")), "{why}");
    }
    // Too few scopes, no token, one that is over.
    let weak = exchange(&garage.url, &car, &[("scope", "items")]).await;
    let lacking = garage.post("/drive").bearer_auth(&weak).send().await.unwrap();
    problem(lacking, StatusCode::FORBIDDEN, "insufficient_scope").await;
    problem(garage.post("/drive").send().await.unwrap(), StatusCode::UNAUTHORIZED, "not_authenticated").await;
    let person = exchange(&garage.url, &ann, &[("scope", "drive")]).await;
    assert_eq!(garage.get("/person", &person).await.status(), 200, "a weaker token of a person is a person's");

    // She sells the car: nothing new, and what is there is the application's to end.
    garage.owners.owns.store(false, std::sync::atomic::Ordering::SeqCst);
    garage.asked();
    assert_eq!(crate::delegation::ask(&garage.url, &car, &[("scope", "drive")]).await.status(), 400);
    assert_eq!(garage.asked(), ["ann car:42 drive"], "asked again");
    assert_eq!(garage.post("/drive").bearer_auth(&car).send().await.unwrap().status(), 200);
    let sold = mapae_verify::Subject::parse("car:42").unwrap();
    assert_eq!(garage.mapae.revoke_tokens_of(&sold, By::System).await.unwrap(), 2);
    assert_eq!(garage.post("/drive").bearer_auth(&car).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_stream_ends_with_the_cars_token() {
    let garage = Garage::start().await;
    let (_, ann) = garage.newcomer("ann", "me drive").await;
    let car = exchange(&garage.url, &ann, &[("requested_subject", "car:42")]).await;
    let watching = garage.get("/watch", &car).await;
    assert_eq!(watching.status(), 200);
    let form = [("token", car.as_str()), ("client_id", "mapae")];
    assert_eq!(garage.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
    let rest = tokio::time::timeout(std::time::Duration::from_secs(20), watching.text()).await;
    assert_eq!(rest.expect("the stream goes on").unwrap(), "");
}

/// What is taken away while a token is made is in no token.
#[tokio::test]
async fn a_car_that_is_sold_meanwhile_gets_no_token() {
    let garage = Garage::start().await;
    let (id, ann) = garage.newcomer("ann", "me drive").await;
    garage.owners.sells.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = crate::delegation::ask(&garage.url, &ann, &[("requested_subject", "car:42")]).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(garage.asked(), ["ann car:42 me drive"; 2]);
    assert!(garage.mapae.minted_tokens(Some(&id)).await.unwrap().is_empty());
}

/// A thing is named by its owner, and by nobody who was handed one of its tokens.
#[tokio::test]
async fn whoever_was_handed_a_token_names_no_thing() {
    let garage = Garage::start().await;
    let (_, ann) = garage.newcomer("ann", "me drive").await;
    let bots = exchange(&garage.url, &ann, &[("scope", "drive")]).await;
    let asked = crate::delegation::ask(&garage.url, &bots, &[("requested_subject", "car:42")]).await;
    let why = crate::oauth::oauth_error(asked, 400, "invalid_request").await;
    assert!(why.contains("your own sign-in"), "{why}");
    assert!(garage.asked().is_empty());
    let body = json!({ "kind": "personal_token", "scope": "drive", "password": PASSWORD });
    let minted = garage.post("/users/me/tokens").bearer_auth(&ann).json(&body).send().await.unwrap();
    let personal = expect(minted, StatusCode::CREATED).await["token"].as_str().unwrap().to_owned();
    let car = exchange(&garage.url, &personal, &[("requested_subject", "car:42")]).await;
    assert_eq!(claims(&car)["sub"], "car:42", "a personal token that speaks for its owner may");
    let weaker = exchange(&garage.url, &personal, &[]).await;
    assert_eq!(crate::delegation::ask(&garage.url, &weaker, &[("requested_subject", "car:42")]).await.status(), 400);
}

/// A personal token for a thing works as long as its owner may speak for it.
#[tokio::test]
async fn whoever_may_no_longer_speak_is_refused_at_the_next_exchange() {
    let garage = Garage::start().await;
    let (_, ann) = garage.newcomer("ann", "me drive").await;
    let body = json!({ "kind": "personal_token", "subject": "car:42", "scope": "drive", "password": PASSWORD });
    let minted = garage.post("/users/me/tokens").bearer_auth(&ann).json(&body).send().await.unwrap();
    let minted = expect(minted, StatusCode::CREATED).await;
    let token = minted["token"].as_str().unwrap();
    let car = exchange(&garage.url, token, &[]).await;
    assert_eq!(claims(&car)["sub"], "car:42");
    garage.owners.owns.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(crate::delegation::ask(&garage.url, token, &[]).await.status(), 400);
}
