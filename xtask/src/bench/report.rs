//! What a run found: rows of figures, each with what was wanted of it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What `--compare` finds it by; stays the same from one version to the next, such as `users-me-es256-bare`.
    pub(crate) name: String,
    /// What was done, such as "`GET /users/me`, ES256, warm".
    pub(crate) what: String,
    /// What it is held against, such as "a bare axum server with the same bytes".
    pub(crate) against: String,
    pub(crate) unit: Unit,
    /// One figure for each round.
    pub(crate) ours: Series,
    /// The same of what it is held against; empty if that was not measured in this run.
    #[serde(default, skip_serializing_if = "Series::is_empty")]
    pub(crate) theirs: Series,
    pub(crate) wanted: Wanted,
    /// What the reader must know beside the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// What is counted; it says which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Of whatever the row does.
    #[serde(rename = "1/s")]
    PerSecond,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "MiB")]
    Mebibytes,
}

/// What a row has to reach. More is better of what is counted by the second, less of everything else, so a bound is the
/// least or the most accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// The bound of ours ÷ theirs.
    Ratio(f64),
    /// The bound of ours alone.
    Value(f64),
    /// Nothing: it is there to be seen.
    Shown,
}

impl Row {
    /// A row whose figures follow.
    pub(crate) fn new(name: &str, what: &str, against: &str, unit: Unit, wanted: Wanted) -> Self {
        Self {
            name: name.to_owned(),
            what: what.to_owned(),
            against: against.to_owned(),
            unit,
            ours: Series::default(),
            theirs: Series::default(),
            wanted,
            note: None,
        }
    }

    /// With what was measured.
    pub(crate) fn measured(self, ours: Series, theirs: Series) -> Self {
        Self { ours, theirs, ..self }
    }

    /// With what the reader must know.
    pub(crate) fn noted(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }

    /// Ours ÷ theirs, round by round where both had the same rounds, so that a drift of the machine falls out.
    pub(crate) fn ratio(&self) -> Series {
        if self.theirs.is_empty() {
            return Series::default();
        }
        if self.ours.0.len() == self.theirs.0.len() {
            return self.ours.over(&self.theirs);
        }
        Series(vec![self.ours.median() / self.theirs.median()])
    }

    /// Whether the median reaches what was wanted; nothing where nothing was.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let (figure, bound) = match self.wanted {
            Wanted::Ratio(bound) => (self.ratio().median(), bound),
            Wanted::Value(bound) => (self.ours.median(), bound),
            Wanted::Shown => return None,
        };
        Some(if self.unit.more_is_better() { figure >= bound } else { figure <= bound })
    }
}

impl Unit {
    /// Whether more of it is better.
    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }

    /// As it is written after a figure.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
        }
    }
}

/// The figures of all rounds, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Series(pub(crate) Vec<f64>);

impl Series {
    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its figures ÷ those of the same rounds of another.
    pub(crate) fn over(&self, other: &Self) -> Self {
        self.0.iter().zip(&other.0).map(|(figure, other)| figure / other).collect()
    }

