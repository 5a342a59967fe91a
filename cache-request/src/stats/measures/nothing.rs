//! Measures of a build without them.

use std::time::Duration;

use crate::base::clock::Nanos;

/// There are none.
#[derive(Debug)]
pub(crate) enum Measures {}

impl Measures {
    pub(crate) fn new(_measure: bool, _now: Nanos) -> Option<Box<Self>> {
        None
    }

    pub(crate) fn measure_next_body(&self) -> bool {
        match *self {}
    }

    pub(crate) fn body(&self, _took: Duration) {
        match *self {}
    }

    pub(crate) fn hit(&self, _took: Duration, _hits: u64) {
        match *self {}
    }

    pub(crate) fn waited(&self, _took: Duration) {
        match *self {}
    }

    pub(crate) fn age(&self, _age: Duration) {
        match *self {}
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        match *self {}
    }

    pub(crate) fn keep_timeout(&self, _timeout: Option<Duration>) {
        match *self {}
    }

    pub(crate) fn stored(&self, _bytes: usize) {
        match *self {}
    }

    pub(crate) fn held(&self, _bytes: usize, _now: Nanos) {
        match *self {}
    }
}
