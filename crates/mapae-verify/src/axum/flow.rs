//! Where a documentation page gets its token.

/// The OAuth 2 password flow of a security scheme in an OpenAPI document. URLs may be relative to the document's
/// server, so that they survive a proxy's prefix.
///
/// ```
/// use mapae_verify::axum::PasswordFlow;
///
/// let flow = PasswordFlow::new("token").refresh_url("oauth2/token");
/// # let _ = flow;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordFlow<'a> {
    pub(super) token_url: &'a str,
    pub(super) refresh_url: Option<&'a str>,
}

impl<'a> PasswordFlow<'a> {
    /// `tokenUrl`: where the password is sent to.
    #[must_use]
    pub const fn new(token_url: &'a str) -> Self {
        Self { token_url, refresh_url: None }
    }

    /// `refreshUrl`: where a refresh token is sent to.
    #[must_use]
    pub const fn refresh_url(mut self, url: &'a str) -> Self {
        self.refresh_url = Some(url);
        self
    }
}

impl<'a> From<&'a str> for PasswordFlow<'a> {
    fn from(token_url: &'a str) -> Self {
        Self::new(token_url)
    }
}
