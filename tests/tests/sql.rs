//! Tables of SQLite and PostgreSQL: the whole suite on both, and what is peculiar to them.

#[path = "sql/conformance.rs"]
mod conformance;
#[path = "sql/faults.rs"]
mod faults;
#[path = "sql/login.rs"]
mod login;
#[path = "sql/processes.rs"]
mod processes;
#[path = "sql/runtimes.rs"]
mod runtimes;
#[path = "sql/stored.rs"]
mod stored;
