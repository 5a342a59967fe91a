//! Those who wait: whatever becomes of the leader, each gets an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// Two threads and two tasks.
fn four_callers(world: &Arc<World>) -> Vec<u32> {
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let world = Arc::clone(world);
            thread::spawn(move || world.call())
        })
        .collect();
    let tasks: Vec<_> = (0..2).map(|_| future::spawn(Arc::clone(world).call_async())).collect();
    let answers = threads.into_iter().map(|thread| thread.join().unwrap());
    let answers: Vec<_> = answers.collect();
    answers.into_iter().chain(tasks.into_iter().map(|task| future::block_on(task).unwrap())).collect()
}

#[test]
fn callers_of_one_key_share_one_body() {
    explore(|| {
        let world = World::in_memory();
        assert_eq!(four_callers(&world), [1; 4]);
        assert_eq!(world.begun(), 1);
        world.assert_quiet();
    });
}

#[test]
fn what_is_not_kept_is_shared_all_the_same() {
    explore(|| {
        let world = World::in_memory();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let policy = policy().when(|_| false);
                    scoped_sync(&world.cache, || plain(1, policy, || world.plain_body()).call())
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), 1);
        }
        assert_eq!(world.most_at_once(), 1, "one body at a time");
        world.assert_quiet();
    });
}

#[test]
fn one_waiter_takes_over_from_a_leader_that_goes_away() {
    for polls in 0..4 {
        explore(move || {
            let world = World::in_memory();
            let leader = future::spawn(cancelled(Arc::clone(&world).call_async(), polls));
            assert_eq!(four_callers(&world), [1; 4]);
            future::block_on(leader).unwrap();
            assert_eq!(world.most_at_once(), 1, "one body at a time");
            assert!(world.begun() <= 2, "one more than was given up");
            assert_eq!(world.ended(), 1);
            world.assert_quiet();
        });
    }
}

#[test]
fn a_waiter_that_goes_away_is_not_missed() {
    for polls in 1..3 {
        explore(move || {
            let world = World::in_memory();
            let thread = thread::spawn({
                let world = Arc::clone(&world);
                move || world.call()
            });
            let waiter = future::spawn(cancelled(Arc::clone(&world).call_async(), polls));
            assert_eq!(future::block_on(Arc::clone(&world).call_async()), 1);
            assert_eq!(thread.join().unwrap(), 1);
            future::block_on(waiter).unwrap();
            assert_eq!(world.ended(), 1);
            world.assert_quiet();
        });
    }
}

#[test]
fn after_a_panic_the_waiters_go_on() {
    explore(|| {
        let world = World::in_memory();
        let leader = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let call = || {
                    plain(1, policy(), || {
                        world.plain_body();
                        std::panic::resume_unwind(Box::new("the body panicked"))
                    })
                    .call()
                };
                catch_unwind(AssertUnwindSafe(|| scoped_sync(&world.cache, call)))
            }
        });
        assert_eq!(four_callers(&world), [1; 4]);
        // Who came late found the value of another one.
        assert!(leader.join().unwrap().map_or(true, |answer| answer == 1));
        world.assert_quiet();
    });
}
