//! Simulates what a fleet of processes does to its servers. See `benches/README.md`.

mod load;
mod model;
mod near;
mod outcome;
mod random;

/// Simulated time.
type Nanos = u64;

const SECOND: Nanos = 1_000_000_000;

fn main() {
    for processes in [1, 10, 100, 1000] {
        let began = std::time::Instant::now();
        let out = model::run(&load::Load {
            processes,
            until: 60 * SECOND,
            warm: true,
            from: 30 * SECOND,
            ..load::Load::default()
        });
        println!(
            "{processes} {:.0} {:.0} {:.3} {:.0} {:.0} {:.0} {:?}",
            out.commands(),
            out.busiest(),
            out.hits(),
            out.mean(|s| s.told),
            out.mean(|s| s.bodies),
            out.mean(|s| s.extra),
            began.elapsed()
        );
    }
}
