//! The examples, run as their users run them.

mod browser;
mod changes;
mod departures;
mod load;
mod rpc;
mod site;
mod small;
mod switch;
