//! Who sends requests in a test.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request};
use serde::Serialize;
use tokio::sync::OnceCell;
use tower::ServiceExt;
use url::form_urlencoded::Serializer;

use super::{TestApp, TestResponse};
use crate::domain::User;
use crate::service::account::Account;

/// Somebody who sends requests to a [`TestApp`]: `app.as_user("johndoe").scopes("me items").get("/users/me").await`.
pub struct Caller<'a, U: Account = User> {
    app: &'a TestApp<U>,
    who: Who,
    /// Of a user: issued with the first request, and used for all of them.
    issued: OnceCell<String>,
}

enum Who {
    Anybody,
    Token(String),
    User { login: String, scopes: String },
}

impl<U: Account> std::fmt::Debug for Caller<'_, U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.who {
            Who::Anybody => "Caller(anonymous)",
            Who::Token(_) => "Caller(token)",
            Who::User { .. } => "Caller(user)",
        })
    }
}

impl<'a, U: Account> Caller<'a, U> {
    pub(super) fn anonymous(app: &'a TestApp<U>) -> Self {
        Self { app, who: Who::Anybody, issued: OnceCell::new() }
    }

    pub(super) fn token(app: &'a TestApp<U>, token: &str) -> Self {
        Self { app, who: Who::Token(token.to_owned()), issued: OnceCell::new() }
    }

    pub(super) fn user(app: &'a TestApp<U>, login: &str) -> Self {
        let who = Who::User { login: login.to_owned(), scopes: String::new() };
        Self { app, who, issued: OnceCell::new() }
    }

    /// With exactly these scopes, separated by spaces; all that the user holds, but explicit ones, unless set.
    #[must_use]
    pub fn scopes(self, scopes: &str) -> Self {
        match self.who {
            Who::User { login, .. } => {
                Self { who: Who::User { login, scopes: scopes.to_owned() }, issued: OnceCell::new(), ..self }
            }
            Who::Anybody | Who::Token(_) => panic!("scopes are those of a user: app.as_user(…).scopes({scopes:?})"),
        }
    }

    /// `GET` of a path such as `/users/me?full=1`.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.empty(Method::GET, path).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> TestResponse {
        self.empty(Method::DELETE, path).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: impl Serialize) -> TestResponse {
        self.json(Method::POST, path, body).await
    }

    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: impl Serialize) -> TestResponse {
        self.json(Method::PUT, path, body).await
    }

    /// `PATCH` of a JSON body.
    pub async fn patch(&self, path: &str, body: impl Serialize) -> TestResponse {
        self.json(Method::PATCH, path, body).await
    }

    /// `POST` of form fields, as `/token` takes them.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body(Method::POST, path, "application/x-www-form-urlencoded", body).await
    }

    /// Any other request. The token is added.
    pub async fn send(&self, mut request: Request<Body>) -> TestResponse {
        if let Some(token) = self.bearer().await {
            let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token that can stand in a header");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        match self.app.router.clone().oneshot(request).await {
            Ok(response) => TestResponse::read(response).await,
            Err(never) => match never {},
        }
    }

    async fn bearer(&self) -> Option<&str> {
        match &self.who {
            Who::Anybody => None,
            Who::Token(token) => Some(token),
            Who::User { login, scopes } => Some(self.issued.get_or_init(|| self.app.token_for(login, scopes)).await),
        }
    }

    async fn empty(&self, method: Method, path: &str) -> TestResponse {
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        self.send(request.unwrap_or_else(|error| panic!("{path:?} is no path: {error}"))).await
    }

    async fn json(&self, method: Method, path: &str, body: impl Serialize) -> TestResponse {
        let body = serde_json::to_string(&body).expect("a body that is JSON");
        self.body(method, path, "application/json", body).await
    }

    async fn body(&self, method: Method, path: &str, media_type: &'static str, body: String) -> TestResponse {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, media_type).body(body.into());
        self.send(request.unwrap_or_else(|error| panic!("{path:?} is no path: {error}"))).await
    }
}
