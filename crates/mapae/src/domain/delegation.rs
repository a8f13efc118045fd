//! Delegation: tokens that are minted from another one, and are weaker. See the book, "Tokens for things and bots".

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Actor, Scopes, Subject, SubjectKind};

use super::ScopeCatalogue;
use super::personal_token::PersonalTokenHash;

/// The longest chain of tokens minted one from the other; the sign-in that it begins with does not count.
pub const MAX_CHAIN: u8 = 3;

/// The most minted tokens of one account that may be good at once, those included that were just revoked. Each is a row,
/// and minting and revoking cost next to nothing: one person could make the revocation feed too long for verifiers.
pub const MAX_MINTED: u64 = 1_000;

/// The most tokens that may be good at once of those that were made from one that was handed on, and from these again:
/// whoever has it must not use up what its account may mint.
pub const MAX_MADE_FROM_ONE: u64 = 100;

/// The most minted access tokens of all accounts together that may be good at once: each may come into the revocation
/// feed, which verifiers read whole.
pub const MAX_MINTED_HERE: u64 = 50_000;

/// Which bound on minted tokens is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// [`MAX_MINTED`].
    #[error("This account has as many minted tokens as it can: {MAX_MINTED}. Wait until some are over.")]
    OfAccount,
    /// [`MAX_MADE_FROM_ONE`].
    #[error("As many tokens were made from this one as can be: {MAX_MADE_FROM_ONE}. Wait until some are over.")]
    FromOne,
    /// [`MAX_MINTED_HERE`].
    #[error("As many tokens were minted on this server as can be. Try again in some minutes.")]
    Here,
}

/// What makes a session one of a minted token, and not of a sign-in. The session's account is the grantor: it answers
/// for the token, which ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// What was minted.
    pub kind: MintedKind,
    /// The session of the token that it was minted from, with which it ends. None for a personal access token, which
    /// outlives the sign-in that it was made in.
    pub parent: Option<String>,
    /// The access token that it was minted from (`jti`), with which it ends too.
    pub parent_jti: Option<String>,
    /// The sign-in that a personal access token was made in. It ends with it if that was stolen, and else outlives it.
    pub made_in: Option<String>,
    /// How many tokens the chain has, this one included.
    pub depth: u8,
    /// On whose behalf it speaks, if not the grantor's: a thing of the application's own.
    pub subject: Option<Subject>,
    /// For whom it is meant.
    pub audience: Vec<String>,
    /// Who acts.
    pub actor: Actor,
    /// What its owner calls it.
    pub label: Option<String>,
    /// When a personal access token was last exchanged or introspected, give or take [`LAST_USED_STEP`].
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Delegation {
    /// Whether the use of a personal access token at `now` is worth a write.
    pub fn is_use_news(&self, now: DateTime<Utc>) -> bool {
        let is_personal = matches!(self.kind, MintedKind::PersonalToken(_));
        is_personal && self.last_used_at.is_none_or(|last| last + LAST_USED_STEP <= now)
    }
}

/// How exactly the last use of a personal access token is known: not every use is worth a write.
pub const LAST_USED_STEP: TimeDelta = TimeDelta::minutes(1);

/// What can be minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintedKind {
    /// An access token.
    AccessToken,
    /// A personal access token, found by this hash.
    PersonalToken(PersonalTokenHash),
}

impl MintedKind {
    /// The word in the database and in listings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AccessToken => ACCESS_TOKEN,
            Self::PersonalToken(_) => PERSONAL_TOKEN,
        }
    }

    /// As the database has it; `None` if the parts don't fit together.
    pub fn stored(word: &str, hash: Option<String>) -> Option<Self> {
        match (word, hash) {
            (ACCESS_TOKEN, None) => Some(Self::AccessToken),
            (PERSONAL_TOKEN, Some(hash)) => Some(Self::PersonalToken(PersonalTokenHash::stored(hash))),
            _ => None,
        }
    }
}

