//! Documents that utoipa makes from attributes, compared with what the routes ask for.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use mapae_verify::axum::{Bearer, BearerSecurity, PasswordFlow, SECURITY_SCHEME, TokenVerifier, require};
use mapae_verify::testing::check_security;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::support::{Admin, Items, Me, verifier};

#[utoipa::path(get, path = "/open", responses((status = 200)))]
async fn open() -> &'static str {
    "open"
}

#[utoipa::path(get, path = "/me", responses((status = 200)), security(("OAuth2PasswordBearer" = ["me"])))]
async fn me(_: Bearer<Me>) -> &'static str {
    "me"
}

#[utoipa::path(
    get, path = "/items/{id}/{name}", params(("id" = u32, Path), ("name" = String, Path, example = "a b")),
    responses((status = 200)), security(("OAuth2PasswordBearer" = ["items"]))
)]
async fn item(Path((id, name)): Path<(u32, String)>, _: Bearer<Items>) -> String {
    format!("{id} {name}")
}

#[utoipa::path(post, path = "/items", responses((status = 200)), security(("OAuth2PasswordBearer" = [])))]
async fn create(_: Bearer, Json(item): Json<Value>) -> Json<Value> {
    Json(item)
}

#[utoipa::path(
    get, path = "/hello", responses((status = 200)), security((), ("OAuth2PasswordBearer" = ["me"]))
)]
async fn hello(_: Option<Bearer<Me>>) -> &'static str {
    "hello"
}

const SECURITY: BearerSecurity<(Me, Items)> =
    BearerSecurity::new(PasswordFlow::new("token").refresh_url("oauth2/token"));

#[derive(OpenApi)]
#[openapi(paths(open, me, item, create, hello), modifiers(&SECURITY))]
struct Api;

fn routes() -> Router {
    Router::new()
        .route("/open", get(open))
        .route("/me", get(me))
        .route("/items/{id}/{name}", get(item))
        .route("/items", post(create))
        .route("/hello", get(hello))
        .with_state(TokenVerifier::from(verifier()))
}

fn document() -> Value {
    serde_json::to_value(Api::openapi()).unwrap()
}

#[tokio::test]
async fn a_document_that_is_right() {
    let document = document();
    assert_eq!(check_security(routes(), &document).await.unwrap(), 5);
    let expected = json!({ "type": "oauth2", "flows": { "password": {
        "tokenUrl": "token",
        "refreshUrl": "oauth2/token",
        "scopes": { "me": "Read information about the current user.", "items": "Read items." },
    } } });
    assert_eq!(document["components"]["securitySchemes"][SECURITY_SCHEME], expected);
    let plain = BearerSecurity::<Admin>::new(PasswordFlow::new("token"));
    let plain = serde_json::to_value(plain.scheme()).unwrap();
    assert_eq!(plain["flows"]["password"], json!({ "tokenUrl": "token", "scopes": { "admin": "Everything." } }));
}

#[tokio::test]
async fn what_is_wrong_is_told_both_ways() {
    let mut document = document();
    let paths = document["paths"].as_object_mut().unwrap();
    paths["/open"]["get"]["security"] = json!([{ SECURITY_SCHEME: [] }]);
    paths["/me"]["get"].as_object_mut().unwrap().remove("security");
    paths["/items/{id}/{name}"]["get"]["security"] = json!([{}, { SECURITY_SCHEME: [] }]);
    paths["/items"]["post"]["security"] = json!([{ "Other": [] }, { SECURITY_SCHEME: [] }]);
    paths.insert("/gone".into(), json!({ "get": { "security": [{ SECURITY_SCHEME: [] }] } }));
    paths.insert("/hello2".into(), json!({ "get": {} }));
    paths["/hello"]["put"] = json!({ "security": [{ SECURITY_SCHEME: [] }] });
    let mismatch = check_security(routes(), &document).await.unwrap_err();
    let expected = [
        "GET /gone: documented as protected, but answers 404 without a token",
        "PUT /hello: documented, but there is no such route (405)",
        "GET /items/{id}/{name}: documented as open, but asks for a token (401)",
        "POST /items: names the security scheme `Other`, which is not declared",
        "GET /me: documented as open, but asks for a token (401)",
        "GET /open: documented as protected, but answers 200 without a token",
    ];
    let mut differences = mismatch.differences().to_vec();
    differences.sort_by_key(|line| line.split_once(' ').unwrap().1.to_owned());
    assert_eq!(differences, expected);
    let text = mismatch.to_string();
    assert!(text.starts_with("the document does not say what the routes do:\n- "), "{text}");
    assert_eq!(format!("{mismatch:?}"), text, "readable in a panic");
    let empty = check_security(routes(), &json!({ "paths": {} })).await.unwrap_err();
    assert_eq!(empty.differences(), ["the document has no operations"]);
}

