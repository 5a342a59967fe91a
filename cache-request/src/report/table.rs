//! Prints the report as a table.

use std::fmt;

use super::{FunctionReport, Report};
use crate::stats::columns::{Cell, Column, write_table};

const COLUMNS: [Column<FunctionReport>; 10] = [
    Column { heading: "calls", cell: |function| Cell::Always(function.stats.calls()) },
    Column { heading: "hit %", cell: |function| Cell::Percent(function.stats.hit_ratio()) },
    Column { heading: "saved", cell: |function| Cell::Time(Some(function.saved).filter(|saved| !saved.is_zero())) },
    Column { heading: "body", cell: |function| Cell::Time(function.body_time.map(|times| times.median)) },
    Column { heading: "p99", cell: |function| Cell::Time(function.body_time.map(|times| times.p99)) },
    Column { heading: "hit", cell: |function| Cell::Time(function.hit_time.map(|times| times.median)) },
    Column { heading: "age", cell: |function| Cell::Time(function.age.map(|ages| ages.median)) },
    Column { heading: "value", cell: |function| Cell::Bytes(function.value_bytes.map_or(0, |bytes| bytes.median)) },
    Column { heading: "held", cell: |function| Cell::Bytes(function.stats.held_bytes) },
    Column { heading: "verdict", cell: |function| Cell::Words(function.verdict.to_string()) },
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called: Vec<_> = self.functions.iter().filter(|function| function.stats.calls() > 0).collect();
        write_table(f, "function", &COLUMNS, (&called, |function| &function.stats.name))?;
        write!(f, "{} saved in all", Cell::Time(Some(self.saved())))
    }
}