pub(crate) const ACCESS_TOKEN: &str = "access_token";
pub(crate) const PERSONAL_TOKEN: &str = "personal_token";

/// Which kind of token somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedKind {
    /// An access token.
    AccessToken,
    /// A personal access token.
    PersonalToken,
}

impl FromStr for WantedKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            ACCESS_TOKEN => Ok(Self::AccessToken),
            PERSONAL_TOKEN => Ok(Self::PersonalToken),
            _ => Err(()),
        }
    }
}

/// What a token may do, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What it allows.
    pub scope: Scopes,
    /// For whom it is meant.
    pub audience: Vec<String>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// The thing that it speaks for; none for its grantor.
    pub subject: Option<Subject>,
    /// How many tokens the chain has so far.
    pub depth: u8,
    /// Whether a token for a thing may be made from it: what was handed on must not become one for another thing.
    pub may_name_subject: bool,
}

/// How a token is to be weaker.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// These scopes; none means all that can be passed on.
    pub scope: Scopes,
    /// This one of its audiences.
    pub audience: Option<String>,
    /// At most so long from now.
    pub lifetime: Option<TimeDelta>,
    /// On behalf of this thing.
    pub subject: Option<Subject>,
}

/// What bounds a new token beside the one that it is minted from.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// What the grantor holds.
    pub held: &'a Scopes,
    /// What the client may have.
    pub allowed: &'a Scopes,
    /// The scopes that exist.
    pub catalogue: &'a ScopeCatalogue,
    /// The time.
    pub now: DateTime<Utc>,
    /// The longest life.
    pub lifetime: TimeDelta,
}

/// Why a token is not minted from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarrowError {
    /// It would be one more than [`MAX_CHAIN`].
    #[error("A chain of tokens is at most 3 long, and this one is.")]
    ChainTooLong,
    /// The one that is shown is over.
    #[error("The token has expired.")]
    Over,
    /// None of the scopes asked for is there to be passed on.
    #[error("None of the requested scopes can be granted.")]
    Scope,
    /// It is not meant for that audience itself.
    #[error("The token is not meant for this audience, so none that is can be made from it.")]
    Audience,
    /// A thing is asked for, and the token was handed on.
    #[error(
        "This token was made from another one. A thing can be asked for with a token of your own sign-in, or with a \
         personal token that speaks for you."
    )]
    NewSubject,
    /// A user, a client, or another thing than the one that it speaks for.
    #[error("Only a thing of the application's own can be asked for, such as car:42, and only with a user's token.")]
    Subject,
}

