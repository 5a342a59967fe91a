//! Timeouts that seldom come: an operation leaves a note of its deadline, and removes it when it is done.
//!
//! A thread wakes the operations whose deadline has passed. A new note wakes that thread only if its deadline is earlier than
//! the thread's next look. Most operations share one limit, so hardly any of them wakes the thread, which would cost as much as
//! a round trip to a server on the same machine.

use std::{
    cell::Cell,
    collections::BTreeMap,
    mem,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::{self, Thread},
    time::Duration,
};

use once_cell::sync::OnceCell;

use crate::base::{
    clock::{Clock, NEVER, Nanos},
    panic::catch_panic,
    process::{PerProcess, Process},
    sync::lock,
};

/// Ready `duration` after it is first polled, on any executor or none. Ready at once if the timer's thread cannot be started.
pub(crate) fn sleep(duration: Duration) -> Sleep {
    Sleep { timer: None, duration, note: None }
}

/// As [`sleep`], if it is first polled in this process.
pub(crate) fn sleep_in(process: Process, duration: Duration) -> Sleep {
    Sleep { timer: Some(timer(process)), duration, note: None }
}

/// The timer of this process. A child's timer has a thread of its own, as a fork copies none.
fn timer(process: Process) -> &'static Timer {
    static TIMER: PerProcess<Timer> = PerProcess::new();

    TIMER.of(process, Timer::new)
}

/// The number of maps that the notes are divided among, by the threads that make them, to keep contention low.
const SHARDS: usize = 16;

struct Timer {
    shards: [Mutex<Notes>; SHARDS],
    /// When the thread looks next, unless it is woken. [`NEVER`] while it is looking, as it may have passed a new note already.
    looks_at: AtomicU64,
    thread: OnceCell<Thread>,
}

#[derive(Default)]
struct Notes {
    /// By deadline and number. From the first note on it also has [`LAST`], since a map that becomes empty frees its memory, and
    /// the next note of a lone caller would allocate it again.
    wakers: BTreeMap<(Nanos, u64), Waker>,
    /// How many notes there have been.
    numbers: u64,
}

/// The place of a waker that is never woken, after all others.
const LAST: (Nanos, u64) = (NEVER, 0);

/// What [`sleep`] returns.
pub(crate) struct Sleep {
    /// Known from the first poll on that has to wait.
    timer: Option<&'static Timer>,
    duration: Duration,
    /// The note of the first poll that had to wait.
    note: Option<Note>,
}

#[derive(Clone, Copy)]
struct Note {
    until: Nanos,
    shard: usize,
    number: u64,
}

fn now() -> Nanos {
    after(Duration::ZERO)
}

fn after(duration: Duration) -> Nanos {
    Clock::system().after(duration)
}

impl Timer {
    const fn new() -> Self {
        Self {
            shards: [const { Mutex::new(Notes { wakers: BTreeMap::new(), numbers: 0 }) }; SHARDS],
            looks_at: AtomicU64::new(NEVER),
            thread: OnceCell::new(),
        }
    }

