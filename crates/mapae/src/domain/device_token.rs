//! Device tokens: what tells a device that has signed somebody in from a stranger's.
//!
//! `md_` and base64url of a random number ‖ the day ‖ an HMAC of both and of the name that signed in. It lets nobody in:
//! it gives its bearer attempts of its own. Those of several people who share a device stand side by side, with points
//! between them.

use aws_lc_rs::{constant_time, hmac};
use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::SecretText;
use super::throttle::{Subject, ThrottleKey, update_subject};

/// What every device token begins with.
pub const PREFIX: &str = "md_";
/// For how many days after its last sign-in a device is known.
pub const KNOWN_DAYS: u32 = 90;

/// As many as a device keeps.
const MOST: usize = 4;
const DEVICE: usize = 16;
const DAY: usize = 4;
const TAG: usize = 16;

const LABEL: &[u8] = b"mapae/v1/device-token";

impl ThrottleKey {
    /// The device that has signed this subject in lately, if one of the tokens shown says so.
    pub fn device(&self, shown: &SecretText, subject: Subject<'_>, now: DateTime<Utc>) -> Option<[u8; DEVICE]> {
        tokens(shown).filter_map(parse).find_map(|(device, issued, tag)| {
            let is_ours = constant_time::verify_slices_are_equal(&self.tag(subject, device, issued), &tag).is_ok();
            // What a clock issued that was set back since then is as good as new: its bearer did sign in.
            let age = day(now).saturating_sub(issued);
            (is_ours && age < KNOWN_DAYS).then_some(device)
        })
    }

    /// What a device shows from now on: its token for this subject, and those for others that it has shown.
    pub fn device_token(
        &self,
        device: [u8; DEVICE],
        shown: Option<&SecretText>,
        subject: Subject<'_>,
        now: DateTime<Utc>,
    ) -> SecretText {
        let issued = day(now);
        let bytes = [&device[..], &issued.to_be_bytes(), &self.tag(subject, device, issued)].concat();
        let mut text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode_to_string(bytes));
        // Whether another subject's are good is found out when they are needed.
        let others = shown.into_iter().flat_map(tokens);
        let others = others.filter(|token| parse(token).is_some_and(|(other, ..)| other != device));
        for other in others.take(MOST - 1) {
            text.push('.');
            text.push_str(other);
        }
        SecretText::new(text)
    }

    fn tag(&self, subject: Subject<'_>, device: [u8; DEVICE], issued: u32) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        update_subject(&mut context, subject);
        context.update(&device);
        context.update(&issued.to_be_bytes());
        let mut tag = [0; TAG];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
        tag
    }
}

fn tokens(shown: &SecretText) -> impl Iterator<Item = &str> {
    shown.expose().split('.').take(MOST)
}

fn parse(token: &str) -> Option<([u8; DEVICE], u32, [u8; TAG])> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token.strip_prefix(PREFIX)?).ok()?;
    let (device, rest) = bytes.split_first_chunk()?;
    let (issued, tag) = rest.split_first_chunk::<DAY>()?;
    Some((*device, u32::from_be_bytes(*issued), tag.try_into().ok()?))
}

fn day(now: DateTime<Utc>) -> u32 {
    u32::try_from(now.timestamp() / (24 * 60 * 60)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Subject<'_> = Subject::Person("ann");
    const BOB: Subject<'_> = Subject::Person("bob");

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + day * 24 * 60 * 60, 0).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_own_name_and_time() {
        let key = ThrottleKey::new(&[7; 32]);
        let token = key.device_token([1; 16], None, ANN, at(0));
        assert_eq!(key.device(&token, ANN, at(0)), Some([1; 16]));
        assert_eq!(key.device(&token, ANN, at(89)), Some([1; 16]));
        assert_eq!(key.device(&token, ANN, at(90)), None);
        assert_eq!(key.device(&token, ANN, at(-1)), Some([1; 16]), "the clock was set back");
        assert_eq!(key.device(&token, BOB, at(0)), None);
        assert_eq!(key.device(&token, Subject::Client("ann"), at(0)), None);
        assert_eq!(ThrottleKey::new(&[8; 32]).device(&token, ANN, at(0)), None);
        let text = token.expose();
        for at_char in 0..text.len() {
            let mut altered = text.to_owned().into_bytes();
            altered[at_char] = if altered[at_char] == b'A' { b'B' } else { b'A' };
            let altered = SecretText::new(String::from_utf8(altered).unwrap());
            assert_eq!(key.device(&altered, ANN, at(0)), None, "{at_char}");
        }
        for bad in ["", ".", "md_", "md_é", &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(key.device(&SecretText::new(bad.to_owned()), ANN, at(0)), None, "{bad}");
        }
    }

    #[test]
    fn several_people_share_a_device() {
        let key = ThrottleKey::new(&[7; 32]);
        let mut shown = key.device_token([1; 16], None, ANN, at(0));
        shown = key.device_token([2; 16], Some(&shown), BOB, at(1));
        assert_eq!((key.device(&shown, ANN, at(1)), key.device(&shown, BOB, at(1))), (Some([1; 16]), Some([2; 16])));
        // Who signs in again has one all the same.
        shown = key.device_token([2; 16], Some(&shown), BOB, at(2));
        assert_eq!(tokens(&shown).count(), 2);
        for number in 3..9 {
            shown = key.device_token([number; 16], Some(&shown), Subject::Person("eve"), at(2));
        }
        assert_eq!(shown.expose().split('.').count(), MOST);
        let garbage = SecretText::new("md_<script>.x\r\ny.md_AAAA".to_owned());
        let clean = key.device_token([1; 16], Some(&garbage), ANN, at(0));
        assert_eq!(clean, key.device_token([1; 16], None, ANN, at(0)), "what is no token is not given back");
    }
}