impl Rights {
    /// The rights of a token that is minted from one with these: in nothing more, whatever is asked.
    ///
    /// # Errors
    /// [`NarrowError`].
    pub fn narrow(&self, asked: &Narrowing, bounds: Bounds<'_>) -> Result<Self, NarrowError> {
        if self.depth >= MAX_CHAIN {
            return Err(NarrowError::ChainTooLong);
        }
        let lifetime = asked.lifetime.map_or(bounds.lifetime, |asked| asked.min(bounds.lifetime));
        let expires_at = self.expires_at.min(bounds.now + lifetime);
        if expires_at <= bounds.now {
            return Err(NarrowError::Over);
        }
        let scope = bounds.catalogue.delegate(&asked.scope, &self.scope, bounds.held, bounds.allowed);
        if scope.is_empty() && !asked.scope.is_empty() {
            return Err(NarrowError::Scope);
        }
        let audience = match &asked.audience {
            None => self.audience.clone(),
            Some(one) if self.audience.contains(one) => vec![one.clone()],
            Some(_) => return Err(NarrowError::Audience),
        };
        let subject = match (&self.subject, &asked.subject) {
            (own, None) => own.clone(),
            (None, Some(thing)) if matches!(thing.kind(), SubjectKind::Other { .. }) => match self.may_name_subject {
                true => Some(thing.clone()),
                false => return Err(NarrowError::NewSubject),
            },
            (Some(own), Some(thing)) if own == thing => Some(own.clone()),
            (None | Some(_), Some(_)) => return Err(NarrowError::Subject),
        };
        Ok(Self { scope, audience, expires_at, subject, depth: self.depth + 1, may_name_subject: false })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCOPES: [&str; 5] = ["me", "drive", "edit", "mapae:admin", "gone"];
    const AUDIENCES: [&str; 3] = ["a", "b", "c"];

    fn catalogue() -> ScopeCatalogue {
        let mut catalogue = ScopeCatalogue::default();
        catalogue.declare("drive", "Drive a car.").unwrap();
        catalogue.declare("edit", "Edit a post.").unwrap();
        catalogue
    }

    fn scopes() -> impl Strategy<Value = Scopes> {
        proptest::sample::subsequence(SCOPES.to_vec(), 0..=SCOPES.len())
            .prop_map(|names| Scopes::parse(&names.join(" ")).unwrap())
    }

    fn subject() -> impl Strategy<Value = Option<Subject>> {
        let known = ["car:42", "car:43", "post:1", "ann", "client:web"];
        proptest::option::of(proptest::sample::select(known.to_vec()))
            .prop_map(|text| text.map(|text| Subject::parse(text).unwrap()))
    }

    /// What is asked for, what the grantor holds by then, and how many seconds later.
    fn step() -> impl Strategy<Value = (Narrowing, Scopes, i64)> {
        let audience = proptest::option::of(proptest::sample::select(AUDIENCES.to_vec()));
        let lifetime = proptest::option::of(0_i64..2_000);
        (scopes(), audience, lifetime, subject(), scopes(), 0_i64..400).prop_map(
            |(scope, audience, lifetime, subject, held, later)| {
                let (audience, lifetime) = (audience.map(str::to_owned), lifetime.map(TimeDelta::seconds));
                (Narrowing { scope, audience, lifetime, subject }, held, later)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nothing_is_widened_along_a_chain(first in scopes(), steps in proptest::collection::vec(step(), 1..7)) {
            let (catalogue, everything) = (catalogue(), Scopes::parse(&SCOPES.join(" ")).unwrap());
            let mut now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
            let mut parent = Rights {
                scope: first,
                audience: vec!["a".to_owned(), "b".to_owned()],
                expires_at: now + TimeDelta::seconds(900),
                subject: None,
                depth: 0,
                may_name_subject: true,
            };
            let mut minted = 0;
            for (asked, held, later) in steps {
                now += TimeDelta::seconds(later);
                let lifetime = TimeDelta::seconds(900);
                let bounds = Bounds { held: &held, allowed: &everything, catalogue: &catalogue, now, lifetime };
                let Ok(child) = parent.narrow(&asked, bounds) else { continue };
                minted += 1;
                prop_assert!(minted <= MAX_CHAIN && child.depth == minted);
                prop_assert!(parent.scope.contains_all(&child.scope) && held.contains_all(&child.scope));
                prop_assert!(asked.scope.is_empty() || asked.scope.contains_all(&child.scope));
                prop_assert!(!child.scope.contains("mapae:admin") && !child.scope.contains("gone"));
                prop_assert!(child.audience.iter().all(|one| parent.audience.contains(one)) && !child.audience.is_empty());
                prop_assert!(asked.audience.is_none_or(|one| child.audience == [one]));
                prop_assert!(now < child.expires_at && child.expires_at <= parent.expires_at);
                prop_assert!(asked.lifetime.is_none_or(|asked| child.expires_at <= now + asked));
                let is_thing = |subject: &Subject| matches!(subject.kind(), SubjectKind::Other { .. });
                prop_assert!(child.subject.as_ref().is_none_or(is_thing));
                prop_assert!(parent.subject.is_none() || child.subject == parent.subject);
                prop_assert!(minted == 1 || child.subject == parent.subject, "only a token of one's own names a thing");
                prop_assert!(asked.subject.is_none() || child.subject == asked.subject);
                parent = child;
            }
        }
    }
}
