//! `/docs`, `/redoc` and `/openapi.json`.

use serde_json::Value;

use super::{Answer, Example};

/// The pages are there, and the document says of each route whether it needs a token, as calling it without one shows.
/// The document.
pub async fn documents(example: &Example, token_url: &str) -> Value {
    for page in ["/docs", "/redoc"] {
        let answer = example.get(page).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let document = example.get("/openapi.json").await;
    assert_eq!(document.status, 200);
    let document = document.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let scheme = &document["components"]["securitySchemes"]["OAuth2PasswordBearer"];
    assert_eq!(scheme["type"], "oauth2");
    assert_eq!(scheme["flows"]["password"]["tokenUrl"], token_url);

    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answer = Answer::to(example.request(&method.to_uppercase(), path)).await;
            let security = operation["security"].as_array().map_or(&[][..], Vec::as_slice);
            let documented = security.iter().any(|one| one.get("OAuth2PasswordBearer").is_some());
            assert_eq!(answer.status == 401, documented, "{method} {path} answers {}", answer.status);
            operations += 1;
        }
    }
    assert!(operations > 0);
    document
}
