//! The tests that every backend has to pass: those that come with the crate, and yours.
//!
//! ```
//! # use std::time::Duration;
//! # use cache_request::{Error, backend::Backend};
//! # pub struct MyBackend;
//! # impl MyBackend { pub async fn new() -> Self { Self } }
//! # impl Backend for MyBackend {
//! #     async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> { Ok(None) }
//! #     async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> { Ok(()) }
//! #     async fn delete(&self, _: &str) -> Result<bool, Error> { Ok(false) }
//! #     async fn clear(&self) -> Result<(), Error> { Ok(()) }
//! # }
//! cache_request::conformance! {
//!     name: my_backend,
//!     new: || async { MyBackend::new().await },
//! }
//! ```
//!
//! makes a module `my_backend` with one `#[test]` for each behaviour. The function of the same name in this module documents what the test
//! demands. Instead of the closure, a backend with a mock clock or other needs gives a [`Harness`], as
//! `harness: MyHarness::default()`.
//!
//! A backend need not have [`add`](crate::Backend::add) and [`touch`](crate::Backend::touch): if they return
//! [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), their tests pass without testing anything else. So do those of claims and
//! fences, unless it [has fences](crate::Backend::has_fences).
//!
//! The tests run on a bare `block_on`, without an executor: a backend has to work there as well.

mod adding;
mod batches;
mod claims;
mod crowds;
mod fence_batches;
mod fence_crowds;
mod fences;
mod harness;
mod steps;
mod storing;
mod timeouts;
mod unsupported;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
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
    claims::{
        a_claim_anew_ends_the_older_one, a_claim_ends_with_its_lease, a_claim_is_no_value,
        a_claim_returns_the_value_that_is_there, a_released_claim_is_free, a_renewed_claim_lasts,
        claims_leave_the_neighbours_alone, claims_of_keys_that_look_alike_stay_apart, fences_are_all_there_or_none,
        of_two_claims_the_first_one_gets_the_lease,
    },
    crowds::{
        a_dropped_set_never_comes_after_a_delete, a_thousand_keys_at_once, dropped_futures_leave_it_usable,
        every_thread_sees_what_was_set, writers_of_one_key_leave_whole_values,
    },
    fence_batches::{a_batch_of_claims_has_an_outcome_for_each_key, a_thousand_claims_in_one_batch},
    fence_crowds::{
        a_dropped_set_fenced_never_comes_after_an_invalidation, no_value_outlives_an_invalidation_beside_it,
        of_concurrent_claims_exactly_one_gets_the_lease, of_concurrent_fenced_values_exactly_one_is_stored,
    },
    fences::{
        a_fence_stores_one_value, a_fenced_value_ends_with_its_timeout, a_value_stays_until_it_is_replaced,
        an_invalidation_may_refuse_values_for_a_while, every_fenced_value_survives_or_is_refused,
        what_is_claimed_before_an_invalidation_is_not_stored,
    },
    harness::Harness,
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
    unsupported::what_is_unsupported_changes_nothing,
};

/// Makes a module with one test for each behaviour. See [the module](mod@crate::conformance).
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
            what_is_unsupported_changes_nothing
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
            a_dropped_set_never_comes_after_a_delete
            fences_are_all_there_or_none
            a_claim_returns_the_value_that_is_there
            of_two_claims_the_first_one_gets_the_lease
            a_claim_is_no_value
            claims_of_keys_that_look_alike_stay_apart
            claims_leave_the_neighbours_alone
            a_claim_anew_ends_the_older_one
            a_claim_ends_with_its_lease
            a_renewed_claim_lasts
            a_released_claim_is_free
            a_fence_stores_one_value
            what_is_claimed_before_an_invalidation_is_not_stored
            a_value_stays_until_it_is_replaced
            an_invalidation_may_refuse_values_for_a_while
            a_fenced_value_ends_with_its_timeout
            every_fenced_value_survives_or_is_refused
            a_batch_of_claims_has_an_outcome_for_each_key
            a_thousand_claims_in_one_batch
            of_concurrent_claims_exactly_one_gets_the_lease
            of_concurrent_fenced_values_exactly_one_is_stored
            no_value_outlives_an_invalidation_beside_it
            a_dropped_set_fenced_never_comes_after_an_invalidation
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

/// The names of all behaviours, which are those of the functions of this module and of the tests that
/// [`conformance!`](crate::conformance!) makes.
pub const BEHAVIOURS: &[&str] = crate::conformance! { @behaviours names () };

/// Tests all behaviours, and returns the names of those that fail.
///
/// A behaviour that fails has panicked, so the panic hook runs.
pub fn failures(harness: &impl Harness) -> Vec<&'static str> {
    let outcomes = crate::conformance! { @behaviours failures (harness) };
    outcomes.into_iter().filter_map(|(name, fails)| fails.then_some(name)).collect()
}

fn fails(behaviour: impl Future<Output = ()>) -> bool {
    catch_unwind(AssertUnwindSafe(|| block_on(behaviour))).is_err()
}
