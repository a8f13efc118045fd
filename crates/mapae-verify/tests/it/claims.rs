//! Claims on the wire.

use mapae_verify::{Actor, Algorithm, Audience, Claims, NoExtra, REGISTERED_CLAIMS, Scopes, SignError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, NOW, claims, key};

#[test]
fn claims_are_written_as_rfc_9068_has_them() {
    assert_eq!(
        serde_json::to_string(&claims()).unwrap(),
        format!(
            r#"{{"iss":"{ISSUER}","sub":"0198c0de","aud":"{AUDIENCE}","exp":{},"iat":{NOW},"jti":"7f3a","client_id":"web","scope":"me items","sid":"s1"}}"#,
            NOW + 900
        )
    );
    let more =
        Claims { aud: ["a", "b"].into_iter().collect(), nbf: Some(NOW), scope: Scopes::new(), sid: None, ..claims() };
    let json = serde_json::to_value(&more).unwrap();
    assert_eq!((&json["aud"], &json["nbf"]), (&json!(["a", "b"]), &json!(NOW)));
    assert_eq!((json.get("scope"), json.get("sid")), (None, None));
    assert_eq!(serde_json::from_value::<Claims>(json).unwrap(), more);
}

#[test]
fn who_acts_is_written_and_read() {
    let mut claims = claims();
    claims.act = Some(Actor { sub: "client:bot".into(), act: Some(Box::new(Actor::new("0198c0de"))) });
    let json = serde_json::to_value(&claims).unwrap();
    assert_eq!(json["act"], json!({ "sub": "client:bot", "act": { "sub": "0198c0de" } }));
    assert_eq!(serde_json::from_value::<Claims>(json).unwrap(), claims);
    assert_eq!(claims.act.as_ref().unwrap().chain().collect::<Vec<_>>(), ["client:bot", "0198c0de"]);
    // By the strict reader of verifiers, too.
    let key = key(Algorithm::ES256);
    let verifier = crate::support::builder(crate::support::set(&[key])).build();
    assert_eq!(*verifier.verify(&key.sign("at+jwt", &claims).unwrap()).unwrap(), claims);
}

fn with_extra<E>(extra: E) -> Claims<E> {
    let Claims { iss, sub, aud, exp, iat, nbf, jti, client_id, scope, sid, act, extra: NoExtra {} } = claims();
    Claims { iss, sub, aud, exp, iat, nbf, jti, client_id, scope, sid, act, extra }
}

#[test]
fn extra_claims_stand_beside_the_registered() {
    let json = serde_json::to_value(with_extra(json!({ "role": "admin", "deep": { "exp": 1 } }))).unwrap();
    assert_eq!((&json["role"], &json["deep"]["exp"]), (&json!("admin"), &json!(1)));
    assert_eq!(serde_json::from_value::<Claims<Value>>(json).unwrap().extra["role"], "admin");
}

/// An application's own claims can't raise what the issuer decided.
#[test]
fn extra_claims_never_hide_registered_ones() {
    for name in REGISTERED_CLAIMS {
        let claims = with_extra(json!({ name: "x" }));
        let error = key(Algorithm::HS256).sign("at+jwt", &claims).unwrap_err();
        assert!(matches!(&error, SignError::Claims(_)), "{name}: {error}");
    }
    for extra in [json!([1]), json!("x"), json!(1)] {
        assert!(serde_json::to_string(&with_extra(extra)).is_err());
    }
    assert!(serde_json::to_string(&with_extra(())).is_ok());
}

#[test]
fn only_objects_are_signed() {
    #[derive(Serialize)]
    struct Unit;
    let key = key(Algorithm::ES256);
    for claims in [json!([]), json!("x"), json!(1), json!(null)] {
        assert!(matches!(key.sign("at+jwt", &claims), Err(SignError::NotAnObject)), "{claims}");
    }
    assert!(matches!(key.sign("at+jwt", &Unit), Err(SignError::NotAnObject)));
    assert!(key.sign("at+jwt", &json!({})).is_ok());
}

#[test]
fn audiences() {
    let audience: Audience = ["a", "b"].into_iter().collect();
    assert!(audience.contains("a") && audience.contains_any(&["x", "b"]));
    assert!(!audience.contains("A") && !audience.contains_any(&["x"]) && !audience.contains_any::<&str>(&[]));
    assert_eq!(serde_json::to_string(&Audience::one("a")).unwrap(), r#""a""#);
    assert_eq!(serde_json::from_str::<Audience>(r#"["a"]"#).unwrap(), Audience::from("a"));
    for bad in ["1", "null", "{}", "[1]", r#"[["a"]]"#] {
        assert!(serde_json::from_str::<Audience>(bad).is_err(), "{bad}");
    }
}
