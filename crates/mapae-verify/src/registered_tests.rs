use super::*;

const FULL: &str = r#"{"iss":"i","sub":"client:c","aud":["a","b"],"exp":20,"iat":10,"nbf":10,"jti":"j",
    "client_id":"c","scope":"x y","sid":"s", "act": { "sub": "client:bot", "act": { "sub": "x" } },"more":{"exp":"no claim"}}"#;

fn fault(json: &str) -> VerifyError {
    Registered::read(json, false).err().unwrap()
}

#[test]
fn claims_are_the_same_by_both_ways() {
    let fast = Registered::read(FULL, false).unwrap().to_claims().unwrap();
    assert_eq!(serde_json::from_str::<Claims>(FULL).unwrap(), fast);
    assert_eq!((fast.exp, fast.iat, fast.nbf), (20, 10, Some(10)));
    assert_eq!((fast.scope.as_str(), fast.sid.as_deref()), ("x y", Some("s")));
    assert!(fast.aud.contains("a") && fast.aud.contains("b"));

    let least = r#"{"iss":"i","sub":"u","aud":"a","exp":20,"iat":10,"jti":"j","client_id":"c"}"#;
    let fast = Registered::read(least, false).unwrap().to_claims().unwrap();
    assert_eq!(serde_json::from_str::<Claims>(least).unwrap(), fast);
    assert!(fast.scope.is_empty());

    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"] {
        let mut json: serde_json::Value = serde_json::from_str(FULL).unwrap();
        json.as_object_mut().unwrap().remove(name);
        let json = json.to_string();
        assert_eq!(Registered::read(&json, false).unwrap().to_claims(), Err(VerifyError::MissingClaim(name)));
        assert!(serde_json::from_str::<Claims>(&json).is_err());
    }
}

#[test]
fn presence_is_by_place() {
    let full: serde_json::Value = serde_json::from_str(FULL).unwrap();
    for (place, name) in crate::REGISTERED_CLAIMS.into_iter().enumerate() {
        let alone = serde_json::json!({ name: full[name] }).to_string();
        assert_eq!(Registered::read(&alone, false).unwrap().present(), 1 << place, "{name}");
    }
    assert_eq!(Registered::read(FULL, false).unwrap().present(), (1 << crate::REGISTERED_CLAIMS.len()) - 1);
    assert_eq!(Registered::read("{}", false).unwrap().present(), 0);
}

#[test]
fn wrong_types_name_the_claim() {
    for name in ["iss", "sub", "jti", "client_id", "scope", "sid"] {
        for value in ["1", "null", "[]", r#"["x"]"#, "{}", "true"] {
            assert_eq!(fault(&format!(r#"{{"{name}":{value}}}"#)), VerifyError::InvalidClaim(name), "{name} {value}");
        }
    }
    for value in ["1", "null", "{}", "[1]", r#"["a",null]"#, r#"[["a"]]"#] {
        assert_eq!(fault(&format!(r#"{{"aud":{value}}}"#)), VerifyError::InvalidClaim("aud"), "{value}");
    }
}

#[test]
fn times_are_whole_numbers_in_range() {
    for name in ["exp", "iat", "nbf"] {
        for value in [
            r#""20""#,
            "20.0",
            "20.5",
            "2e1",
            "-1",
            "-0",
            "253402300800",
            "9223372036854775808",
            "1e400",
            "null",
            "[20]",
            "true",
            "99999999999999999999",
        ] {
            // What no double can hold is already refused as JSON.
            let expected =
                if value == "1e400" { VerifyError::Malformed(NOT_AN_OBJECT) } else { VerifyError::InvalidClaim(name) };
            assert_eq!(fault(&format!(r#"{{"{name}":{value}}}"#)), expected, "{name} {value}");
        }
    }
    let exp = |value: &str, fractional| Registered::read(&format!(r#"{{"exp":{value}}}"#), fractional).map(|c| c.exp);
    assert_eq!(exp("0", false), Ok(Some(0)));
    assert_eq!(exp("253402300799", false), Ok(Some(253_402_300_799_000)));
    assert_eq!(exp("20.25", true), Ok(Some(20_250)));
    assert_eq!(exp("2e1", true), Ok(Some(20_000)));
    assert_eq!(exp("20", true), Ok(Some(20_000)));
    for value in [r#""20""#, "-1", "-0.5", "253402300800.5", "null"] {
        assert_eq!(exp(value, true), Err(VerifyError::InvalidClaim("exp")), "{value}");
    }
}

#[test]
fn claims_come_once() {
    let twice = VerifyError::Malformed("a claim comes twice");
    for json in [
        r#"{"exp":1,"exp":1}"#,
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"aud":"a","aud":["a"]}"#,
        r#"{"sub":"a","s\u0075b":"b"}"#,
        r#"{"x":1,"y":2,"x":1}"#,
        r#"{"x":1,"\u0078":1}"#,
    ] {
        assert_eq!(fault(json), twice, "{json}");
    }
    let many: Vec<String> = (0..=MAX_OTHER_CLAIMS).map(|i| format!(r#""c{i}":0"#)).collect();
    assert_eq!(fault(&format!("{{{}}}", many.join(","))), VerifyError::Malformed("there are too many claims"));
    assert!(Registered::read(&format!("{{{}}}", many[1..].join(",")), false).is_ok());
}

#[test]
fn anything_but_one_object_is_malformed() {
    let malformed = VerifyError::Malformed(NOT_AN_OBJECT);
    for json in
        ["", "[]", "\"x\"", "1", "null", "{", "{}}", "{} {}", "{\"exp\":1", "{exp:1}", "{'exp':1}", "{\"a\":01}"]
    {
        assert_eq!(fault(json), malformed, "{json}");
    }
    let deep = format!(r#"{{"a":{}}}"#, "[".repeat(100_000));
    assert_eq!(fault(&deep), malformed);
}
