//! `sqlite://` and `postgres://`: a table in a file, or in a database of a server.
//!
//! The files of this folder, each of which imports only those above it:
//!
//! - [`dialect`]: the differences between the SQL of the databases.
//! - [`statement`]: the SQL statements.
//! - [`engine`]: the databases: how to connect to them, and how to run a statement.
//! - [`address`]: reads the address of a PostgreSQL server.
//! - [`pool`]: a pool of connections.
//! - [`locks`]: locks on keys.
//! - [`executor`]: runs the operations of a backend in tasks on the library's own runtime.
//! - [`backend`]: [`SqlBackend`], which turns each operation into statements.
//! - [`builder`]: makes a backend.

#[cfg(feature = "postgres")]
mod address;
mod backend;
mod builder;
mod dialect;
mod engine;
mod executor;
mod locks;
mod pool;
mod statement;

pub use self::{backend::SqlBackend, builder::SqlBackendBuilder};
