//! Traces, as a collector gets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

use crate::server::{PASSWORD, Server};
use crate::support::Home;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

impl Collector {
    /// Its address.
    async fn start(&self) -> String {
        let take = async |State(Self(got)): State<Self>, headers: HeaderMap, body: Bytes| {
            got.lock().expect("no panic").push((headers, body));
        };
        let app = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    /// What it got, decoded; each with the attributes of its resource.
    fn spans(&self) -> Vec<(HashMap<String, String>, Span)> {
        let got = self.0.lock().expect("no panic");
        let requests = got.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).expect("protobuf"));
        let resources = requests.flat_map(|request| request.resource_spans);
        resources
            .flat_map(|resource| {
                let of = attributes(&resource.resource.expect("a resource").attributes);
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.map(|span| (of.clone(), span)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The only span of that name.
    fn span(&self, name: &str) -> Span {
        let spans = self.spans();
        let mut named = spans.iter().filter(|(_, span)| span.name == name);
        let found = named.next().unwrap_or_else(|| panic!("no {name}: {:?}", names(&spans)));
        assert!(named.next().is_none(), "several {name}");
        found.1.clone()
    }
}

fn names(spans: &[(HashMap<String, String>, Span)]) -> Vec<&str> {
    spans.iter().map(|(_, span)| span.name.as_str()).collect()
}

fn attributes(pairs: &[KeyValue]) -> HashMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.clone().and_then(|value| value.value)))).collect()
}

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_requests_with_their_passwords_and_transactions_and_no_secret() {
    let collector = Collector::default();
    let address = collector.start().await;
    let home = Home::migrated();
    home.add_user(&["ada", "--email", "ada@example.com"]);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k-1")];
    let mut server = Server::start(&home, &variables);
    let (status, tokens) = server.sign_in("ada", PASSWORD, "").await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(server.sign_in("ada", "wrong giraffes", "").await.0, 401);
    let token = tokens["access_token"].as_str().expect("a token");
    let answer = reqwest::Client::new()
        .get(format!("{}/users/me?ticket=paper-giraffe", server.url))
        .bearer_auth(token)
        .header("user-agent", "giraffe/7")
        .header("traceparent", traceparent())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
    server.stop();

    let me = collector.span("GET /users/me");
    let about = attributes(&me.attributes);
    let expected = [
        ("http.request.method", "GET"),
        ("http.route", "/users/me"),
        ("http.response.status_code", "200"),
        ("request_id", &id),
    ];
    assert_eq!(about, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(me.kind, 2, "a server's");
    assert_ne!(hex(&me.trace_id), TRACE, "nobody trusts this client");
    assert!(me.parent_span_id.is_empty() && me.end_time_unix_nano > me.start_time_unix_nano);

    let spans = collector.spans();
    let sign_ins: Vec<&Span> = spans.iter().map(|(_, span)| span).filter(|span| span.name == "POST /token").collect();
    let statuses: Vec<String> =
        sign_ins.iter().map(|span| attributes(&span.attributes)["http.response.status_code"].clone()).collect();
    assert_eq!(statuses, ["200", "401"]);
    let below = |parent: &Span| -> Vec<Span> {
        let children = spans.iter().filter(|(_, span)| span.parent_span_id == parent.span_id);
        children.map(|(_, span)| span.clone()).collect()
    };
    let children = below(sign_ins[0]);
    let password = children.iter().find(|span| span.name == "password").expect("a password");
    assert_eq!(below(password).iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["password hash"]);
    let transaction = children.iter().rfind(|span| span.name == "transaction").expect("a transaction");
    assert_eq!(attributes(&transaction.attributes)["committed"], "true");
    assert!(spans.iter().all(|(resource, _)| resource["service.name"] == "mapae"));

    // Nothing that a client sent or got is in what the collector gets.
    let got = collector.0.lock().expect("no panic").clone();
    assert!(got.iter().all(|(headers, _)| headers["x-key"] == "k-1"));
    let refresh = tokens["refresh_token"].as_str().expect("a token");
    for (_, body) in got {
        let text = String::from_utf8_lossy(&body).into_owned();
        for secret in
            ["giraffe", "ada", "example.com", PASSWORD, token, refresh, token.rsplit('.').next().expect("parts")]
        {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_trusted_proxy_goes_on() {
    let collector = Collector::default();
    let address = collector.start().await;
    let home = Home::migrated();
    let variables = [
        ("MAPAE_TRACES_ENDPOINT", address.as_str()),
        ("MAPAE_TRUSTED_PROXIES", "127.0.0.1"),
        ("OTEL_SERVICE_NAME", "front desk"),
    ];
    let mut server = Server::start(&home, &variables);
    let client = reqwest::Client::new();
    let get = async |path: &str, traceparent: &str| {
        client.get(format!("{}{path}", server.url)).header("traceparent", traceparent).send().await.expect("an answer");
    };
    get("/health/ready", &traceparent()).await;
    // What is not sampled elsewhere is not here, and what is no such header begins a trace of its own.
    get("/version", &format!("00-{TRACE}-{PARENT}-00")).await;
    get("/users/me", "00-nonsense").await;
    server.stop();

    let ready = collector.span("GET /health/ready");
    assert_eq!((hex(&ready.trace_id).as_str(), hex(&ready.parent_span_id).as_str()), (TRACE, PARENT));
    let own = collector.span("GET /users/me");
    assert!(own.parent_span_id.is_empty() && hex(&own.trace_id) != TRACE);
    let spans = collector.spans();
    assert!(!names(&spans).contains(&"GET /version"), "{:?}", names(&spans));
    assert!(spans.iter().all(|(resource, _)| resource["service.name"] == "front desk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_is_told_of_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let home = Home::migrated();
    home.add_user(&["ada"]);
    // Sent as soon as there is anything.
    let variables = [("MAPAE_TRACES_ENDPOINT", address.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut server = Server::start(&home, &variables);
    for _ in 0..20 {
        assert_eq!(server.sign_in("ada", PASSWORD, "").await.0, 200);
    }
    let is_about_traces = |line: &serde_json::Value| line["message"].as_str().unwrap_or_default().contains("traces");
    server.wait_for(is_about_traces);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.sign_in("ada", PASSWORD, "").await.0, 200);
    server.stop();
    assert!(server.log().iter().filter(|line| is_about_traces(line)).count() <= 2, "{:#?}", server.log());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
