//! Backends that need no server, the suite that every backend runs, and how a cache is made of an address.

mod config;
mod conformance;
mod file;
mod packing;
mod pointers;
