//! The suite against the backends that come with the crate, and against backends that are wrong on purpose: each
//! behaviour has to find a fault, and no behaviour finds one where there is none.

mod faults;
mod wrong;

use std::{
    cell::Cell,
    collections::BTreeSet,
    panic,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_request::{
    MockClock,
    backend::{FileBackend, MemoryBackend},
    conformance::{self, BEHAVIOURS, Harness},
};

use self::{
    faults::{FAULTS, Fault},
    wrong::{Clock, Wrong, WrongBackend},
};

cache_request::conformance! { name: file, harness: Files::of_at_most(1 << 30) }
cache_request::conformance! { name: file_with_little_room, harness: Files::of_at_most(16 << 20) }
cache_request::conformance! { name: memory, harness: Memory::of_at_most(64 << 20) }
cache_request::conformance! { name: memory_with_little_room, harness: Memory::of_at_most(8 << 20) }
cache_request::conformance! { name: right, harness: Wrong::by(Fault::None) }
cache_request::conformance! { name: right_without_add_and_touch, harness: Wrong::by(Fault::NoAddAndNoTouch) }
cache_request::conformance! { name: right_without_fences, harness: Wrong::by(Fault::NoFences) }
cache_request::conformance! { name: right_in_real_time, new: || async { WrongBackend::new(Fault::None, Clock::Real) } }

/// File backends in directories beside one another, under a clock that stands still.
struct Files {
    max_bytes: u64,
    root: tempfile::TempDir,
    made: AtomicU64,
    clock: MockClock,
}

impl Files {
    fn of_at_most(max_bytes: u64) -> Self {
        let clock = cache_request::Clock::mock();
        Self { max_bytes, root: tempfile::tempdir().unwrap(), made: AtomicU64::new(0), clock }
    }
}

impl Harness for Files {
    type Backend = FileBackend;

    async fn backend(&self) -> FileBackend {
        let directory = self.root.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        FileBackend::builder(directory).max_bytes(self.max_bytes).clock(&self.clock).build().unwrap()
    }

    async fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn time_stands_still(&self) -> bool {
        true
    }
}

/// Backends in this process's memory, under a clock that stands still.
struct Memory {
    max_bytes: u64,
    clock: MockClock,
}

impl Memory {
    fn of_at_most(max_bytes: u64) -> Self {
        Self { max_bytes, clock: cache_request::Clock::mock() }
    }
}

impl Harness for Memory {
    type Backend = MemoryBackend;

    async fn backend(&self) -> MemoryBackend {
        MemoryBackend::builder().max_bytes(self.max_bytes).clock(&self.clock).build().unwrap()
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
    let sources = [
        include_str!("../../../cache-request/src/backend/conformance/adding.rs"),
        include_str!("../../../cache-request/src/backend/conformance/batches.rs"),
        include_str!("../../../cache-request/src/backend/conformance/claims.rs"),
        include_str!("../../../cache-request/src/backend/conformance/crowds.rs"),
        include_str!("../../../cache-request/src/backend/conformance/fence_batches.rs"),
        include_str!("../../../cache-request/src/backend/conformance/fence_crowds.rs"),
        include_str!("../../../cache-request/src/backend/conformance/fences.rs"),
        include_str!("../../../cache-request/src/backend/conformance/storing.rs"),
        include_str!("../../../cache-request/src/backend/conformance/timeouts.rs"),
        include_str!("../../../cache-request/src/backend/conformance/unsupported.rs"),
    ];
    let lines = sources.into_iter().flat_map(str::lines);
    let functions: BTreeSet<_> =
        lines.filter_map(|line| line.strip_prefix("pub async fn ")?.split(['(', '<']).next()).collect();
    assert_eq!(functions, BEHAVIOURS.iter().copied().collect());
}

#[test]
fn a_right_backend_fails_no_behaviour() {
    assert_eq!(conformance::failures(&Wrong::by(Fault::None)), [""; 0]);
    assert_eq!(conformance::failures(&Wrong::by(Fault::NoAddAndNoTouch)), [""; 0]);
    assert_eq!(conformance::failures(&Wrong::by(Fault::NoFences)), [""; 0]);
}

#[test]
fn each_behaviour_has_a_fault_that_it_finds() {
    let found: BTreeSet<_> = FAULTS.iter().flat_map(|(_, found_by)| found_by.iter().copied()).collect();
    assert_eq!(found, BEHAVIOURS.iter().copied().collect());
}

/// In parts, as there are many.
mod a_wrong_backend_fails_the_behaviours_that_it_lacks {
    use super::fail_what_they_lack;

    #[test]
    fn first_quarter() {
        fail_what_they_lack(0);
    }

    #[test]
    fn second_quarter() {
        fail_what_they_lack(1);
    }

    #[test]
    fn third_quarter() {
        fail_what_they_lack(2);
    }

    #[test]
    fn last_quarter() {
        fail_what_they_lack(3);
    }
}

fn fail_what_they_lack(part: usize) {
    for (fault, expected) in FAULTS.iter().skip(part).step_by(4) {
        let failures = quietly(|| conformance::failures(&Wrong::by(*fault)));
        for behaviour in *expected {
            assert!(failures.contains(behaviour), "{fault:?} passed {behaviour}, and failed {failures:?}");
        }
    }
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
