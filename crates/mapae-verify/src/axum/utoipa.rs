//! The security scheme for documents that utoipa makes (feature `utoipa`).

use std::fmt;
use std::marker::PhantomData;

use ::utoipa::Modify;
use ::utoipa::openapi::security::{Flow, OAuth2, Password, Scopes, SecurityScheme};
use ::utoipa::openapi::{Components, OpenApi};

use super::{PasswordFlow, SECURITY_SCHEME};
use crate::ScopeSet;

/// Adds the security scheme [`SECURITY_SCHEME`] to utoipa's document, with the scopes `S` and their descriptions.
///
/// utoipa reads `security` from an attribute, so it can say something else than the handler's signature.
/// `mapae_verify::testing::check_security` (feature `testing`) finds that in a test.
///
/// ```
/// use mapae_verify::axum::{Bearer, BearerSecurity, PasswordFlow};
/// use utoipa::OpenApi;
/// # use mapae_verify::DeclaredScope;
/// # struct Items;
/// # impl DeclaredScope for Items {
/// #     const NAME: &'static str = "items";
/// #     const DESCRIPTION: &'static str = "Read items.";
/// # }
///
/// #[utoipa::path(get, path = "/items", responses((status = 200)), security(("OAuth2PasswordBearer" = ["items"])))]
/// async fn items(caller: Bearer<Items>) -> String {
///     format!("items of {}", caller.sub)
/// }
///
/// const SECURITY: BearerSecurity<Items> = BearerSecurity::new(PasswordFlow::new("token"));
///
/// #[derive(OpenApi)]
/// #[openapi(paths(items), modifiers(&SECURITY))]
/// struct Api;
///
/// assert!(Api::openapi().to_json()?.contains("Read items."));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct BearerSecurity<S = ()> {
    flow: PasswordFlow<'static>,
    scopes: PhantomData<fn() -> S>,
}

impl<S: ScopeSet> BearerSecurity<S> {
    /// The scheme with this flow.
    #[must_use]
    pub const fn new(flow: PasswordFlow<'static>) -> Self {
        Self { flow, scopes: PhantomData }
    }

    /// The scheme itself, for a document that is made in another way.
    #[must_use]
    pub fn scheme(&self) -> SecurityScheme {
        let mut declared = Vec::new();
        S::for_each(&mut |name, description| declared.push((name, description)));
        let (token_url, scopes) = (self.flow.token_url, Scopes::from_iter(declared));
        let password = match self.flow.refresh_url {
            Some(refresh_url) => Password::with_refresh_url(token_url, scopes, refresh_url),
            None => Password::new(token_url, scopes),
        };
        SecurityScheme::OAuth2(OAuth2::new([Flow::Password(password)]))
    }
}

impl<S: ScopeSet> Modify for BearerSecurity<S> {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme(SECURITY_SCHEME, self.scheme());
    }
}

impl<S> Clone for BearerSecurity<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for BearerSecurity<S> {}

impl<S> fmt::Debug for BearerSecurity<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerSecurity").field("flow", &self.flow).finish_non_exhaustive()
    }
}
