//! How a builder checks what it is given.

use super::{
    option::CacheOption,
    scheme::{Choice, Scheme},
    table,
};
use crate::Error;

/// The first fault among the values that a builder was given. Its methods return no errors, so its `build` returns this one.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    fault: Option<Error>,
}

impl Checks {
    /// Checks a value, in the words that an address would be refused with.
    pub(crate) fn check<T>(&mut self, option: &CacheOption<T>, value: &T) {
        self.note(option.check(value));
    }

    /// Notes the outcome of another check.
    pub(crate) fn note(&mut self, outcome: Result<(), Error>) {
        if let (None, Err(error)) = (&self.fault, outcome) {
            self.fault = Some(error);
        }
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.fault.map_or(Ok(()), Err)
    }
}

/// Checks that `scheme` has the option of that name.
#[cfg_attr(
    not(any(feature = "redis", feature = "postgres")),
    allow(dead_code, reason = "others have all of their options")
)]
pub(crate) fn belongs<T>(option: &CacheOption<T>, scheme: &'static Scheme) -> Result<(), Error> {
    table::find(Choice { scheme, is_tiered: false }, option.name, false).map(drop)
}
