//! The bounds of the counts: `bounds.md`.

use std::{collections::BTreeMap, fs};

use crate::{COLUMNS, Counts, cases, shown};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bounds.md");

/// For each case, the bounds of its columns, where there are some.
pub(crate) struct Bounds(BTreeMap<String, Vec<Option<f64>>>);

impl Bounds {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(FILE).expect("the bounds can be read");
        let mut rows = text.lines().filter_map(cells);
        let heads = rows.next().expect("the table has a head");
        assert_eq!(heads[1..], COLUMNS, "the columns are those of the counts");
        let rows = rows.filter(|cells| !cells[0].starts_with('-'));
        Self(
            rows.map(|cells| (cells[0].to_owned(), cells[1..].iter().map(|cell| cell.parse().ok()).collect()))
                .collect(),
        )
    }

    /// The cases of the file that are none.
    pub(crate) fn unknown_cases(&self) -> Vec<String> {
        let known = |name: &str| cases::CASES.iter().any(|case| case.name == name);
        self.0.keys().filter(|name| !known(name)).map(|name| format!("There is no case `{name}`: {FILE}")).collect()
    }

    /// What is above its bound, in words.
    pub(crate) fn exceeded_by(&self, counts: &Counts) -> Vec<String> {
        let name = counts.case.name;
        let Some(bounds) = self.0.get(name) else { return vec![format!("`{name}` has no bounds: {FILE}")] };
        let columns = COLUMNS.into_iter().zip(counts.values).zip(bounds);
        let exceeded = columns.filter_map(|((column, count), bound)| {
            let (count, bound) = count.zip(*bound).filter(|(count, bound)| rounded(*count) > *bound)?;
            Some(format!("{name}: {} {column}, and the bound is {}", shown(count), shown(bound)))
        });
        exceeded.collect()
    }
}

/// What a few calls of a thousand do more than the others is not counted: to two places, as the table shows it.
fn rounded(count: f64) -> f64 {
    (count * 100.0).round() / 100.0
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split('|').map(str::trim).collect())
}
