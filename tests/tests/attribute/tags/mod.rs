//! Tags: names that values have in common, by which they are invalidated.

mod bodies;
mod inherited;
mod kinds;
mod whole;
mod without_fences;
mod wrong;

use crate::caches::{caches, seconds};
