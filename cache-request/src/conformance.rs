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
mod steps;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

#[doc(hidden)]
pub use futures_lite::future::block_on;

use self::steps::{
    after, all, clear, deletes, drop_after, ends, get, holds, missing, noise, on_another_thread, set, stay_apart,
};
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
};
use crate::{ErrorKind, backend::Backend, shim::sleep};

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
    /// [`TooLarge`](ErrorKind::TooLarge).
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

/// Nothing is stored under a key that was never set.
pub async fn a_missing_key_is_none(harness: &impl Harness) {
    let backend = harness.backend().await;
    missing(&backend, "missing").await;
    set(&backend, "there", b"value", None).await;
    missing(&backend, "missing").await;
}

/// The same bytes come back, as often as they are asked for.
pub async fn what_was_set_is_got(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "one", b"first", Some(HOUR)).await;
    set(&backend, "two", b"second", None).await;
    for _ in 0..2 {
        holds(&backend, "one", b"first").await;
        holds(&backend, "two", b"second").await;
    }
}

/// Of an older value nothing remains, be it longer or shorter than the new one.
pub async fn a_second_set_replaces_the_first(harness: &impl Harness) {
    let backend = harness.backend().await;
    for value in ["a long first value", "short", "and a longer one again"] {
        set(&backend, "key", value.as_bytes(), None).await;
        holds(&backend, "key", value.as_bytes()).await;
    }
}

/// A value without bytes is not the same as no value.
pub async fn an_empty_value_is_a_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "empty", b"", Some(HOUR)).await;
    holds(&backend, "empty", b"").await;
    deletes(&backend, "empty", true).await;
    missing(&backend, "empty").await;
}

/// A value may hold any byte, alone and in every order of two.
pub async fn every_byte_survives(harness: &impl Harness) {
    let backend = harness.backend().await;
    let pairs: Vec<u8> =
        (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).flat_map(move |second| [first, second])).collect();
    set(&backend, "pairs", &pairs, None).await;
    holds(&backend, "pairs", &pairs).await;
    for byte in 0..=u8::MAX {
        let value = [byte; 3];
        set(&backend, "byte", &value, None).await;
        holds(&backend, "byte", &value).await;
    }
}

/// A value of 1 MiB is taken. It is not the zeros that a compressing store would make nothing of.
pub async fn a_mebibyte_survives(harness: &impl Harness) {
    let backend = harness.backend().await;
    // Room is left for what the store keeps beside the value: memcached's limit of 1 MiB counts that.
    let value = noise(1, (1 << 20) - 4096);
    set(&backend, "mebibyte", &value, Some(HOUR)).await;
    holds(&backend, "mebibyte", &value).await;
}

/// A value of [`large_value_bytes`](Harness::large_value_bytes) comes back whole. Or it is refused as
/// [`TooLarge`](ErrorKind::TooLarge); then the older value that it was to replace is gone too.
pub async fn a_large_value_survives_or_is_refused(harness: &impl Harness) {
    let backend = harness.backend().await;
    let value = noise(2, harness.large_value_bytes());
    set(&backend, "large", b"older", Some(HOUR)).await;
    match backend.set("large", &value, Some(HOUR)).await {
        Ok(()) => holds(&backend, "large", &value).await,
        Err(error) if error.kind() == ErrorKind::TooLarge => missing(&backend, "large").await,
        Err(error) => panic!("set of {} bytes: {error:?}", value.len()),
    }
    set(&backend, "large", b"newer", Some(HOUR)).await;
    holds(&backend, "large", b"newer").await;
}

/// Keys of [`max_key_bytes`](Backend::max_key_bytes), or of 4 KiB if that is less, are told apart by their last byte.
pub async fn the_longest_keys_stay_apart(harness: &impl Harness) {
    let backend = harness.backend().await;
    let longest = backend.max_key_bytes().min(4096);
    let head = "k".repeat(longest - 1);
    stay_apart(&backend, &[format!("{head}a"), format!("{head}b"), head]).await;
}

