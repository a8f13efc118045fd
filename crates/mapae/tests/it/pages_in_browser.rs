//! `/docs` and `/redoc` as people see them.

use crate::browser::Browser;
use crate::server::{PASSWORD, Server};

/// The page asked nobody else for anything, and had nothing to complain about.
async fn keeps_to_itself(browser: &Browser, server: &Server, expected: &[&str], tolerated: &str) {
    let (requests, complaints) = browser.requests_and_complaints().await;
    for request in &requests {
        let own = request.starts_with(&format!("{}/", server.url));
        assert!(own || request.starts_with("data:") || request.starts_with("blob:"), "the page asked for {request}");
    }
    for path in expected {
        assert!(requests.contains(&format!("{}{path}", server.url)), "{path} was not loaded: {requests:?}");
    }
    let complaints: Vec<&String> =
        complaints.iter().filter(|text| tolerated.is_empty() || !text.contains(tolerated)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_signs_in_and_calls() {
    let server = Server::start().await;
    server.sign_up("johndoe").await;
    let browser = Browser::start().await;
    browser.page.goto(&format!("{}/docs", server.url)).await.unwrap();

    browser.click("button.authorize").await;
    browser.type_into("#oauth_username", "johndoe").await;
    browser.type_into("#oauth_password", "wrong password").await;
    browser.click(".modal-ux button.auth.authorize").await;
    browser.wait_for_text(".modal-ux .errors", "Unauthorized").await;
    browser.type_into("#oauth_password", PASSWORD).await;
    browser.click(".modal-ux button.auth.authorize").await;
    browser.wait_for_text(".modal-ux .auth-btn-wrapper", "Logout").await;
    browser.screenshot("docs-authorized.png").await;
    browser.click(".modal-ux button.btn-done").await;

    let operation = "#operations-users-read_users_me";
    browser.click(&format!("{operation} .opblock-summary-control")).await;
    browser.click(&format!("{operation} button.try-out__btn")).await;
    browser.click(&format!("{operation} button.execute")).await;
    let shown = browser
        .wait_for_text(&format!("{operation} .live-responses-table tr.response .response-col_description"), "johndoe")
        .await;
    assert!(shown.contains("\"username\": \"johndoe\"") && shown.contains("x-request-id"), "{shown}");
    let status = format!("{operation} .live-responses-table tr.response .response-col_status");
    browser.wait_for_text(&status, "200").await;
    browser.screenshot("docs-called.png").await;

    let expected = ["/docs", "/docs/swagger-ui.css", "/docs/init.js", "/openapi.json", "/token", "/users/me"];
    keeps_to_itself(
        &browser,
        &server,
        &expected,
        "/token - Failed to load resource: the server responded with a status of 401",
    )
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redoc_shows_every_operation() {
    let server = Server::start().await;
    let browser = Browser::start().await;
    browser.page.goto(&format!("{}/redoc", server.url)).await.unwrap();
    for operation in
        ["Sign in with the OAuth2 password form", "The current user", "List and search accounts", "Delete your account"]
    {
        browser.wait_for_text("#redoc .api-content", operation).await;
    }
    browser.screenshot("redoc.png").await;
    keeps_to_itself(
        &browser,
        &server,
        &["/redoc", "/redoc/redoc.standalone.js", "/redoc/init.js", "/openapi.json"],
        "",
    )
    .await;
    browser.close().await;
}
