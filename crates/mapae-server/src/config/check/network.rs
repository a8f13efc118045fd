//! Who may call from where, and how often.

use std::net::IpAddr;

use ipnet::IpNet;
use mapae::domain::BaseUrl;
use mapae::domain::throttle::Limit;
use mapae::settings::ThrottleSettings;
use url::Url;

use super::Checker;
use crate::config::listen::{Listen, Part};
use crate::config::value::{Value, is_quoted, quoted};

impl Checker<'_> {
    pub(super) fn cors_origins(&mut self) -> Vec<String> {
        let mut origins = Vec::new();
        for text in self.list("cors_origins") {
            match origin(&text) {
                Some(origin) => origins.push(origin),
                None => {
                    let what = quoted(&text).unwrap_or_else(|| "a value with an @".to_owned());
                    self.refuse(
                        "cors_origins",
                        &format!("has {what}, which is not an origin such as https://app.example.com"),
                    );
                    self.clear("cors_origins");
                }
            }
        }
        if !origins.is_empty() && self.get("cors_origins").value.is_some() {
            self.set("cors_origins", Value::List(origins.clone()));
        }
        origins
    }

    /// Where the metrics are, which anybody there can read: a port must be named.
    pub(super) fn metrics_listen(&mut self) -> Option<Listen> {
        let text = self.text("metrics_listen")?;
        match Part::parse(&text) {
            Ok(Part { host: Some(host), port: Some(port) }) => Some(Listen { host, port }),
            Ok(_) | Err(_) => {
                let is = is_quoted(&text);
                self.refuse("metrics_listen", &format!("{is}, but must be an address with a port: 127.0.0.1:9090"));
                self.clear("metrics_listen");
                None
            }
        }
    }

    /// The address of an OpenTelemetry collector.
    pub(super) fn traces_endpoint(&mut self) -> Option<Url> {
        let text = self.text("traces_endpoint")?;
        let url = Url::parse(&text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if url.is_none() {
            let is = is_quoted(&text);
            self.refuse(
                "traces_endpoint",
                &format!("{is}, but must be the address of a collector for OTLP over HTTP: http://127.0.0.1:4318"),
            );
            self.clear("traces_endpoint");
        }
        url
    }

    pub(super) fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.list("trusted_proxies") {
            match network(&text) {
                Some(network) => networks.push(network),
                None => {
                    let what = quoted(&text).unwrap_or_else(|| "a value with an @".to_owned());
                    self.refuse(
                        "trusted_proxies",
                        &format!("has {what}, which is neither a network such as 10.0.0.0/8 nor an address"),
                    );
                    self.clear("trusted_proxies");
                }
            }
        }
        networks
    }

    /// `None` if guessing is not slowed down.
    pub(super) fn throttle(&self) -> Option<ThrottleSettings> {
        if !matches!(self.get("throttle").value, Some(Value::Switch(true))) {
            return None;
        }
        let limit =
            |failures: &str, seconds: &str| Limit { failures: self.number(failures), seconds: self.number(seconds) };
        Some(ThrottleSettings {
            place: limit("throttle_failures", "throttle_seconds"),
            account: limit("throttle_account_failures", "throttle_seconds"),
            network: limit("throttle_network_failures", "throttle_network_seconds"),
        })
    }
}

/// An origin in the form in which browsers send it.
fn origin(text: &str) -> Option<String> {
    let url = BaseUrl::parse(text).ok()?;
    (url.origin() == url.as_str()).then(|| url.to_string())
}

/// A network, or the one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        assert_eq!(origin("https://App.Example.com:443/").as_deref(), Some("https://app.example.com"));
        assert_eq!(origin("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for text in ["*", "app.example.com", "https://x/path", "null", "https://*.example.com/x"] {
            assert_eq!(origin(text), None, "{text}");
        }
    }

    #[test]
    fn networks_and_single_addresses() {
        assert_eq!(network("10.0.0.0/8").map(|net| net.to_string()).as_deref(), Some("10.0.0.0/8"));
        assert_eq!(network("::1").map(|net| net.to_string()).as_deref(), Some("::1/128"));
        for text in ["", "*", "10.0.0.0/33", "proxy.example.com", "10.0.0"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
