//! What `timeout = …` may be: a `Duration`, or whole seconds.

use std::time::Duration;

/// Values that `timeout = …` accepts: a `Duration`, or an integer, which means seconds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a timeout",
    label = "neither a `Duration` nor a whole number of seconds",
    note = "write seconds (`300`, `2 * 60`), a text such as `\"5m\"`, a `Duration`, or `never`"
)]
pub trait Timeout {
    /// The timeout. `None` is a negative number of seconds.
    fn into_duration(self) -> Option<Duration>;
}

impl Timeout for Duration {
    #[inline]
    fn into_duration(self) -> Option<Duration> {
        Some(self)
    }
}

/// Applies a closure of the attribute to the `Ok` value of an answer that is cached as a whole.
pub fn of_ok<T, E, O>(answer: &Result<T, E>, closure: impl FnOnce(&T) -> O, of_err: O) -> O {
    answer.as_ref().map_or(of_err, closure)
}

macro_rules! seconds {
    ($($integer:ty)*) => {$(
        impl Timeout for $integer {
            #[inline]
            fn into_duration(self) -> Option<Duration> {
                let seconds = (self.max(0) == self).then(|| self.try_into().unwrap_or(u64::MAX));
                seconds.map(Duration::from_secs)
            }
        }
    )*};
}

// Literals without a type are `i32`.
seconds!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