/// Keys are told apart by their last byte, by case, by what follows a common beginning, and by their order.
pub async fn keys_that_look_alike_stay_apart(harness: &impl Harness) {
    let backend = harness.backend().await;
    let keys = [
        "app..news.latest?page=1",
        "app..news.latest?page=2",
        "app..news.latest?page=10",
        "app..news.latest?page=1&",
        "app..news.latest?page=01",
        "app..news.latest?page=1.",
        "app..news.latest?page=1/",
        "app..news.latest",
        "app..news.latest?",
        "app..news.Latest?page=1",
        "APP..NEWS.LATEST?PAGE=1",
        "app..news.latest?page=%31",
        "app.news.latest?page=1",
        "pp..news.latest?page=1",
        "a",
        "A",
        "aa",
        "ab",
        "ba",
        "1",
        "1.0",
        "1e0",
        "01",
        "-1",
        "null",
        "nil",
        "None",
        "true",
    ];
    stay_apart(&backend, &keys.map(str::to_owned)).await;
}

/// Every printable ASCII character but the space stands for itself in a key, at its beginning, within and at its end.
pub async fn every_printable_character_may_stand_in_a_key(harness: &impl Harness) {
    let backend = harness.backend().await;
    let mut keys: Vec<String> = Vec::new();
    for character in '!'..='~' {
        keys.extend([
            character.to_string(),
            format!("{character}{character}"),
            format!("{character}end"),
            format!("a{character}b"),
            format!("begin{character}"),
        ]);
    }
    // What a file system, a pattern, an escape or a query would take for something else.
    keys.extend(
        ["../up", "/", "/etc/passwd", "a/../b", "*", "a*", "?a", "[ab]", "a%00b", "a%", "'--", "\\n"]
            .map(str::to_owned),
    );
    keys.push(('!'..='~').collect());
    keys.sort_unstable();
    keys.dedup();
    stay_apart(&backend, &keys).await;
}

/// `true` if a value was removed, `false` if there was none, and neither is an error.
pub async fn delete_says_whether_there_was_anything(harness: &impl Harness) {
    let backend = harness.backend().await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"value", Some(HOUR)).await;
    deletes(&backend, "key", true).await;
    missing(&backend, "key").await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"again", None).await;
    holds(&backend, "key", b"again").await;
    deletes(&backend, "key", true).await;
}

/// Only the one key is removed, not those that begin as it does or that it would match as a pattern.
pub async fn delete_leaves_other_keys_alone(harness: &impl Harness) {
    let backend = harness.backend().await;
    let others = ["key", "key1", "key/1", "key*1", "KEY*", "k"];
    for other in others {
        set(&backend, other, other.as_bytes(), None).await;
    }
    set(&backend, "key*", b"value", None).await;
    deletes(&backend, "key*", true).await;
    for other in others {
        holds(&backend, other, other.as_bytes()).await;
    }
}

/// No timeout is for ever: ten years, as far as a clock that can be moved tells.
pub async fn without_a_timeout_a_value_stays(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "key", b"value", None).await;
    harness.advance(if harness.time_stands_still() { 3650 * DAY } else { 2 * MILLISECOND }).await;
    holds(&backend, "key", b"value").await;
}

/// A timeout of zero does not store the value, and removes the one that was there.
pub async fn a_zero_timeout_keeps_nothing(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "new", b"value", Some(Duration::ZERO)).await;
    missing(&backend, "new").await;
    for timeout in [None, Some(HOUR)] {
        set(&backend, "old", b"value", timeout).await;
        set(&backend, "old", b"newer", Some(Duration::ZERO)).await;
        missing(&backend, "old").await;
        deletes(&backend, "old", false).await;
    }
}

