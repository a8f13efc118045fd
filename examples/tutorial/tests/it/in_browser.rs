//! `/docs` as the tutorial's reader uses it.

use crate::browser::Browser;
use crate::{sequel, tutorial};

async fn authorize(browser: &Browser, url: &str) {
    browser.page.goto(&format!("{url}/docs")).await.unwrap();
    browser.click("button.authorize").await;
    browser.type_into("#oauth_username", "johndoe").await;
    browser.type_into("#oauth_password", "secret").await;
}

async fn log_in(browser: &Browser) {
    browser.click(".modal-ux button.auth.authorize").await;
    browser.wait_for_text(".modal-ux .auth-btn-wrapper", "Logout").await;
    browser.click(".modal-ux button.btn-done").await;
}

/// Runs `GET /users/me/` from the page; what it shows.
async fn run_users_me(browser: &Browser, status: &str, part: &str) -> String {
    let operation = ".opblock:has([data-path=\"/users/me/\"])";
    browser.click(&format!("{operation} .opblock-summary-control")).await;
    browser.click(&format!("{operation} button.try-out__btn")).await;
    browser.click(&format!("{operation} button.execute")).await;
    let response = format!("{operation} .live-responses-table tr.response");
    browser.wait_for_text(&format!("{response} .response-col_status"), status).await;
    browser.wait_for_text(&format!("{response} .response-col_description"), part).await
}

#[tokio::test(flavor = "multi_thread")]
async fn authorize_and_see_john_doe() {
    let example = tutorial();
    let browser = Browser::start().await;
    authorize(&browser, &example.url).await;
    log_in(&browser).await;
    let shown = run_users_me(&browser, "200", "John Doe").await;
    assert!(shown.contains("\"full_name\": \"John Doe\"") && shown.contains("johndoe@example.com"), "{shown}");
    assert!(!shown.contains("argon2"), "{shown}");
    browser.screenshot("tutorial-docs.png").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_ticked_on_the_page() {
    let example = sequel();
    let browser = Browser::start().await;
    authorize(&browser, &example.url).await;
    let scopes = browser.wait_for_text(".modal-ux .scopes", "Read items.").await;
    assert!(scopes.contains("Read information about the current user."), "{scopes}");
    browser.click(".modal-ux .scopes label[for^=\"me-\"]").await;
    log_in(&browser).await;
    run_users_me(&browser, "200", "John Doe").await;
    browser.close().await;
}
