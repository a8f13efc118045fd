//! The address to serve on, which may come from two places: `PORT` changes the port of whatever `listen` says.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::value::is_quoted;

/// Host and port to serve on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// An address without brackets, or a host name.
    pub(crate) host: String,
    /// 0 takes any free port.
    pub(crate) port: u16,
}

/// What one source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
}

impl Part {
    /// Reads `host:port`, or either alone.
    ///
    /// # Errors
    ///
    /// The end of a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let is = is_quoted(text);
            format!("{is}, but must be an address with a port, such as 127.0.0.1:8080 or 0.0.0.0:8080")
        };
        let text = text.trim();
        if let Ok(port) = text.parse() {
            return Ok(Self { host: None, port: Some(port) });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: Some(text.to_owned()), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (text, None),
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| wrong())?.to_string(),
            None => host.to_owned(),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if host.is_empty() || (host.parse::<IpAddr>().is_err() && !host.chars().all(is_name)) {
            return Err(wrong());
        }
        Ok(Self { host: Some(host), port })
    }
}

impl Listen {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// The URL by which this machine reaches a server that listens here on `port`.
    pub(crate) fn local_url(&self, port: u16) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => format!("http://localhost:{port}"),
            Ok(IpAddr::V6(ip)) => format!("http://[{ip}]:{port}"),
            _ => format!("http://{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(host: Option<&str>, port: Option<u16>) -> Part {
        Part { host: host.map(str::to_owned), port }
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("127.0.0.1:8080", part(Some("127.0.0.1"), Some(8080))),
            ("0.0.0.0", part(Some("0.0.0.0"), None)),
            ("localhost:0", part(Some("localhost"), Some(0))),
            ("9000", part(None, Some(9000))),
            ("[::1]:8080", part(Some("::1"), Some(8080))),
            ("[::1]", part(Some("::1"), None)),
            ("::1", part(Some("::1"), None)),
        ] {
            assert_eq!(Part::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", ":8080", "host:port", "127.0.0.1:70000", "http://127.0.0.1:80", "a b", "[::1", "[x]:1", "70000:1:2"]
        {
            assert!(Part::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_and_urls() {
        let listen = |host: &str| Listen { host: host.to_owned(), port: 80 };
        assert!(listen("127.0.0.2").is_loopback() && listen("::1").is_loopback() && listen("localhost").is_loopback());
        assert!(
            !listen("0.0.0.0").is_loopback() && !listen("::").is_loopback() && !listen("example.com").is_loopback()
        );
        assert_eq!(listen("::1").local_url(8080), "http://[::1]:8080");
        assert_eq!(listen("0.0.0.0").local_url(8080), "http://localhost:8080");
        assert_eq!(listen("::1").to_string(), "[::1]:80");
    }
}
