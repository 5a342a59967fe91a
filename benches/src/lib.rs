//! What the benchmarks have in common: streams of keys, rounds on threads, medians, tables.
//!
//! Every benchmark runs all contenders in one process, in turns, and prints ratios of medians. Nothing here knows a cache.

pub mod bodies;
pub mod poll;
pub mod quiet;
pub mod rounds;
pub mod samples;
pub mod server;
pub mod streams;
pub mod table;
pub mod values;
