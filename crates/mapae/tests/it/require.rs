//! The layer that protects everything behind it.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use mapae::domain::scope::Me;
use mapae::http::{error_style, on_error};
use mapae::service::By;
use mapae::service::account::Account;
use mapae::{CurrentUser, KnownUser, Mapae};
use mapae_verify::axum::ErrorStyle;
use serde_json::json;

use crate::live::{Items, Live, last_events, says, streams};
use crate::server::{Server, disable, expect, header, problem};
use crate::streams::OnTable;
use crate::tickets::ticket;

/// Routes of every kind, of which most ask for nothing themselves.
fn tree<U: Account>() -> Router<Mapae<U>> {
    let nested = Router::new().route("/c", get(async || "c")).fallback(async || "nested fallback");
    Router::new()
        .route("/a", get(async || "a").post(async || "posted"))
        .route("/b/{id}", any(async || "b"))
        .route("/items", get(async |_: CurrentUser<Items, U>| "items"))
        .route("/open", any(async |upgrade: axum::extract::WebSocketUpgrade| upgrade.on_upgrade(crate::live::hello)))
        .nest("/nested", nested)
        .nest("/streams", streams::<U>())
        .route_service("/service", tower::service_fn(async |_: Request| Ok::<_, Infallible>("service".into_response())))
        .fallback(async || "fallback")
}

const PATHS: [(&str, &str); 10] = [
    ("/t/a", "a"),
    ("/t/b/7", "b"),
    ("/t/nested/c", "c"),
    ("/t/nested/d", "nested fallback"),
    ("/t/nested/d/e", "nested fallback"),
    ("/t/streams/plain", "plain"),
    ("/t/streams/optional", "known"),
    ("/t/service", "service"),
    ("/t/x/y", "fallback"),
    ("/t", "fallback"),
];

fn app<U: Account>(mapae: &Mapae<U>) -> Router {
    let tree = tree::<U>().layer(mapae.require::<Me>());
    Router::new().route("/beside", get(async || "beside")).nest("/t", tree).with_state(mapae.clone())
}

