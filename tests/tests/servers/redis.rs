//! One Redis server: the whole suite, and what is peculiar to it.

mod alone;
mod conformance;
mod faults;
mod login;
mod runtimes;
mod stored;
