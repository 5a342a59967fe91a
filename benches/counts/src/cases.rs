//! What is counted: hits, misses and invalidations of this crate, and of bare `quick_cache` beside it.

use std::{
    cell::Cell,
    hint::black_box,
    ops::Range,
    pin::{Pin, pin},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use cache_request::{Cache, Reason, cache_request, client_scope_sync, install, installed, this_call};
use rustix::time::{ClockId, clock_gettime};

/// The first argument of a process whose calls are counted.
pub(crate) const COUNT: &str = "count";
/// The first argument of a process whose accesses to memory are traced.
pub(crate) const SHARE: &str = "share";

/// One kind of call.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many calls `run` makes.
    pub(crate) calls: u64,
    /// How many of them run the body.
    bodies: u64,
    /// How many entries the cache has room for.
    room: u64,
    /// Makes what `run` is to find.
    prepare: fn(),
    run: fn(),
    /// How many other threads have made calls, and are still there.
    others: usize,
    /// A hit on one key that all threads ask for. Its value is cloned without an allocation, as memory that is freed by one thread may
    /// come to the other one.
    pub(crate) hot: Option<fn()>,
}

const KEYS: u64 = 1_000;
const ROUNDS: u64 = 10;

/// Fresh keys of the cases that miss.
const MISSES: u64 = 20_000;

/// The bytes a cache has room for. They give it as many shards on every machine: one for each megabyte, unless there are fewer than
/// four times the processors.
const BYTES: u64 = 4 << 20;

/// More entries than these bytes have room for.
const UNBOUNDED: u64 = u64::MAX;

const fn hit(name: &'static str, run: fn(), hot: Option<fn()>) -> Case {
    // So many rounds of reads that no entry counts further visits.
    let prepare = run;
    Case { name, calls: KEYS * ROUNDS, bodies: 0, room: UNBOUNDED, prepare, run, others: 0, hot }
}

const fn miss(name: &'static str, room: u64, prepare: fn(), run: fn()) -> Case {
    Case { name, calls: MISSES, bodies: MISSES, room, prepare, run, others: 0, hot: None }
}

pub(crate) static CASES: [Case; 20] = [
    hit("hit, fn(u64) -> u64", || hits(number), Some(|| _ = black_box(number(0)))),
    Case {
        others: 16,
        ..hit("hit, fn(u64) -> u64, beside 16 threads", || hits(number), Some(|| _ = black_box(number(0))))
    },
    hit("hit, fn(u64) -> Arc<String>", || hits(shared), Some(|| drop(shared(0)))),
    hit("hit, fn(u64) -> String", || hits(string), None),
    hit("hit, fn(&str, u32, &str) -> Vec<u64>", || hits(by_number), Some(|| _ = black_box(length("LAX", 1, "AA")))),
    hit(
        "hit, async fn(u64) -> Arc<String>",
        || hits(|key| poll_now(pin!(awaited(key)))),
        Some(|| drop(poll_now(pin!(awaited(0))))),
    ),
    hit("hit, fn(u64) -> u64, for a client", || client_scope_sync("acme", || hits(number)), None),
    hit("hit, fn(u64) -> Result<u64, ()>, may be stale", || hits(|key| may_be_stale(FRESH + key)), None),
    Case { prepare: make_stale, ..hit("stale hit, fn(u64) -> Result<u64, ()>", || hits(may_be_stale), None) },
    hit("hit, fn(u64) -> u64, with a tag", || hits(tagged), None),
    hit("hit, fn(u64) -> u64, with four tags", || hits(much_tagged), None),
    miss("miss, fn(u64) -> u64, with a tag", UNBOUNDED, || {}, || calls(tagged, 0..MISSES)),
    miss("miss, fn(u64) -> u64, filling", UNBOUNDED, || {}, || calls(number, 0..MISSES)),
    miss("miss, fn(u64) -> u64, evicting", KEYS, || calls(number, 0..MISSES), || calls(number, MISSES..2 * MISSES)),
    miss(
        "miss, async fn(u64) -> u64, filling",
        UNBOUNDED,
        || {},
        || calls(|key| poll_now(pin!(awaited_number(key))), 0..MISSES),
    ),
    Case {
        name: "invalidate, fn(u64) -> u64",
        calls: MISSES,
        bodies: 0,
        room: UNBOUNDED,
        prepare: || calls(number, 0..MISSES),
        run: || calls(|key| assert!(number_cache(key).invalidate().expect("memory has no faults")), 0..MISSES),
        others: 0,
        hot: None,
    },
    hit(
        "quick_cache: hit, u64 -> u64",
        || hits(|key| quick(&NUMBERS, key)),
        Some(|| _ = black_box(quick(&NUMBERS, 0))),
    ),
    hit("quick_cache: hit, u64 -> Arc<String>", || hits(|key| quick(&SHARED, key)), Some(|| drop(quick(&SHARED, 0)))),
    miss("quick_cache: miss, u64 -> u64, filling", UNBOUNDED, || {}, || calls(|key| quick(&NUMBERS, key), 0..MISSES)),
    miss(
        "quick_cache: miss, u64 -> u64, evicting",
        UNBOUNDED,
        || calls(|key| quick(&FULL, key), 0..MISSES),
        || calls(|key| quick(&FULL, key), MISSES..2 * MISSES),
    ),
];