#[tokio::test]
async fn everything_behind_it_asks_for_an_account() {
    let server = Server::start().await;
    let live = Live::serve(app(&server.mapae)).await;
    server.sign_up_with_scopes("ann", "me items").await;
    let (token, items) = (server.sign_in("ann").await, server.sign_in_for("ann", "items").await);
    let (gone, ended) = server.newcomer("gone").await;
    server.mapae.administer(&gone, disable(true), By::System).await.unwrap();
    for (path, body) in PATHS {
        problem(live.get(path, None).await, StatusCode::UNAUTHORIZED, "not_authenticated").await;
        for bad in ["nonsense", &ended] {
            problem(live.get(path, Some(bad)).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
        }
        let answer = live.get(path, Some(&items)).await;
        assert!(header(&answer, "www-authenticate").ends_with("scope=\"me\""), "{path}");
        problem(answer, StatusCode::FORBIDDEN, "insufficient_scope").await;
        assert_eq!(live.get(path, Some(&token)).await.text().await.unwrap(), body, "{path}");
    }
    for method in ["POST", "DELETE", "OPTIONS", "PATCH", "HEAD"] {
        for path in ["/t/a", "/t/b/7", "/t/x"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = reqwest::Client::new().request(method, format!("{}{path}", live.url));
            assert_eq!(request.send().await.unwrap().status(), 401, "{path}");
        }
    }
    assert_eq!(live.get("/beside", None).await.status(), 200);
    // A route's own extractor asks for more.
    let narrow = server.sign_in_for("ann", "me").await;
    problem(live.get("/t/items", Some(&narrow)).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    assert_eq!(live.get("/t/items", Some(&token)).await.text().await.unwrap(), "items");
}

#[tokio::test]
async fn streams_behind_it_take_tickets() {
    let server = Server::start().await;
    let live = Live::serve(app(&server.mapae)).await;
    let (id, token) = server.newcomer("ann").await;
    // One that asks for nothing itself, and one whose extractor finds what the layer has found.
    for path in ["/t/open", "/t/streams/ws"] {
        assert_eq!(live.socket(path, None).await.unwrap_err().0, 401);
        live.socket(path, Some(&token)).await.unwrap();
        let path = format!("{path}?ticket={}", ticket(&server, &token).await);
        live.socket(&path, None).await.unwrap();
        assert!(live.socket(&path, None).await.unwrap_err().1.contains("invalid_ticket"));
    }
    let path = format!("/t/streams/twice?ticket={}", ticket(&server, &token).await);
    assert_eq!(live.events(&path, None).await.text().await.unwrap(), "data: known\n\n");
    // Scopes are asked for all the same.
    let path = format!("/t/items?ticket={}", ticket(&server, &token).await);
    problem(live.events(&path, None).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    // They end with their session.
    let path = format!("/t/streams/ws?ticket={}", ticket(&server, &token).await);
    let mut socket = live.socket(&path, None).await.unwrap();
    says(&mut socket, "hello").await;
    let events = live.events("/t/streams/events", Some(&token)).await;
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    assert_eq!(crate::live::closed(&mut socket).await, (3000, "the session has ended".to_owned()));
    last_events(events).await;
}

#[tokio::test]
async fn layers_around_it_render_its_refusals() {
    let server = Server::start().await;
    let token = {
        server.sign_up_with_scopes("ann", "items").await;
        server.sign_in("ann").await
    };
    let detail = app(&server.mapae).layer(error_style(ErrorStyle::Detail));
    let own = on_error(|error| (StatusCode::IM_A_TEAPOT, error.code().as_str()).into_response());
    let (detail, own) = (Live::serve(detail).await, Live::serve(app(&server.mapae).layer(own)).await);
    for (path, _) in PATHS {
        let answer = expect(detail.get(path, None).await, StatusCode::UNAUTHORIZED).await;
        assert_eq!(answer, json!({ "detail": "Not authenticated" }), "{path}");
        // A missing scope is 401 in this style.
        let answer = expect(detail.get(path, Some(&token)).await, StatusCode::UNAUTHORIZED).await;
        assert_eq!(answer, json!({ "detail": "Not enough permissions" }), "{path}");
        let answer = own.get(path, Some(&token)).await;
        assert_eq!(
            (answer.status(), answer.text().await.unwrap().as_str()),
            (StatusCode::IM_A_TEAPOT, "insufficient_scope")
        );
    }
    let path = format!("/t/x?ticket=mt_{}", "A".repeat(43));
    let answer = expect(detail.events(&path, None).await, StatusCode::UNAUTHORIZED).await;
    assert_eq!(answer, json!({ "detail": "Could not validate credentials" }));
    assert_eq!(own.events(&path, None).await.text().await.unwrap(), "invalid_ticket");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_looked_up_once() {
    let app = OnTable::start().await;
    type Person = crate::people::Person;
    let handler = async |_: CurrentUser<Me, Person>, _: KnownUser<(), Person>, _: Option<CurrentUser<(), Person>>| "in";
    let routes = Router::new().route("/", get(handler));
    let behind = routes.clone().layer(app.mapae.require::<Me>()).layer(app.mapae.require::<()>());
    let mapae = app.mapae.clone();
    let live = Live::serve(Router::new().nest("/behind", behind).nest("/bare", routes).with_state(mapae)).await;
    let token = app.newcomer("ann").await;
    app.people.looked_up();
    for (path, times) in [("/behind", 1), ("/bare", 3)] {
        assert_eq!(live.get(path, Some(&token)).await.text().await.unwrap(), "in");
        assert_eq!(app.people.looked_up(), times, "{path}");
    }
    app.people.change("ann", |person| person.active = false);
    problem(live.get("/behind", Some(&token)).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

/// What one service knows is nothing to another one, though its accounts have the same type.
#[tokio::test(flavor = "multi_thread")]
async fn another_service_judges_for_itself() {
    let (one, other) = (OnTable::start().await, OnTable::start().await);
    other.people.add("ann");
    let inner = streams().with_state(other.mapae.clone());
    let live = Live::serve(Router::new().nest("/t", inner).layer(one.mapae.require::<Me>())).await;
    let token = one.newcomer("ann").await;
    for path in ["/t/plain", "/t/optional"] {
        problem(live.get(path, Some(&token)).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
}

#[tokio::test]
async fn aides_router_documents_it() {
    let server = Server::start().await;
    let mut document = server.mapae.openapi("Shop", "1");
    let routes = aide::axum::ApiRouter::<Mapae>::new()
        .api_route("/a", aide::axum::routing::get(async || "a"))
        .api_route("/items", aide::axum::routing::get(async |_: CurrentUser<Items>| "items"));
    let routes = server.mapae.protect::<Me, _>(routes).finish_api(&mut document);
    let document = serde_json::to_value(&document).unwrap();
    let security = |path: &str| document["paths"][path]["get"]["security"].clone();
    assert_eq!(security("/a"), json!([{ "OAuth2PasswordBearer": ["me"] }]));
    assert_eq!(security("/items"), json!([{ "OAuth2PasswordBearer": ["items", "me"] }]));
    let live = Live::serve(routes.with_state(server.mapae.clone())).await;
    problem(live.get("/a", None).await, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    let (_, token) = server.newcomer("ann").await;
    assert_eq!(live.get("/a", Some(&token)).await.text().await.unwrap(), "a");
}
