//! `/verify`, which proxies ask about each request.

use mapae::service::By;
use reqwest::{Method, Response, StatusCode};

use crate::oauth::{confidential, sign_in, token};
use crate::server::{Server, disable, expect, header, problem, refused_fields, text, withdraw};

async fn ask(server: &Server, path: &str, access: &str) -> Response {
    server.get(path).bearer_auth(access).send().await.unwrap()
}

fn passed(response: &Response) -> (u16, String, String) {
    (response.status().as_u16(), header(response, "x-auth-subject"), header(response, "x-auth-scope"))
}

#[tokio::test]
async fn a_good_token_passes_with_subject_and_scope() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let tokens = sign_in(&server, "ann", "").await;
    let expected = (200, id.to_string(), "me items".to_owned());
    for path in ["/verify", "/verify?scope=me", "/verify?scope=items%20me", "/verify?scope=items+me", "/verify?scope="]
    {
        let response = ask(&server, path, &tokens.access).await;
        assert_eq!(passed(&response), expected, "{path}");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(response.text().await.unwrap(), "");
    }
    let secret = confidential(&server, "job", "client_credentials", "items").await;
    let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", &secret)];
    let job = text(&expect(token(&server, &form).await, StatusCode::OK).await["access_token"]);
    let response = ask(&server, "/verify?scope=items", &job).await;
    assert_eq!(passed(&response), (200, "client:job".to_owned(), "items".to_owned()));
    // Withdrawn or removed, it ends here at once.
    server.mapae.administer(&id, withdraw("items"), By::System).await.unwrap();
    assert_eq!(passed(&ask(&server, "/verify", &tokens.access).await).2, "me");
    assert_eq!(ask(&server, "/verify?scope=items", &tokens.access).await.status(), 403);
    server.mapae.remove_client("job", By::System).await.unwrap();
    assert_eq!(ask(&server, "/verify", &job).await.status(), 401);
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    assert_eq!(ask(&server, "/verify", &tokens.access).await.status(), 401);
}

#[tokio::test]
async fn what_may_not_pass_gets_401_or_403() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    let none = server.get("/verify").send().await.unwrap();
    problem(none, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    for bad in ["x", &format!("{}x", tokens.access), tokens.refresh.as_str()] {
        let response = ask(&server, "/verify?scope=me", bad).await;
        assert!(header(&response, "www-authenticate").contains("scope=\"me\""));
        assert_eq!(passed(&response), (401, String::new(), String::new()));
    }
    let response = ask(&server, "/verify?scope=items&scope=me", &tokens.access).await;
    assert!(header(&response, "www-authenticate").starts_with("Bearer error=\"insufficient_scope\""));
    problem(response, StatusCode::FORBIDDEN, "insufficient_scope").await;
    // A misspelled requirement is no requirement that nothing is required.
    for mistake in ["/verify?scopes=items", "/verify?scope=a%22b", "/verify?Scope=items"] {
        let refused = refused_fields(ask(&server, mistake, &tokens.access).await).await;
        assert_eq!(refused, [("scope".to_owned(), "invalid_scope".to_owned())]);
    }
    assert_eq!(server.post("/verify").send().await.unwrap().status(), 405);
}

/// Envoy asks with method, path and query of the visitor's request.
#[tokio::test]
async fn the_visitors_own_path_and_query_decide_nothing() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    for (method, path) in [
        (Method::GET, "/verify/"),
        (Method::POST, "/verify/items/1"),
        (Method::DELETE, "/verify/a?scope=items&x=%22"),
        (Method::PUT, "/verify/users/me/../x"),
        (Method::OPTIONS, "/verify/x"),
    ] {
        let call = || server.client.request(method.clone(), format!("{}{path}", server.url));
        assert_eq!(call().bearer_auth(&tokens.access).send().await.unwrap().status(), 200, "{method} {path}");
        assert_eq!(call().send().await.unwrap().status(), 401, "{method} {path}");
    }
}

/// Anybody can ask, so the question is bounded before anything is done with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_scopes_costs_no_more_than_a_short_one() {
    let server = Server::start().await;
    let some = |from: usize| (from..from + 100).map(|number| format!("s{number}")).collect::<Vec<_>>().join("+");
    let long = (0..85).map(|part| format!("scope={}", some(part * 100))).collect::<Vec<_>>().join("&");
    let answer =
        server.get(&format!("/verify?{long}")).timeout(std::time::Duration::from_secs(5)).send().await.unwrap();
    assert_eq!(refused_fields(answer).await, [("scope".to_owned(), "invalid_scope".to_owned())]);
    let several = format!("/verify?scope={}&scope=s1", some(0));
    assert_eq!(server.get(&several).send().await.unwrap().status(), 401);
}
