//! What a hit costs that a server answers: Redis and memcached on the loopback, started for this and ended with it.
//!
//! Every contender asks the same server from the same runtime or the same number of threads, in turns with the others, for
//! values that are there. Who has no answer in time runs the body, as a program would; that is counted, and its round is not.
//! No two callers ask for the same key at the same time, so that this crate has nothing to coalesce.

mod contender;
mod each;
mod limits;
mod load;
mod local;
mod memcached;
mod misses;
mod redis;
mod redis_sync;
mod report;
mod server;
mod tags;

use std::time::Duration;

use cache_request_benches::{quiet::Patience, rounds};

use crate::{
    contender::Contender,
    load::{LARGE, Load, SMALL},
    report::Report,
};

/// The total time to wait for moments at which the machine is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a case asks for: its name, how many callers there are at a time, and who competes.
type Case = (&'static str, &'static [usize], fn() -> Vec<Contender>);

const CASES: [Case; 6] = [
    ("redis, async", &[1, 64, 512], redis::contenders),
    ("redis, threads", &[1, 64, 512], redis_sync::contenders),
    ("redis, kept by the client", &[1, 64], local::contenders),
    ("redis, limits", &[512], limits::of_redis),
    ("memcached, async", &[1, 64, 512], memcached::contenders),
    ("memcached, limits", &[512], limits::of_memcached),
];

fn main() {
    let _servers = server::start();
    let rounds = rounds::count(15);
    let mut patience = Patience::new(PATIENCE);
    let mut report = Report::default();
    for (name, callers, contenders) in CASES {
        for (size, bytes) in [("200 bytes", SMALL), ("20 KB", LARGE)] {
            let title = format!("{name}; {size}");
            if rounds::chosen(&title) {
                report.add(title, callers, contender::measure(&contenders(), callers, bytes, rounds, &mut patience));
            }
        }
    }
    each::run(rounds, &mut patience);
    misses::run(rounds, &mut patience);
    tags::run(rounds, &mut patience);
    report.summary();
}
