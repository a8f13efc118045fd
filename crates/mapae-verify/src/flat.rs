//! Claims as nearly every issuer writes them: one flat object of texts and whole numbers, without escapes and without
//! spaces around them. For these the general reader takes as long as an HMAC. Everything else, also all that is wrong, is
//! left to it.

use std::borrow::Cow;

use crate::json::Names;
use crate::registered::{LATEST, Recipients, Registered};

/// As many bytes are looked at together.
const CHUNK: usize = 16;
/// More digits than the latest time has.
const MAX_DIGITS: usize = 12;

impl<'a> Registered<'a> {
    /// Reads claims that are written so, into what was [none](Self::none). `None` says nothing about the claims but that
    /// they are to be read otherwise, and part of them may be here by then.
    pub(crate) fn fill_flat(&mut self, payload: &'a str) -> Option<()> {
        // Then what is between two quotes is a text as it stands. A fold, since compilers look at many bytes at once in it.
        let is_plain = payload.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'\\'));
        let mut rest = Rest(payload).after(b'{').filter(|_| is_plain)?;
        loop {
            let slot;
            (slot, rest) = self.slot(rest.after(b'"')?)?;
            rest = rest.after(b':')?;
            let is_read = if rest.begins_with(b'"') {
                let text;
                (text, rest) = rest.text()?;
                match slot {
                    Slot::Text(slot) => slot.replace(text.into()).is_none(),
                    Slot::Audience(slot) => slot.replace(Recipients::One(text.into())).is_none(),
                    Slot::Other(others, name) => others.add(name.into()).is_ok(),
                    Slot::Time(_) | Slot::Actor => false,
                }
            } else {
                let number;
                (number, rest) = rest.number()?;
                match slot {
                    Slot::Time(slot) => number <= LATEST && slot.replace(number * 1000).is_none(),
                    Slot::Other(others, name) => others.add(name.into()).is_ok(),
                    Slot::Text(_) | Slot::Audience(_) | Slot::Actor => false,
                }
            };
            // Not if it is the second of its name, or of another type.
            if !is_read {
                return None;
            }
            let Some(more) = rest.after(b',') else { break };
            rest = more;
        }
        rest.after(b'}')?.0.is_empty().then_some(())
    }

    /// Where the claim goes whose name begins here, and what comes after the name and its quote. Four bytes tell most names
    /// apart, and a short one from a longer that begins so.
    fn slot<'s>(&'s mut self, rest: Rest<'a>) -> Option<(Slot<'s, 'a>, Rest<'a>)> {
        let begins_with = |name: &str| rest.0.starts_with(name);
        let (slot, length) = match rest.0.as_bytes().first_chunk()? {
            b"iss\"" => (Slot::Text(&mut self.iss), 3),
            b"sub\"" => (Slot::Text(&mut self.sub), 3),
            b"aud\"" => (Slot::Audience(&mut self.aud), 3),
            b"exp\"" => (Slot::Time(&mut self.exp), 3),
            b"iat\"" => (Slot::Time(&mut self.iat), 3),
            b"nbf\"" => (Slot::Time(&mut self.nbf), 3),
            b"jti\"" => (Slot::Text(&mut self.jti), 3),
            b"sid\"" => (Slot::Text(&mut self.sid), 3),
            b"act\"" => (Slot::Actor, 3),
            b"scop" if begins_with("scope\"") => (Slot::Text(&mut self.scope), 5),
            b"clie" if begins_with("client_id\"") => (Slot::Text(&mut self.client_id), 9),
            _ => {
                let length = find_quote(rest.0.as_bytes())?;
                (Slot::Other(&mut self.others, rest.0.get(..length)?), length)
            }
        };
        Some((slot, Rest(rest.0.get(length + 1..)?)))
    }
}

