use super::*;

fn token(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", base64::encode(header.as_bytes()), base64::encode(claims.as_bytes()))
}

fn decoded(header: &str, claims: &str) -> Decoded {
    decode(&token(header, claims, "c2ln")).unwrap()
}

#[test]
fn tokens_are_decoded_unverified() {
    let text = token(r#"{"alg":"HS256"}"#, r#"{"sub":"u"}"#, "c2ln");
    for text in [text.clone(), format!(" {text}\n"), format!("Bearer {text}"), format!("bearer  {text}")] {
        let decoded = decode(&text).unwrap();
        assert_eq!((decoded.header["alg"].as_str(), decoded.claims["sub"].as_str()), (Some("HS256"), Some("u")));
        assert!(decoded.has_signature && decoded.problems.is_empty());
    }
    let unsigned = decode(&token(r#"{"alg":"none"}"#, r#"{"exp":"x"}"#, "")).unwrap();
    assert!(!unsigned.has_signature);
    assert_eq!(
        unsigned.problems,
        [
            VerifyError::UnsupportedAlgorithm,
            VerifyError::Malformed("a part is empty"),
            VerifyError::InvalidClaim("exp")
        ]
    );
}

#[test]
fn what_is_no_token_is_an_error() {
    for text in ["", "a", "a.b", "a.b.c", "....", "Bearer ", "é.é.é", "e30.e30.e30.e30", "e30.Zm9v.c2ln"] {
        assert!(matches!(decode(text), Err(VerifyError::Malformed(_))), "{text}");
    }
    let jwe = decode("a.b.c.d.e").unwrap_err().to_string();
    assert!(jwe.contains("JWE"), "{jwe}");
    assert_eq!(decode(&"a".repeat(MAX_INSPECTED + 1)), Err(VerifyError::TooLong));
}

#[test]
fn reasons_are_told_in_words() {
    let expected = Expected {
        issuer: Some("https://a.example".into()),
        audiences: vec!["api".into(), "web".into()],
        types: vec!["at+jwt".into()],
    };
    let token = decoded(
        r#"{"alg":"ES256","typ":"JWT","kid":"k\u0007"}"#,
        r#"{"iss":"https://b.example","aud":["other"],"exp":1767225600,"iat":1767225000,"nbf":"x"}"#,
    );
    for (error, wanted) in [
        (VerifyError::Expired { ago: 185 }, "The token expired 3 minutes ago, at 2026-01-01T00:00:00Z."),
        (
            VerifyError::NotYetValid { wait: 1 },
            "The token is not valid yet: `iat` is in 1 second, at 2025-12-31T23:50:00Z. Clocks may differ.",
        ),
        (
            VerifyError::unknown_key(Some("k\u{7}")),
            r#"The token is signed by a key that is not known here (`kid` "k\u0007")."#,
        ),
        (VerifyError::BadSignature, "The signature does not match: the token was altered, or signed with another key."),
        (VerifyError::WrongType, r#"`typ` is "JWT"; accepted is "at+jwt"."#),
        (VerifyError::WrongIssuer, r#"The token was issued by "https://b.example"; expected is "https://a.example"."#),
        (VerifyError::MissingClaim("jti"), "The claim `jti` is missing."),
        (VerifyError::InvalidClaim("nbf"), r#"The claim `nbf` is "x"; it must be a number of seconds since 1970."#),
    ] {
        assert_eq!(explain(&error, &token, &expected), wanted);
    }
    let audience = explain(&VerifyError::WrongAudience, &token, &expected);
    for part in [
        r#"meant for ["other"]; expected is "api" or "web"."#,
        r#"PyJWT:      jwt.decode(token, key, algorithms=[...], audience="other")"#,
        r#"jose:       jwtVerify(token, key, { audience: "other" })"#,
        r#"jwt.WithAudience("other")"#,
    ] {
        assert!(audience.contains(part), "{audience}");
    }
    let none = decoded(r#"{"alg":"None"}"#, "{}");
    assert!(explain(&VerifyError::UnsupportedAlgorithm, &none, &expected).contains("not signed"));
    let long = decoded(r#"{"alg":"ES256"}"#, &format!(r#"{{"iss":"{}"}}"#, "é".repeat(1000)));
    assert!(explain(&VerifyError::WrongIssuer, &long, &expected).chars().count() < 400);
}

#[test]
fn dates_are_right() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_709_210_096, "2024-02-29T12:34:56Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (crate::registered::LATEST, "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(utc(seconds), text);
    }
    for (seconds, text) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (200_000, "2 days"),
    ] {
        assert_eq!(duration(seconds), text);
    }
}
