//! Rounds: every contender in turn, on one or more threads, again and again.

use std::{
    env,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// How often everything is repeated: `ROUNDS`, or else `default`.
#[must_use]
pub fn count(default: usize) -> usize {
    env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default).max(1)
}

/// Whether to run what is called `name`: all, or what the command line names (`cargo bench … -- zipf`).
#[must_use]
pub fn chosen(name: &str) -> bool {
    let mut wanted = env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| name.contains(&wanted))
}

/// The turns of one round: `count` contenders, another one first each time, so that none always runs in the wake of the same.
pub fn turns(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (round + turn) % count)
}

/// Runs `work(0)`, `work(1)`, … on that many threads at once: from the first one's start to the last one's end.
///
/// Each thread runs its `warm_up` first, unmeasured. One thread is the calling thread.
///
/// # Panics
///
/// If `warm_up` or `work` does.
pub fn on_threads(threads: usize, warm_up: impl Fn(usize) + Sync, work: impl Fn(usize) + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let timed = |thread| {
        warm_up(thread);
        barrier.wait();
        let start = Instant::now();
        work(thread);
        (start, Instant::now())
    };
    let spans: Vec<_> = if threads == 1 {
        vec![timed(0)]
    } else {
        thread::scope(|scope| {
            let timed = &timed;
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || timed(thread))).collect();
            running.into_iter().map(|running| running.join().expect("the work does not panic")).collect()
        })
    };
    let start = spans.iter().map(|(start, _)| *start).min();
    let end = spans.iter().map(|(_, end)| *end).max();
    end.zip(start).map(|(end, start)| end - start).unwrap_or_default()
}
