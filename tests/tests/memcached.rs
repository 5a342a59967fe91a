//! memcached: the whole suite, and what is peculiar to it.

#[path = "memcached/causes.rs"]
mod causes;
#[path = "memcached/conformance.rs"]
mod conformance;
#[path = "memcached/faults.rs"]
mod faults;
#[path = "memcached/late.rs"]
mod late;
#[path = "memcached/runtimes.rs"]
mod runtimes;
#[path = "memcached/stored.rs"]
mod stored;
#[path = "memcached/together.rs"]
mod together;
