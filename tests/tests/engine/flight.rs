//! Single flight, through the attribute: one body at a time for a key, for all kinds of callers, and however the body ends.

mod apart;
mod cancelled;
mod detached;
mod dropped;
mod failing;
mod faults;
mod held;
mod nested;
mod ramp;
mod sendable;
mod shared_err;
mod stampede;
mod stuck;
