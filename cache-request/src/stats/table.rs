//! Prints the statistics as tables: calls, causes of misses, causes of faults.
//!
//! One table of everything would be too wide. Columns that are zero for all functions are omitted, so each table fits
//! into about a hundred columns.

use std::{fmt, time::Duration};

use super::{BackendStats, BreakerStats, FunctionStats, NearCacheStats, Stats, Tracking};

/// A column after the first, which holds the names.
struct Column {
    heading: &'static str,
    cell: fn(&FunctionStats) -> Cell,
}

enum Cell {
    /// Shown even if it is zero.
    Always(u64),
    Count(u64),
    Percent(Option<f64>),
    Time(Option<Duration>),
    Bytes(u64),
}

const CALLS: [Column; 19] = [
    Column { heading: "hits", cell: |function| Cell::Always(function.hits) },
    Column { heading: "hit %", cell: |function| Cell::Percent(function.hit_ratio()) },
    Column { heading: "stale", cell: |function| Cell::Count(function.stale) },
    Column { heading: "misses", cell: |function| Cell::Always(function.misses.total()) },
    Column { heading: "on error", cell: |function| Cell::Count(function.stale_on_error) },
    Column { heading: "refreshes", cell: |function| Cell::Count(function.refreshes) },
    Column { heading: "failed", cell: |function| Cell::Count(function.refreshes_failed) },
    Column { heading: "refused", cell: |function| Cell::Count(function.refreshes_refused) },
    Column { heading: "coalesced", cell: |function| Cell::Count(function.coalesced) },
    Column { heading: "lease waits", cell: |function| Cell::Count(function.lease_waits) },
    Column { heading: "outdated", cell: |function| Cell::Count(function.outdated) },
    Column { heading: "uncached", cell: |function| Cell::Count(function.uncached) },
    Column { heading: "unasked", cell: |function| Cell::Count(function.unasked) },
    Column { heading: "faults", cell: |function| Cell::Count(function.faults.total()) },
    Column { heading: "bodies", cell: |function| Cell::Count(function.bodies) },
    Column { heading: "each", cell: |function| Cell::Time(function.mean_body_time()) },
    Column { heading: "entries", cell: |function| Cell::Count(function.entries) },
    Column { heading: "held", cell: |function| Cell::Bytes(function.held_bytes) },
    Column { heading: "written", cell: |function| Cell::Bytes(function.written_bytes) },
];

const MISSES: [Column; 6] = [
    Column { heading: "new", cell: |function| Cell::Count(function.misses.never_seen) },
    Column { heading: "expired", cell: |function| Cell::Count(function.misses.expired) },
    Column { heading: "evicted", cell: |function| Cell::Count(function.misses.evicted) },
    Column { heading: "invalidated", cell: |function| Cell::Count(function.misses.invalidated) },
    Column { heading: "undecodable", cell: |function| Cell::Count(function.misses.undecodable) },
    Column { heading: "backend", cell: |function| Cell::Count(function.misses.backend_fault) },
];

const FAULTS: [Column; 9] = [
    Column { heading: "timeout", cell: |function| Cell::Count(function.faults.timeout) },
    Column { heading: "unavailable", cell: |function| Cell::Count(function.faults.unavailable) },
    Column { heading: "backend", cell: |function| Cell::Count(function.faults.backend) },
    Column { heading: "codec", cell: |function| Cell::Count(function.faults.codec) },
    Column { heading: "corrupt", cell: |function| Cell::Count(function.faults.corrupt) },
    Column { heading: "forged", cell: |function| Cell::Count(function.faults.forged) },
    Column { heading: "too large", cell: |function| Cell::Count(function.faults.too_large) },
    Column { heading: "panic", cell: |function| Cell::Count(function.faults.panic) },
    Column { heading: "key", cell: |function| Cell::Count(function.faults.key) },
];

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active: Vec<_> = self.functions.iter().filter(|function| did_anything(function)).collect();
        write_table(f, "function", &CALLS, &active)?;
        let missed: Vec<_> = self.functions.iter().filter(|function| function.misses.total() > 0).collect();
        write_table(f, "misses", &MISSES, &missed)?;
        let faulty: Vec<_> = self.functions.iter().filter(|function| function.faults.total() > 0).collect();
        write_table(f, "faults", &FAULTS, &faulty)?;
        let entries = if self.entries == 1 { "entry" } else { "entries" };
        write!(f, "{} {entries}, {} in memory", self.entries, Cell::Bytes(self.held_bytes))?;
        if let Some(BackendStats { name, reads, writes, .. }) = &self.backend {
            write!(f, "; the breakers of the {name} backend: reads {reads}, writes {writes}")?;
        }
        if let Some(BackendStats { near: Some(NearCacheStats { tracking: Tracking::Suspended, .. }), .. }) =
            &self.backend
        {
            f.write_str("; its near cache is suspended, as the backend reports no changes")?;
        }
        Ok(())
    }
}

impl fmt::Display for BreakerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, opened } = self;
        write!(f, "{state} (opened {opened} times)")
    }
}

/// Whether the function did anything. One that was only asked for its key has not.
fn did_anything(function: &FunctionStats) -> bool {
    CALLS.iter().any(|column| !(column.cell)(function).is_nothing())
}

/// A table and an empty line; nothing if the table would have no rows.
fn write_table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    columns: &[Column],
    functions: &[&FunctionStats],
) -> fmt::Result {
    if functions.is_empty() {
        return Ok(());
    }
    let mut lines = vec![title.to_owned()];
    lines.extend(functions.iter().map(|function| function.name.clone()));
    align(&mut lines, |cell, width| format!("{cell:<width$}"));
    for Column { heading, cell } in columns {
        let cells: Vec<_> = functions.iter().map(|function| cell(function)).collect();
        if cells.iter().all(Cell::is_left_out) {
            continue;
        }
        let mut column = vec![(*heading).to_owned()];
        column.extend(cells.iter().map(Cell::to_string));
        align(&mut column, |cell, width| format!("  {cell:>width$}"));
        for (line, cell) in lines.iter_mut().zip(column) {
            line.push_str(&cell);
        }
    }
    for line in lines {
        writeln!(f, "{line}")?;
    }
    writeln!(f)
}

/// Pads all cells to the width of the widest.
fn align(cells: &mut [String], pad: impl Fn(&str, usize) -> String) {
    let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    for cell in cells {
        *cell = pad(cell, width);
    }
}

impl Cell {
    fn is_nothing(&self) -> bool {
        match self {
            Self::Always(count) | Self::Count(count) | Self::Bytes(count) => *count == 0,
            Self::Percent(ratio) => ratio.is_none(),
            Self::Time(time) => time.is_none(),
        }
    }

    fn is_left_out(&self) -> bool {
        self.is_nothing() && !matches!(self, Self::Always(_))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Always(count) | Self::Count(count) => write!(f, "{count}"),
            Self::Percent(Some(ratio)) => write!(f, "{:.1}", ratio * 100.0),
            Self::Time(Some(time)) => write!(f, "{time:.1?}"),
            Self::Percent(None) | Self::Time(None) => f.write_str("-"),
            Self::Bytes(bytes) => write_bytes(f, bytes),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    match bytes {
        ..1024 => write!(f, "{bytes} B"),
        1024..0x10_0000 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => write!(f, "{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => write!(f, "{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
