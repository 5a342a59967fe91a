//! Tags: names that values have in common, by which they are invalidated.

mod bodies;
mod inherited;
mod kinds;
mod older;
mod unfenced;
mod whole;
mod wrong;

use crate::caches::{caches, seconds};
