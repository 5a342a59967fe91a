//! Simulates what a fleet of processes does to its servers, and checks that by a real run. See `benches/README.md`.

mod load;
mod model;
mod near;
mod outcome;
mod plot;
mod random;
mod real;
mod scenarios;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod tracking;

use std::{env, error::Error};

/// Simulated time.
type Nanos = u64;

const SECOND: Nanos = 1_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => scenarios::all(),
        ["tags"] => scenarios::tags(),
        ["check"] => real::check(),
        ["tracking"] => tracking::measure(),
        ["child", name, url, seed] => real::process(name, url, seed.parse()?),
        _ => Err("fleet [check | tags | tracking]".into()),
    }
}
