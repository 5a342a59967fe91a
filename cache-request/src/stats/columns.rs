//! Tables of functions, one line each, as they are printed.

use std::{fmt, time::Duration};

/// A column after the first, which holds the names.
pub(crate) struct Column<T> {
    pub(crate) heading: &'static str,
    pub(crate) cell: fn(&T) -> Cell,
}

/// What a row has in a column.
pub(crate) enum Cell {
    /// Shown even if it is zero.
    Always(u64),
    Count(u64),
    Percent(Option<f64>),
    Time(Option<Duration>),
    Bytes(u64),
    #[cfg(feature = "report")]
    Words(String),
}

/// A table and an empty line; nothing if the table would have no rows.
pub(crate) fn write_table<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    columns: &[Column<T>],
    (rows, name): (&[&T], fn(&T) -> &str),
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let mut lines = vec![title.to_owned()];
    lines.extend(rows.iter().map(|row| name(row).to_owned()));
    align(&mut lines, |cell, width| format!("{cell:<width$}"));
    for Column { heading, cell } in columns {
        let cells: Vec<_> = rows.iter().map(|row| cell(row)).collect();
        if cells.iter().all(Cell::is_left_out) {
            continue;
        }
        let mut column = vec![(*heading).to_owned()];
        column.extend(cells.iter().map(Cell::to_string));
        align(&mut column, |cell, width| {
            if cells.iter().all(Cell::is_words) { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") }
        });
        for (line, cell) in lines.iter_mut().zip(column) {
            line.push_str(&cell);
        }
    }
    for line in lines {
        writeln!(f, "{}", line.trim_end())?;
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
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            #[cfg(feature = "report")]
            Self::Words(words) => words.is_empty(),
            Self::Always(count) | Self::Count(count) | Self::Bytes(count) => *count == 0,
            Self::Percent(ratio) => ratio.is_none(),
            Self::Time(time) => time.is_none(),
        }
    }

    fn is_words(&self) -> bool {
        #[cfg(feature = "report")]
        return matches!(self, Self::Words(_));
        #[cfg(not(feature = "report"))]
        false
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
            #[cfg(feature = "report")]
            Self::Words(ref words) => f.write_str(words),
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
