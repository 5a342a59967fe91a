//! One Redis server: the whole suite, and what is peculiar to it.

#[path = "redis/alone.rs"]
mod alone;
#[path = "redis/blocking_connection.rs"]
mod blocking_connection;
#[path = "redis/conformance.rs"]
mod conformance;
#[path = "redis/faults.rs"]
mod faults;
#[path = "redis/login.rs"]
mod login;
#[path = "redis/runtimes.rs"]
mod runtimes;
#[path = "redis/scripted.rs"]
mod scripted;
#[path = "redis/stored.rs"]
mod stored;
