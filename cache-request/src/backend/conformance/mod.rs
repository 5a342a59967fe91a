//! What every backend must do, as tests: one suite for the backends that come with the crate and for yours.
//!
//! ```
//! # use std::{collections::HashMap, sync::{Mutex, PoisonError}, time::{Duration, Instant}};
//! # use cache_request::{Error, backend::Backend};
//! # #[derive(Default)]
//! # pub struct MyBackend(Mutex<HashMap<String, (Vec<u8>, Option<Instant>)>>);
//! # impl MyBackend { pub async fn new() -> Self { Self::default() } }
//! # impl Backend for MyBackend {
//! #     fn name(&self) -> &'static str { "mine" }
//! #     async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> { Ok(None) }
//! #     async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> { Ok(()) }
//! #     async fn add(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<bool, Error> { Ok(false) }
//! #     async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> { Ok(false) }
//! #     async fn delete(&self, _: &str) -> Result<bool, Error> { Ok(false) }
//! #     async fn clear(&self) -> Result<(), Error> { Ok(()) }
//! # }
//! cache_request::conformance! {
//!     name: my_backend,
//!     new: || async { MyBackend::new().await },
//! }
//! ```
//!
//! makes a module `my_backend` with one `#[test]` for each behaviour, named after it. What a test demands is said at the
//! function of the same name in this module. A backend whose time can be moved, or that has other needs, brings a
//! [`Harness`] of its own in the place of the closure, as `harness: MyHarness::default()`.
//!
//! The tests run on a bare `block_on`, without any executor around them: a backend has to work there, too.

mod adding;
mod batches;
mod crowds;
mod steps;
mod storing;
mod timeouts;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

#[doc(hidden)]
pub use futures_lite::future::block_on;

pub use self::{
    adding::{
        add_stores_after_expiry_and_after_delete, add_stores_only_if_nothing_is_there,
        add_with_a_zero_timeout_stores_nothing, an_added_value_ends_with_its_timeout,
        of_concurrent_adds_exactly_one_wins, touch_gives_another_timeout, touch_never_changes_the_value,
        touch_of_a_missing_key_is_false, touch_with_a_zero_timeout_removes,
    },
    batches::{
        a_batch_has_an_outcome_for_each_key_in_order, a_batch_may_name_a_key_twice,
        a_large_value_in_a_batch_concerns_itself_alone, a_thousand_items_in_one_batch, an_empty_batch_does_nothing,
        deletes_may_be_repeated, each_item_of_a_batch_has_its_own_timeout, every_key_and_byte_survives_a_batch,
    },
    crowds::{
        a_thousand_keys_at_once, dropped_futures_leave_it_usable, every_thread_sees_what_was_set,
        writers_of_one_key_leave_whole_values,
    },
    storing::{
        a_large_value_survives_or_is_refused, a_mebibyte_survives, a_missing_key_is_none,
        a_second_set_replaces_the_first, an_empty_value_is_a_value, clear_leaves_its_neighbours_alone,
        clear_removes_everything, delete_leaves_other_keys_alone, delete_says_whether_there_was_anything,
        every_byte_survives, every_printable_character_may_stand_in_a_key, keys_that_look_alike_stay_apart,
        the_longest_keys_stay_apart, what_was_set_is_got,
    },
    timeouts::{
        a_second_set_replaces_the_timeout, a_timeout_of_a_millisecond_ends, a_timeout_of_a_second_ends,
        a_timeout_over_30_days_keeps_its_value, a_zero_timeout_keeps_nothing, what_has_expired_is_not_there_to_delete,
        without_a_timeout_a_value_stays,
    },
};
use crate::{backend::Backend, base::timer::sleep};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes the backends that are tested.
///
/// A closure that returns a future of a backend is a harness: one whose time is the real one.
pub trait Harness: Sync {
    /// What is tested.
    type Backend: Backend;

    /// A new backend that holds nothing.
    ///
    /// Two of them must not share their keys, though they should share whatever is beneath: two prefixes on one server,
    /// two directories on one disk.
    fn backend(&self) -> impl Future<Output = Self::Backend>;

