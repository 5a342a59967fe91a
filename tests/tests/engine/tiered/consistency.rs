//! Many at once: nothing in front is older than what its own cache has done, nor, where the backend tells of changes, than what
//! others have.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use cache_request::{
    Cache,
    backend::{MemoryBackend, Tracking},
    cache_request, scoped_sync,
};
use cache_request_tests::{
    backends::Pausing,
    servers::{redis::Redis, wait_until},
};

const CELLS: usize = 8;
const READERS: usize = 3;

/// What the functions are about, and what each cell must at least say by now.
#[derive(Default)]
struct Cells {
    sources: [AtomicU64; CELLS],
    floors: [AtomicU64; CELLS],
}

/// A number that is different each time, below `end`.
fn some(end: u64) -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);

    let mixed = LAST.fetch_add(0x9E37_79B9_7F4A_7C15, SeqCst);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) % end
}

/// Waits for some time that is shorter than `limit`.
fn dawdle(limit: Duration) {
    if some(2) == 0 {
        thread::sleep(Duration::from_nanos(some(u64::try_from(limit.as_nanos()).unwrap())));
    }
}

/// Several threads `read`, until `write` has come to its end: none of them sees anything below the floor that it began at.
fn while_others_read(cells: &Cells, read: impl Fn(usize) -> u64 + Sync, write: impl FnOnce()) -> u64 {
    let (done, calls) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let read = &read;
    thread::scope(|threads| {
        for reader in 0..READERS {
            threads.spawn(move || {
                let mut cell = reader;
                while !done.load(SeqCst) {
                    cell = (cell + 1) % CELLS;
                    let floor = cells.floors[cell].load(SeqCst);
                    let found = read(cell);
                    // It ends the test at once, not when the writer does.
                    if found < floor {
                        done.store(true, SeqCst);
                        panic!("{found} was found in cell {cell}, after {floor} was there");
                    }
                    calls.fetch_add(1, SeqCst);
                    if some(16) == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
        done.store(true, SeqCst);
        if let Err(panic) = written {
            std::panic::resume_unwind(panic);
        }
    });
    calls.load(SeqCst)
}

/// For so long a writer goes on, and until it has written often enough.
const LONG: Duration = Duration::from_secs(4);
const OFTEN: u32 = 50;

/// What has returned from `put`, `refresh`, `invalidate` or `clear` is what every later call sees.
macro_rules! is_seen_by_later_calls {
    ($cache:expr) => {{
        static NOW: std::sync::LazyLock<Cells> = std::sync::LazyLock::new(Cells::default);

        #[cache_request(timeout = 86400)]
        fn cell(number: usize) -> u64 {
            let says = NOW.sources[number].load(SeqCst);
            dawdle(Duration::from_micros(200));
            says
        }

        let cache: &Cache = &$cache;
        let mut writes = 0;
        let calls = while_others_read(
            &NOW,
            |number| scoped_sync(cache, || cell(number)),
            || {
                scoped_sync(cache, || {
                    let begun = Instant::now();
                    while begun.elapsed() < LONG || writes <= OFTEN {
                        let number = usize::try_from(some(CELLS as u64)).unwrap();
                        let next = NOW.sources[number].fetch_add(1, SeqCst) + 1;
                        match some(16) {
                            0..8 => cell_cache(number).put(&next).unwrap(),
                            8..12 => _ = cell_cache(number).invalidate().unwrap(),
                            12..15 => assert_eq!(cell_cache(number).refresh(), next),
                            _ => cache.clear_sync().unwrap(),
                        }
                        NOW.floors[number].store(next, SeqCst);
                        assert!(cell(number) == next);
                        writes += 1;
                        dawdle(Duration::from_millis(2));
                    }
                });
            },
        );
        let stats = cache.stats();
        println!("{writes} writes, {calls} calls, {} bodies", stats.bodies());
        assert_eq!(stats.faults(), 0, "{stats}");
        assert!(stats.hits() > 0, "{writes} writes, {calls} calls: {stats}");
    }};
}

#[test]
fn what_a_cache_has_done_is_seen_by_its_later_calls_in_front_by_time() {
    let memory = MemoryBackend::new();
    let slow = Pausing::new(memory, || async { dawdle(Duration::from_micros(300)) });
    let builder = Cache::builder().backend(slow);
    is_seen_by_later_calls!(
        builder.soft_limit(Duration::from_secs(60)).near_timeout(Duration::from_secs(86400)).build().unwrap()
    );
}

fn on(redis: &Redis, scheme: &str) -> Cache {
    let url = redis.url().replace("redis://", scheme);
    let front = if scheme.starts_with("tiered") { "&near_timeout=24h" } else { "" };
    Cache::from_url(&format!("{url}?soft_limit=60s&connect_limit=60s{front}")).unwrap()
}

/// A cache with memory in front of this server, that hears of changes.
fn tiered(redis: &Redis) -> Cache {
    let cache = on(redis, "tiered+redis://");
    wait_until("it hears", || cache.stats().backend.unwrap().near.unwrap().tracking == Tracking::Live);
    cache
}

#[test]
fn what_a_cache_has_done_is_seen_by_its_later_calls_in_front_of_redis() {
    let redis = Redis::start(&[]);
    is_seen_by_later_calls!(tiered(&redis));
}

/// What a round has come to.
#[cache_request(timeout = 86400, name = "mark")]
fn mark(_round: u64) -> bool {
    false
}

/// Waits until these `fronts` have been told of all that was done before this `round` came to its end, of rounds that begin with 0.
///
/// They are told in order, so it is enough that all have its mark in front, and then see `other` change that.
fn until_told(fronts: &[Cache], other: &Cache, round: u64) {
    for front in fronts {
        wait_until("the marks are in front", || {
            scoped_sync(front, || (0..=round).for_each(|round| _ = mark(round)));
            front.stats().function("mark").unwrap().entries == round + 1
        });
    }
    scoped_sync(other, || mark_cache(round).put(&true)).unwrap();
    for front in fronts {
        wait_until("all is told", || scoped_sync(front, || mark(round)));
    }
}

/// What another process has stored is seen as soon as the server has told, and no caller brings the older one back. No body runs
/// meanwhile, whose value would be stored after a newer one, as it may where processes share a server.
#[test]
fn what_others_have_stored_is_seen_soon() {
    static CELL: std::sync::LazyLock<Cells> = std::sync::LazyLock::new(Cells::default);

    #[cache_request(timeout = 86400, name = "shared")]
    fn shared(number: usize) -> u64 {
        CELL.sources[number].load(SeqCst)
    }

    let redis = Redis::start(&[]);
    let (cache, other) = (&[tiered(&redis)], on(&redis, "redis://"));
    let put = |number: usize, value: u64| scoped_sync(&other, || shared_cache(number).put(&value)).unwrap();
    let get = |number| scoped_sync(&cache[0], || shared(number));
    (0..CELLS).for_each(|number| put(number, 0));
    let mut last = 0;
    let calls = while_others_read(&CELL, get, || {
        for burst in 0..5 {
            for write in 0..200 {
                last = burst * 1000 + write + 1;
                (0..CELLS).for_each(|number| put(number, last));
                dawdle(Duration::from_millis(1));
            }
            until_told(cache, &other, burst);
            CELL.floors.iter().for_each(|floor| floor.store(last, SeqCst));
            thread::sleep(Duration::from_millis(100));
        }
    });
    wait_until("all are in front", || {
        assert!((0..CELLS).all(|number| get(number) == last));
        cache[0].stats().function("shared").unwrap().entries == CELLS as u64
    });
    let stats = cache[0].stats();
    println!("{calls} calls, {:?}", stats.backend);
    let function = stats.function("shared").unwrap();
    assert_eq!((stats.faults(), function.bodies), (0, 0), "{stats}");
    let front = stats.backend.unwrap().near.unwrap();
    assert!(front.changed >= 1000, "{front:?}");
}

/// Whatever two processes do to one another, what is in front in the end is what is behind.
#[test]
fn what_is_in_front_is_what_is_behind() {
    static SOURCE: AtomicU64 = AtomicU64::new(0);

    #[cache_request(timeout = 86400)]
    fn mixed(_number: usize) -> u64 {
        let says = SOURCE.fetch_add(1, SeqCst);
        dawdle(Duration::from_micros(200));
        says
    }

    fn change(cache: &Cache, numbers: Range<usize>) {
        let number = numbers.start + usize::try_from(some(numbers.len() as u64)).unwrap();
        scoped_sync(cache, || match some(8) {
            0..3 => mixed_cache(number).put(&SOURCE.fetch_add(1, SeqCst)).unwrap(),
            3..6 => _ = mixed_cache(number).invalidate().unwrap(),
            6 => _ = mixed_cache(number).refresh(),
            _ => _ = mixed(number),
        });
    }

    let redis = Redis::start(&[]);
    let fronts = [tiered(&redis), tiered(&redis)];
    let behind = on(&redis, "redis://");
    for round in 0..5 {
        let end = Instant::now() + Duration::from_millis(700);
        thread::scope(|threads| {
            for cache in fronts.iter().chain([&behind]) {
                threads.spawn(move || {
                    while Instant::now() < end {
                        change(cache, 0..CELLS);
                    }
                });
                threads.spawn(move || {
                    while Instant::now() < end {
                        (0..CELLS).for_each(|number| _ = scoped_sync(cache, || mixed(number)));
                    }
                });
            }
        });
        until_told(&fronts, &behind, round);
        for number in 0..CELLS {
            let stored = scoped_sync(&behind, || mixed(number));
            for cache in &fronts {
                assert_eq!(scoped_sync(cache, || mixed(number)), stored, "round {round}, cell {number}");
            }
        }
    }
    for cache in &fronts {
        let stats = cache.stats();
        assert_eq!(stats.faults(), 0, "{stats}");
        assert!(stats.hits() > 0, "{stats}");
    }
}
