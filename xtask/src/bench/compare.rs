//! What a change moved: this run against an earlier one.

use super::report::{Report, Row, Series};
use super::shown::number;

/// How a row moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    /// The ranges do not touch.
    Better,
    Worse,
    /// Within what the rounds of one run differ by.
    No,
}

/// A line for each row of either.
pub(crate) fn compare(earlier: &Report, now: &Report) -> String {
    let mut text = String::new();
    if !now.is_alike(earlier) {
        text.push_str("The two were taken on different machines, or one with --quick: trust the ratios alone.\n");
    }
    for row in &now.rows {
        match earlier.rows.iter().find(|one| one.name == row.name) {
            Some(before) => line(&mut text, before, row),
            None => text.push_str(&format!("  new     {}\n", row.name)),
        }
    }
    for gone in earlier.rows.iter().filter(|one| !now.rows.iter().any(|row| row.name == one.name)) {
        text.push_str(&format!("  absent  {}\n", gone.name));
    }
    text
}

fn line(text: &mut String, before: &Row, row: &Row) {
    let (was, is, of) = figures(before, row);
    let mark = match moved(&was, &is, row.unit.more_is_better()) {
        Moved::Better => "better",
        Moved::Worse => "WORSE",
        Moved::No => "same",
    };
    let percent = (is.median() / was.median() - 1.0) * 100.0;
    let (was, is) = (number(was.median()), number(is.median()));
    text.push_str(&format!("  {mark:<7} {:<32} {of:<6} {was} → {is} ({percent:+.1} %)\n", row.name));
}

/// What to compare: the ratios where both have some, since a slower machine slows both sides; else our own figures.
fn figures(before: &Row, row: &Row) -> (Series, Series, &'static str) {
    let (was, is) = (before.ratio(), row.ratio());
    if was.is_empty() || is.is_empty() || before.against != row.against {
        (before.ours.clone(), row.ours.clone(), row.unit.symbol())
    } else {
        (was, is, "ratio")
    }
}

fn moved(was: &Series, is: &Series, more_is_better: bool) -> Moved {
    let ((was_least, was_most), (is_least, is_most)) = (was.range(), is.range());
    if is_least > was_most {
        if more_is_better { Moved::Better } else { Moved::Worse }
    } else if is_most < was_least {
        if more_is_better { Moved::Worse } else { Moved::Better }
    } else {
        Moved::No
    }
}

#[cfg(test)]
mod tests {
    use super::{Moved, compare, moved};
    use crate::bench::report::{Report, Row, Series, Unit, Wanted};

    fn report(rows: Vec<Row>) -> Report {
        Report { quick: false, machine: [].into(), versions: [].into(), rows }
    }

    fn row(name: &str, unit: Unit, ours: &[f64], theirs: &[f64]) -> Row {
        let row = Row::new(name, "something", "something else", unit, Wanted::Shown);
        row.measured(Series(ours.to_vec()), Series(theirs.to_vec()))
    }

    #[test]
    fn ranges_that_touch_have_not_moved() {
        let moved = |was: &[f64], is: &[f64], more| moved(&Series(was.to_vec()), &Series(is.to_vec()), more);
        assert_eq!(moved(&[1.0, 2.0], &[2.0, 3.0], true), Moved::No);
        assert_eq!(moved(&[1.0, 2.0], &[2.1, 3.0], true), Moved::Better);
        assert_eq!(moved(&[1.0, 2.0], &[2.1, 3.0], false), Moved::Worse);
        assert_eq!(moved(&[1.0, 2.0], &[0.5, 0.9], true), Moved::Worse);
        assert_eq!(moved(&[1.0, 2.0], &[0.5, 0.9], false), Moved::Better);
        // Not a number is no news.
        assert_eq!(moved(&[1.0, 2.0], &[], true), Moved::No);
    }

    #[test]
    fn a_slower_machine_is_no_change() {
        let before = report(vec![row("me", Unit::PerSecond, &[90.0, 92.0], &[100.0, 100.0])]);
        let now = report(vec![row("me", Unit::PerSecond, &[45.0, 46.0], &[50.0, 50.0])]);
        assert!(compare(&before, &now).contains("same    me "), "{}", compare(&before, &now));
    }

    #[test]
    fn every_row_of_either_is_named() {
        let before = report(vec![
            row("slower", Unit::PerSecond, &[90.0, 92.0], &[100.0, 100.0]),
            row("leaner", Unit::Mebibytes, &[20.0], &[]),
            row("gone", Unit::Mebibytes, &[20.0], &[]),
        ]);
        let now = report(vec![
            row("slower", Unit::PerSecond, &[80.0, 82.0], &[100.0, 100.0]),
            row("leaner", Unit::Mebibytes, &[10.0], &[]),
            row("fresh", Unit::Mebibytes, &[20.0], &[]),
        ]);
        let text = compare(&before, &now);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, ["WORSE slower", "better leaner", "new fresh", "absent gone"]);
        assert!(text.contains("20.0 → 10.0 (-50.0 %)"), "{text}");
    }
}
