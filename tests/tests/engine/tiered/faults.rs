//! What happens behind the front is no reason to lose what is in it, unless that is said to have changed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Cache, Clock, Error, MockClock,
    backend::{Backend, BreakerState, Changes, MemoryBackend, Tracking},
    scoped_sync,
};
use cache_request_tests::{
    backends::{Bend, Bends, Bent},
    delegate, logs,
};
use futures_lite::future::{block_on, poll_once};

use super::{answer_cache, ask, bodies, source};

const FRONT: Duration = Duration::from_secs(10);

fn tiered() -> (MockClock, Bent, Cache) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder()
        .clock(&clock)
        .backend(backend.clone())
        .soft_limit(Duration::from_millis(20))
        .breaker_faults(3)
        .near_timeout(FRONT)
        .build()
        .unwrap();
    (clock, backend, cache)
}

fn all_bends() -> [Bend; 5] {
    [Bend::Errs, Bend::Panics, Bend::PanicsLater, Bend::Hangs, Bend::HangsAndPanics]
}

#[test]
fn a_backend_that_fails_empties_no_front() {
    for bend in all_bends() {
        let (clock, backend, cache) = tiered();
        source(1);
        ask(&cache, 1);
        backend.bend(Bends { get: bend.clone(), set: bend.clone(), delete: bend.clone() });
        // Until it is left alone, and after that.
        (100..110).for_each(|question| assert_eq!(ask(&cache, question), 1, "{bend:?}"));
        assert_eq!(cache.stats().backend.unwrap().reads.state, BreakerState::Open, "{bend:?}");
        source(2);
        clock.advance(FRONT - Duration::from_millis(1));
        assert_eq!(ask(&cache, 1), 1, "{bend:?}");
        clock.advance(Duration::from_millis(2));
        assert_eq!(ask(&cache, 1), 2, "{bend:?}: not for longer");
    }
}

/// It is what the process would see if it had no backend at all.
#[test]
fn what_cannot_be_kept_behind_is_kept_in_front() {
    for bend in all_bends() {
        for (get, set) in [(Bend::Works, bend.clone()), (bend.clone(), bend.clone())] {
            let (clock, backend, cache) = tiered();
            backend.bend(Bends { get, set, ..Bends::default() });
            source(1);
            let calls = bodies(|| (0..10).for_each(|_| assert_eq!(ask(&cache, 1), 1)));
            assert_eq!((calls, cache.stats().hits()), (1, 9), "{bend:?}: {}", cache.stats());
            source(2);
            clock.advance(FRONT + Duration::from_millis(1));
            assert_eq!(ask(&cache, 1), 2, "{bend:?}");
        }
    }
}

/// A `put` that says it failed leaves nothing of the older value in front, nor an `invalidate`.
#[test]
fn what_could_not_be_told_to_the_backend_is_gone_in_front() {
    for bend in all_bends() {
        let (_, backend, cache) = tiered();
        source(1);
        ask(&cache, 1);
        ask(&cache, 2);
        backend.bend(Bends { set: bend.clone(), delete: bend.clone(), ..Bends::default() });
        scoped_sync(&cache, || {
            answer_cache(1).put(&2).unwrap_err();
            answer_cache(2).invalidate().unwrap_err();
        });
        assert_eq!(cache.stats().entries, 0, "{bend:?}");
    }
}

/// A `clear` that is given up half way may have reached the backend: what was read meanwhile may be gone there.
#[test]
fn what_was_read_during_a_clear_that_was_given_up_is_not_in_front() {
    let (_, backend, cache) = tiered();
    source(1);
    ask(&cache, 1);
    backend.bend(Bends { delete: Bend::Hangs, ..Bends::default() });
    let mut clear = Box::pin(cache.clear());
    assert!(block_on(poll_once(&mut clear)).is_none());
    let calls = bodies(|| assert_eq!(ask(&cache, 1), 1));
    assert_eq!((calls, cache.stats().entries), (0, 1), "it is behind still, and in front again");
    drop(clear);
    assert_eq!(cache.stats().entries, 0);
}

/// A backend in memory that tells of changes as it is told to.
struct Telling {
    memory: MemoryBackend,
    told: Arc<Told>,
    says_that_it_tracks: fn() -> bool,
}

#[derive(Default)]
struct Told {
    changes: Mutex<Option<Changes>>,
    /// Happens once, after a value was looked up, and before it is returned.
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce(&Changes) + Send>;

impl Told {
    fn tell(&self, what: impl FnOnce(&Changes)) {
        what(self.changes.lock().unwrap().as_ref().unwrap());
    }
}

impl Telling {
    fn tiered() -> (Arc<Told>, Cache) {
        Self::tiered_that(|| true)
    }

    fn tiered_that(says_that_it_tracks: fn() -> bool) -> (Arc<Told>, Cache) {
        let clock = Clock::mock();
        let told = Arc::default();
        let memory = MemoryBackend::builder().clock(&clock).build().unwrap();
        let backend = Self { memory, told: Arc::clone(&told), says_that_it_tracks };
        (told, Cache::builder().clock(&clock).backend(backend).near_timeout(FRONT).build().unwrap())
    }
}

impl Backend for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let found = self.memory.get(key).await;
        let meanwhile = self.told.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            self.told.tell(meanwhile);
        }
        found
    }

    delegate!(self => self.memory; set add touch delete clear);

    fn track(&self, changes: Changes) -> bool {
        *self.told.changes.lock().unwrap() = Some(changes);
        (self.says_that_it_tracks)()
    }
}