#[tokio::test]
async fn a_401_needs_its_challenge() {
    let bare = || get(async || StatusCode::UNAUTHORIZED);
    let basic = || get(async || (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"x\"")]).into_response());
    let both = || {
        let challenges = [(WWW_AUTHENTICATE, "Basic realm=\"x\", Bearer")];
        get(async move || (StatusCode::UNAUTHORIZED, challenges).into_response())
    };
    let router = Router::new().route("/bare", bare()).route("/basic", basic()).route("/both", both());
    let router: Router = router.route("/key", bare());
    let document = json!({
        "security": [{ "Bearer": [] }],
        "paths": {
            "/bare": { "get": {} },
            "/basic": { "get": {} },
            "/both": { "get": {} },
            "/key": { "get": { "security": [{ "Key": [] }] } },
        },
        "components": { "securitySchemes": {
            "Bearer": { "type": "http", "scheme": "bearer" },
            "Key": { "type": "apiKey", "in": "header", "name": "x-key" },
        } },
    });
    let mismatch = check_security(router, &document).await.unwrap_err();
    let expected = ["/bare", "/basic"]
        .map(|path| format!("GET {path}: answers 401 without a `Bearer` challenge in WWW-Authenticate"));
    assert_eq!(mismatch.differences(), expected);
}

/// Parameters of all kinds, by reference and of the whole path; a route that cannot read them would answer 400.
#[tokio::test]
async fn parameters_are_filled_in() {
    let seen = async |Path((id, day, kind, rest)): Path<(u64, String, String, String)>, _: Bearer| {
        format!("{id} {day} {kind} {rest}")
    };
    let verifier = TokenVerifier::from(verifier());
    let open = async |Path((id, day, kind, rest)): Path<(u64, String, String, String)>| {
        assert_eq!(
            (id, day.as_str(), kind.as_str(), rest.as_str()),
            (1, "2000-01-01", "a/b", "00000000-0000-4000-8000-000000000000")
        );
    };
    let router = Router::new()
        .route("/p/{id}/{day}/{kind}/{*rest}", get(seen).post(open))
        .layer(axum::middleware::map_response(async |response: axum::response::Response| {
            assert_ne!(response.status(), StatusCode::BAD_REQUEST);
            response
        }))
        .with_state(verifier);
    let security = json!([{ "Bearer": [] }]);
    let document = json!({
        "paths": { "/p/{id}/{day}/{kind}/{*rest}": {
            "parameters": [
                { "$ref": "#/components/parameters/Id" },
                { "name": "day", "in": "path", "schema": { "type": ["string", "null"], "format": "date" } },
                { "name": "kind", "in": "query", "schema": { "enum": ["wrong"] } },
            ],
            "get": { "security": security, "parameters": [
                { "name": "kind", "in": "path", "schema": { "enum": ["a/b", "c"] } },
                { "name": "rest", "in": "path", "schema": { "type": "string", "format": "uuid" } },
            ] },
            "post": { "parameters": [
                { "name": "kind", "in": "path", "schema": { "type": "string", "default": "a/b" } },
                { "name": "rest", "in": "path", "schema": { "type": "string", "format": "uuid" } },
            ] },
        } },
        "components": {
            "parameters": { "Id": { "name": "id", "in": "path", "schema": { "type": "integer" } } },
            "securitySchemes": { "Bearer": { "type": "http", "scheme": "Bearer" } },
        },
    });
    assert_eq!(check_security(router, &document).await.unwrap(), 2);
}

/// A router behind a layer is checked like any other.
#[tokio::test]
async fn behind_a_layer() {
    let verifier = TokenVerifier::from(verifier());
    let router: Router = Router::new().route("/open", get(open)).layer(require::<(), _>(verifier));
    let mut document = json!({ "paths": { "/open": document()["paths"]["/open"] } });
    assert!(check_security(router.clone(), &document).await.is_err());
    document["security"] = json!([{ "Bearer": [] }]);
    document["components"] = json!({ "securitySchemes": { "Bearer": { "type": "openIdConnect" } } });
    assert_eq!(check_security(router, &document).await.unwrap(), 1);
}
