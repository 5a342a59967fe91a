//! What makes the backends that are tested, and moves their time.

use std::time::Duration;

use crate::{backend::contract::Backend, base::timer::sleep};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes the backends that are tested.
///
/// A closure that returns a future of a backend is a harness whose time is real.
pub trait Harness: Sync {
    /// The backend that is tested.
    type Backend: Backend;

    /// Makes a new, empty backend.
    ///
    /// Two of them must not share keys, but should share what they rest on: two namespaces of one server, two directories of one
    /// disk.
    fn backend(&self) -> impl Future<Output = Self::Backend>;

    /// Lets time pass for all backends of this harness. The default waits; a harness with a mock clock moves the clock.
    fn advance(&self, time: Duration) -> impl Future<Output = ()> {
        async move {
            sleep(time).await;
        }
    }

    /// Whether only [`advance`](Self::advance) moves time. If so, timeouts are tested to the millisecond, and long ones to their end.
    fn time_stands_still(&self) -> bool {
        false
    }

    /// How long after its timeout a value may still be returned, if time is real.
    fn slack(&self) -> Duration {
        20 * MILLISECOND
    }

    /// The length of the largest value that is tried: 20 MB. The backend may refuse it as
    /// [`TooLarge`](crate::ErrorKind::TooLarge).
    fn large_value_bytes(&self) -> usize {
        20_000_000
    }
}

impl<F, Made, B> Harness for F
where
    F: Fn() -> Made + Sync,
    Made: Future<Output = B>,
    B: Backend,
{
    type Backend = B;

    fn backend(&self) -> impl Future<Output = B> {
        self()
    }
}
