//! Prints the statistics as tables: calls, causes of misses, causes of faults.
//!
//! One table of everything would be too wide. Columns that are zero for all functions are omitted, so each table fits
//! into about a hundred columns.

use std::fmt;

use super::{
    BackendStats, BreakerStats, FunctionStats, NearCacheStats, Stats, Tracking,
    columns::{Cell, Column, write_table},
};

const CALLS: [Column<FunctionStats>; 19] = [
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

const MISSES: [Column<FunctionStats>; 6] = [
    Column { heading: "new", cell: |function| Cell::Count(function.misses.never_seen) },
    Column { heading: "expired", cell: |function| Cell::Count(function.misses.expired) },
    Column { heading: "evicted", cell: |function| Cell::Count(function.misses.evicted) },
    Column { heading: "invalidated", cell: |function| Cell::Count(function.misses.invalidated) },
    Column { heading: "undecodable", cell: |function| Cell::Count(function.misses.undecodable) },
    Column { heading: "backend", cell: |function| Cell::Count(function.misses.backend_fault) },
];

const FAULTS: [Column<FunctionStats>; 9] = [
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
        write_table(f, "function", &CALLS, (&active, name))?;
        let missed: Vec<_> = self.functions.iter().filter(|function| function.misses.total() > 0).collect();
        write_table(f, "misses", &MISSES, (&missed, name))?;
        let faulty: Vec<_> = self.functions.iter().filter(|function| function.faults.total() > 0).collect();
        write_table(f, "faults", &FAULTS, (&faulty, name))?;
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

fn name(function: &FunctionStats) -> &str {
    &function.name
}
