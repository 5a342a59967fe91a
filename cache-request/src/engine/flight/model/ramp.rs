//! Bodies that fail: few run at a time, no caller is left behind, and the first value is for all who wait.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;

type Answer = Result<u32, u32>;

const CALLERS: u32 = 7;

fn world(max_leaders: u64) -> Arc<World> {
    World::new(Cache::builder().clock(Clock::mock()).max_leaders(max_leaders).build().expect("no option is wrong"))
}

/// How a body ends.
#[derive(Clone, Copy)]
enum Fails {
    ByErr,
    ByPanic,
}

impl World {
    /// Begins a body, which may run beside the others.
    fn begin(&self, max_leaders: u32) -> Running<'_> {
        let running = Running::new(self);
        let at_once = self.running.load(SeqCst);
        let allowed = self.ended().clamp(1, max_leaders);
        assert!(at_once <= allowed, "{at_once} bodies at once, and {allowed} may run");
        running
    }

    fn fallible_body(&self, failing: u32, max_leaders: u32, fails: Fails) -> Answer {
        let running = self.begin(max_leaders);
        let number = running.number;
        thread::yield_now();
        running.end();
        match fails {
            _ if number > failing => Ok(number),
            Fails::ByErr => Err(number),
            Fails::ByPanic => resume_unwind(Box::new(number)),
        }
    }

    async fn fallible_async_body(self: Arc<Self>, failing: u32, max_leaders: u32) -> Answer {
        let running = self.begin(max_leaders);
        let number = running.number;
        future::yield_now().await;
        running.end();
        if number > failing { Ok(number) } else { Err(number) }
    }
}

fn fallible() -> Policy<Answer, u32> {
    Policy::of_result().serialised()
}

fn call(world: &Arc<World>, failing: u32, max_leaders: u32, fails: Fails) -> Answer {
    let call = || plain(1, fallible(), || world.fallible_body(failing, max_leaders, fails)).call();
    let called = catch_unwind(AssertUnwindSafe(|| scoped_sync(&world.cache, call)));
    called.unwrap_or_else(|panic| Err(*panic.downcast().expect("the body's panic")))
}

async fn call_async(world: Arc<World>, failing: u32, max_leaders: u32) -> Answer {
    let cache = world.cache.clone();
    scoped(&cache, async { pin!(polled(1, fallible(), world.fallible_async_body(failing, max_leaders))).call().await })
        .await
}

/// The answers of threads and tasks. Of their bodies, the first `failing` fail.
fn answers(world: &Arc<World>, failing: u32, max_leaders: u32, fails: Fails) -> Vec<Answer> {
    let threads: Vec<_> = (0..CALLERS / 2)
        .map(|_| {
            let world = Arc::clone(world);
            thread::spawn(move || call(&world, failing, max_leaders, fails))
        })
        .collect();
    let tasks: Vec<_> =
        (CALLERS / 2..CALLERS).map(|_| future::spawn(call_async(Arc::clone(world), failing, max_leaders))).collect();
    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    answers.into_iter().chain(tasks.into_iter().map(|task| future::block_on(task).unwrap())).collect()
}

fn errors(answers: &[Answer]) -> Vec<u32> {
    let mut errors: Vec<_> = answers.iter().filter_map(|answer| answer.err()).collect();
    errors.sort_unstable();
    errors
}

#[test]
fn as_many_lead_as_have_failed() {
    for max_leaders in [1, 3, 16] {
        for fails in [Fails::ByErr, Fails::ByPanic] {
            explore(move || {
                let world = world(max_leaders.into());
                let answers = answers(&world, u32::MAX, max_leaders, fails);
                assert!(errors(&answers).into_iter().eq(1..=CALLERS), "each has the error of its own body");
                world.assert_quiet();
            });
        }
    }
}

#[test]
fn a_value_is_for_all_who_wait() {
    for failing in [1, 3] {
        explore(move || {
            let world = world(16);
            let answers = answers(&world, failing, 16, Fails::ByErr);
            assert!(errors(&answers).into_iter().eq(1..=failing));
            world.assert_quiet();
        });
    }
}

/// Those who go away, leading or waiting, make room for the others.
#[test]
fn who_goes_away_after_a_failure_leaves_nobody_behind() {
    for polls in 1..4 {
        explore(move || {
            let world = world(2);
            let gone: Vec<_> =
                (0..3).map(|_| future::spawn(cancelled(call_async(Arc::clone(&world), u32::MAX, 2), polls))).collect();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || call(&world, u32::MAX, 2, Fails::ByErr))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap().unwrap_err();
            }
            for gone in gone {
                future::block_on(gone).unwrap();
            }
            assert!(world.most_at_once() <= 2);
            world.assert_quiet();
        });
    }
}

/// No caller runs or waits after it, whichever is the last to leave.
#[test]
fn an_invalidation_in_between_leaves_nobody_behind() {
    explore(|| {
        let world = world(16);
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let body = || {
                        thread::yield_now();
                        Answer::Err(1)
                    };
                    scoped_sync(&world.cache, || plain(1, fallible(), body).call())
                })
            })
            .collect();
        thread::yield_now();
        future::block_on(world.cache.clear()).unwrap();
        for caller in callers {
            caller.join().unwrap().unwrap_err();
        }
        world.assert_quiet();
    });
}
