//! What the tests share with the programs that they start.

pub mod backends;
pub mod callers;
pub mod certificates;
pub mod claims;
pub mod counting;
pub mod file_backend;
pub mod isolation;
pub mod load;
pub mod logs;
pub mod outages;
pub mod proxy;
pub mod servers;
pub mod sharing;
pub mod wire;