/// A timeout of 1 ms is neither rounded down to none nor up beyond [`slack`](Harness::slack).
pub async fn a_timeout_of_a_millisecond_ends(harness: &impl Harness) {
    let backend = harness.backend().await;
    ends(harness, &backend, MILLISECOND).await;
}

/// A timeout of 1 s ends after 1 s.
pub async fn a_timeout_of_a_second_ends(harness: &impl Harness) {
    let backend = harness.backend().await;
    ends(harness, &backend, SECOND).await;
    ends(harness, &backend, SECOND + MILLISECOND).await;
}

/// Long timeouts are timeouts, and not the dates that memcached takes more than 30 days for.
pub async fn a_timeout_over_30_days_keeps_its_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    for timeout in [30 * DAY, 30 * DAY + SECOND, 31 * DAY, 10 * 365 * DAY] {
        set(&backend, "key", b"value", Some(timeout)).await;
        holds(&backend, "key", b"value").await;
        if harness.time_stands_still() {
            ends(harness, &backend, timeout).await;
        }
    }
    // Too long for any clock to tell from never.
    for timeout in [Duration::from_secs(u64::from(u32::MAX) * 1000), Duration::MAX] {
        set(&backend, "key", b"value", Some(timeout)).await;
        holds(&backend, "key", b"value").await;
    }
}

/// What counts is the timeout of the last `set`, be it shorter, longer or none.
pub async fn a_second_set_replaces_the_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    let short = 10 * MILLISECOND;
    for (key, timeout) in [("longer", Some(HOUR)), ("none", None)] {
        set(&backend, key, b"old", Some(short)).await;
        set(&backend, key, b"value", timeout).await;
    }
    for (key, timeout) in [("was longer", Some(HOUR)), ("was none", None)] {
        let key = key.replace(' ', "-");
        set(&backend, &key, b"old", timeout).await;
        set(&backend, &key, b"value", Some(short)).await;
    }
    after(harness, short).await;
    holds(&backend, "longer", b"value").await;
    holds(&backend, "none", b"value").await;
    missing(&backend, "was-longer").await;
    missing(&backend, "was-none").await;
}

/// `delete` says of a value whose timeout is over that it was not there.
pub async fn what_has_expired_is_not_there_to_delete(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "key", b"value", Some(MILLISECOND)).await;
    after(harness, MILLISECOND).await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"value", None).await;
    holds(&backend, "key", b"value").await;
}

