//! What is large: a table while it grows, ten million entries, a value of 20 MB, ten thousand functions.
//!
//! ```sh
//! cargo run --profile bench -p cache-request-counts --bin large              # all of it
//! cargo run --profile bench -p cache-request-counts --bin large -- growth    # one of growth, entries, value, functions
//! ```
//!
//! Each measurement runs in a process of its own. Time is that of the thread on its processor, so that other work on the machine does
//! not count.

mod functions;
mod memory;
mod pauses;
mod value;

use std::{
    env,
    process::{Command, Stdio},
    time::Duration,
};

use cache_request::{Cache, install};
use rustix::time::{ClockId, clock_gettime};

type Theme = (&'static str, fn(), fn(&str));

/// Each with what measures it, and with what runs in a process of its own.
const THEMES: [Theme; 4] = [
    ("growth", pauses::measure, pauses::child),
    ("entries", memory::measure, memory::child),
    ("value", value::measure, value::child),
    ("functions", functions::measure, |_| unreachable!("its processes are other programs")),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [theme, contender] = &arguments[..] {
        let (_, _, child) = THEMES.iter().find(|(name, ..)| name == theme).expect("the parent knows the names");
        return child(contender);
    }
    for (name, measure, _) in THEMES {
        if arguments.iter().all(|wanted| wanted == name) {
            measure();
            println!();
        }
    }
}

/// What another process of this program prints: numbers.
fn in_child(theme: &str, contender: &str) -> Vec<f64> {
    let mut command = Command::new(env::current_exe().expect("a program knows where it is"));
    let output = command.args([theme, contender]).stderr(Stdio::inherit()).output().expect("it can be run once more");
    assert!(output.status.success(), "{theme} {contender} fails");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// A cache with room for everything.
fn install_large_cache() {
    install(Cache::builder().max_bytes(16 << 30).build().expect("no option is wrong")).expect("this is the first use");
}

/// For how long this thread has run.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The median and the range of the samples, of which there is an odd number.
fn median(mut samples: Vec<f64>) -> String {
    samples.sort_by(f64::total_cmp);
    let [least, most] = [samples[0], samples[samples.len() - 1]];
    format!("{:.2} [{least:.2}–{most:.2}]", samples[samples.len() / 2])
}
