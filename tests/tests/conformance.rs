//! The suite against the backends that come with the crate, and against backends that are wrong on purpose: each
//! behaviour has to find a fault, and no behaviour finds one where there is none.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    panic,
    sync::{
        Arc, Mutex, MutexGuard, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, SystemTime},
};

use cache_request::{
    Error, ErrorKind, MockClock,
    backend::{Backend, FileBackend},
    conformance::{self, BEHAVIOURS, Harness},
};
use futures_lite::future::yield_now;

cache_request::conformance! { name: file, harness: Files::new() }
cache_request::conformance! { name: right, harness: Wrong::by(Fault::None) }
cache_request::conformance! { name: right_in_real_time, new: || async { WrongBackend::new(Fault::None, Clock::Real) } }

/// File backends in directories beside one another, under a clock that stands still.
struct Files {
    root: tempfile::TempDir,
    made: AtomicU64,
    clock: MockClock,
}

impl Files {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), made: AtomicU64::new(0), clock: cache_request::Clock::mock() }
    }
}

impl Harness for Files {
    type Backend = FileBackend;

    async fn backend(&self) -> FileBackend {
        let directory = self.root.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        FileBackend::builder(directory).clock(&self.clock).build().unwrap()
    }

    async fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn time_stands_still(&self) -> bool {
        true
    }
}

#[test]
fn no_behaviour_is_left_out_of_the_list() {
    let source = include_str!("../../cache-request/src/conformance.rs");
    let functions: BTreeSet<_> =
        source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split(['(', '<']).next()).collect();
    assert_eq!(functions, BEHAVIOURS.iter().copied().collect());
}

#[test]
fn a_right_backend_fails_no_behaviour() {
    assert_eq!(conformance::failures(&Wrong::by(Fault::None)), [""; 0]);
}

#[test]
fn a_wrong_backend_fails_the_behaviours_that_it_lacks() {
    let mut found = BTreeSet::new();
    for (fault, expected) in FAULTS {
        let failures = quietly(|| conformance::failures(&Wrong::by(*fault)));
        for behaviour in *expected {
            assert!(failures.contains(behaviour), "{fault:?} passed {behaviour}, and failed {failures:?}");
        }
        found.extend(expected.iter().copied());
    }
    let all: BTreeSet<_> = BEHAVIOURS.iter().copied().collect();
    assert_eq!(found, all, "each behaviour has a fault that it finds");
}

/// Runs `action` without the messages of its panics, of which there are hundreds.
fn quietly<T>(action: impl FnOnce() -> T) -> T {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = action();
    QUIET.set(false);
    done
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    FindsWhatIsMissing,
    GivesOnce,
    TakesEmptyForMissing,
    KeepsTheFirst,
    OverwritesInPlace,
    TextOnly,
    CutsAt64Kib,
    RefusesLargeAndKeepsTheOld,
    FailsLarge,
    CutsKeys,
    FoldsCase,
    DecodesKeys,
    EvictsAfterTen,
    EvictsAfterAHundred,
    DeleteIsAlwaysTrue,
    MissingDeleteIsAnError,
    DeletesByPrefix,
    NeverExpires,
    ZeroIsForEver,
    ZeroKeepsTheOld,
    WholeSeconds,
    AMillisecondTooLong,
    AMillisecondTooShort,
    LongTimeoutsAreDates,
    NoTimeoutIsAMonth,
    TheFirstTimeoutCounts,
    TheLongerTimeoutCounts,
    DeletesWhatHasExpired,
    ClearsAHundred,
    ClearBreaksIt,
    ClearsTheNeighbours,
    SharesWithTheNeighbours,
    RefusesMoreThan500AtOnce,
    OnlyItsOwnThread,
    WritesByHalves,
    MixesWriters,
    DropBreaksIt,
}

