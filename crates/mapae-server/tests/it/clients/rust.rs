//! The crates `oauth2` and `jsonwebtoken`.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl,
    RefreshToken, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, Scope,
    StandardErrorResponse, TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use reqwest::Client;
use serde_json::Value;

use super::{ALGORITHMS, Issuer, SECRET};
use crate::server::PASSWORD;

type Configured = BasicClient<EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type Failure = RequestTokenError<reqwest::Error, StandardErrorResponse<BasicErrorResponseType>>;

async fn get(url: &str) -> Value {
    Client::new().get(url).send().await.expect("an answer").json().await.expect("JSON")
}

/// Sends what the crate has to say. It revokes by `https` alone, which a proxy would serve.
async fn send(mut request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let plain = request.uri().to_string().replacen("https://", "http://", 1);
    *request.uri_mut() = plain.parse().expect("a URL");
    let response = Client::new().execute(request.try_into()?).await?;
    let mut answer = HttpResponse::default();
    *answer.status_mut() = response.status();
    answer.headers_mut().clone_from(response.headers());
    *answer.body_mut() = response.bytes().await?.to_vec();
    Ok(answer)
}

fn client(metadata: &Value, secret: &str, auth_type: AuthType) -> Configured {
    let url = |name: &str| metadata[name].as_str().expect("a URL").to_owned();
    let revocation = url("revocation_endpoint").replacen("http://", "https://", 1);
    BasicClient::new(ClientId::new("web".to_owned()))
        .set_client_secret(ClientSecret::new(secret.to_owned()))
        .set_auth_type(auth_type)
        .set_token_uri(TokenUrl::new(url("token_endpoint")).expect("a URL"))
        .set_introspection_url(IntrospectionUrl::new(url("introspection_endpoint")).expect("a URL"))
        .set_revocation_url(RevocationUrl::new(revocation).expect("a URL"))
}

async fn sign_in(client: &Configured, password: &str, scope: &str) -> Result<BasicTokenResponse, Failure> {
    let name = ResourceOwnerUsername::new("ada".to_owned());
    let password = ResourceOwnerPassword::new(password.to_owned());
    client.exchange_password(&name, &password).add_scope(Scope::new(scope.to_owned())).request_async(&send).await
}

async fn refresh(client: &Configured, token: &RefreshToken) -> Result<BasicTokenResponse, Failure> {
    client.exchange_refresh_token(token).add_scope(Scope::new("me".to_owned())).request_async(&send).await
}

fn error(result: Result<BasicTokenResponse, Failure>) -> BasicErrorResponseType {
    match result {
        Err(RequestTokenError::ServerResponse(response)) => response.error().clone(),
        other => panic!("{other:?}"),
    }
}

fn scopes(tokens: &BasicTokenResponse) -> Vec<&str> {
    tokens.scopes().expect("scopes").iter().map(|scope| scope.as_str()).collect()
}

#[tokio::test]
async fn oauth2() {
    let issuer = Issuer::start();
    let metadata = get(&format!("{}/.well-known/oauth-authorization-server", issuer.server.url)).await;
    let basic = client(&metadata, SECRET, AuthType::BasicAuth);
    let posting = client(&metadata, SECRET, AuthType::RequestBody);

    let first = sign_in(&basic, PASSWORD, "me items").await.expect("tokens");
    assert_eq!(scopes(&first), ["me", "items"]);
    assert_eq!(first.expires_in().expect("a time").as_secs(), 900);
    let second = refresh(&posting, first.refresh_token().expect("one")).await.expect("tokens");
    assert_eq!(scopes(&second), ["me"], "narrowed");
    let refresh_token = second.refresh_token().expect("one");
    assert_ne!(refresh_token.secret(), first.refresh_token().expect("one").secret());
    let own = posting.exchange_client_credentials().request_async(&send).await.expect("tokens");
    assert!(own.refresh_token().is_none());

    let active = basic.introspect(second.access_token()).request_async(&send).await.expect("an answer");
    assert!(active.active());
    assert_eq!((active.sub(), active.client_id().map(|id| id.as_str())), (Some(issuer.ada.as_str()), Some("web")));
    let revocation = basic.revoke_token(refresh_token.clone().into()).expect("https");
    revocation.request_async(&send).await.expect("revoked");
    let after = posting.introspect(second.access_token()).request_async(&send).await.expect("an answer");
    assert!(!after.active());

    for auth_type in [AuthType::BasicAuth, AuthType::RequestBody] {
        let wrong = client(&metadata, "wrong", auth_type);
        assert_eq!(error(sign_in(&wrong, PASSWORD, "me").await), BasicErrorResponseType::InvalidClient);
    }
    let invalid_grant = BasicErrorResponseType::InvalidGrant;
    assert_eq!(error(sign_in(&basic, "wrong", "me").await), invalid_grant);
    assert_eq!(error(refresh(&basic, &RefreshToken::new("mr_wrong".to_owned())).await), invalid_grant);
    assert_eq!(error(refresh(&basic, refresh_token).await), invalid_grant);
    assert_eq!(error(sign_in(&basic, PASSWORD, "nothing").await), BasicErrorResponseType::InvalidScope);
}

fn verify(token: &str, keys: &JwkSet, audience: &str, issuer: &str) -> Result<Value, ErrorKind> {
    let kind = |error: jsonwebtoken::errors::Error| error.into_kind();
    let header = decode_header(token).map_err(kind)?;
    let jwk = keys.find(header.kid.as_deref().expect("a kid")).expect("a key of the set");
    let algorithm = jwk.common.key_algorithm.expect("a key fixes its algorithm").to_string();
    let mut validation = Validation::new(algorithm.parse::<Algorithm>().map_err(kind)?);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let decoded = decode::<Value>(token, &DecodingKey::from_jwk(jwk).map_err(kind)?, &validation).map_err(kind)?;
    let mut claims = decoded.claims;
    claims["typ"] = header.typ.into();
    Ok(claims)
}

#[tokio::test]
async fn jsonwebtoken() {
    for algorithm in ALGORITHMS {
        verify_signed(algorithm).await;
    }
}

async fn verify_signed(algorithm: &str) {
    let issuer = Issuer::signing(algorithm);
    let url = issuer.server.url.as_str();
    let metadata = get(&format!("{url}/.well-known/oauth-authorization-server")).await;
    let keys: JwkSet = serde_json::from_value(get(metadata["jwks_uri"].as_str().expect("a URL")).await).expect("keys");
    let tokens = sign_in(&client(&metadata, SECRET, AuthType::BasicAuth), PASSWORD, "me items").await.expect("tokens");
    let token = tokens.access_token().secret();
    assert_eq!(format!("{:?}", decode_header(token).expect("a header").alg), algorithm);
    issuer.check_claims(&serde_json::json!({ "verified": verify(token, &keys, url, url).expect("claims") }));

    let (start, end) = token.split_at(token.len() - 6);
    let changed = format!("{start}{}", if end == "AAAAAA" { "BBBBBB" } else { "AAAAAA" });
    assert!(matches!(verify(&changed, &keys, url, url), Err(ErrorKind::InvalidSignature)));
    assert!(matches!(verify(token, &keys, "https://else.example", url), Err(ErrorKind::InvalidAudience)));
    assert!(matches!(verify(token, &keys, url, "https://else.example"), Err(ErrorKind::InvalidIssuer)));
    let refresh_token = tokens.refresh_token().expect("one").secret();
    assert!(matches!(verify(refresh_token, &keys, url, url), Err(ErrorKind::InvalidToken)));
}
