//! Verifying one token on one core: Mapae's verifier against the bare primitive, and against other libraries.

mod contestant;

use anyhow::Result;

use super::plan::Plan;
use super::report::{Row, Series, Unit, Wanted};
use contestant::{Contestant, Programs};

/// The algorithms, with the wanted part of the primitive's speed.
const ALGORITHMS: [(&str, f64); 4] = [("HS256", 0.45), ("ES256", 0.97), ("EdDSA", 0.97), ("RS256", 0.95)];
/// How many times as fast as `jsonwebtoken` HS256 is to be, where most of the time is not the primitive's.
const HS256_JSONWEBTOKEN: f64 = 2.5;

/// How long a turn is, in milliseconds: a core of a shared machine may be slower for a while, which is to hit all alike.
const TURN: u32 = 50;

/// Measures all of them in turns on one core: in each round first those that are compiled, in several short turns, then the
/// others, which clean up behind themselves for a while, in one turn of the same length.
pub(super) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let (rounds, turns) = plan.pick((9, 8), (3, 2));
    let mut programs = Programs::start(plan)?;
    let mut rows = Vec::new();
    for (algorithm, of_primitive) in ALGORITHMS {
        let mut rates = Contestant::ALL.map(|_| Series::default());
        // The first round warms up: compilers compile, caches fill.
        for round in 0..=rounds {
            let (compiled, interpreted) = Contestant::ALL.split_at(Contestant::COMPILED);
            let mut sums = [0.0; Contestant::COMPILED];
            for _ in 0..turns {
                for (contestant, sum) in compiled.iter().zip(&mut sums) {
                    *sum += programs.rate(*contestant, algorithm, TURN)?;
                }
            }
            let mut measured = sums.map(|sum| sum / f64::from(turns)).to_vec();
            for contestant in interpreted {
                measured.push(programs.rate(*contestant, algorithm, TURN * turns)?);
            }
            if round > 0 {
                rates.iter_mut().zip(measured).for_each(|(rates, rate)| rates.0.push(rate));
            }
        }
        let [ours, others @ ..] = rates;
        for (opponent, theirs) in Contestant::OPPONENTS.into_iter().zip(others) {
            let wanted = match opponent {
                Contestant::Primitive => of_primitive,
                Contestant::JsonWebToken if algorithm == "HS256" => HS256_JSONWEBTOKEN,
                _ => 1.0,
            };
            rows.push(Row {
                name: format!("verify-{}-{}", algorithm.to_lowercase(), opponent.name()),
                what: format!("verify one token, {algorithm}, one core, nothing remembered"),
                against: opponent.described().to_owned(),
                unit: Unit::PerSecond,
                ours: ours.clone(),
                theirs,
                wanted: Wanted::Ratio(wanted),
                note: None,
            });
        }
    }
    Ok(rows)
}
