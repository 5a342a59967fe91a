//! Whole pages from memory: an axum handler with the bytes at hand, this crate before it, its peers, and two HTTP caches.
//!
//! Each contender is a server in processes of its own on one core. `wrk` asks it for one page, on another core. What makes the
//! page counts how often it does, which shows that all that is measured are hits.

mod contender;
mod load;
mod peers;
mod proxies;
mod report;
mod site;
mod usage;

use std::env;

use cache_request_benches::rounds;

use crate::{contender::CONTENDERS, report::Row};

/// How large the pages are, in bytes.
const SIZES: [(&str, usize); 2] = [("1 KB", 1 << 10), ("64 KB", 1 << 16)];

fn main() {
    if contender::serve(&env::args().collect::<Vec<_>>()) {
        return;
    }
    let count = rounds::count(5);
    for (label, size) in SIZES {
        let chosen = CONTENDERS.iter().filter(|contender| rounds::chosen(&format!("{}; {label}", contender.name)));
        let mut rows: Vec<_> = chosen.map(Row::new).collect();
        rows.iter().for_each(|row| row.contender.need());
        for round in 0..count {
            for turn in rounds::turns(round, rows.len()) {
                let measured = rows[turn].contender.measure(size);
                rows[turn].add(&measured);
            }
        }
        report::print(label, &rows);
    }
}
