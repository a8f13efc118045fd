//! Authlib, requests-oauthlib and PyJWT.

use serde_json::{Value, json};

use super::{ALGORITHMS, Issuer, scope};
use crate::programs::{python, run};

fn run_script(issuer: &Issuer, name: &str) -> Value {
    let mut script = python();
    script.arg(format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR")));
    // Both insist on https otherwise, which a proxy in front would add.
    script.envs([("AUTHLIB_INSECURE_TRANSPORT", "1"), ("OAUTHLIB_INSECURE_TRANSPORT", "1")]);
    issuer.describe(&mut script);
    run(script)
}

#[test]
fn authlib() {
    let issuer = Issuer::start();
    let seen = run_script(&issuer, "authlib_client.py");
    issuer.check(&seen);
    issuer.check_claims(&seen);
    assert_eq!(scope(&seen["second"]), "me", "narrowed");
    assert_eq!(seen["public_client"], json!(["me", "me", true]));
    assert_eq!(seen["revocation_status"], 200);
    // RFC 8414 asks for the member, and for us an empty list is the truth. Its clients do not validate.
    assert_eq!(seen["complaints"], json!(["\"response_types_supported\" is required"]));
    assert_eq!(
        seen["errors"],
        json!({
            "wrong secret": "invalid_client",
            "wrong posted secret": "invalid_client",
            "wrong password": "invalid_grant",
            "wrong refresh token": "invalid_grant",
            "ended session": "invalid_grant",
            "scope that does not exist": "invalid_scope",
            "unknown grant": "unsupported_grant_type",
        })
    );
}

#[test]
fn requests_oauthlib_and_pyjwt() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::signing(algorithm);
        let seen = run_script(&issuer, "requests_oauthlib_client.py");
        assert_eq!(seen["algorithm"], algorithm);
        check_requests_oauthlib_and_pyjwt(&issuer, &seen);
    }
}

fn check_requests_oauthlib_and_pyjwt(issuer: &Issuer, seen: &Value) {
    issuer.check(seen);
    issuer.check_claims(seen);
    assert_eq!(seen["revocation_status"], 200);
    assert_eq!(
        seen["errors"],
        json!({
            "wrong secret": ["InvalidClientError", "invalid_client"],
            "wrong password": ["InvalidGrantError", "invalid_grant"],
            "wrong refresh token": ["InvalidGrantError", "invalid_grant"],
            "ended session": ["InvalidGrantError", "invalid_grant"],
            "scope that does not exist": ["InvalidScopeError", "invalid_scope"],
            "changed signature": ["InvalidSignatureError", null],
            "another audience": ["InvalidAudienceError", null],
            "refresh token as access token": ["DecodeError", null],
        })
    );
}
