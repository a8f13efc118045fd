//! Routes for things, and for users alone.

use aide::axum::ApiRouter;
use aide::axum::routing::get;
use aide::openapi::OpenApi;
use axum::Router;
use mapae_verify::axum::{Bearer, Subject, TokenVerifier, finish_openapi};
use mapae_verify::{AnyOf, DeclaredKind, UserSubject};
use serde_json::{Value, json};

use crate::support::{Answer, Items, KEY, Server, token, token_with, verifier};

struct Car;
impl DeclaredKind for Car {
    const KIND: &'static str = "car";
}

struct Post;
impl DeclaredKind for Post {
    const KIND: &'static str = "post";
}

async fn drive(car: Subject<Car, Items>) -> String {
    let acting = car.act.as_ref().map_or("nobody", |actor| actor.sub.as_str());
    format!("{} {} by {acting}", car.id(), car.scope)
}

fn routes() -> (Router, Value) {
    let router = ApiRouter::new()
        .api_route("/drive", get(drive))
        .api_route("/any-car", get(async |car: Subject<Car>| car.id().to_owned()))
        .api_route("/user", get(async |user: Subject<UserSubject, Items>| user.id().to_owned()))
        .api_route("/either", get(async |one: Subject<AnyOf<(Car, Post, UserSubject)>>| one.sub.to_string()))
        .api_route("/bearer", get(async |one: Bearer| one.sub.to_string()))
        .with_state(TokenVerifier::from(verifier()));
    let mut api = OpenApi::default();
    let router = router.finish_api(&mut api);
    finish_openapi(&mut api, "token");
    (router, serde_json::to_value(&api).unwrap())
}

fn of(sub: &str) -> String {
    token_with(&KEY, &json!({ "sub": sub, "scope": "items", "act": { "sub": "ann", "iss": "x" } }))
}

#[tokio::test]
async fn a_route_takes_tokens_of_its_kinds_alone() {
    let server = Server::start(routes().0).await;
    let (user, car, post, client) = (of("0198c0de"), of("car:42"), of("post:1"), of("client:web"));
    for (path, token, expected) in [
        ("/drive", &car, Ok("42 items by ann")),
        ("/drive", &user, Err("car. The one sent speaks for a user.")),
        ("/drive", &post, Err("car. The one sent speaks for a post.")),
        ("/drive", &client, Err("car. The one sent speaks for a client.")),
        ("/any-car", &car, Ok("42")),
        ("/user", &user, Ok("0198c0de")),
        ("/user", &car, Err("user. The one sent speaks for a car.")),
        ("/either", &user, Ok("0198c0de")),
        ("/either", &post, Ok("post:1")),
        ("/either", &client, Err("car or post or user. The one sent speaks for a client.")),
        ("/bearer", &car, Ok("car:42")),
    ] {
        let answer = Answer::of(server.get(path, token).await).await;
        match expected {
            Ok(body) => assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}"),
            Err(reason) => {
                assert_eq!((answer.status, answer.challenge), (403, None), "{path}");
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem["code"], "wrong_subject");
                assert_eq!(problem["detail"], format!("This takes a token for: {reason}"));
            }
        }
    }
}

#[tokio::test]
async fn the_rest_is_as_with_bearer() {
    let server = Server::start(routes().0).await;
    let stranger = Answer::of(server.get_as_stranger("/drive").await).await;
    assert_eq!((stranger.status, stranger.challenge.as_deref()), (401, Some("Bearer")));
    let lacking = token_with(&KEY, &json!({ "sub": "car:42", "scope": "me" }));
    let answer = Answer::of(server.get("/drive", &lacking).await).await;
    assert!(answer.status == 403 && answer.body.contains("insufficient_scope"), "{answer:?}");
    // The wrong subject is told before the missing scope.
    let answer = Answer::of(server.get("/drive", &token(&KEY, "me")).await).await;
    assert!(answer.status == 403 && answer.body.contains("wrong_subject"), "{answer:?}");
    for odd in [json!("x"), json!([]), json!({}), json!({ "sub": 1 }), json!(1)] {
        let forged = token_with(&KEY, &json!({ "sub": "car:42", "act": odd }));
        assert_eq!(server.get("/any-car", &forged).await.status(), 401, "{odd}");
    }
}

#[test]
fn the_document_says_for_whom() {
    let document = routes().1;
    let forbidden = |path: &str| document["paths"][path]["get"]["responses"]["403"]["description"].clone();
    assert_eq!(forbidden("/drive"), "The token does not speak for: car. Or it lacks a scope: items.");
    assert_eq!(forbidden("/any-car"), "The token does not speak for: car.");
    assert_eq!(forbidden("/either"), "The token does not speak for: car or post or user.");
    assert_eq!(document["paths"]["/drive"]["get"]["security"], json!([{ "OAuth2PasswordBearer": ["items"] }]));
}
