//! HTML for people.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::http::ApiError;
use crate::settings::Signup;
use crate::{Service, VERSION};

/// Pages load nothing but this service's own style. (Their icon is an empty `data:` one, or browsers would ask for one.)
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    version: &'a str,
    base_url: &'a str,
    signup_open: bool,
}

/// `/`: what this is, where the docs are, how to sign up.
pub(crate) fn router() -> Router<Service> {
    Router::new().route("/", get(home)).route("/assets/style.css", get(style))
}

async fn home(State(service): State<Service>) -> Response {
    let settings = service.settings();
    let page =
        Home { version: VERSION, base_url: settings.base_url.as_str(), signup_open: settings.signup == Signup::Open };
    match page.render() {
        Ok(html) => ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(html)).into_response(),
        Err(error) => ApiError::internal(&error).into_response(),
    }
}

async fn style() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")],
        include_str!("../../assets/pages/style.css"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_page_says_how_to_sign_up() {
        let page =
            |signup_open| Home { version: "1.2.3", base_url: "https://a.example", signup_open }.render().unwrap();
        assert!(page(true).contains("curl https://a.example/users/signup"));
        assert!(page(false).contains("mapae user add NAME"));
    }
}
