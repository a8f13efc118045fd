//! A token that was verified, for looking at it again later.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::policy::Times;
use crate::registered::Registered;
use crate::{Header, RegisteredView, VerificationKey};

/// A token that a [`Verifier`](crate::Verifier) believed; dereferences to its claims. Its times, its key and revocation
/// can be [checked again](crate::Verifier::check_again) later, without its text and at little cost.
pub struct VerifiedToken<C>(Arc<Entry<C>>);

/// What is kept of a verified token.
pub(crate) struct Entry<C> {
    pub(crate) claims: Arc<C>,
    pub(crate) proof: Proof,
    pub(crate) times: Times,
    registered: OwnedRegistered,
    /// See [`VerifiedToken::note`].
    note: ArcSwapOption<Note>,
}

type Note = Arc<dyn Any + Send + Sync>;

/// What makes the claims believable.
pub(crate) enum Proof {
    /// A signature by this key.
    Signature { header: Header, key: Arc<VerificationKey> },
    /// The application itself; the token that it saw was signed by this key.
    Application { kid: Option<Box<str>> },
}

/// What revocation looks at.
struct OwnedRegistered {
    iss: Option<Box<str>>,
    sub: Option<Box<str>>,
    jti: Option<Box<str>>,
    client_id: Option<Box<str>>,
    sid: Option<Box<str>>,
}

impl<C> Entry<C> {
    pub(crate) fn new(
        claims: Arc<C>,
        key: Arc<VerificationKey>,
        header: Header,
        times: Times,
        registered: &Registered<'_>,
    ) -> Self {
        let owned = |claim: &Option<std::borrow::Cow<'_, str>>| claim.as_deref().map(Into::into);
        let registered = OwnedRegistered {
            iss: owned(&registered.iss),
            sub: owned(&registered.sub),
            jti: owned(&registered.jti),
            client_id: owned(&registered.client_id),
            sid: owned(&registered.sid),
        };
        Self { claims, proof: Proof::Signature { header, key }, times, registered, note: ArcSwapOption::empty() }
    }

    pub(crate) fn view(&self) -> RegisteredView<'_> {
        let registered = &self.registered;
        RegisteredView {
            kid: match &self.proof {
                Proof::Signature { key, .. } => key.kid(),
                Proof::Application { kid } => kid.as_deref(),
            },
            iss: registered.iss.as_deref(),
            sub: registered.sub.as_deref(),
            exp: self.times.exp.div_euclid(1000),
            iat: self.times.iat.map(|millis| millis.div_euclid(1000)),
            jti: registered.jti.as_deref(),
            client_id: registered.client_id.as_deref(),
            sid: registered.sid.as_deref(),
        }
    }
}

impl<C> VerifiedToken<C> {
    /// Claims that the application vouches for, since it verified the token earlier: behind a single-use ticket, say.
    /// `registered` is what the token held, and the id of the key that had signed it; it ends as that token would.
    pub fn vouched(claims: Arc<C>, registered: &RegisteredView<'_>) -> Self {
        let owned = |claim: Option<&str>| claim.map(Into::into);
        let millis = |seconds: i64| seconds.saturating_mul(1000);
        Self(Arc::new(Entry {
            claims,
            proof: Proof::Application { kid: owned(registered.kid) },
            times: Times { exp: millis(registered.exp), nbf: None, iat: registered.iat.map(millis) },
            registered: OwnedRegistered {
                iss: owned(registered.iss),
                sub: owned(registered.sub),
                jti: owned(registered.jti),
                client_id: owned(registered.client_id),
                sid: owned(registered.sid),
            },
            note: ArcSwapOption::empty(),
        }))
    }

    /// Keeps what the application found out about the token, for as long as the token is remembered. Another note is
    /// forgotten. The verifier never looks at it: whether it still holds is the application's to know.
    pub fn set_note<T: Send + Sync + 'static>(&self, note: Arc<T>) {
        self.0.note.store(Some(Arc::new(note)));
    }

    /// What was noted last, if it is of this type.
    #[must_use]
    pub fn note<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let note = self.0.note.load();
        Arc::clone(note.as_deref()?).downcast().ok()
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Arc<C> {
        &self.0.claims
    }

    /// The registered claims, and the id of the key that verified them.
    #[must_use]
    pub fn registered(&self) -> RegisteredView<'_> {
        self.0.view()
    }

    pub(crate) fn entry(&self) -> &Entry<C> {
        &self.0
    }
}

impl<C> From<Arc<Entry<C>>> for VerifiedToken<C> {
    fn from(entry: Arc<Entry<C>>) -> Self {
        Self(entry)
    }
}

impl<C> Deref for VerifiedToken<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0.claims
    }
}

impl<C> Clone for VerifiedToken<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: fmt::Debug> fmt::Debug for VerifiedToken<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(&self.0.claims).finish()
    }
}
