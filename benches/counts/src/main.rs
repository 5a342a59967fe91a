//! Counts what a call does, and compares the counts with their bounds: `scripts/counts`.
//!
//! A count does not depend on the load of the machine, so a bound on it can be checked where a bound on time cannot. Each case runs in a
//! process of its own, under valgrind. Its keys are hashed with a seed of that process, so counts of many calls are divided by their
//! number.

mod bounds;
mod callgrind;
mod cases;
mod sharing;

use std::{
    env,
    process::{Command, ExitCode},
};

use crate::{bounds::Bounds, callgrind::Callgrind, cases::Case};

/// What one call of a case does.
struct Counts {
    case: &'static Case,
    values: [Option<f64>; COLUMNS.len()],
}

/// The columns of the table, as the bounds name them.
const COLUMNS: [&str; 6] = ["instructions", "allocations", "locked", "clock reads", "precise reads", "lines shared"];

/// A case that is above a bound is counted with so many more seeds, as a few give far more than all others.
const SEEDS: u32 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [cases::COUNT, name] => Case::named(name).count(),
        [cases::SHARE, name] => Case::named(name).share(),
        [] => return check(),
        _ => {
            eprintln!("It takes no arguments: scripts/counts");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Counts all cases, prints the table, and fails if a count is above its bound.
fn check() -> ExitCode {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        eprintln!("The bounds are those of Linux on x86-64.");
        return ExitCode::FAILURE;
    }
    let bounds = Bounds::read();
    let mut callgrind = Callgrind::default();
    let mut faults = bounds.unknown_cases();
    println!("{}", row("one call", COLUMNS.map(str::to_owned)));
    for case in &cases::CASES {
        let (mut counts, mut exceeded);
        let mut seeds = 0..SEEDS;
        loop {
            counts = Counts { case, values: callgrind.count(case).with(sharing::lines_shared(case)) };
            println!("{}", row(case.name, counts.values.map(|value| value.map_or_else(String::new, shown))));
            exceeded = bounds.exceeded_by(&counts);
            if seeds.next().is_none() || exceeded.is_empty() {
                break;
            }
        }
        faults.extend(exceeded);
        if case.is_control() && [2, 5].iter().any(|column| counts.values[*column].is_none_or(|count| count < 1.0)) {
            faults.push(format!("{}: it takes a lock, and neither instructions nor lines of one were seen", case.name));
        }
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// This program again, as a case.
fn child(valgrind: &[&str], mode: &str, case: &Case) -> Command {
    let mut command = Command::new("valgrind");
    command.args(valgrind).arg(env::current_exe().expect("a program knows where it is")).args([mode, case.name]);
    command
}

fn row(name: &str, cells: [String; COLUMNS.len()]) -> String {
    let cells = cells.map(|cell| format!(" {cell:>12} |"));
    format!("| {name:<48} |{}", cells.concat())
}

fn shown(count: f64) -> String {
    if count >= 100.0 { format!("{count:.0}") } else { format!("{count:.2}") }
}
