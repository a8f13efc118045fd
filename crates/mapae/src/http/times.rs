//! Times in JSON: RFC 3339 with milliseconds, which is what is kept.

use std::ops::Range;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::Serializer;

/// With milliseconds; chrono's own form is written character by character.
pub(super) fn written<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    match digits(time).as_ref().and_then(|text| str::from_utf8(text).ok()) {
        Some(text) => serializer.serialize_str(text),
        None => serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
    }
}

pub(super) fn rfc3339<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => written(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// What chrono writes too, in a tenth of the time: two of them are in every account that is shown. `None` for years that
/// are not of four digits, and for leap seconds.
fn digits(time: &DateTime<Utc>) -> Option<[u8; 24]> {
    let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9999)?;
    let millis = Some(time.timestamp_subsec_millis()).filter(|millis| *millis < 1000)?;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |place: Range<usize>, mut number: u32| {
        for digit in text[place].iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
    };
    put(0..4, year);
    put(5..7, time.month());
    put(8..10, time.day());
    put(11..13, time.hour());
    put(14..16, time.minute());
    put(17..19, time.second());
    put(20..23, millis);
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(time: &DateTime<Utc>) -> String {
        let mut text = Vec::new();
        written(time, &mut serde_json::Serializer::new(&mut text)).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn chrono(time: &DateTime<Utc>) -> String {
        format!("\"{}\"", time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    #[test]
    fn strange_times_are_written_as_chrono_does() {
        for millis in [0, -1, 999, 1_767_225_599_999, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_001] {
            let time = DateTime::from_timestamp_millis(millis).unwrap();
            assert_eq!(json(&time), chrono(&time), "{millis}");
        }
        let leap = DateTime::from_timestamp(1_483_228_799, 1_500_000_000).unwrap();
        assert_eq!(json(&leap), "\"2016-12-31T23:59:60.500Z\"");
    }

    proptest! {
        #[test]
        fn all_times_are_written_as_chrono_does(millis in -100_000_000_000_000_i64..300_000_000_000_000) {
            let time = DateTime::from_timestamp_millis(millis).unwrap();
            prop_assert_eq!(json(&time), chrono(&time));
        }
    }
}
