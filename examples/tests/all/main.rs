//! The examples, run as their users run them.

mod departures;
mod small;