/// Where a claim goes.
enum Slot<'s, 'a> {
    Text(&'s mut Option<Cow<'a, str>>),
    Audience(&'s mut Option<Recipients<'a>>),
    Time(&'s mut Option<i64>),
    /// Not read here.
    Actor,
    Other(&'s mut Names<'a>, &'a str),
}

/// Where the first quote is. Names and texts are so short that a search takes longer to begin than this does to end.
fn find_quote(text: &[u8]) -> Option<usize> {
    let (chunks, rest) = text.as_chunks();
    let whole = chunks.iter().enumerate().find_map(|(index, chunk)| Some(CHUNK * index + quote_in(*chunk)?));
    whole.or_else(|| Some(CHUNK * chunks.len() + rest.iter().position(|byte| *byte == b'"')?))
}

/// As [`find_quote`], without a branch for each byte: subtracting one borrows from the high bit of a byte only where that is
/// zero (Warren, Hacker's Delight, 6-1), and of several the lowest is right.
fn quote_in(chunk: [u8; CHUNK]) -> Option<usize> {
    const ONES: u128 = u128::from_ne_bytes([1; CHUNK]);
    const HIGHS: u128 = ONES << 7;
    const QUOTES: u128 = u128::from_ne_bytes([b'"'; CHUNK]);
    let differs = u128::from_le_bytes(chunk) ^ QUOTES;
    let zeros = differs.wrapping_sub(ONES) & !differs & HIGHS;
    (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
}

/// What is still to be read.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn begins_with(self, byte: u8) -> bool {
        self.0.as_bytes().first() == Some(&byte)
    }

    /// What comes after this byte, if that comes next. It is one of ASCII.
    fn after(self, byte: u8) -> Option<Self> {
        if self.begins_with(byte) { self.0.get(1..).map(Rest) } else { None }
    }

    /// A text in quotes, and what comes after it.
    fn text(self) -> Option<(&'a str, Self)> {
        let Rest(text) = self.after(b'"')?;
        let end = find_quote(text.as_bytes())?;
        Some((text.get(..end)?, Self(text.get(end + 1..)?)))
    }

    /// A whole number without a sign, as JSON writes it, and what comes after it.
    fn number(self) -> Option<(i64, Self)> {
        let digits = self.0.bytes().take(MAX_DIGITS).take_while(u8::is_ascii_digit);
        let (length, number) =
            digits.fold((0, 0), |(length, number), digit| (length + 1, 10 * number + i64::from(digit - b'0')));
        let is_written_so = length > 0 && (length == 1 || !self.begins_with(b'0'));
        Some((number, Self(self.0.get(length..)?))).filter(|_| is_written_so)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(payload: &str) -> Option<Registered<'_>> {
        let mut claims = Registered::none();
        claims.fill_flat(payload).map(|()| claims)
    }

    proptest! {
        #[test]
        fn the_first_quote_is_found(text in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'#'), any::<u8>()], 0..70)) {
            prop_assert_eq!(find_quote(&text), text.iter().position(|byte| *byte == b'"'));
        }

        #[test]
        fn one_quote_is_found_anywhere(length in 1..70_usize, place in 0..70_usize, other in any::<u8>()) {
            let mut text = vec![other; length];
            text[place % length] = b'"';
            prop_assert_eq!(find_quote(&text), text.iter().position(|byte| *byte == b'"'));
        }
    }

    /// What is read here is what the general reader makes of it, whatever it is told about fractions.
    fn assert_alike(payload: &str) -> bool {
        let Some(claims) = flat(payload) else { return false };
        for fractional in [false, true] {
            let mut general = Registered::none();
            general.fill_any(payload, fractional).unwrap_or_else(|error| panic!("{error} of {payload}"));
            assert_eq!(format!("{claims:?}"), format!("{general:?}"), "{payload}");
        }
        true
    }

    #[test]
    fn usual_claims_are_read_here() {
        for payload in [
            r#"{"iss":"https://a.example","sub":"1","aud":"b","exp":1800000000,"iat":0,"jti":"é","client_id":"","scope":"a b"}"#,
            r#"{"sub":"johndoe","exp":253402300799}"#,
            r#"{"nbf":1,"sid":"s","exp":7,"x":0,"y":"}","z, ":"{","":999999999999}"#,
            r#"{"scopX":"a","scopes":"b","scop":"c","scope":"d"}"#,
            r#"{"clientXid":"a","client_ids":"b","client":"c","clie":"d","client_id":"e"}"#,
            r#"{"is":"a","isS":"b","iss2":"c","isé":"d","ac":1,"acts":"e","iss":"f"}"#,
        ] {
            assert!(assert_alike(payload), "{payload}");
        }
    }

    #[test]
    fn anything_else_is_left_to_the_general_reader() {
        for payload in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1}}"#,
            r#"{"a":1} "#,
            r#" {"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":"b" }"#,
            r#"{"a":"\u0061"}"#,
            "{\"a\":\"\n\"}",
            "{\"a\":\"b\"\n}",
            r#"{"a":"b}"#,
            r#"{"a:"b"}"#,
            r#"{"a":01}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":1234567890123}"#,
            r#"{"a":true}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"aud":"a","aud":"a"}"#,
            r#"{"exp":1,"exp":1}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":253402300800}"#,
            r#"{"sub":1}"#,
            r#"{"aud":1}"#,
            r#"{"aud":["a"]}"#,
            r#"{"act":"a"}"#,
            r#"{"act":1}"#,
            r#"{"a":1"b":1}"#,
            r#"{"a":1:"b"}"#,
        ] {
            assert!(flat(payload).is_none(), "{payload}");
        }
        let many: Vec<String> = (0..300).map(|number| format!(r#""{number}":0"#)).collect();
        assert!(flat(&format!("{{{}}}", many.join(","))).is_none(), "too many");
    }

    proptest! {
        #[test]
        fn whatever_is_read_here_is_read_alike(
            members in proptest::collection::vec(
                (
                    prop_oneof![
                        Just("iss"), Just("sub"), Just("aud"), Just("exp"), Just("iat"), Just("nbf"), Just("jti"),
                        Just("client_id"), Just("scope"), Just("sid"), Just("act"), Just("x"), Just("é"), Just(""),
                        Just("client_ids"), Just("clientXid"), Just("scopX"), Just("scopes"), Just("iss2"), Just("is"), Just("ééééé"), Just("a name of many words")
                    ],
                    prop_oneof![
                        "\"[ -~é]{0,4}\"", "[0-9]{1,13}", "[-0-9.eE]{1,4}", "\\PC{0,3}", "true|null|\\{\\}|\\[\"a\"\\]"
                    ],
                ),
                0..5,
            ),
            noise in proptest::option::of((any::<prop::sample::Index>(), "[\"\\\\{}:, 0-9\\n\\t\u{0}a]")),
        ) {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let mut payload = format!("{{{}}}", members.join(","));
            if let Some((at, noise)) = noise {
                let places: Vec<usize> = payload.char_indices().map(|(place, _)| place).collect();
                payload.insert_str(places[at.index(places.len())], &noise);
            }
            assert_alike(&payload);
        }
    }
}
