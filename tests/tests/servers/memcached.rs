//! memcached: the whole suite, and what is peculiar to it.

mod causes;
mod claims;
mod clocks;
mod conformance;
mod faults;
mod large;
mod late;
mod runtimes;
mod stored;
mod together;
