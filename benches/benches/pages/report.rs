//! The tables.

use cache_request_benches::{samples::Samples, table::Table};

use crate::contender::{BARE, Contender, Measured};

/// All that was measured of one contender with one size.
pub(crate) struct Row {
    pub(crate) contender: &'static Contender,
    rates: Samples,
    costs: Samples,
}

impl Row {
    pub(crate) fn new(contender: &'static Contender) -> Self {
        Self { contender, rates: Samples::default(), costs: Samples::default() }
    }

    pub(crate) fn add(&mut self, measured: &Measured) {
        self.rates.push(measured.rate);
        self.costs.push(measured.cost);
    }
}

/// Prints medians, and ratios to those of the bare handler if that was measured, too.
pub(crate) fn print(size: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let bare = rows.iter().find(|row| row.contender.name == BARE);
    let ratio = |of: fn(&Row) -> &Samples, row| {
        bare.map_or_else(String::new, |bare| format!("{:.2}", of(row).median() / of(bare).median()))
    };
    let mut table = Table::new([size, "requests a second", "÷ bare", "CPU-seconds per 1,000", "÷ bare"]);
    for row in rows {
        table.row([
            row.contender.name.to_owned(),
            format!("{:.0}", row.rates),
            ratio(|row| &row.rates, row),
            format!("{:.4}", row.costs.median()),
            ratio(|row| &row.costs, row),
        ]);
    }
    println!("{table}");
}