    /// The middle one, or the mean of the two in the middle; not a number if there is none.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 0 => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
            length => sorted[length / 2],
        }
    }

    /// The least and the greatest.
    pub(crate) fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut figures = self.0.clone();
        figures.sort_by(f64::total_cmp);
        figures
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// A whole run, as `bench.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Whether its rounds were fewer and shorter.
    pub(crate) quick: bool,
    /// Processor, memory, system.
    pub(crate) machine: BTreeMap<String, String>,
    /// Ours and the opponents'.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not what this task writes", file.display()))
    }

    /// Writes it as JSON, a line for each figure, so that a change of the file can be read.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Whether rows of the two may stand in one table: taken on the same machine, with as many rounds.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.quick == other.quick && self.machine == other.machine
    }

    /// The rows of `earlier` with those of this run in their places, and what is new behind them.
    pub(crate) fn added_to(self, earlier: Self) -> Self {
        let mut rows = earlier.rows;
        for row in self.rows {
            match rows.iter_mut().find(|one| one.name == row.name) {
                Some(one) => *one = row,
                None => rows.push(row),
            }
        }
        Self { rows, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Row, Series, Unit, Wanted};

    fn row(unit: Unit, ours: &[f64], theirs: &[f64], wanted: Wanted) -> Row {
        let row = Row::new("row", "something", "something else", unit, wanted);
        row.measured(Series(ours.to_vec()), Series(theirs.to_vec()))
    }

    #[test]
    fn the_middle_is_not_moved_by_one_wild_figure() {
        assert_eq!(Series(vec![3.0, 1000.0, 1.0]).median(), 3.0);
        assert_eq!(Series(vec![1.0, 4.0, 2.0, 1000.0]).median(), 3.0);
        assert_eq!(Series(vec![3.0, 1000.0, 1.0]).range(), (1.0, 1000.0));
        assert!(Series::default().median().is_nan());
    }

    #[test]
    fn rounds_are_compared_with_each_other() {
        // The machine became twice as fast after the first round, for both.
        let drifted = row(Unit::PerSecond, &[90.0, 180.0, 180.0], &[100.0, 200.0, 200.0], Wanted::Shown);
        assert_eq!(drifted.ratio(), Series(vec![0.9, 0.9, 0.9]));
        let uneven = row(Unit::PerSecond, &[90.0], &[100.0, 200.0, 300.0], Wanted::Shown);
        assert_eq!(uneven.ratio(), Series(vec![0.45]));
        assert!(row(Unit::PerSecond, &[90.0], &[], Wanted::Shown).ratio().is_empty());
    }

    #[test]
    fn the_unit_says_which_side_of_the_bound_is_good() {
        let met = |unit, ours, theirs: &[f64], wanted| row(unit, &[ours], theirs, wanted).is_met();
        assert_eq!(met(Unit::PerSecond, 92.0, &[100.0], Wanted::Ratio(0.92)), Some(true));
        assert_eq!(met(Unit::PerSecond, 91.0, &[100.0], Wanted::Ratio(0.92)), Some(false));
        assert_eq!(met(Unit::Mebibytes, 109.0, &[100.0], Wanted::Ratio(1.1)), Some(true));
        assert_eq!(met(Unit::Milliseconds, 4.1, &[], Wanted::Value(4.0)), Some(false));
        assert_eq!(met(Unit::Milliseconds, 4.1, &[], Wanted::Shown), None);
        // What was not measured never passes.
        assert_eq!(met(Unit::PerSecond, 92.0, &[], Wanted::Ratio(0.92)), Some(false));
    }

    #[test]
    fn json_holds_everything() {
        let mut full = row(Unit::Milliseconds, &[1.5, 2.0], &[], Wanted::Value(4.0));
        full.note = Some("measured elsewhere".to_owned());
        let report = Report {
            quick: true,
            machine: [("cores".to_owned(), "2".to_owned())].into(),
            versions: [("axum".to_owned(), "0.8.9".to_owned())].into(),
            rows: vec![full, row(Unit::PerSecond, &[1.0], &[2.0], Wanted::Ratio(0.5))],
        };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bench.json");
        report.write(&file).unwrap();
        assert_eq!(Report::read(&file).unwrap(), report);
        std::fs::write(&file, "{}").unwrap();
        assert!(Report::read(&file).unwrap_err().to_string().contains("bench.json"));
    }
    #[test]
    fn rows_of_a_part_take_their_places() {
        let report = |rows: &[(&str, f64)]| Report {
            quick: false,
            machine: [].into(),
            versions: [].into(),
            rows: rows
                .iter()
                .map(|(name, figure)| Row {
                    name: (*name).to_owned(),
                    ..row(Unit::PerSecond, &[*figure], &[], Wanted::Shown)
                })
                .collect(),
        };
        let earlier = report(&[("a", 1.0), ("b", 2.0)]);
        let later = report(&[("b", 3.0), ("c", 4.0)]);
        assert!(later.is_alike(&earlier));
        assert!(!Report { quick: true, ..later.clone() }.is_alike(&earlier));
        assert_eq!(later.added_to(earlier), report(&[("a", 1.0), ("b", 3.0), ("c", 4.0)]));
    }
}