/// Nothing is left, and the backend goes on working. To clear what is empty is no error.
pub async fn clear_removes_everything(harness: &impl Harness) {
    let backend = harness.backend().await;
    clear(&backend).await;
    let keys: Vec<String> = (0..300).map(|number| format!("key{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        set(&backend, key, b"value", (number % 2 == 0).then_some(HOUR)).await;
    }
    clear(&backend).await;
    for key in &keys {
        missing(&backend, key).await;
        deletes(&backend, key, false).await;
    }
    set(&backend, "key0", b"again", None).await;
    holds(&backend, "key0", b"again").await;
}

/// Another backend on the same server, disk or database sees other keys, and keeps them when this one is cleared.
pub async fn clear_leaves_its_neighbours_alone(harness: &impl Harness) {
    let (backend, neighbour) = (harness.backend().await, harness.backend().await);
    set(&neighbour, "key", b"neighbour's", None).await;
    missing(&backend, "key").await;
    set(&backend, "key", b"own", None).await;
    holds(&neighbour, "key", b"neighbour's").await;
    clear(&backend).await;
    missing(&backend, "key").await;
    holds(&neighbour, "key", b"neighbour's").await;
}

/// A thousand `set`s under way at once, and then a thousand `get`s, each with a value of its own.
pub async fn a_thousand_keys_at_once(harness: &impl Harness) {
    let backend = &harness.backend().await;
    let entry = |number: u64| (format!("key{number}"), noise(number, 100 + number as usize));
    all((0..1000).map(|number| async move {
        let (key, value) = entry(number);
        set(backend, &key, &value, Some(HOUR)).await;
    }))
    .await;
    all((0..1000).map(|number| async move {
        let (key, value) = entry(number);
        holds(backend, &key, &value).await;
    }))
    .await;
}

/// What one thread has set, removed or cleared is so for every other.
pub async fn every_thread_sees_what_was_set(harness: &impl Harness) {
    let backend = &harness.backend().await;
    set(backend, "key", b"first", None).await;
    on_another_thread(async {
        holds(backend, "key", b"first").await;
        set(backend, "key", b"second", None).await;
        set(backend, "other", b"value", Some(HOUR)).await;
    });
    holds(backend, "key", b"second").await;
    holds(backend, "other", b"value").await;
    on_another_thread(async {
        deletes(backend, "key", true).await;
    });
    missing(backend, "key").await;
    on_another_thread(clear(backend));
    missing(backend, "other").await;
}

/// While several threads set one key, each `get` finds one of their values whole, or none; and one of the last ones stays.
pub async fn writers_of_one_key_leave_whole_values(harness: &impl Harness) {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 30;
    let backend = &harness.backend().await;
    // Of different lengths, and longer than what is written in one step.
    let values: Vec<Vec<Vec<u8>>> = (0..WRITERS)
        .map(|writer| {
            (0..ROUNDS).map(|round| noise(writer * ROUNDS + round, 60_000 + 5_000 * writer as usize)).collect()
        })
        .collect();
    let is_whole = |found: &[u8]| values.iter().flatten().any(|value| value == found);
    set(backend, "key", &values[0][0], None).await;
    let done = &AtomicBool::new(false);
    let (written, found) = std::thread::scope(|threads| {
        let reader = threads.spawn(move || {
            let mut found = Vec::new();
            while !done.load(Ordering::Acquire) && found.len() < 200 {
                found.push(block_on(backend.get("key")));
            }
            found
        });
        let writers: Vec<_> = values
            .iter()
            .map(|values| {
                threads.spawn(move || values.iter().try_for_each(|value| block_on(backend.set("key", value, None))))
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("set panicked")).collect();
        done.store(true, Ordering::Release);
        (written, reader.join().expect("get panicked"))
    });
    for outcome in written {
        outcome.unwrap_or_else(|error| panic!("set beside other writers: {error:?}"));
    }
    for found in found {
        let found = found.unwrap_or_else(|error| panic!("get beside writers: {error:?}"));
        assert!(found.is_none_or(|found| is_whole(&found)), "get beside writers found what none of them set");
    }
    let last = get(backend, "key").await.expect("nothing is left of what several writers set");
    assert!(values.iter().any(|values| values.last() == Some(&last)), "no writer's last value is left");
}

/// Callers may give up at any time: their futures are dropped after any number of polls. What was under way then may
/// still happen or not, but a value is never there by half, and all works on.
pub async fn dropped_futures_leave_it_usable(harness: &impl Harness) {
    let backend = harness.backend().await;
    for polls in 1..=4 {
        drop_after(polls, backend.clear()).await;
    }
    let (old, new) = (noise(3, 50_000), noise(4, 60_000));
    for polls in (1..=4).cycle().take(40) {
        set(&backend, "key", &old, None).await;
        drop_after(polls, backend.set("key", &new, None)).await;
        drop_after(polls, backend.get("key")).await;
        let found = get(&backend, "key").await;
        assert!(found.is_none_or(|found| found == old || found == new), "a dropped set left something else");
        drop_after(polls, backend.delete("key")).await;
        let found = get(&backend, "key").await;
        assert!(found.is_none_or(|found| found == old || found == new), "a dropped delete left something else");
    }
    for key in ["another", "third", "fourth"] {
        set(&backend, key, key.as_bytes(), None).await;
    }
    for key in ["another", "third", "fourth"] {
        holds(&backend, key, key.as_bytes()).await;
        deletes(&backend, key, true).await;
    }
}