const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::FindsWhatIsMissing, &["a_missing_key_is_none"]),
    (Fault::GivesOnce, &["what_was_set_is_got"]),
    (Fault::TakesEmptyForMissing, &["an_empty_value_is_a_value"]),
    (Fault::KeepsTheFirst, &["a_second_set_replaces_the_first", "a_second_set_replaces_the_timeout"]),
    (Fault::OverwritesInPlace, &["a_second_set_replaces_the_first"]),
    (Fault::TextOnly, &["every_byte_survives", "a_mebibyte_survives", "a_thousand_keys_at_once"]),
    (Fault::CutsAt64Kib, &["a_mebibyte_survives", "a_large_value_survives_or_is_refused"]),
    (Fault::RefusesLargeAndKeepsTheOld, &["a_large_value_survives_or_is_refused"]),
    (Fault::FailsLarge, &["a_large_value_survives_or_is_refused"]),
    (Fault::CutsKeys, &["the_longest_keys_stay_apart"]),
    (Fault::FoldsCase, &["keys_that_look_alike_stay_apart", "every_printable_character_may_stand_in_a_key"]),
    (Fault::DecodesKeys, &["keys_that_look_alike_stay_apart"]),
    (Fault::EvictsAfterTen, &["keys_that_look_alike_stay_apart", "a_thousand_keys_at_once"]),
    (Fault::EvictsAfterAHundred, &["every_printable_character_may_stand_in_a_key", "a_thousand_keys_at_once"]),
    (Fault::DeleteIsAlwaysTrue, &["delete_says_whether_there_was_anything", "clear_removes_everything"]),
    (Fault::MissingDeleteIsAnError, &["delete_says_whether_there_was_anything"]),
    (Fault::DeletesByPrefix, &["delete_leaves_other_keys_alone", "keys_that_look_alike_stay_apart"]),
    (
        Fault::NeverExpires,
        &[
            "a_timeout_of_a_millisecond_ends",
            "a_timeout_of_a_second_ends",
            "a_timeout_over_30_days_keeps_its_value",
            "a_second_set_replaces_the_timeout",
            "what_has_expired_is_not_there_to_delete",
        ],
    ),
    (Fault::ZeroIsForEver, &["a_zero_timeout_keeps_nothing"]),
    (Fault::ZeroKeepsTheOld, &["a_zero_timeout_keeps_nothing"]),
    (Fault::WholeSeconds, &["a_timeout_of_a_millisecond_ends", "a_timeout_of_a_second_ends"]),
    (Fault::AMillisecondTooLong, &["a_timeout_of_a_millisecond_ends", "a_timeout_of_a_second_ends"]),
    (Fault::AMillisecondTooShort, &["a_timeout_of_a_millisecond_ends", "a_timeout_of_a_second_ends"]),
    (Fault::LongTimeoutsAreDates, &["a_timeout_over_30_days_keeps_its_value"]),
    (Fault::NoTimeoutIsAMonth, &["without_a_timeout_a_value_stays"]),
    (Fault::TheFirstTimeoutCounts, &["a_second_set_replaces_the_timeout"]),
    (Fault::TheLongerTimeoutCounts, &["a_second_set_replaces_the_timeout"]),
    (Fault::DeletesWhatHasExpired, &["what_has_expired_is_not_there_to_delete"]),
    (Fault::ClearsAHundred, &["clear_removes_everything"]),
    (Fault::ClearBreaksIt, &["clear_removes_everything"]),
    (Fault::ClearsTheNeighbours, &["clear_leaves_its_neighbours_alone"]),
    (Fault::SharesWithTheNeighbours, &["clear_leaves_its_neighbours_alone"]),
    (Fault::RefusesMoreThan500AtOnce, &["a_thousand_keys_at_once"]),
    (Fault::OnlyItsOwnThread, &["every_thread_sees_what_was_set", "writers_of_one_key_leave_whole_values"]),
    (Fault::WritesByHalves, &["dropped_futures_leave_it_usable"]),
    (Fault::MixesWriters, &["writers_of_one_key_leave_whole_values"]),
    (Fault::DropBreaksIt, &["dropped_futures_leave_it_usable"]),
];

/// Makes backends with a fault, all on one store, under a clock that stands still.
struct Wrong {
    fault: Fault,
    now: Arc<AtomicU64>,
    store: Store,
    made: AtomicU64,
}

