//! Both tokens in cookies, for pages of the server's own origin that keep no token at all.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::server::{PASSWORD, Server, expect, problem};

const ACCESS: &str = "__Host-mapae-access";

/// The cookies that a response sets, as a browser sends them back.
fn cookies(response: &Response) -> String {
    let set = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    set.map(|cookie| {
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
        }
        cookie.split("; ").next().unwrap().to_owned()
    })
    .collect::<Vec<_>>()
    .join("; ")
}

async fn sign_in(server: &Server) -> String {
    let body = json!({ "username": "ann", "password": PASSWORD, "refresh_cookie": true, "access_cookie": true });
    let response = server.post("/users/signin").header("origin", &server.url).json(&body).send().await.unwrap();
    let cookies = cookies(&response);
    let body = expect(response, StatusCode::OK).await;
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none(), "no script gets them: {body}");
    assert_eq!((body["expires_in"].as_u64(), body["scope"].as_str()), (Some(900), Some("me")));
    cookies
}

#[tokio::test]
async fn a_page_without_any_token_calls_refreshes_and_signs_out() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server).await;
    let me = server.get("/users/me").header("cookie", &first).send().await.unwrap();
    assert_eq!(expect(me, StatusCode::OK).await["username"], "ann");
    let change = server.patch("/users/me").header("cookie", &first).header("origin", &server.url);
    let changed = change.json(&json!({ "full_name": "Ann" })).send().await.unwrap();
    assert_eq!(expect(changed, StatusCode::OK).await["full_name"], "Ann");

    server.clock.advance(15 * 60 + 10);
    let stale = server.get("/users/me").header("cookie", &first).send().await.unwrap();
    problem(stale, StatusCode::UNAUTHORIZED, "invalid_token").await;
    let refresh = server.post("/users/refresh").header("cookie", &first).header("origin", &server.url);
    let refreshed = refresh.send().await.unwrap();
    let second = cookies(&refreshed);
    let body = expect(refreshed, StatusCode::OK).await;
    assert!(body.get("access_token").is_none() && second.contains(ACCESS), "{body} {second}");
    assert_eq!(server.get("/users/me").header("cookie", &second).send().await.unwrap().status(), 200);

    let out = server.post("/users/signout").header("cookie", &second).header("origin", &server.url);
    let out = out.send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(cookies(&out).split("; ").all(|cookie| cookie.ends_with('=')), "{}", cookies(&out));
    let over = server.get("/users/me").header("cookie", &second).send().await.unwrap();
    problem(over, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn whatever_may_change_something_comes_from_the_own_origin() {
    let server = Server::start_with(|settings| settings.http.cors_origins = vec!["https://app.example".into()]).await;
    server.sign_up("ann").await;
    let cookie = sign_in(&server).await;
    for (method, path) in [
        ("PATCH", "/users/me"),
        ("DELETE", "/users/me"),
        ("POST", "/users/me/password"),
        ("DELETE", "/users/me/sessions"),
        ("POST", "/users/signout"),
    ] {
        for (origin, site) in [
            (None, None),
            (None, Some("same-origin")),
            (Some("null"), None),
            (Some("https://evil.example"), None),
            (Some("https://app.example"), Some("same-site")),
            (Some(&*server.url), Some("cross-site")),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = server.client.request(method, format!("{}{path}", server.url)).header("cookie", &cookie);
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                request = value.into_iter().fold(request, |request, value| request.header(name, value));
            }
            let body = json!({ "password": PASSWORD });
            problem(request.json(&body).send().await.unwrap(), StatusCode::FORBIDDEN, "cross_site").await;
        }
    }
    let upgrade = server.get("/users/me").header("cookie", &cookie).header("upgrade", "websocket");
    problem(upgrade.send().await.unwrap(), StatusCode::FORBIDDEN, "cross_site").await;
    assert_eq!(server.get("/users/me").header("cookie", &cookie).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_header_goes_before_the_cookie() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let cookie = sign_in(&server).await;
    let bob = server.newcomer("bob").await.1;
    let both = server.get("/users/me").header("cookie", &cookie).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(expect(both, StatusCode::OK).await["username"], "bob");
    for header in ["Bearer nonsense", "Basic YTpi"] {
        let request = server.get("/users/me").header("cookie", &cookie).header("authorization", header);
        assert_eq!(request.send().await.unwrap().status(), 401, "{header}");
    }
    for broken in ["", "nonsense", "a.b.c"] {
        let request = server.get("/users/me").header("cookie", format!("{ACCESS}={broken}"));
        assert_eq!(request.send().await.unwrap().status(), 401, "{broken}");
    }
}
