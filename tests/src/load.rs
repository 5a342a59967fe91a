//! Callers of annotated functions, who go on while something happens to the server.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use cache_request::{Cache, FunctionStats as Function, Stats, cache_request, scoped, scoped_sync};

use crate::servers::wait_until;

/// How many callers [`during`] has.
pub const CALLERS: u64 = 10;

/// Different calls that are made again and again. One caller asks others, each once, so that there is always something to store.
const QUESTIONS: u64 = 200;

static NEW: AtomicU64 = AtomicU64::new(QUESTIONS);

fn right(question: u64) -> String {
    format!("{question} {}", "x".repeat((question % QUESTIONS * 7) as usize))
}

#[cache_request(timeout = 60)]
async fn answer(question: u64) -> String {
    right(question)
}

#[cache_request(timeout = 60)]
fn answer_sync(question: u64) -> String {
    right(question)
}

/// What a load came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Calls that returned.
    pub calls: u64,
    /// Of these, with something else than the body returns.
    pub wrong: u64,
    /// Calls that panicked.
    pub failed: u64,
    /// Of the calls, those that ran the body.
    pub bodies: u64,
    /// What the cache counted.
    pub faults: u64,
    /// Of the faults, those of calls that waited for the backend until their soft limit was over.
    pub timeouts: u64,
    /// Of the faults, those after which a call asks the backend nothing more.
    pub gave_up: u64,
    /// How long the slowest call took, which depends on the machine.
    pub slowest: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, wrong, failed, bodies, faults, timeouts, gave_up, slowest } = self;
        write!(
            f,
            "{calls} calls, {wrong} wrong, {failed} failed, {bodies} bodies, {faults} faults counted, of which {timeouts} \
             timeouts and {gave_up} that ended a call's requests, slowest {slowest:.0?}"
        )
    }
}

impl Figures {
    /// No call failed or was wrong, and none waited for the backend again after it had waited in vain.
    ///
    /// # Panics
    ///
    /// If one did.
    pub fn are_good(&self) {
        assert!(self.calls > 0 && self.wrong == 0 && self.failed == 0, "{self}");
        // A call that could not read runs its body, and does not try to write.
        assert!(self.gave_up <= self.bodies, "calls wait more than once: {self}");
    }
}

/// Calls functions of this cache, from tasks of a runtime and from plain threads, while `event` runs.
///
/// # Panics
///
/// If `event` does.
pub fn during(cache: &Cache, event: impl FnOnce()) -> Figures {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (done, figures) = (&AtomicBool::new(false), &Mutex::new(Figures::default()));
    let before = cache.stats();
    let note = |begun: Instant, question: u64, answer: Option<String>| {
        let taken = begun.elapsed();
        let mut figures = figures.lock().expect("nothing panics here");
        figures.slowest = figures.slowest.max(taken);
        match answer {
            Some(answer) => {
                figures.calls += 1;
                figures.wrong += u64::from(answer != right(question));
            }
            None => figures.failed += 1,
        }
    };
    let happened = thread::scope(|threads| {
        for caller in 0..2 {
            threads.spawn(move || {
                scoped_sync(cache, || {
                    let mut question = caller;
                    while !done.load(Relaxed) {
                        question = (question + 7) % QUESTIONS;
                        let begun = Instant::now();
                        let answer = catch_unwind(AssertUnwindSafe(|| answer_sync(question)));
                        note(begun, question, answer.ok());
                        thread::sleep(Duration::from_micros(500));
                    }
                });
            });
        }
        let tasks = threads.spawn(|| {
            runtime.block_on(scoped(cache, async {
                let one = |caller: u64| async move {
                    let mut question = caller * 13;
                    while !done.load(Relaxed) {
                        question = if caller == 8 { NEW.fetch_add(1, Relaxed) } else { (question + 11) % QUESTIONS };
                        let begun = Instant::now();
                        let answer = answer(question).await;
                        note(begun, question, Some(answer));
                        tokio::task::yield_now().await;
                        futures_lite::future::yield_now().await;
                    }
                };
                tokio::join!(one(1), one(2), one(3), one(4), one(5), one(6), one(7), one(8));
            }));
        });
        let happened = catch_unwind(AssertUnwindSafe(event));
        done.store(true, Relaxed);
        tasks.join().expect("a task panicked");
        happened
    });
    if let Err(panic) = happened {
        std::panic::resume_unwind(panic);
    }
    let mut figures = *figures.lock().expect("nothing panics here");
    let after = cache.stats();
    figures.bodies = after.bodies() - before.bodies();
    figures.faults = after.faults() - before.faults();
    figures.timeouts = timeouts(&after) - timeouts(&before);
    figures.gave_up = gave_up(&after) - gave_up(&before);
    figures
}

fn timeouts(stats: &Stats) -> u64 {
    stats.functions.iter().map(|function| function.faults.timeout).sum()
}

fn gave_up(stats: &Stats) -> u64 {
    stats.functions.iter().map(|Function { faults, .. }| faults.timeout + faults.unavailable + faults.backend).sum()
}

/// Waits until the cache has counted a fault since it had counted so many: of calls that [`during`] makes, or of one here whose answer no near
/// cache has.
///
/// # Panics
///
/// If it does not.
pub fn until_noticed(cache: &Cache, faults: u64) {
    wait_until("it is noticed", || {
        scoped_sync(cache, || probe(PROBES.fetch_add(1, Relaxed)));
        cache.stats().faults() > faults
    });
}

static PROBES: AtomicU32 = AtomicU32::new(0);

#[cache_request(timeout = 60)]
fn probe(number: u32) -> u32 {
    number + 1
}

/// Waits until calls find their answers in the cache again, also those that `during` makes, and says how long that took.
///
/// # Panics
///
/// If they do not.
pub fn until_it_works(cache: &Cache) -> Duration {
    let begun = Instant::now();
    let hits_of = |name: &str| cache.stats().function(name).map_or(0, |function| function.hits);
    let before = hits_of("load.answer");
    wait_until("the cache works again", || {
        let hits = hits_of("load.probe");
        // New ones each time: that they can be stored is part of it.
        let first = PROBES.fetch_add(3, Relaxed);
        scoped_sync(cache, || [0, 1, 2, 0, 1, 2].map(|number| probe(first + number)));
        hits_of("load.probe") >= hits + 3 && hits_of("load.answer") > before
    });
    begun.elapsed()
}
