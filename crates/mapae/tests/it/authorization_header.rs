//! What an `Authorization` header may look like (RFC 6750 §2.1).

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::forge::encode;
use crate::server::{Server, header, problem};

#[tokio::test]
async fn one_header_with_a_bearer_token_and_nothing_else() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let send = async |value: &[u8]| {
        let value = HeaderValue::from_bytes(value).unwrap();
        server.get("/users/me").header(AUTHORIZATION, value).send().await.unwrap()
    };
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        assert_eq!(send(format!("{scheme} {token}").as_bytes()).await.status(), 200, "RFC 9110 §11.1: {scheme:?}");
    }
    let basic = format!("Basic {}", encode("ann:password"));
    for other in [
        "",
        "Basic YTpi",
        &basic,
        &token,
        "Token x",
        "DPoP x",
        "Bearer\tx",
        &format!("Bearer:{token}"),
        &format!("JWT {token}"),
    ] {
        let response = send(other.as_bytes()).await;
        assert_eq!(header(&response, "www-authenticate"), "Bearer", "{other}");
        problem(response, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    for empty in ["Bearer", "Bearer ", "bearer   "] {
        problem(send(empty.as_bytes()).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
    for binary in [&b"Bearer \xff\xfe"[..], b"Bearer \xe2\x82", b"\xff", "Bearer \u{e9}.\u{e9}.\u{e9}".as_bytes()] {
        let response = send(binary).await;
        assert!(header(&response, "www-authenticate").starts_with("Bearer"));
        assert_eq!(response.status(), 401);
    }
    let both =
        server.get("/users/me").header(AUTHORIZATION, format!("Bearer {token}")).header(AUTHORIZATION, "Basic YTpi");
    let twice = server.get("/users/me").bearer_auth(&token).header(AUTHORIZATION, format!("Bearer {token}"));
    for request in [both, twice] {
        let response = request.send().await.unwrap();
        assert!(header(&response, "www-authenticate").starts_with("Bearer error=\"invalid_request\""));
        problem(response, StatusCode::BAD_REQUEST, "invalid_request").await;
    }
    for elsewhere in [format!("/users/me?access_token={token}"), format!("/users/me?token={token}")] {
        assert_eq!(server.get(&elsewhere).send().await.unwrap().status(), 401, "not from the address");
    }
}
