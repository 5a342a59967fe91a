//! One Redis server: the whole suite, and what is peculiar to it.

mod blocking_connection;
mod blocking_reads;
mod cluster;
mod conformance;
mod faults;
mod fences;
mod keys;
mod login;
mod lost_writes;
mod runtimes;
mod scripted;
mod sentinels;
mod stored;
