//! A narrowed token can nowhere be widened: random chains of exchanges over HTTP.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::delegation::{ask, claims};
use crate::server::{Server, text};

const SCOPES: [&str; 5] = ["me", "items", "drive", "mapae:admin", "unknown"];
const AUDIENCES: [&str; 3] = ["self", "https://b.example", "https://c.example"];
const SUBJECTS: [&str; 5] = ["car:42", "car:43", "post:1", "client:web", "somebody"];

#[derive(Clone, Debug)]
struct Step {
    scopes: Vec<&'static str>,
    audience: Option<&'static str>,
    seconds: Option<u32>,
    subject: Option<&'static str>,
    /// Exchanged from this one of the tokens so far, not always the last.
    of: prop::sample::Index,
    later: i64,
}

fn step() -> impl Strategy<Value = Step> {
    (
        prop::sample::subsequence(SCOPES.to_vec(), 0..=SCOPES.len()),
        prop::option::weighted(0.3, prop::sample::select(AUDIENCES.to_vec())),
        prop::option::weighted(0.5, 1_u32..2_000),
        prop::option::weighted(0.3, prop::sample::select(SUBJECTS.to_vec())),
        any::<prop::sample::Index>(),
        0_i64..60,
    )
        .prop_map(|(scopes, audience, seconds, subject, of, later)| Step {
            scopes,
            audience,
            seconds,
            subject,
            of,
            later,
        })
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        _ => Vec::new(),
    }
}

fn within(inner: &Value, outer: &Value) -> bool {
    let outer = list(outer);
    list(inner).iter().all(|one| outer.contains(one))
}

async fn check(server: &Server, first: Vec<&'static str>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut tokens = vec![(server.sign_in_for("root", &first.join(" ")).await, 0_u8)];
    for step in steps {
        server.clock.advance(step.later);
        let (parent, depth) = step.of.get(&tokens).clone();
        let (scope, seconds) = (step.scopes.join(" "), step.seconds.map(|seconds| seconds.to_string()));
        let audience = step.audience.map(|name| if name == "self" { server.url.as_str() } else { name });
        let mut more = vec![("scope", scope.as_str())];
        more.extend(audience.map(|audience| ("audience", audience)));
        more.extend(seconds.as_deref().map(|seconds| ("requested_expires_in", seconds)));
        more.extend(step.subject.map(|subject| ("requested_subject", subject)));
        let answer = ask(&server.url, &parent, &more).await;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        if status != 200 {
            prop_assert_eq!(status, 400, "{}", body);
            continue;
        }
        let child = text(&body["access_token"]);
        let (before, after) = (claims(&parent), claims(&child));
        prop_assert!(depth < 3);
        prop_assert!(within(&after["scope"], &before["scope"]), "{} of {}", after, before);
        prop_assert!(step.scopes.is_empty() || within(&after["scope"], &json!(scope)));
        prop_assert!(!list(&after["scope"]).contains(&"mapae:admin"));
        prop_assert!(within(&after["aud"], &before["aud"]) && !list(&after["aud"]).is_empty());
        prop_assert!(audience.is_none_or(|one| list(&after["aud"]) == [one]));
        let (exp, now) = (after["exp"].as_i64().unwrap(), server.clock_now());
        prop_assert!(now < exp && exp <= before["exp"].as_i64().unwrap());
        prop_assert!(step.seconds.is_none_or(|seconds| exp <= now + i64::from(seconds)));
        let (sub, of) = (text(&after["sub"]), text(&before["sub"]));
        let by_admin = depth == 0 && !of.contains(':') && list(&before["scope"]).contains(&"mapae:admin");
        prop_assert!(
            sub == of || (by_admin && step.subject == Some(&sub) && sub.starts_with("car:")),
            "{} {}",
            sub,
            of
        );
        prop_assert!(after["act"].is_object() && after["sid"] != before["sid"]);
        tokens.push((child, depth + 1));
    }
    Ok(())
}

#[test]
fn nothing_is_widened_along_any_chain() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start_with(|settings| {
        settings.scopes.declare("drive", "Drive a car.").unwrap();
        settings.subject_kinds.insert("car".to_owned());
        settings.audience = vec![settings.base_url.to_string(), "https://b.example".to_owned()];
    }));
    runtime.block_on(server.sign_up_with_scopes("root", "me items drive mapae:admin"));
    let first = prop::sample::subsequence(SCOPES[..4].to_vec(), 1..=4);
    let strategy = (first, prop::collection::vec(step(), 1..8));
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let outcome =
        TestRunner::new(config).run(&strategy, |(first, steps)| runtime.block_on(check(&server, first, steps)));
    outcome.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async { drop(server) });
}
