//! Single flight, through the attribute: one body at a time for a key, whoever calls it from wherever, and whatever becomes
//! of it.

mod apart;
mod cancelled;
mod dropped;
mod failing;
mod faults;
mod nested;
mod sendable;
mod stampede;
mod stuck;
