//! Tags: names that values have in common.

mod kinds;
