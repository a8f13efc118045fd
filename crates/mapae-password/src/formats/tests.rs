//! That hashes are written exactly as their libraries write them.

use super::{SCHEMES, parse};
use crate::{Context, Format};

/// Every well-formed hash of the vectors, taken apart and put together again, is the same text.
#[test]
fn what_the_libraries_wrote_is_written_alike() {
    let vectors = include_str!("../../tests/data/password_hashes.json");
    let rows: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    let mut seen = 0;
    for row in rows {
        let text = row["hash"].as_str().unwrap();
        if let Ok(hash) = parse(text) {
            assert_eq!(hash.scheme().to_string(), text);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn no_prefix_hides_another() {
    for (prefix, _) in SCHEMES {
        let others = SCHEMES.iter().filter(|(other, _)| other.starts_with(prefix));
        assert_eq!(others.count(), 1, "{prefix}");
    }
}

/// The example in the documentation of a format begins as its hashes do, costs included.
#[test]
fn the_documented_shape_is_that_of_a_new_hash() {
    for format in Format::all() {
        let context = Context { write: *format, ..Context::default() };
        let written = context.dummy().into_string();
        let costs = format.shape().split_once("salt").unwrap().0;
        let costs = costs.split_once("ss=").map_or(costs, |(costs, _)| costs);
        assert!(written.starts_with(costs), "{format}: {written}");
    }
}
