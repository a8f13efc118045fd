//! A token that was verified, for looking at it again later.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use crate::policy::Times;
use crate::registered::Registered;
use crate::{Claims, RegisteredView, VerificationKey};

/// A token that a [`Verifier`](crate::Verifier) believed; dereferences to its claims. Its times, its key and revocation
/// can be [checked again](crate::Verifier::check_again) later, without its text and at little cost.
pub struct VerifiedToken<C>(Arc<Entry<C>>);

/// What is kept of a verified token.
pub(crate) struct Entry<C> {
    pub(crate) claims: Arc<C>,
    pub(crate) proof: Proof,
    pub(crate) times: Times,
    registered: Kept,
    /// See [`VerifiedToken::note`].
    note: RwLock<Option<Note>>,
}

type Note = Arc<dyn Any + Send + Sync>;

/// What makes the claims believable.
pub(crate) enum Proof {
    /// A signature by this key; the `kid` is the token's.
    Signature { kid: Option<Box<str>>, key: Arc<VerificationKey> },
    /// The application itself; the token that it saw was signed by this key.
    Application { kid: Option<Box<str>> },
}

/// What revocation looks at: `iss`, `sub`, `jti`, `client_id` and `sid`.
enum Kept {
    /// The token's claims are [`Claims`], which has them all.
    InClaims,
    Text(OneText),
}

/// Claims in one text, one after the other, since allocating each of them is a good part of what a new token costs.
struct OneText {
    text: Box<str>,
    ends: [Option<usize>; 5],
}

impl OneText {
    fn new(claims: [Option<&str>; 5]) -> Self {
        let mut text = String::with_capacity(claims.iter().flatten().map(|claim| claim.len()).sum());
        let ends = claims.map(|claim| {
            text.push_str(claim?);
            Some(text.len())
        });
        Self { text: text.into(), ends }
    }

    fn claims(&self) -> [Option<&str>; 5] {
        let mut start = 0;
        self.ends.map(|end| {
            let claim = self.text.get(start..end?);
            start = end?;
            claim
        })
    }
}

impl<C: 'static> Entry<C> {
    pub(crate) fn new(
        claims: Arc<C>,
        key: Arc<VerificationKey>,
        kid: Option<&str>,
        times: Times,
        registered: &Registered<'_>,
    ) -> Self {
        let registered = if usual(&*claims).is_some() {
            Kept::InClaims
        } else {
            let Registered { iss, sub, jti, client_id, sid, .. } = registered;
            Kept::Text(OneText::new([iss, sub, jti, client_id, sid].map(Option::as_deref)))
        };
        let proof = Proof::Signature { kid: kid.map(Into::into), key };
        Self { claims, proof, times, registered, note: RwLock::default() }
    }

    pub(crate) fn view(&self) -> RegisteredView<'_> {
        let [iss, sub, jti, client_id, sid] = match &self.registered {
            Kept::Text(text) => text.claims(),
            Kept::InClaims => {
                let claims = usual(&*self.claims).expect("claims of another type are kept in a text");
                let Claims { iss, sub, jti, client_id, sid, .. } = claims;
                [Some(iss.as_str()), Some(sub.as_str()), Some(jti), Some(client_id), sid.as_deref()]
            }
        };
        RegisteredView {
            kid: match &self.proof {
                Proof::Signature { key, .. } => key.kid(),
                Proof::Application { kid } => kid.as_deref(),
            },
            iss,
            sub,
            exp: self.times.exp.div_euclid(1000),
            iat: self.times.iat.map(|millis| millis.div_euclid(1000)),
            jti,
            client_id,
            sid,
        }
    }
}

/// These claims, if they are of the usual type.
fn usual<C: 'static>(claims: &C) -> Option<&Claims> {
    (claims as &dyn Any).downcast_ref()
}

impl<C> VerifiedToken<C> {
    /// Claims that the application vouches for, since it verified the token earlier: behind a single-use ticket, say.
    /// `registered` is what the token held, and the id of the key that had signed it; it ends as that token would.
    pub fn vouched(claims: Arc<C>, registered: &RegisteredView<'_>) -> Self {
        let RegisteredView { iss, sub, jti, client_id, sid, .. } = *registered;
        let millis = |seconds: i64| seconds.saturating_mul(1000);
        Self(Arc::new(Entry {
            claims,
            proof: Proof::Application { kid: registered.kid.map(Into::into) },
            times: Times { exp: millis(registered.exp), nbf: None, iat: registered.iat.map(millis) },
            registered: Kept::Text(OneText::new([iss, sub, jti, client_id, sid])),
            note: RwLock::default(),
        }))
    }

    /// Keeps what the application found out about the token, for as long as the token is remembered. Another note is
    /// forgotten. The verifier never looks at it: whether it still holds is the application's to know.
    pub fn set_note<T: Send + Sync + 'static>(&self, note: Arc<T>) {
        let former = self.0.note.write().unwrap_or_else(PoisonError::into_inner).replace(note);
        // Not while the lock is held: nobody knows what its end does.
        drop(former);
    }

    /// Whether anybody else holds the token just now: the verifier that remembers it, or whoever has a clone. Nobody would
    /// find a note in one that nobody else holds.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// What was noted last, if it is of this type.
    #[must_use]
    pub fn note<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let note = self.0.note.read().unwrap_or_else(PoisonError::into_inner).clone();
        note?.downcast().ok()
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Arc<C> {
        &self.0.claims
    }

    pub(crate) const fn entry(&self) -> &Arc<Entry<C>> {
        &self.0
    }
}

impl<C: 'static> VerifiedToken<C> {
    /// The registered claims, and the id of the key that verified them.
    #[must_use]
    pub fn registered(&self) -> RegisteredView<'_> {
        self.0.view()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_in_one_text_come_out_as_they_went_in() {
        for claims in [
            [None; 5],
            [Some("a"), None, Some(""), Some("é"), None],
            [None, Some("b"), Some("c"), None, Some("de")],
            [Some(""), Some(""), None, None, Some("")],
        ] {
            assert_eq!(OneText::new(claims).claims(), claims);
        }
    }
}
