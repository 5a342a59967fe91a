//! What a function's calls take: how long its bodies run, how long callers wait, how old and how large its values are.
//!
//! Measuring costs a lock, so what is frequent is sampled: one hit in memory of 64, and one body of 16 where bodies are short. Without the
//! feature `report` nothing is measured, and the compiler removes what would.

#[cfg(feature = "report")]
mod distribution;
#[cfg(feature = "report")]
mod measured;
#[cfg(not(feature = "report"))]
mod nothing;

#[cfg(feature = "report")]
pub use self::distribution::Distribution;
#[cfg(feature = "report")]
pub(crate) use self::measured::{Figures, Measures};
#[cfg(not(feature = "report"))]
pub(crate) use self::nothing::Measures;
