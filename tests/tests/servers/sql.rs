//! Tables of SQLite and PostgreSQL: the whole suite on both, and what is peculiar to them.

mod conformance;
mod faults;
mod login;
mod processes;
mod runtimes;
mod stored;
