//! Fixed tokens made with PyJWT 2.15 (and python-jose 3.5 where it says so), and read here. All end in 2100.

use example_support::testing::Refusal;
use serde_json::json;

use super::{items, john, sequel, tutorial};

const HS256: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

#[tokio::test]
async fn the_tutorial_takes_them() {
    let example = tutorial();
    for (what, token) in [
        // Byte for byte the same from python-jose.
        ("sub and exp", "eyJzdWIiOiJqb2huZG9lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.KFZNL-mdvJ1_u-jOo71cBNrrNbjELhvhp3yBIWoNxVE"),
        (
            "exp, iat and nbf with fractions",
            "eyJzdWIiOiJqb2huZG9lIiwiZXhwIjo0MTAyNDQ0ODAwLjM2ODQ3NiwiaWF0IjoxNzQ3ODc3MTQ2LjM2ODQ3NTQsIm5iZiI6MTc0Nzg3NzE0\
             Ni41fQ.c8_7KbwsKhmSz7VEaws1c-ceIZ3hSbj79Uhj8KY61i4",
        ),
    ] {
        let answer = example.get_with("/users/me/", &format!("{HS256}.{token}")).await;
        assert_eq!((answer.status, answer.json()), (200, john()), "{what}");
    }
    let without_typ = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJqb2huZG9lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.\
                       dJQUHqCXi5sxtbk5oHw11Ui39-UbMrKUJJVR_nJaduw";
    example.get_with("/users/me/", without_typ).await.is(200, &john());
}

#[tokio::test]
async fn the_tutorial_refuses_them() {
    let example = tutorial();
    let refused = Refusal::challenging("Could not validate credentials", "Bearer");
    for (what, token) in [
        ("no exp", "eyJzdWIiOiJqb2huZG9lIn0.1ngyJQqcZ5yalp5lBpperFgwU8LdfUHXZ0Z4MjqG3As"),
        (
            "aud",
            "eyJzdWIiOiJqb2huZG9lIiwiZXhwIjo0MTAyNDQ0ODAwLCJhdWQiOiJ4In0.HbgrjxdFnHifWyViZfQImUA6xklCNSGdWfkkiPtjb2A",
        ),
    ] {
        example.get_with("/users/me/", &format!("{HS256}.{token}")).await.refuses(refused, what);
    }
    let hs512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJqb2huZG9lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.\
                 C76KlYTTLCAN3carXAEoOZBUiE_J-I0JSB8M5Hn13D1T2Z8RI8u7u6Sm_Kk1P7Viy-2ScaYw5CkzoMCsF7UjeQ";
    example.get_with("/users/me/", hs512).await.refuses(refused, "HS512 with the same secret");
}

#[tokio::test]
async fn the_sequel_takes_them() {
    let example = sequel();
    let johns = format!(
        "{HS256}.eyJzdWIiOiJqb2huZG9lIiwic2NvcGUiOiJtZSBpdGVtcyIsImV4cCI6NDEwMjQ0NDgwMH0.\
         Ghn0R_LSaMV_9Wy4IB7471icB43Vd0JbYrjS-GnJPOU"
    );
    example.get_with("/users/me/", &johns).await.is(200, &john());
    example.get_with("/users/me/items/", &johns).await.is(200, &items());
    let alices = format!(
        "{HS256}.eyJzdWIiOiJhbGljZSIsInNjb3BlIjoibWUgaXRlbXMiLCJleHAiOjQxMDI0NDQ4MDB9.\
         o9TbaofKV2OnKsiDgDB16WeLc7moF5rtse1QTcA_BG8"
    );
    example.get_with("/users/me/", &alices).await.refuses(Refusal::plain(400, "Inactive user"), "alice");
    example.get_with("/status/", &alices).await.is(200, &json!({ "status": "ok" }));
}
