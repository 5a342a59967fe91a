//! The tables, and how they stand beside the goals.

use cache_request_benches::table::Table;

use crate::contender::{Cell, Row};

/// Printed in place of a figure if a caller had no answer in time in every round.
const NONE: &str = "all failed";

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    cases: Vec<(String, &'static [usize], Vec<Row>)>,
}

impl Report {
    /// Prints a case and keeps it for the summary.
    pub(crate) fn add(&mut self, title: String, callers: &'static [usize], rows: Vec<Row>) {
        println!("\n{title}\n");
        let heads = callers.iter().flat_map(|callers| {
            let unit = if *callers == 1 { "µs a get" } else { "k gets/s" };
            [format!("{callers}: {unit} [min–max]"), "ours ÷ it".to_owned()]
        });
        let mut table = Table::default();
        table.row([String::new()].into_iter().chain(heads));
        for row in &rows {
            let cells = row.cells.iter().zip(goals_of(row)).zip(callers).flat_map(|((cell, goal), callers)| {
                let figure = if *callers == 1 { time(cell) } else { rate(cell) };
                [figure, verdict(cell, goal)]
            });
            table.row([row.name.to_owned()].into_iter().chain(cells));
        }
        print!("{table}");
        self.cases.push((title, callers, rows));
    }

    /// Prints what the goals are about, a line a peer.
    pub(crate) fn summary(&self) {
        if self.cases.is_empty() {
            return;
        }
        println!("\nBeside the goals: gets a second, ours ÷ the peer's\n");
        let mut table = Table::new(["", "peer", "goal", "1 caller", "64 callers", "512 callers"]);
        for (title, callers, rows) in &self.cases {
            for row in rows {
                if row.goals.is_empty() {
                    continue;
                }
                let of = |wanted: usize| {
                    let column = callers.iter().position(|callers| *callers == wanted);
                    column.map_or_else(String::new, |column| verdict(&row.cells[column], row.goals.get(column)))
                };
                let goals: Vec<_> = row.goals.iter().map(|goal| format!("{goal:.2}")).collect();
                table.row([
                    title.clone(),
                    row.name.to_owned(),
                    format!("≥ {}", goals.join(", ")),
                    of(1),
                    of(64),
                    of(512),
                ]);
            }
        }
        print!("{table}");
    }
}

/// The goal of each number of callers, if it has one.
fn goals_of(row: &Row) -> impl Iterator<Item = Option<&f64>> {
    (0..row.cells.len()).map(|column| row.goals.get(column))
}

/// Microseconds of one get.
fn time(cell: &Cell) -> String {
    if cell.micros.is_empty() { NONE.to_owned() } else { format!("{:.2}{}", cell.micros, failures(cell)) }
}

/// Thousands of gets a second.
fn rate(cell: &Cell) -> String {
    if cell.micros.is_empty() {
        return NONE.to_owned();
    }
    let (least, most) = cell.micros.range();
    format!("{:.1} [{:.1}–{:.1}]{}", 1e3 / cell.micros.median(), 1e3 / most, 1e3 / least, failures(cell))
}

/// How many gets had no answer in time, if any.
fn failures(cell: &Cell) -> String {
    if cell.failed == 0 { String::new() } else { format!(" ({} failed)", cell.failed) }
}

/// The figure, with a ✗ if it misses its goal.
fn verdict(cell: &Cell, goal: Option<&f64>) -> String {
    if cell.ratio.is_empty() {
        return NONE.to_owned();
    }
    // As it is printed, so that no figure seems to contradict its verdict.
    let shown = format!("{:.2}", cell.ratio.median());
    let missed = goal.is_some_and(|goal| shown.parse().is_ok_and(|shown: f64| shown < *goal));
    if missed { format!("{shown} ✗") } else { shown }
}
