//! Tags: names that values have in common, by which they are invalidated.

mod bodies;
mod elsewhere;
mod inherited;
mod kinds;
mod older;
mod operations;
mod unfenced;
mod whole;
mod wrong;

use crate::caches::{caches, seconds};