thread_local! {
    static BODIES: Cell<u64> = const { Cell::new(0) };
}

fn body<T>(made: T) -> T {
    BODIES.set(BODIES.get() + 1);
    made
}

#[cache_request(timeout = 300)]
fn number(key: u64) -> u64 {
    body(key)
}

#[cache_request(timeout = 300, tags("number:{key}"))]
fn tagged(key: u64) -> u64 {
    body(key)
}

#[cache_request(timeout = 300, tags("number:{key}", "double:{key}", "numbers", "even"))]
fn much_tagged(key: u64) -> u64 {
    body(key)
}

#[cache_request(timeout = 300)]
fn string(key: u64) -> String {
    body(key.to_string())
}

#[cache_request(timeout = 300)]
fn shared(key: u64) -> Arc<String> {
    body(key.to_string().into())
}

#[cache_request(timeout = 300)]
async fn awaited(key: u64) -> Arc<String> {
    body(key.to_string().into())
}

#[cache_request(timeout = 300)]
async fn awaited_number(key: u64) -> u64 {
    body(key)
}

#[cache_request(timeout = 300)]
fn by_text(origin: &str, day: u32, carrier: &str) -> Vec<u64> {
    body(vec![origin.len() as u64, day.into(), carrier.len() as u64])
}

#[cache_request(timeout = 300)]
fn length(origin: &str, day: u32, carrier: &str) -> u64 {
    body(origin.len() as u64 + u64::from(day) + carrier.len() as u64)
}

/// Its first body gives a value that lasts for a millisecond, or for a day from [`FRESH`] on. No further one gives any.
#[cache_request(timeout_with = lasts, stale = "1day", retry = "1day")]
fn may_be_stale(key: u64) -> Result<u64, ()> {
    if this_call().reason() == Reason::Stale {
        return Err(());
    }
    Ok(body(key))
}

const FRESH: u64 = KEYS;

fn lasts(key: &u64) -> Duration {
    if *key < FRESH { Duration::from_millis(1) } else { Duration::from_secs(86400) }
}

/// Values whose replacement has begun, and gives none.
fn make_stale() {
    calls(may_be_stale, 0..KEYS);
    thread::sleep(Duration::from_millis(50));
    calls(may_be_stale, 0..KEYS);
    installed().iter().for_each(|(_, cache)| cache.shutdown_sync());
    hits(may_be_stale);
}

fn by_number(key: u64) -> Vec<u64> {
    const ORIGINS: [&str; 4] = ["Los Angeles", "Chicago O'Hare", "SFO", "New York, John F. Kennedy"];
    by_text(ORIGINS[key as usize % 4], key as u32, "AA")
}