impl Wrong {
    fn by(fault: Fault) -> Self {
        Self { fault, now: Arc::default(), store: Store::default(), made: AtomicU64::new(0) }
    }
}

impl Harness for Wrong {
    type Backend = WrongBackend;

    async fn backend(&self) -> WrongBackend {
        let mut backend = WrongBackend::new(self.fault, Clock::Still(Arc::clone(&self.now)));
        backend.store = Arc::clone(&self.store);
        backend.prefix = match self.fault {
            // The behaviours run one after the other, so one that leaves a value must not help the next.
            Fault::SharesWithTheNeighbours => 0,
            _ => self.made.fetch_add(1, Ordering::Relaxed),
        };
        backend
    }

    async fn advance(&self, time: Duration) {
        self.now.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn time_stands_still(&self) -> bool {
        true
    }

    fn large_value_bytes(&self) -> usize {
        2_000_000
    }
}

type Store = Arc<Mutex<HashMap<(u64, String), Stored>>>;

#[derive(Debug, Clone)]
struct Stored {
    value: Vec<u8>,
    /// In milliseconds of the clock.
    end: Option<u64>,
}

enum Clock {
    Still(Arc<AtomicU64>),
    Real,
}

/// Right but for its fault.
struct WrongBackend {
    fault: Fault,
    clock: Clock,
    prefix: u64,
    store: Store,
    thread: ThreadId,
    broken: AtomicBool,
    under_way: AtomicU64,
}

impl WrongBackend {
    fn new(fault: Fault, clock: Clock) -> Self {
        Self {
            fault,
            clock,
            prefix: 0,
            store: Store::default(),
            thread: thread::current().id(),
            broken: AtomicBool::new(false),
            under_way: AtomicU64::new(0),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn now(&self) -> u64 {
        match &self.clock {
            Clock::Still(now) => now.load(Ordering::Relaxed),
            Clock::Real => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64,
        }
    }

    fn store(&self) -> MutexGuard<'_, HashMap<(u64, String), Stored>> {
        self.store.lock().unwrap()
    }

    fn key(&self, key: &str) -> (u64, String) {
        let key = match self.fault {
            Fault::CutsKeys => key.chars().take(200).collect(),
            Fault::FoldsCase => key.to_ascii_lowercase(),
            Fault::DecodesKeys => key.replace("%31", "1"),
            _ => key.to_owned(),
        };
        (self.prefix, key)
    }

    fn is_over(&self, stored: &Stored) -> bool {
        stored.end.is_some_and(|end| self.now() >= end)
    }

    fn end(&self, timeout: Option<Duration>) -> Option<u64> {
        let timeout = match timeout {
            None if self.is(Fault::NoTimeoutIsAMonth) => Duration::from_secs(30 * 86400),
            timeout => timeout?,
        };
        let milliseconds = u64::try_from(timeout.as_millis()).ok()?;
        let milliseconds = match self.fault {
            Fault::NeverExpires => return None,
            Fault::ZeroIsForEver if milliseconds == 0 => return None,
            Fault::WholeSeconds => milliseconds.next_multiple_of(1000),
            Fault::AMillisecondTooLong => milliseconds + 1,
            Fault::AMillisecondTooShort => milliseconds.saturating_sub(1),
            Fault::LongTimeoutsAreDates if milliseconds > 30 * 86_400_000 => return Some(milliseconds.min(self.now())),
            _ => milliseconds,
        };
        self.now().checked_add(milliseconds)
    }

    /// Waits once, as a backend does that has to ask somebody, and fails where the fault wants it.
    async fn wait(&self) -> Result<(), Error> {
        struct Guard<'a>(&'a WrongBackend, bool);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.under_way.fetch_sub(1, Ordering::Relaxed);
                if !self.1 && self.0.is(Fault::DropBreaksIt) {
                    self.0.broken.store(true, Ordering::Relaxed);
                }
            }
        }
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut guard = Guard(self, false);
        yield_now().await;
        guard.1 = true;
        if self.broken.load(Ordering::Relaxed)
            || self.is(Fault::RefusesMoreThan500AtOnce) && under_way >= 500
            || self.is(Fault::OnlyItsOwnThread) && self.thread != thread::current().id()
        {
            return Err(Error::backend("broken on purpose"));
        }
        Ok(())
    }

    fn room_for_one_more(&self) {
        let most = match self.fault {
            Fault::EvictsAfterTen => 10,
            Fault::EvictsAfterAHundred => 100,
            _ => return,
        };
        let mut store = self.store();
        if store.len() >= most {
            let any = store.keys().next().unwrap().clone();
            store.remove(&any);
        }
    }
}

