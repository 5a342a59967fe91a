//! Fenced fills: once a value has been invalidated or replaced, no later call gets an older one, though a body that began
//! before may return it to those who called before.

mod backend;
mod fleet;
mod memory;
mod unkept;
