//! Keys from and for other programs: OpenSSL, and Python with PyJWT.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::programs::{program, python, run};
use crate::server::Server;
use crate::support::{Ended, Home};

const ES256: (&str, &[&str]) = ("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
const EDDSA: (&str, &[&str]) = ("EdDSA", &["-algorithm", "ED25519"]);
const RS256: (&str, &[&str]) = ("RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);

fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("openssl"));
    let ended =
        Ended::of(command.args(arguments).current_dir(directory).stdin(Stdio::null()).output().expect("it runs"));
    assert_eq!(ended.status, Some(0), "openssl {arguments:?}: {ended:?}");
    ended.stdout
}

fn json(ended: &Ended) -> Value {
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn fails(ended: &Ended, status: i32, part: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
    assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
}

/// A home whose server signs with this algorithm.
fn home(algorithm: &str) -> Home {
    let home = Home::new().with(".env", format!("ALGORITHM={algorithm}\n"));
    let mut server = Server::start(&home, &[]);
    server.stop();
    home
}

#[test]
fn a_key_of_openssl_signs_and_openssl_reads_what_is_exported() {
    for (algorithm, generate) in [ES256, EDDSA, RS256] {
        let home = home(algorithm);
        openssl(home.path(), &[&["genpkey", "-out", "key.pem"], generate].concat());
        let public = openssl(home.path(), &["pkey", "-in", "key.pem", "-pubout"]);
        let imported = home.beside(&["key", "import", "key.pem", "--kid", "old"]);
        assert_eq!((imported.status, imported.stderr.as_str()), (Some(0), ""), "{imported:?}");
        assert!(imported.stdout.starts_with("old  next "), "{imported:?}");
        assert_eq!(home.beside(&["key", "rotate", "--now"]).status, Some(0));
        assert_eq!(
            home.beside(&["key", "export-public", "--format", "pem", "--kid", "old"]).stdout,
            public,
            "{algorithm}"
        );
        let all = home.beside(&["key", "export-public", "--format=pem"]).stdout;
        assert_eq!(all.matches("-----BEGIN PUBLIC KEY-----").count(), 3, "retiring, active, next");

        home.add_user(&["ada"]);
        let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
        let set = home.beside(&["key", "export-public"]).stdout;
        let home = home.with("public.pem", public).with("jwks.json", &set);
        // PyJWT with the key as OpenSSL has it, and with the exported set.
        let script = r#"
import json, jwt, sys
token, algorithm, issuer = sys.argv[1:4]
pem = open("public.pem").read()
keys = jwt.PyJWKSet.from_dict(json.load(open("jwks.json")))
kid = jwt.get_unverified_header(token)["kid"]
seen = [jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, audience=issuer)["sub"] for key in (pem, keys[kid].key)]
print(json.dumps({"kid": kid, "same": seen[0] == seen[1]}))
"#;
        let mut command = python();
        command.args(["-c", script, &token, algorithm, crate::server::BASE_URL.1]).current_dir(home.path());
        assert_eq!(run(command), serde_json::json!({ "kid": "old", "same": true }), "{algorithm}");
    }
}

#[test]
fn a_private_jwk_of_python_signs() {
    let script = r#"
import json, sys
from authlib.jose import JsonWebKey
kind, parameter = sys.argv[1:3]
key = JsonWebKey.generate_key(kind, int(parameter) if parameter.isdigit() else parameter, is_private=True)
print(json.dumps(dict(key.as_dict(is_private=True), kid="jwk-1", use="sig")))
"#;
    for (algorithm, kind, parameter) in
        [("ES256", "EC", "P-256"), ("EdDSA", "OKP", "Ed25519"), ("RS256", "RSA", "2048")]
    {
        let mut command = python();
        command.args(["-W", "ignore", "-c", script, kind, parameter]);
        let jwk = run(command);
        let home = home(algorithm).with("key.json", jwk.to_string());
        let imported = home.beside(&["key", "import", "key.json"]);
        assert!(imported.stdout.starts_with("jwk-1  next "), "{algorithm}: {imported:?}");
        assert_eq!(home.beside(&["key", "rotate", "--now"]).status, Some(0));
        home.add_user(&["ada"]);
        let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
        // Checked with the public half that Python has, and not with ours.
        let mut public = jwk.clone();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            public.as_object_mut().expect("an object").remove(private);
        }
        let home = home.with("public.json", public.to_string());
        let checked = home.beside(&[
            "token",
            "inspect",
            &token,
            "--key-file",
            "public.json",
            "--expect-audience",
            crate::server::BASE_URL.1,
        ]);
        assert_eq!(checked.status, Some(0), "{checked:?}");
        // One private number of another key: the halves do not fit together.
        let mut command = python();
        command.args(["-W", "ignore", "-c", script, kind, parameter]);
        let mut mixed = run(command);
        mixed["d"] = jwk["d"].clone();
        let home = home.with("mixed.json", mixed.to_string());
        fails(&home.beside(&["key", "import", "mixed.json"]), 1, "cannot be used");
    }
}

