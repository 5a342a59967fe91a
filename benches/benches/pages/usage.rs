//! The CPU time that processes have used.

use std::{collections::HashMap, fs, iter};

struct Process {
    parent: u32,
    cpu_seconds: f64,
}

/// That of a process and of all that it has started. Linux counts in hundredths of a second.
pub(crate) fn cpu_seconds(root: u32) -> f64 {
    let entries = fs::read_dir("/proc").expect("a list of processes").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let processes: HashMap<u32, _> = ids.filter_map(|id| Some((id, read(id)?))).collect();
    let parent = |id: &u32| processes.get(id).map(|process| process.parent);
    let family = processes.iter().filter(|(id, _)| iter::successors(Some(**id), parent).any(|id| id == root));
    family.map(|(_, process)| process.cpu_seconds).sum()
}

/// `None` if it has ended.
fn read(id: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name comes before, in brackets, and may contain anything.
    let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
    Some(Process { parent: fields[1].parse().ok()?, cpu_seconds: ticks / 100.0 })
}