    fn thread(&'static self) -> Option<&'static Thread> {
        let start = || {
            let thread = thread::Builder::new().name("cache-request-timer".to_owned()).spawn(|| self.run());
            thread.map(|running| running.thread().clone())
        };
        self.thread.get_or_try_init(start).ok()
    }

    /// A note without a waker yet.
    fn note(&self, until: Nanos) -> Note {
        let shard = shard();
        let mut notes = lock(&self.shards[shard]);
        if notes.numbers == 0 {
            notes.wakers.insert(LAST, Waker::noop().clone());
        }
        notes.numbers += 1;
        Note { until, shard, number: notes.numbers }
    }

    fn run(&self) {
        loop {
            self.looks_at.store(NEVER, Ordering::SeqCst);
            let next = self.look();
            self.looks_at.store(next, Ordering::SeqCst);
            // A note made meanwhile has left a token, and with that the thread does not park.
            if next == NEVER {
                thread::park();
            } else {
                thread::park_timeout(Duration::from_nanos(next.saturating_sub(now())));
            }
        }
    }

    /// Wakes the operations whose deadline has passed, and returns the next deadline.
    fn look(&self) -> Nanos {
        let now = now();
        let mut next = NEVER;
        for shard in &self.shards {
            let due = {
                let mut notes = lock(shard);
                let later = notes.wakers.split_off(&(now.saturating_add(1), 0));
                if let Some(((until, _), _)) = later.first_key_value() {
                    next = next.min(*until);
                }
                mem::replace(&mut notes.wakers, later)
            };
            for waker in due.into_values() {
                catch_panic(|| waker.wake());
            }
        }
        next
    }
}

/// The running thread's shard.
fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }

    SHARD.with(|shard| {
        let number = shard.get().unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
        shard.set(Some(number));
        number
    })
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        if self.note.map_or(duration.is_zero(), |note| note.until <= now()) {
            return Poll::Ready(());
        }
        let timer = *self.timer.get_or_insert_with(|| timer(Process::this()));
        let (Some(thread), Some(waker)) = (timer.thread(), catch_panic(|| context.waker().clone())) else {
            return Poll::Ready(());
        };
        let Note { until, shard, number } = *self.note.get_or_insert_with(|| timer.note(after(duration)));
        if until == NEVER {
            return Poll::Pending;
        }
        let earlier = lock(&timer.shards[shard]).wakers.insert((until, number), waker);
        catch_panic(|| drop(earlier));
        if until < timer.looks_at.load(Ordering::SeqCst) {
            thread.unpark();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(timer), Some(Note { until, shard, number })) = (self.timer, self.note) {
            let waker = lock(&timer.shards[shard]).wakers.remove(&(until, number));
            catch_panic(|| drop(waker));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::atomic::AtomicUsize, task::Wake, time::Instant};

    use futures_lite::future::block_on;

    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    fn timer() -> &'static Timer {
        Box::leak(Box::new(Timer::new()))
    }

    impl Timer {
        fn sleep(&'static self, duration: Duration) -> Sleep {
            Sleep { timer: Some(self), duration, note: None }
        }
    }

    fn notes(timer: &Timer) -> usize {
        timer.shards.iter().map(|shard| lock(shard).wakers.keys().filter(|place| **place != LAST).count()).sum()
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain");
            thread::yield_now();
        }
    }

    #[test]
    fn who_sleeps_wakes_when_it_is_time_and_not_before() {
        let timer = timer();
        let sleepers = (0..50).map(|number| {
            thread::spawn(move || {
                let duration = Duration::from_millis(number * 7 % 50);
                let begun = Instant::now();
                block_on(timer.sleep(duration));
                assert!(begun.elapsed() >= duration);
            })
        });
        sleepers.collect::<Vec<_>>().into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(notes(timer), 0);
    }

    #[test]
    fn an_earlier_note_is_not_kept_waiting_for_a_later_one() {
        let timer = timer();
        let mut later = pin!(timer.sleep(LONG));
        assert!(later.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait_until(|| Some(timer.looks_at.load(Ordering::SeqCst)) == later.note.map(|note| note.until));
        block_on(timer.sleep(Duration::from_millis(10)));
        assert_eq!(notes(timer), 1);
    }

    #[test]
    fn a_later_note_wakes_no_thread() {
        let timer = timer();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = Box::pin(timer.sleep(LONG));
        assert!(first.as_mut().poll(&mut context).is_pending());
        let looks_at = first.note.unwrap().until;
        wait_until(|| timer.looks_at.load(Ordering::SeqCst) == looks_at);
        // Had the thread looked again, it would have found this one gone.
        drop(first);
        for _ in 0..1000 {
            let mut later = pin!(timer.sleep(LONG));
            assert!(later.as_mut().poll(&mut context).is_pending());
        }
        thread::sleep(Duration::from_millis(20));
        assert_eq!(timer.looks_at.load(Ordering::SeqCst), looks_at);
    }

    #[test]
    fn who_is_dropped_leaves_no_note() {
        let timer = timer();
        let mut sleep = Box::pin(timer.sleep(LONG));
        for _ in 0..3 {
            assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(notes(timer), 1);
        }
        drop(sleep);
        assert_eq!(notes(timer), 0);
    }

    #[test]
    fn the_last_waker_is_woken_once() {
        #[derive(Default)]
        struct Woken(AtomicUsize);

        impl Wake for Woken {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }

        let timer = timer();
        let (first, last, mut sleep) = loop {
            let [first, last] = [std::sync::Arc::new(Woken::default()), std::sync::Arc::new(Woken::default())];
            let begun = Instant::now();
            let mut sleep = Box::pin(timer.sleep(Duration::from_millis(500)));
            let both_wait = [&first, &last].into_iter().all(|woken| {
                let waker = Waker::from(std::sync::Arc::clone(woken));
                sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            // A machine that was too slow for that tries again.
            if begun.elapsed() < Duration::from_millis(500) {
                assert!(both_wait);
                break (first, last, sleep);
            }
        };
        wait_until(|| last.0.load(Ordering::SeqCst) == 1);
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(first.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_waker_that_panics_does_no_harm() {
        struct Panics;

        impl Wake for Panics {
            fn wake(self: std::sync::Arc<Self>) {
                panic!("a waker");
            }
        }

        let timer = timer();
        let mut sleep = pin!(timer.sleep(Duration::from_millis(1)));
        let _ = sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(std::sync::Arc::new(Panics))));
        block_on(timer.sleep(Duration::from_millis(20)));
        assert_eq!(notes(timer), 0);
    }

    #[test]
    fn no_time_is_no_wait_and_all_time_never_ends() {
        let timer = timer();
        block_on(timer.sleep(Duration::ZERO));
        let mut never = pin!(timer.sleep(Duration::MAX));
        assert!(never.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(notes(timer), 0);
    }
}
