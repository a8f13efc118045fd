//! `openid-client`, `oauth4webapi` and `jose`.

use std::path::Path;

use serde_json::{Value, json};

use super::{ALGORITHMS, Issuer, scope};
use crate::programs::{node, node_directory, run};
use crate::server::PASSWORD;

fn run_script(issuer: &Issuer, name: &str, variables: &[(&str, &str)]) -> Value {
    let directory = node_directory();
    let path = directory.path().join(name);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name), &path).expect("a copy");
    let mut script = node();
    script.arg(path).envs(variables.iter().copied());
    issuer.describe(&mut script);
    run(script)
}

#[test]
fn openid_client() {
    let issuer = Issuer::start();
    let seen = run_script(&issuer, "openid_client.mjs", &[]);
    issuer.check(&seen);
    assert_eq!(scope(&seen["second"]), "me", "narrowed");
    assert_eq!(seen["public_client"], json!(["me", "me", true]));
    let challenged = json!(["WWWAuthenticateChallengeError", "OAUTH_WWW_AUTHENTICATE_CHALLENGE"]);
    assert_eq!(
        seen["errors"],
        json!({
            // RFC 6749 §5.2: a client that used the header is challenged.
            "wrong secret": challenged,
            "wrong posted secret": ["ResponseBodyError", "invalid_client"],
            "ended session of the public client": ["ResponseBodyError", "invalid_grant"],
            "introspection by the public client": ["ResponseBodyError", "invalid_client"],
            "another client's refresh token": ["ResponseBodyError", "invalid_grant"],
            "wrong password": ["ResponseBodyError", "invalid_grant"],
            "wrong refresh token": ["ResponseBodyError", "invalid_grant"],
            "ended session": ["ResponseBodyError", "invalid_grant"],
            "scope that does not exist": ["ResponseBodyError", "invalid_scope"],
            "introspection with a wrong secret": ["ResponseBodyError", "invalid_client"],
            "revocation with a wrong secret": ["ResponseBodyError", "invalid_client"],
            "user info of an ended session": challenged,
        })
    );
}

#[test]
fn oauth4webapi() {
    let issuer = Issuer::start();
    let mut seen = run_script(&issuer, "oauth4webapi.mjs", &[]);
    // It checks the type and does not hand it out.
    seen["verified"]["typ"] = "at+jwt".into();
    issuer.check(&seen);
    issuer.check_claims(&seen);
    assert_eq!(scope(&seen["second"]), "me", "narrowed");
    assert_eq!(
        seen["errors"],
        json!({
            "wrong secret": ["WWWAuthenticateChallengeError", "basic"],
            "wrong posted secret": ["ResponseBodyError", "invalid_client"],
            "wrong password": ["ResponseBodyError", "invalid_grant"],
            "wrong refresh token": ["ResponseBodyError", "invalid_grant"],
            "ended session": ["ResponseBodyError", "invalid_grant"],
            "scope that does not exist": ["ResponseBodyError", "invalid_scope"],
            "introspection with a wrong secret": ["ResponseBodyError", "invalid_client"],
            "revocation with a wrong secret": ["ResponseBodyError", "invalid_client"],
            "changed signature": ["OperationProcessingError", "OAUTH_INVALID_RESPONSE"],
            "another audience": ["OperationProcessingError", "OAUTH_JWT_CLAIM_COMPARISON_FAILED"],
            "refresh token as access token": ["OperationProcessingError", "OAUTH_INVALID_RESPONSE"],
            "user info of an ended session": ["WWWAuthenticateChallengeError", "invalid_token"],
        })
    );
}

#[tokio::test]
async fn jose() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::signing(algorithm);
        let seen = run_jose(&issuer).await;
        assert_eq!(seen["algorithm"], algorithm);
        check_jose(&issuer, seen);
    }
}

async fn run_jose(issuer: &Issuer) -> Value {
    let (status, mut tokens) = issuer.server.sign_in("ada", PASSWORD, "").await;
    assert_eq!(status, 200, "{tokens}");
    let variables = ["access_token", "refresh_token"].map(|name| tokens[name].take());
    let [access, refresh] = variables.each_ref().map(|token| token.as_str().expect("a token"));
    run_script(issuer, "jose.mjs", &[("TOKEN", access), ("REFRESH_TOKEN", refresh)])
}

fn check_jose(issuer: &Issuer, mut seen: Value) {
    assert_eq!((&seen["issuer"], &seen["feed_type"]), (&json!(issuer.server.url), &"mapae-revocations+jwt".into()));
    // Not by the client `web` this time.
    assert_eq!(seen["verified"]["client_id"].take(), "mapae");
    seen["verified"]["client_id"] = "web".into();
    issuer.check_claims(&seen);
    assert_eq!(
        seen["errors"],
        json!({
            "changed signature": [true, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
            "another audience": [true, "ERR_JWT_CLAIM_VALIDATION_FAILED"],
            "another type": [true, "ERR_JWT_CLAIM_VALIDATION_FAILED"],
            "refresh token as access token": [true, "ERR_JWS_INVALID"],
            "the feed as access token": [true, "ERR_JWT_INVALID"],
            "the feed as any token": [true, "ERR_JWT_INVALID"],
        })
    );
}
