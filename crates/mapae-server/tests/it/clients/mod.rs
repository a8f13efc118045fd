//! Client libraries that are not ours, against a running server: each discovers it, gets, refreshes, introspects, revokes
//! and verifies tokens, and says by its own errors what is wrong.

mod npm;
mod python;
mod rust;

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{CHEAP, PASSWORD, Server};
use crate::support::Home;

/// What a person may choose: HTTP Basic has to carry it, percent-encoded or as it is.
const SECRET: &str = "a secret: 100% + more & = /?";

/// Every library that verifies tokens must do so with each of them.
const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "RS256"];

/// A server with its scopes, an account `ada` and a confidential client `web`.
pub(crate) struct Issuer {
    pub(crate) home: Home,
    pub(crate) server: Server,
    /// The account's id.
    pub(crate) ada: String,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        Self::signing("ES256")
    }

    /// Its tokens are signed with this algorithm.
    pub(crate) fn signing(algorithm: &str) -> Self {
        let scopes = "default_scopes = [\"me\", \"items\"]\n[scopes]\nitems = \"Read items.\"\n";
        let home = Home::new().with("mapae.toml", format!("algorithm = \"{algorithm}\"\n{scopes}"));
        let migrated = home.run(&["db", "migrate"], &CHEAP);
        assert_eq!(migrated.status, Some(0), "{migrated:?}");
        let ada = home.sign_up("ada");
        let grants = "password,refresh_token,client_credentials";
        let add = ["client", "add", "--id", "web", "--confidential", "--secret-stdin", "--grants", grants];
        let added = home.run_with_input(&[&add[..], &["--scopes", "me items"]].concat(), &CHEAP, SECRET);
        assert_eq!((added.status, added.stderr.as_str()), (Some(0), ""), "{added:?}");
        let server = Server::start_at_its_own_address(&home, &[]);
        Self { home, server, ada }
    }

    /// Says to a script where the server is and who asks.
    fn describe(&self, script: &mut Command) {
        script.envs([("ISSUER", self.server.url.as_str()), ("CLIENT_ID", "web"), ("CLIENT_SECRET", SECRET)]);
        script.envs([("USERNAME", "ada"), ("PASSWORD", PASSWORD)]);
    }

    /// What every library must have seen.
    fn check(&self, seen: &Value) {
        let url = self.server.url.as_str();
        assert_eq!(seen["issuer"], url);
        let (first, second, own) = (&seen["first"], &seen["second"], &seen["client_credentials"]);
        assert_eq!((scope(first), scope(own)), ("me items".to_owned(), "items".to_owned()), "{seen}");
        for tokens in [first, second, own] {
            assert!(tokens["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")), "{tokens}");
            assert!(tokens["expires_in"].as_u64().is_some_and(|seconds| (890..=900).contains(&seconds)), "{tokens}");
        }
        assert!(own["refresh_token"].is_null(), "{own}");
        for name in ["access_token", "refresh_token"] {
            assert!(first[name].is_string() && second[name].is_string() && first[name] != second[name], "{seen}");
        }
        assert_eq!(seen["user_info"], json!({ "sub": self.ada, "preferred_username": "ada" }));
        let active = &seen["active"];
        let about = (&active["active"], &active["sub"], &active["client_id"], &active["iss"]);
        assert_eq!(about, (&true.into(), &self.ada.as_str().into(), &"web".into(), &url.into()), "{active}");
        assert_eq!(scope(active), scope(second));
        assert_eq!(seen["after"], json!({ "active": false }));
    }

    /// What the library read from the access token after it had verified it.
    fn check_claims(&self, seen: &Value) {
        let (url, claims) = (self.server.url.as_str(), &seen["verified"]);
        let about = (&claims["iss"], &claims["aud"], &claims["sub"], &claims["client_id"]);
        assert_eq!(about, (&url.into(), &url.into(), &self.ada.as_str().into(), &"web".into()), "{claims}");
        assert_eq!((&claims["scope"], &claims["typ"]), (&"me items".into(), &"at+jwt".into()), "{claims}");
        assert!(claims["sid"].is_string() && claims["jti"].is_string(), "{claims}");
    }
}

/// Some libraries make a list of it.
fn scope(tokens: &Value) -> String {
    match &tokens["scope"] {
        Value::Array(scopes) => scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        scope => scope.as_str().unwrap_or_else(|| panic!("no scope: {tokens}")).to_owned(),
    }
}
