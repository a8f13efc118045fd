//! `mapae user import --format keycloak`.

use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Ended, Home};

/// As in a realm that was published with its passwords: this one is "password".
fn pbkdf2() -> Value {
    json!({
        "id": "0e6d6f9c-6f0b-4c2a-9d8b-0f2f5b3c7a11",
        "type": "password",
        "createdDate": 1_592_000_000_000_i64,
        "secretData": json!({ "value": "JsfNbCOIdZUbyBJ+BT+VoGI91Ec2rWLOvkLPDaX8e9k=", "salt": "P5rtFkGtPfoaryJ6PizUJw==" })
            .to_string(),
        "credentialData": json!({ "hashIterations": 27_500, "algorithm": "pbkdf2-sha256" }).to_string(),
    })
}

/// As newer versions write it; "비밀번호", computed with argon2-cffi.
fn argon2() -> Value {
    let additional = json!({
        "hashLength": ["32"], "memory": ["7168"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"],
    });
    json!({
        "type": "password",
        "secretData": json!({
            "value": "tenB4yloa9+cxFb7AjuGKbKQ88k8kx5rJgvzG2VxBWQ=",
            "salt": "a2V5Y2xvYWsgc2FsdCAwNA==",
            "additionalParameters": {},
        }).to_string(),
        "credentialData":
            json!({ "hashIterations": 5, "algorithm": "argon2", "additionalParameters": additional }).to_string(),
    })
}

fn user(number: u32, credentials: &[Value]) -> Value {
    json!({
        "id": format!("8b1c9a52-0000-4000-8000-{number:012}"),
        "createdTimestamp": 1_600_000_000_123_i64,
        "username": format!("user{number}"),
        "enabled": true,
        "emailVerified": false,
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": format!("user{number}@example.com"),
        "credentials": credentials,
        "requiredActions": [],
        "realmRoles": ["default-roles-demo"],
        "groups": [],
    })
}

fn import(home: &Home, export: &str) -> Ended {
    home.run_with_input(&["user", "import", "--format", "keycloak"], &[], export)
}

#[tokio::test]
async fn the_users_of_a_realm_sign_in() {
    let home = Home::migrated();
    let mut disabled = user(3, &[pbkdf2()]);
    disabled["enabled"] = json!(false);
    let otp = json!({ "type": "otp", "secretData": "{}", "credentialData": "{}" });
    let users = [user(1, &[otp, pbkdf2()]), user(2, &[argon2()]), disabled];
    // What stands around the users, before and behind.
    let realm = json!({ "realm": "demo", "roles": { "realm": [{ "name": "x" }] }, "users": users, "zzz": [1, [2]] });
    let imported = import(&home, &format!("{realm:#}"));
    assert_eq!(imported.status, Some(0), "{imported:?}");
    assert_eq!(imported.stdout, "Imported 3; 0 were there already; 0 were refused.\n");
    let again = import(&home, &realm.to_string());
    assert_eq!(again.stdout, "Imported 0; 3 were there already; 0 were refused.\n", "{again:?}");

    let shown = home.beside(&["user", "show", "user1", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["id"], "8b1c9a52-0000-4000-8000-000000000001");
    assert_eq!((&shown["full_name"], &shown["scope"]), (&json!("Ada Lovelace"), &json!("me")));
    assert_eq!(shown["created_at"], "2020-09-13T12:26:40.123Z");

    let server = Server::start(&home, &[]);
    assert_eq!(server.sign_in("user1@example.com", "password", "").await.0, 200);
    assert_eq!(server.sign_in("user2", "비밀번호", "").await.0, 200);
    assert_eq!(server.sign_in("user2", "password", "").await.0, 401);
    assert_eq!(server.sign_in("user3", "password", "").await.0, 401, "disabled there, disabled here");
}

#[test]
fn users_without_a_password_are_named() {
    let home = Home::migrated();
    let mut service = user(3, &[]);
    service["serviceAccountClientId"] = json!("robot");
    let mut broken = pbkdf2();
    broken["secretData"] = json!("HASHED");
    let mut unknown = pbkdf2();
    unknown["credentialData"] = json!(json!({ "hashIterations": 1, "algorithm": "HASHED" }).to_string());
    let mut short = pbkdf2();
    short["secretData"] = json!(json!({ "salt": "AAAA", "value": "AAAA" }).to_string());
    let odd = json!({ "id": 7, "username": ["HASHED"] });
    let users =
        [user(1, &[]), user(2, &[pbkdf2()]), service, user(4, &[broken]), user(5, &[unknown]), user(6, &[short]), odd];
    let ended = import(&home, &json!({ "users": users }).to_string());
    assert_eq!(ended.stdout, "Imported 1; 0 were there already; 6 were refused.\n");
    assert_eq!(ended.status, Some(1));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    for (line, (place, why)) in lines.iter().zip([
        ("user 1, id \"8b1c9a52-0000-4000-8000-000000000001\": ", "There is no password"),
        ("user 3, ", "service account"),
        ("user 4, ", "secretData or credentialData cannot be read"),
        ("user 5, ", "of no known scheme"),
        ("user 6, ", "malformed"),
        ("user 7, id 7: ", "not what Keycloak writes"),
    ]) {
        assert!(line.starts_with(&format!("mapae: {place}")) && line.contains(why), "{why} in {line}");
    }
    assert_eq!(lines.len(), 6);
    assert!(!ended.stderr.contains("HASHED"), "{}", ended.stderr);
}

#[test]
fn what_is_no_export_is_refused_as_a_whole() {
    let home = Home::migrated();
    for export in ["", "[]", "{}", "{\"users\": 5}", "{\"users\": [{}", "{\"realm\": \"x\"} more", "users"] {
        let ended = import(&home, export);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{export}: {ended:?}");
        assert!(ended.stderr.contains("no JSON export of a realm with its users"), "{export}: {ended:?}");
    }
}