    /// Lets time pass for the backends that this harness made. Waits for real, unless a harness moves a clock.
    fn advance(&self, time: Duration) -> impl Future<Output = ()> {
        async move {
            sleep(time).await;
        }
    }

    /// Whether time stands still but for [`advance`](Self::advance). If so, timeouts are checked to the millisecond, and
    /// long ones are waited for.
    fn time_stands_still(&self) -> bool {
        false
    }

    /// How much longer than its timeout a value may be seen, where time does not stand still.
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

/// Makes a module with one test for each behaviour of this suite. See [the module](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    (name: $name:ident, new: $new:expr $(,)?) => {
        $crate::conformance! { name: $name, harness: $new }
    };
    (name: $name:ident, harness: $harness:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::conformance! { @behaviours tests ($harness) }
        }
    };
    (@behaviours $then:ident $given:tt) => {
        $crate::conformance! {
            @$then $given
            a_missing_key_is_none
            what_was_set_is_got
            a_second_set_replaces_the_first
            an_empty_value_is_a_value
            every_byte_survives
            a_mebibyte_survives
            a_large_value_survives_or_is_refused
            the_longest_keys_stay_apart
            keys_that_look_alike_stay_apart
            every_printable_character_may_stand_in_a_key
            delete_says_whether_there_was_anything
            delete_leaves_other_keys_alone
            without_a_timeout_a_value_stays
            a_zero_timeout_keeps_nothing
            a_timeout_of_a_millisecond_ends
            a_timeout_of_a_second_ends
            a_timeout_over_30_days_keeps_its_value
            a_second_set_replaces_the_timeout
            what_has_expired_is_not_there_to_delete
            clear_removes_everything
            clear_leaves_its_neighbours_alone
            add_stores_only_if_nothing_is_there
            add_stores_after_expiry_and_after_delete
            an_added_value_ends_with_its_timeout
            add_with_a_zero_timeout_stores_nothing
            of_concurrent_adds_exactly_one_wins
            touch_gives_another_timeout
            touch_with_a_zero_timeout_removes
            touch_of_a_missing_key_is_false
            touch_never_changes_the_value
            a_batch_has_an_outcome_for_each_key_in_order
            a_batch_may_name_a_key_twice
            an_empty_batch_does_nothing
            a_thousand_items_in_one_batch
            each_item_of_a_batch_has_its_own_timeout
            a_large_value_in_a_batch_concerns_itself_alone
            every_key_and_byte_survives_a_batch
            deletes_may_be_repeated
            a_thousand_keys_at_once
            every_thread_sees_what_was_set
            writers_of_one_key_leave_whole_values
            dropped_futures_leave_it_usable
        }
    };
    (@tests ($harness:expr) $($behaviour:ident)+) => {
        $(
            #[test]
            fn $behaviour() {
                $crate::conformance::block_on($crate::conformance::$behaviour(&$harness));
            }
        )+
    };
    (@names () $($behaviour:ident)+) => {
        &[$(stringify!($behaviour)),+]
    };
    (@failures ($harness:ident) $($behaviour:ident)+) => {
        [$((stringify!($behaviour), $crate::conformance::fails($crate::conformance::$behaviour($harness)))),+]
    };
}

/// The names of all behaviours: of the functions of this module that test one, and of the tests that
/// [`conformance!`](crate::conformance!) makes.
pub const BEHAVIOURS: &[&str] = crate::conformance! { @behaviours names () };

/// Runs all behaviours, and returns the names of those that the backend fails.
///
/// The panics of those that fail are printed, as the panic hook wants it.
pub fn failures(harness: &impl Harness) -> Vec<&'static str> {
    let outcomes = crate::conformance! { @behaviours failures (harness) };
    outcomes.into_iter().filter_map(|(name, fails)| fails.then_some(name)).collect()
}

fn fails(behaviour: impl Future<Output = ()>) -> bool {
    catch_unwind(AssertUnwindSafe(|| block_on(behaviour))).is_err()
}