fn front(cache: &Cache) -> (Tracking, u64, u64) {
    let front = cache.stats().backend.unwrap().near.unwrap();
    (front.tracking, front.changed, front.lost)
}

/// All that a backend may say, and what it comes to.
#[test]
fn a_backend_that_tells_is_believed() {
    let (told, cache) = Telling::tiered();
    let tell = |what: &dyn Fn(&Changes)| told.tell(what);
    let twice = || [1, 2].map(|question| [ask(&cache, question); 2]);
    let entries = || {
        twice();
        twice();
        cache.stats().entries
    };
    assert_eq!((front(&cache), entries()), ((Tracking::Suspended, 0, 0), 0), "before it has begun");
    tell(&Changes::begin);
    assert_eq!((front(&cache), entries()), ((Tracking::Live, 0, 0), 2));

    let key = scoped_sync(&cache, || answer_cache(1).key()).unwrap();
    tell(&|changes| changes.changed(&key));
    tell(&|changes| changes.changed("another program's"));
    assert_eq!((front(&cache), cache.stats().entries), ((Tracking::Live, 2, 0), 1));
    assert_eq!(entries(), 2);
    tell(&Changes::all_changed);
    assert_eq!((front(&cache), cache.stats().entries), ((Tracking::Live, 3, 0), 0));
    assert_eq!(entries(), 2);

    let ((), lines) = logs::of(|| (0..5).for_each(|_| tell(&|changes| changes.lost(&Error::backend("a cable")))));
    assert_eq!((front(&cache), cache.stats().entries), ((Tracking::Suspended, 3, 5), 0));
    assert_eq!(entries(), 0);
    assert_eq!(lines.len(), 3, "of the first, the second and the fourth: {lines:?}");
    assert!(lines[0].contains("a cable") && lines[0].contains("backend=telling"), "{lines:?}");
    tell(&Changes::begin);
    assert_eq!((front(&cache), entries()), ((Tracking::Live, 3, 5), 2));

    // As where its task ends.
    told.changes.lock().unwrap().take();
    assert_eq!((front(&cache), cache.stats().entries), ((Tracking::Suspended, 3, 6), 0));
    assert_eq!(entries(), 0);
}

/// What was found may be older than what is told before it arrives: it is returned, and not put in front.
#[test]
fn what_changes_while_it_is_read_is_not_put_in_front() {
    type Change = fn(&Changes, &str);
    let all: [(Change, u64); 5] = [
        (|_, _| {}, 1),
        (|changes, key| changes.changed(key), 0),
        (|changes, _| changes.all_changed(), 0),
        (|changes, _| changes.lost(&Error::backend("a cable")), 0),
        (
            |changes, _| {
                changes.lost(&Error::backend("a cable"));
                changes.begin();
            },
            0,
        ),
    ];
    for (number, (meanwhile, entries)) in all.into_iter().enumerate() {
        let (told, cache) = Telling::tiered();
        source(1);
        ask(&cache, 1);
        told.tell(Changes::begin);
        let key = scoped_sync(&cache, || answer_cache(1).key()).unwrap();
        *told.meanwhile.lock().unwrap() = Some(Box::new(move |changes| meanwhile(changes, &key)));
        let calls = bodies(|| assert_eq!(ask(&cache, 1), 1));
        assert_eq!((calls, cache.stats().entries), (0, entries), "{number}");
    }
}

/// A backend that tells of changes does not keep the cache alive, and sees that it has ended.
#[test]
fn a_cache_that_is_gone_is_told_nothing() {
    let (told, cache) = Telling::tiered();
    let changes = told.changes.lock().unwrap().take().unwrap();
    changes.begin();
    assert!(!changes.is_closed());
    drop(cache);
    assert!(changes.is_closed());
    changes.changed("a key");
    changes.all_changed();
    changes.lost(&Error::backend("it is gone"));
}

/// All kinds of changes, told to a cache that is gone.
fn tell_all_in_vain(told: &Told) {
    assert!(told.changes.lock().unwrap().as_ref().unwrap().is_closed());
    told.tell(Changes::begin);
    told.tell(|changes| changes.changed("a key"));
    told.tell(Changes::all_changed);
    told.tell(|changes| changes.lost(&Error::backend("a cable")));
    told.tell(Changes::begin);
    told.changes.lock().unwrap().take();
}

/// It said that what is in front lasts until its timeout: that it tells of something all the same takes nothing away, nor does it
/// make entries last for longer.
#[test]
fn a_backend_that_does_not_track_is_not_heard() {
    let (told, cache) = Telling::tiered_that(|| false);
    source(1);
    ask(&cache, 1);
    let ((), lines) = logs::of(|| tell_all_in_vain(&told));
    assert_eq!((front(&cache), cache.stats().entries), ((Tracking::ByTime, 0, 0), 1));
    assert!(lines.is_empty(), "{lines:?}");
}

/// Nothing is known of what it would have told.
#[test]
fn a_backend_whose_tracking_panics_has_no_front() {
    let ((told, cache), lines) = logs::of(|| Telling::tiered_that(|| panic!("a bug in the backend")));
    assert!(lines.iter().any(|line| line.starts_with("ERROR") && line.contains("panicked")), "{lines:?}");
    tell_all_in_vain(&told);
    source(1);
    let calls = bodies(|| (0..3).for_each(|_| assert_eq!(ask(&cache, 1), 1)));
    assert_eq!((calls, cache.stats().entries, cache.stats().faults()), (1, 0, 0));
    assert_eq!(front(&cache).0, Tracking::Suspended);
}
