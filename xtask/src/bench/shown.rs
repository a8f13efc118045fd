//! Figures as they are written for people.

use super::report::{Row, Series, Unit, Wanted};

/// Three digits that count, and thousands apart.
pub(crate) fn number(figure: f64) -> String {
    let text = match figure.abs() {
        size if size < 1.0 => format!("{figure:.3}"),
        size if size < 10.0 => format!("{figure:.2}"),
        size if size < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    };
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or(grouped.clone(), |rest| format!("{grouped}.{rest}"))
}

/// The median with its unit and, where there is more than one figure, the range.
pub(crate) fn series(series: &Series, unit: Option<Unit>) -> String {
    if series.is_empty() {
        return "–".to_owned();
    }
    let unit = match unit {
        Some(Unit::PerSecond) => "/s".to_owned(),
        Some(unit) => format!(" {}", unit.symbol()),
        None => String::new(),
    };
    let median = format!("{}{unit}", number(series.median()));
    let (least, most) = series.range();
    if series.0.len() < 2 { median } else { format!("{median} ({}–{})", number(least), number(most)) }
}

/// What was wanted, such as `≥ 0.92`.
pub(crate) fn wanted(row: &Row) -> String {
    let sign = if row.unit.more_is_better() { '≥' } else { '≤' };
    match row.wanted {
        Wanted::Ratio(bound) => format!("{sign} {bound}"),
        Wanted::Value(bound) => format!("{sign} {bound} {}", row.unit.symbol()),
        Wanted::Shown => "–".to_owned(),
    }
}

/// Whether it was reached.
pub(crate) fn verdict(row: &Row) -> &'static str {
    match row.is_met() {
        Some(true) => "met",
        Some(false) => "missed",
        None => "shown",
    }
}

#[cfg(test)]
mod tests {
    use super::{number, series, verdict, wanted};
    use crate::bench::report::{Row, Series, Unit, Wanted};

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.0374, 0.917, 1.0, 12.34, 167.9, 1234.5, 1_234_567.0, -0.5].map(number);
        assert_eq!(shown, ["0.037", "0.917", "1.00", "12.3", "168", "1,234", "1,234,567", "-0.500"]);
    }

    #[test]
    fn ranges_are_shown_where_there_are_some() {
        assert_eq!(series(&Series(vec![2.0, 1.0, 3.0]), Some(Unit::Milliseconds)), "2.00 ms (1.00–3.00)");
        assert_eq!(series(&Series(vec![61_234.0]), Some(Unit::PerSecond)), "61,234/s");
        assert_eq!(series(&Series::default(), None), "–");
    }

    #[test]
    fn bounds_point_the_right_way() {
        let row = |unit, wanted| Row::new("row", "", "", unit, wanted).measured(Series(vec![5.0]), Series::default());
        assert_eq!(wanted(&row(Unit::PerSecond, Wanted::Ratio(0.92))), "≥ 0.92");
        assert_eq!(wanted(&row(Unit::Milliseconds, Wanted::Value(4.0))), "≤ 4 ms");
        assert_eq!(verdict(&row(Unit::Milliseconds, Wanted::Value(4.0))), "missed");
        assert_eq!(verdict(&row(Unit::Milliseconds, Wanted::Shown)), "shown");
    }
}
