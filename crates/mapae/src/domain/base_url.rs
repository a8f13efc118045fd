//! The one public address of this service.

use std::fmt;

/// The address under which clients reach this service, without a trailing slash.
///
/// Links and the issuer (`iss`) come from here and never from a request's `Host` or `Forwarded` header, which
/// anybody can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is not a base URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not a base URL: {why}")]
pub struct BaseUrlError {
    what: String,
    why: &'static str,
}

/// How the error names the text: not by what may be a password.
fn named(text: &str) -> String {
    if text.contains('@') { "the value, which holds an @,".to_owned() } else { format!("`{text}`") }
}

impl BaseUrl {
    /// Reads an absolute `http` or `https` URL without query, fragment or credentials.
    ///
    /// # Errors
    /// Says which of these rules the text breaks.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let err = |why| BaseUrlError { what: named(text), why };
        let url = url::Url::parse(text).map_err(|_| err("it must be absolute, such as https://auth.example.com"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(err("the scheme must be http or https"));
        }
        if url.host_str().is_none() {
            return Err(err("it names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(err("it must not hold a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(err("it must not hold a query or fragment"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL without a trailing slash; also the issuer identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port, as a browser writes them into `Origin`.
    pub fn origin(&self) -> &str {
        let after_scheme = self.0.find("://").map_or(0, |at| at + 3);
        match self.0[after_scheme..].find('/') {
            Some(slash) => &self.0[..after_scheme + slash],
            None => &self.0,
        }
    }

    /// The path, without a trailing slash: empty for most.
    pub fn path(&self) -> &str {
        &self.0[self.origin().len()..]
    }

    /// Whether traffic to this address is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_slashes_go_and_paths_stay() {
        assert_eq!(BaseUrl::parse("https://a.example/").unwrap().as_str(), "https://a.example");
        let nested = BaseUrl::parse("https://a.example:8443/auth/").unwrap();
        assert_eq!(nested.as_str(), "https://a.example:8443/auth");
        assert_eq!((nested.origin(), nested.path()), ("https://a.example:8443", "/auth"));
        assert_eq!(BaseUrl::parse("https://a.example/").unwrap().path(), "");
    }

    #[test]
    fn anything_but_a_plain_web_address_is_refused() {
        for bad in ["", "example.com", "ftp://a.example", "https://u:p@a.example", "https://a/?q", "https://a/#f"] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for bad in [
            "https://jane:hunter2@a.example",
            "ftp://jane:hunter2@a.example",
            "https//jane:hunter2@a.example",
            "jane:hunter2@a.example",
            "https://jane:hun/ter2@a.example:x",
            "https://hunter2@a.example",
        ] {
            let error = BaseUrl::parse(bad).unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("ter2") && !text.contains("jane"), "{text}");
            }
        }
        assert!(BaseUrl::parse("ftp://a.example").unwrap_err().to_string().contains("`ftp://a.example`"));
    }
}