fn hits<T>(call: impl Fn(u64) -> T) {
    (0..ROUNDS).for_each(|_| calls(&call, 0..KEYS));
}

fn calls<T>(call: impl Fn(u64) -> T, keys: Range<u64>) {
    keys.for_each(|key| _ = black_box(call(key)));
}

type Quick<V> = LazyLock<quick_cache::sync::Cache<u64, V>>;

static NUMBERS: Quick<u64> = LazyLock::new(|| quick_cache::sync::Cache::new(2 * MISSES as usize));
static FULL: Quick<u64> = LazyLock::new(|| quick_cache::sync::Cache::new(KEYS as usize));
static SHARED: Quick<Arc<String>> = LazyLock::new(|| quick_cache::sync::Cache::new(2 * KEYS as usize));

/// A value that `quick_cache` holds.
trait Made: Clone {
    fn made(key: u64) -> Self;
}

impl Made for u64 {
    fn made(key: u64) -> Self {
        key
    }
}

impl Made for Arc<String> {
    fn made(key: u64) -> Self {
        key.to_string().into()
    }
}

fn quick<V: Made>(cache: &Quick<V>, key: u64) -> V {
    cache.get(&key).unwrap_or_else(|| {
        let value = body(V::made(key));
        cache.insert(key, value.clone());
        value
    })
}

fn poll_now<F: Future>(future: Pin<&mut F>) -> F::Output {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("there is nothing to wait for"),
    }
}

impl Case {
    pub(crate) fn named(name: &str) -> &'static Self {
        CASES.iter().find(|case| case.name == name).expect("the parent knows the names")
    }

    /// Whether it is known to lock memory that threads share, so that a count of none would be an error of the counting.
    pub(crate) fn is_control(&self) -> bool {
        self.name.starts_with("quick_cache: hit")
    }

    fn install(&self) {
        let cache = Cache::builder().max_bytes(BYTES).max_entries(self.room).build().expect("no option is wrong");
        install(cache).expect("this is the first use");
        let (done, wait) = mpsc::channel();
        for _ in 0..self.others {
            let (done, hot) = (done.clone(), self.hot);
            thread::spawn(move || {
                hot.expect("only hits have others beside them")();
                done.send(()).expect("the first thread waits");
                loop {
                    thread::park();
                }
            });
            wait.recv().expect("the other thread makes its calls");
        }
    }

    /// Makes the calls that are counted, in [`measured`].
    pub(crate) fn count(&self) {
        self.install();
        (self.prepare)();
        BODIES.set(0);
        let _ = clock_gettime(MARKING_CLOCK);
        measured(self.run);
        let _ = clock_gettime(MARKING_CLOCK);
        assert_eq!(BODIES.get(), self.bodies, "{}: hits are hits, and misses are misses", self.name);
    }

    /// Makes the hits that are traced: some by this thread, then some by another one. Stores to [`MARK`] enclose both.
    pub(crate) fn share(&self) {
        self.install();
        // The C library does without atomic operations before there is a second thread.
        thread::spawn(|| {}).join().expect("it does nothing");
        println!("{:p}", &raw const MARK);
        let hot = self.hot.expect("only hits are traced");
        let traced = || {
            (0..20).for_each(|_| hot());
            mark();
            (0..20).for_each(|_| hot());
            mark();
        };
        traced();
        // This thread's own memory is not used anew by the other one, as it has not ended.
        thread::scope(|scope| _ = scope.spawn(traced));
    }
}

/// A clock that no call reads. Its reads enclose the calls in a trace of system calls.
pub(crate) const MARKING_CLOCK: ClockId = ClockId::ProcessCPUTime;

/// The function inside which callgrind counts.
#[inline(never)]
fn measured(run: fn()) {
    black_box(run)();
    // Without this, the call would be a jump, and the function left before it.
    black_box(());
}

static MARK: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn mark() {
    MARK.store(black_box(1), Ordering::SeqCst);
}
