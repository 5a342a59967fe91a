//! The examples, run as their users run them.

mod browser;
mod changes;
mod departures;
mod rpc;
mod site;
mod small;