impl Backend for WrongBackend {
    fn name(&self) -> &'static str {
        "wrong"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.wait().await?;
        let found = self.store().get(&self.key(key)).filter(|stored| !self.is_over(stored)).cloned();
        let found = found.map(|stored| stored.value);
        if self.is(Fault::GivesOnce) {
            self.store().remove(&self.key(key));
        }
        Ok(match self.fault {
            Fault::FindsWhatIsMissing => Some(found.unwrap_or_default()),
            Fault::TakesEmptyForMissing => found.filter(|value| !value.is_empty()),
            _ => found,
        })
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.wait().await?;
        let key = self.key(key);
        if timeout == Some(Duration::ZERO) && !self.is(Fault::ZeroIsForEver) {
            if !self.is(Fault::ZeroKeepsTheOld) {
                self.store().remove(&key);
            }
            return Ok(());
        }
        let mut new = Stored { value: value.to_owned(), end: self.end(timeout) };
        if value.len() > 1_500_000 {
            match self.fault {
                Fault::RefusesLargeAndKeepsTheOld => return Err(Error::new(ErrorKind::TooLarge, "on purpose")),
                Fault::FailsLarge => return Err(Error::backend("on purpose")),
                _ => {}
            }
        }
        self.room_for_one_more();
        if self.is(Fault::WritesByHalves) {
            let (first, _) = value.split_at(value.len() / 2);
            self.store().insert(key.clone(), Stored { value: first.to_owned(), end: new.end });
            yield_now().await;
            thread::yield_now();
        }
        let old = self.store().get(&key).cloned();
        match (self.fault, old) {
            (Fault::KeepsTheFirst, Some(old)) => new = old,
            (Fault::OverwritesInPlace, Some(old)) if old.value.len() > value.len() => {
                new.value.extend_from_slice(&old.value[value.len()..]);
            }
            (Fault::TheFirstTimeoutCounts, Some(old)) => new.end = old.end,
            (Fault::TheLongerTimeoutCounts, Some(old)) => {
                new.end = old.end.and_then(|old| new.end.map(|new| new.max(old)));
            }
            (Fault::TextOnly, _) => new.value = String::from_utf8_lossy(value).into_owned().into_bytes(),
            (Fault::MixesWriters, Some(old)) if self.thread != thread::current().id() => {
                new.value[..1000].copy_from_slice(&old.value[..1000]);
            }
            (Fault::CutsAt64Kib, _) => new.value.truncate(1 << 16),
            _ => {}
        }
        self.store().insert(key, new);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.wait().await?;
        let key = self.key(key);
        let old = self.store().remove(&key);
        if self.is(Fault::DeletesByPrefix) {
            self.store()
                .retain(|(prefix, other), _| *prefix != key.0 || !other.starts_with(key.1.trim_end_matches('*')));
        }
        match (self.fault, old) {
            (Fault::DeleteIsAlwaysTrue, _) => Ok(true),
            (Fault::MissingDeleteIsAnError, None) => Err(Error::backend("not there, on purpose")),
            (Fault::DeletesWhatHasExpired, old) => Ok(old.is_some()),
            (_, old) => Ok(old.is_some_and(|old| !self.is_over(&old))),
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        self.wait().await?;
        let mut left = if self.is(Fault::ClearsAHundred) { 100 } else { usize::MAX };
        self.store().retain(|(prefix, _), _| {
            let goes = (*prefix == self.prefix || self.is(Fault::ClearsTheNeighbours)) && left > 0;
            left -= usize::from(goes);
            !goes
        });
        self.broken.fetch_or(self.is(Fault::ClearBreaksIt), Ordering::Relaxed);
        Ok(())
    }
}
