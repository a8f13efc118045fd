//! `/docs`, `/redoc` and `/`: pages from the binary that reach for nothing outside.

use reqwest::StatusCode;

use mapae::settings::Signup;

use crate::server::{Server, header, problem};

/// What a page loads and links to, as its HTML says.
fn references(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        found.extend(html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    found.retain(|reference| reference != "data:,");
    found
}

#[tokio::test]
async fn pages_load_only_what_this_server_has() {
    let server = Server::start().await;
    for (page, least) in [("/docs", 3), ("/redoc", 2), ("/", 5)] {
        let response = server.get(page).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'self'") || policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert!(!policy.contains("unsafe-eval") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        for directive in policy.split(';').filter(|directive| directive.contains("unsafe-inline")) {
            assert!(directive.trim_start().starts_with("style-src"), "{directive}");
        }

        let html = response.text().await.unwrap();
        let scripts = html.matches("<script").count();
        assert_eq!(scripts, html.matches("<script src=\"").count(), "no inline script would run");
        let found = references(&html);
        assert!(found.len() >= least, "{found:?}");
        for reference in found {
            assert!(!reference.contains("//"), "{page} points to {reference}");
            let response = server.get(&format!("/{reference}")).send().await.unwrap();
            assert_eq!(response.status(), 200, "{page} points to {reference}");
            let media_type = header(&response, "content-type");
            match reference.rsplit('.').next() {
                Some("js") => assert_eq!(media_type, "text/javascript; charset=utf-8"),
                Some("css") => assert_eq!(media_type, "text/css; charset=utf-8"),
                _ => {}
            }
            if reference.ends_with("init.js") {
                let script = response.text().await.unwrap();
                assert!(!script.contains("://") && script.contains("\"openapi.json\""), "{script}");
            }
        }
        assert!(!html.replace(&server.url, "").contains("://"), "{page} names another site");
    }
}

#[tokio::test]
async fn the_validator_and_outer_configuration_are_off() {
    let server = Server::start().await;
    let script = server.get("/docs/init.js").send().await.unwrap().text().await.unwrap();
    assert!(script.contains("validatorUrl: null") && script.contains("queryConfigEnabled: false"), "{script}");
    for bundle in ["/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"] {
        let script = server.get(bundle).send().await.unwrap().text().await.unwrap();
        assert!(
            !script.lines().any(|line| line.starts_with("//# sourceMappingURL")),
            "a browser's tools would look for it"
        );
    }
}

#[tokio::test]
async fn documentation_can_be_switched_off() {
    let server = Server::start_with(|settings| settings.http.docs = false).await;
    for path in ["/docs", "/redoc", "/openapi.json", "/docs/init.js"] {
        problem(server.get(path).send().await.unwrap(), StatusCode::NOT_FOUND, "not_found").await;
    }
    assert_eq!(server.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_first_page_says_what_to_do() {
    let server = Server::start().await;
    let html = server.get("/").send().await.unwrap().text().await.unwrap();
    for said in [mapae::VERSION, "href=\"docs\"", "href=\"redoc\"", &format!("curl {}/users/signup", server.url)] {
        assert!(html.contains(said), "{said}");
    }
    let server = Server::start_with(|settings| settings.signup = Signup::Closed).await;
    let html = server.get("/").send().await.unwrap().text().await.unwrap();
    assert!(html.contains("mapae user add NAME") && !html.contains("/users/signup"));
}
