//! Backends behind which there is a server or a database, each of which the tests start for themselves.

mod fleet;
mod fork;
mod freshness;
mod idle;
mod isolation;
mod memcached;
mod redis;
mod runtimes_without_io;
mod sql;
mod tags;
mod wire;
