//! `sqlite://` and `postgres://`: a table in a file, or in a database of a server, and a second one of claims.
//!
//! The files of this folder, each of which imports only those above it:
//!
//! - [`dialect`]: the differences between the SQL of the databases.
//! - [`statement`]: the SQL statements.
//! - [`claims`]: the SQL statements of claims.
//! - [`engine`]: the databases: how to connect to them, and how to run a statement.
//! - [`address`]: reads the address of a PostgreSQL server.
//! - [`pool`]: a pool of connections.
//! - [`tracking`]: tells a near cache of changes.
//! - [`locks`]: locks on keys.
//! - [`executor`]: runs the operations of a backend in tasks on the library's own runtime.
//! - [`backend`]: [`SqlBackend`], which turns each operation into statements.
//! - [`fences`]: its claims of several keys, and its fenced values.
//! - [`builder`]: makes a backend.

#[cfg(feature = "postgres")]
mod address;
mod backend;
mod builder;
mod claims;
mod dialect;
mod engine;
mod executor;
mod fences;
mod locks;
mod pool;
mod statement;
mod tracking;

pub use self::{backend::SqlBackend, builder::SqlBackendBuilder};
