//! The tables, and how they stand beside the goals.

use cache_request_benches::{samples::Samples, table::Table};

/// One function, called with one distribution of keys.
pub(crate) struct Case {
    pub(crate) function: &'static str,
    pub(crate) draw: &'static str,
    /// One a contender; the first is this crate.
    pub(crate) cells: Vec<Cell>,
}

impl Case {
    /// The median of the contender whose name begins so, on one thread.
    fn nanos(&self, name: &str) -> f64 {
        let cell = self.cells.iter().find(|cell| cell.name.starts_with(name));
        cell.map_or(f64::NAN, |cell| cell.nanos[0].median())
    }

    /// The most times as long as bare `quick_cache`. A clone of an `Arc` costs so little that all else shows more.
    fn goal(&self) -> f64 {
        match (self.draw, self.function) {
            ("100,000 keys", _) => 1.3,
            (_, function) if function.ends_with("Arc<String>") => 1.25,
            _ => 1.1,
        }
    }
}

/// One contender's nanoseconds, from one call's end to the next one's on any thread: on one thread, two and four.
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) nanos: [Samples; 3],
}

impl Cell {
    /// Calls a second on so many threads, as a multiple of one thread's.
    fn speed_up(&self, column: usize) -> f64 {
        self.nanos[0].median() / self.nanos[column].median()
    }
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    cases: Vec<Case>,
}

impl Report {
    /// Prints a case and keeps it for the summary.
    pub(crate) fn add(&mut self, case: Case) {
        println!("\n{}, {}\n", case.function, case.draw);
        let mut table = Table::new([
            "",
            "ns a hit [min–max]",
            "ours ÷ it",
            "2 threads, M/s",
            "× one",
            "ours ÷ it",
            "4 threads, M/s",
            "× one",
            "ours ÷ it",
        ]);
        let ours = &case.cells[0];
        for cell in &case.cells {
            let ratio = |column: usize| format!("{:.2}", ours.nanos[column].median() / cell.nanos[column].median());
            let rate = |column: usize| format!("{:.1}", 1e3 / cell.nanos[column].median());
            let speed_up = |column: usize| format!("{:.2}", cell.speed_up(column));
            table.row([
                cell.name.to_owned(),
                format!("{:.1}", cell.nanos[0]),
                ratio(0),
                rate(1),
                speed_up(1),
                ratio(1),
                rate(2),
                speed_up(2),
                ratio(2),
            ]);
        }
        print!("{table}");
        self.cases.push(case);
    }

    /// Prints what the goals are about, a line a case.
    pub(crate) fn summary(&self) {
        if self.cases.is_empty() {
            return;
        }
        println!("\nBeside the goals (time of a hit, ratios of medians; two threads' rate ÷ one's)\n");
        let mut table = Table::new([
            "",
            "keys",
            "÷ cached, both",
            "overhead ÷ cached's (goal ≤ 0.35)",
            "÷ bare quick_cache",
            "goal",
            "2 threads ÷ 1 (goal ≥ 1.80)",
            "clone alone, 2 ÷ 1",
        ]);
        for case in &self.cases {
            let ours = &case.cells[0];
            let (cached, quick_cache) = (case.nanos("cached, max_size and ttl"), case.nanos("quick_cache"));
            let (alone, clone) = (ours.nanos[0].median(), case.nanos("clone alone"));
            let goal = case.goal();
            table.row([
                case.function.to_owned(),
                case.draw.to_owned(),
                format!("{:.2}", alone / cached),
                // What is beyond the clone, which every contender makes.
                verdict((alone - clone) / (cached - clone), |ratio| ratio <= 0.35),
                verdict(alone / quick_cache, |ratio| ratio <= goal),
                format!("≤ {goal:.2}"),
                verdict(ours.speed_up(1), |ratio| ratio >= 1.8),
                case.cells.last().map_or_else(String::new, |clone| format!("{:.2}", clone.speed_up(1))),
            ]);
        }
        print!("{table}");
    }
}

/// The figure, with a ✗ if it misses its goal.
fn verdict(ratio: f64, goal: impl FnOnce(f64) -> bool) -> String {
    // As it is printed, so that no figure seems to contradict its verdict.
    let shown = format!("{ratio:.2}");
    let met = shown.parse().is_ok_and(goal);
    if met { shown } else { format!("{shown} ✗") }
}
