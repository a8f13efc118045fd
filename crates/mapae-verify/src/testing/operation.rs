//! What a document says of one operation.

use axum_core::body::Body;
use http::{Method, Request};
use serde_json::Value;

const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

/// One documented operation.
pub(super) struct Operation<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    /// Of the path and of the operation itself.
    parameters: Vec<&'a Value>,
    /// The alternatives; each is an object of schemes.
    security: &'a [Value],
}

/// All operations of a document.
pub(super) fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let item = resolve(document, item);
        for (name, method) in METHODS {
            let Some(operation) = item.get(name) else { continue };
            let security = operation.get("security").or_else(|| document.get("security"));
            let parameters = [&operation["parameters"], &item["parameters"]];
            let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
            all.push(Operation {
                method,
                path,
                parameters: parameters.map(|parameter| resolve(document, parameter)).collect(),
                security: security.and_then(Value::as_array).map_or(&[], Vec::as_slice),
            });
        }
    }
    all
}

/// What a `$ref` within the document points at.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

impl Operation<'_> {
    /// Whether a request without credentials is to be refused: no alternative is empty (OpenAPI 3.1 §4.8.30).
    pub(super) fn needs_credentials(&self) -> bool {
        let is_empty = |alternative: &Value| alternative.as_object().is_none_or(serde_json::Map::is_empty);
        !self.security.is_empty() && !self.security.iter().any(is_empty)
    }

    fn schemes(&self) -> impl Iterator<Item = &String> {
        self.security.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys)
    }

    /// Whether any scheme that is asked for takes a bearer token.
    pub(super) fn wants_bearer(&self, document: &Value) -> bool {
        self.schemes().any(|name| {
            let scheme = resolve(document, &document["components"]["securitySchemes"][name]);
            let is = |member: &str, text: &str| scheme[member].as_str().is_some_and(|is| is.eq_ignore_ascii_case(text));
            is("type", "oauth2") || is("type", "openIdConnect") || (is("type", "http") && is("scheme", "bearer"))
        })
    }

    /// The schemes that the document does not declare.
    pub(super) fn undeclared(&self, document: &Value) -> Vec<&str> {
        let schemes = &document["components"]["securitySchemes"];
        let mut names: Vec<_> = self.schemes().map(String::as_str).filter(|name| schemes.get(name).is_none()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A request without credentials.
    pub(super) fn request(&self) -> Result<Request<Body>, http::Error> {
        let mut path = String::new();
        let mut rest = self.path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            path.push_str(before);
            // As axum writes a parameter that takes the rest of a path.
            path.push_str(&self.value(name.trim_start_matches('*')));
            rest = after;
        }
        path.push_str(rest);
        Request::builder().method(&self.method).uri(path).body(Body::empty())
    }

    /// Something to put for a parameter of the path.
    fn value(&self, name: &str) -> String {
        let parameter = self.parameters.iter().find(|parameter| parameter["name"] == name && parameter["in"] == "path");
        let parameter = parameter.copied().unwrap_or(&Value::Null);
        let schema = &parameter["schema"];
        let given = [&parameter["example"], &schema["example"], &schema["examples"][0], &schema["default"]];
        let given = given.into_iter().chain([&schema["enum"][0], &schema["const"]]);
        if let Some(text) = given.filter_map(plain).next() {
            return text;
        }
        let is_type = |name: &str| match &schema["type"] {
            Value::Array(types) => types.iter().any(|one| one == name),
            one => one == name,
        };
        let text = match schema["format"].as_str() {
            _ if is_type("integer") || is_type("number") => "1",
            _ if is_type("boolean") => "true",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            Some("date") => "2000-01-01",
            Some("date-time") => "2000-01-01T00:00:00Z",
            _ => "x",
        };
        text.to_owned()
    }
}

/// A value as it stands in a path, percent-encoded where it must be.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    (!text.is_empty()).then(|| text.bytes().map(encode).collect())
}