#[test]
fn files_that_hold_no_fitting_key_are_refused() {
    let home = home("ES256")
        .with("text", "no key at all")
        .with("jwk", r#"{"kty":"EC"}"#)
        .with("oct", r#"{"kty":"oct","k":"c2VjcmV0"}"#);
    let before = json(&home.beside(&["key", "list", "--json"]));
    for (name, arguments) in [
        ("ed", &["-algorithm", "ED25519"][..]),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("k1", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
        ("weak", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
        ("good", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ] {
        openssl(home.path(), &[&["genpkey", "-out", name], arguments].concat());
    }
    openssl(home.path(), &["pkey", "-in", "good", "-pubout", "-out", "public"]);
    openssl(home.path(), &["pkey", "-in", "good", "-aes256", "-passout", "pass:x", "-out", "encrypted"]);
    for (file, part) in [
        ("missing", "cannot be read"),
        ("text", "-----BEGIN"),
        ("jwk", "missing"),
        ("oct", "shared secret"),
        ("ed", "set ALGORITHM=EdDSA first"),
        ("p384", "for ES384"),
        ("k1", "cannot be used"),
        ("weak", "cannot be used"),
        ("public", "public key, not a private key"),
        ("encrypted", "encrypted"),
    ] {
        fails(&home.beside(&["key", "import", file]), 1, part);
    }
    fails(&home.beside(&["key", "import", "public", "--verify-only", "--until", "tomorrow"]), 2, "no time");
    fails(&home.beside(&["key", "import", "public", "--verify-only", "--until", "2020-01-01T00:00:00Z"]), 1, "over");
    fails(&home.beside(&["key", "import", "good", "--until", "2120-01-01T00:00:00Z"]), 2, "--verify-only");
    fails(&home.beside(&["key", "export-public", "--kid", "x"]), 1, "no public key x");
    assert_eq!(json(&home.beside(&["key", "list", "--json"])), before, "nothing was changed");

    let published =
        home.beside(&["key", "import", "public", "--verify-only", "--until", "2120-01-01T00:00:00Z", "--kid", "k"]);
    assert!(published.stdout.starts_with("k  retiring"), "{published:?}");
    let set = json(&home.beside(&["key", "export-public"]));
    assert!(
        set["keys"].as_array().expect("a list").iter().any(|key| key["kid"] == "k" && key["alg"] == "ES256"),
        "{set}"
    );
}

#[test]
fn a_leaked_key_ends_every_session() {
    let home = home("ES256");
    home.add_user(&["ada"]);
    let token = home.beside(&["token", "mint", "ada"]).stdout.trim().to_owned();
    let active = json(&home.beside(&["key", "list", "--json"]))[0]["kid"].as_str().expect("a kid").to_owned();
    let revoked = home.beside(&["key", "revoke", "--leaked", &active]);
    assert!(
        revoked.stdout.starts_with("Sessions that have ended: 1.\n") && !revoked.stdout.contains(&active),
        "{revoked:?}"
    );
    assert_eq!(home.beside(&["token", "inspect", &token]).status, Some(1));
    let listed = home.beside(&["session", "list"]);
    assert_eq!((listed.status, listed.stdout.as_str()), (Some(0), "There are no open sessions.\n"), "{listed:?}");
}
