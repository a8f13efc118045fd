//! The refresh token in a cookie, for pages of the server's own origin.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::oauth::refused;
use crate::server::{PASSWORD, Server, expect, header, problem};

const NAME: &str = "__Host-mapae-refresh";

fn sign_in(server: &Server) -> RequestBuilder {
    let body = json!({ "username": "ann", "password": PASSWORD, "refresh_cookie": true });
    server.post("/users/signin").header("origin", &server.url).json(&body)
}

/// The value that a response sets, after a look at the attributes.
fn set_cookie(response: &Response) -> String {
    let cookie = header(response, "set-cookie");
    let mut parts = cookie.split("; ");
    let value = parts.next().unwrap().strip_prefix(&format!("{NAME}=")).unwrap().to_owned();
    let mut attributes: Vec<&str> = parts.filter(|part| !part.starts_with("Max-Age=")).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"], "{cookie}");
    value
}

fn refresh(server: &Server, cookie: &str) -> RequestBuilder {
    let request = server.post("/users/refresh").header("cookie", format!("theme=dark; {NAME}={cookie}; x=y"));
    request.header("origin", &server.url)
}

#[tokio::test]
async fn a_page_signs_in_refreshes_and_signs_out() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let response = sign_in(&server).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert!(header(&response, "set-cookie").contains("Max-Age=2592000"));
    let first = set_cookie(&response);
    let body = expect(response, StatusCode::OK).await;
    assert!(body.get("refresh_token").is_none(), "no script gets it: {body}");
    let response = refresh(&server, &first).header("sec-fetch-site", "same-origin").send().await.unwrap();
    let second = set_cookie(&response);
    assert_ne!(first, second);
    let body = expect(response, StatusCode::OK).await;
    assert!(body.get("refresh_token").is_none(), "{body}");
    let access = body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.status_of_me(&access).await, 200);
    // Two tabs at once: the same successor.
    assert_eq!(set_cookie(&refresh(&server, &first).send().await.unwrap()), second);

    let out = server.post("/users/signout").bearer_auth(&access).header("cookie", format!("{NAME}={second}"));
    let out = out.send().await.unwrap();
    assert_eq!((out.status().as_u16(), set_cookie(&out).as_str()), (204, ""));
    assert!(header(&out, "set-cookie").contains("Max-Age=0"));
    let refused_page = refresh(&server, &second).send().await.unwrap();
    assert_eq!(header(&refused_page, "set-cookie"), "");
    let body = problem(refused_page, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert!(body["detail"].as_str().unwrap().contains("signed out"), "{body}");
    assert!(refused(&server, &second).await.contains("signed out"));
}

#[tokio::test]
async fn only_pages_of_the_own_origin_use_it() {
    let server = Server::start_with(|settings| settings.http.cors_origins = vec!["https://app.example".into()]).await;
    server.sign_up("ann").await;
    let cookie = set_cookie(&sign_in(&server).send().await.unwrap());
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    for (origin, site) in [
        (None, None),
        (None, Some("same-origin")),
        (Some("null"), None),
        (Some("https://evil.example"), None),
        (Some("https://evil.example"), Some("same-origin")),
        (Some("https://app.example"), Some("same-site")),
        (Some(&*format!("https://{host}")), None),
        (Some(&*format!("{}.evil.example", server.url)), None),
        (Some(&*server.url), Some("cross-site")),
        (Some(&*server.url), Some("same-site")),
        (Some(&*server.url), Some("none")),
        (Some(&*server.url), Some("")),
    ] {
        let body = json!({ "username": "ann", "password": PASSWORD, "refresh_cookie": true });
        let with = |mut request: RequestBuilder| {
            request = request.header("cookie", format!("{NAME}={cookie}"));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            request
        };
        for request in [with(server.post("/users/refresh")), with(server.post("/users/signin").json(&body))] {
            let response = request.send().await.unwrap();
            assert_eq!(header(&response, "set-cookie"), "");
            assert_eq!(header(&response, "access-control-allow-credentials"), "");
            problem(response, StatusCode::FORBIDDEN, "cross_site").await;
        }
    }
    // Refused before anything was touched.
    assert_eq!(refresh(&server, &cookie).send().await.unwrap().status(), 200);
    let twice = refresh(&server, &cookie).header("origin", "https://evil.example").send().await.unwrap();
    problem(twice, StatusCode::FORBIDDEN, "cross_site").await;
}

#[tokio::test]
async fn the_cookie_opens_no_other_route() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let cookie = set_cookie(&sign_in(&server).send().await.unwrap());
    let header = format!("{NAME}={cookie}");
    for request in [
        server.get("/users/me"),
        server.delete("/users/me/sessions"),
        server.post("/users/signout"),
        server.get("/verify"),
    ] {
        let response = request.header("cookie", &header).header("origin", &server.url).send().await.unwrap();
        problem(response, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    let form = [("grant_type", "refresh_token"), ("client_id", "mapae")];
    let response = server.post("/oauth2/token").header("cookie", &header).form(&form).send().await.unwrap();
    crate::oauth::oauth_error(response, 400, "invalid_request").await;
    // And without the cookie there is nothing to refresh.
    let none = server.post("/users/refresh").header("origin", &server.url).send().await.unwrap();
    problem(none, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    for broken in ["", "x", "mr_x", "\"mr_x\"", "a;b", &"x".repeat(5_000)] {
        let response = refresh(&server, broken).send().await.unwrap();
        assert_eq!(response.status(), 401, "{broken}");
        assert_eq!(response.json::<Value>().await.unwrap()["status"], 401);
    }
    // Without the wish for one, no cookie is set.
    let body = json!({ "username": "ann", "password": PASSWORD });
    let plain = server.post("/users/signin").json(&body).send().await.unwrap();
    assert_eq!(crate::server::header(&plain, "set-cookie"), "");
    assert!(expect(plain, StatusCode::OK).await["refresh_token"].is_string());
}
