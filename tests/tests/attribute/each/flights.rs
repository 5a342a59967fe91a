//! Calls that overlap: each element is made once.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    thread,
};

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use futures_lite::future::{block_on, yield_now, zip};

use super::{Asked, caches};
use crate::support::{Count, Gate, Held, ends, poll};

/// The first bodies wait for the gate of their number.
struct World {
    cache: Cache,
    asked: Asked,
    began: Count,
    gates: [Gate; 2],
    /// The numbers of bodies that fail, as bits.
    fails: AtomicU32,
    panics: AtomicU32,
}

impl World {
    fn new(cache: Cache) -> Self {
        let (asked, began, gates) = (Asked::default(), Count::new(), [Gate::new(), Gate::new()]);
        Self { cache, asked, began, gates, fails: AtomicU32::new(0), panics: AtomicU32::new(0) }
    }

    fn call<'a>(&'a self, ids: &'a [u64]) -> Held<'a, Result<HashMap<u64, u64>, u32>> {
        Box::pin(scoped(&self.cache, f(self, ids)))
    }

    fn begin<'a>(&'a self, ids: &'a [u64]) -> Held<'a, Result<HashMap<u64, u64>, u32>> {
        let mut call = self.call(ids);
        assert!(poll(&mut call).is_none(), "it waits for nothing");
        call
    }
}

#[cache_request(skip(world), each(ids))]
async fn f(world: &World, ids: &[u64]) -> Result<HashMap<u64, u64>, u32> {
    world.asked.note(ids);
    let number = world.began.next() - 1;
    if let Some(gate) = world.gates.get(number as usize) {
        gate.passed().await;
    }
    assert_eq!(world.panics.load(SeqCst) >> number & 1, 0, "a panic on purpose");
    if world.fails.load(SeqCst) >> number & 1 == 1 { Err(number) } else { Ok(map(ids)) }
}

fn map(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, id * 2)).collect()
}

#[test]
fn two_calls_that_overlap_make_each_element_once() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            let (mut first, mut second) = (world.begin(&[1, 2, 3]), world.begin(&[3, 4, 1, 5]));
            assert_eq!(world.asked.take(), [vec![1, 2, 3], vec![4, 5]], "{place}");
            world.gates[1].open();
            assert!(poll(&mut second).is_none(), "it has made its own, and waits for the others: {place}");
            world.gates[0].open();
            assert!(poll(&mut second).is_none(), "{place}");
            assert_eq!(block_on(&mut first), Ok(map(&[1, 2, 3])), "{place}");
            assert_eq!(block_on(&mut second), Ok(map(&[3, 4, 1, 5])), "{place}");
            assert!(world.asked.take().is_empty(), "{place}");
            let stats = world.cache.stats();
            assert_eq!((stats.functions[0].coalesced, stats.functions[0].bodies), (2, 2), "{place}: {stats}");
        }
    });
}

/// Each leads what the other one waits for.
#[test]
fn two_calls_in_opposite_order_do_not_wait_for_one_another() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            let (mut first, mut second) = (world.begin(&[1, 2]), world.begin(&[2, 3, 1]));
            world.gates.iter().for_each(Gate::open);
            let both = block_on(zip(&mut first, &mut second));
            assert_eq!(both, (Ok(map(&[1, 2])), Ok(map(&[1, 2, 3]))), "{place}");
            assert_eq!(world.asked.take(), [vec![1, 2], vec![3]], "{place}");
        }
    });
}

#[test]
fn what_a_failed_body_leaves_costs_one_more_body() {
    ends(|| {
        for (place, cache, _) in caches() {
            for how in ["err", "panic", "cancelled"] {
                let world = World::new(cache.clone());
                let ids: Vec<u64> = if how == "err" {
                    vec![1, 2, 3]
                } else if how == "panic" {
                    vec![11, 12, 13]
                } else {
                    vec![21, 22, 23]
                };
                let more = ids[0] + 3;
                let list = [ids[2], more, ids[0], ids[1]];
                let (mut first, mut second) = (world.begin(&ids), world.begin(&list));
                world.gates[1].open();
                assert!(poll(&mut second).is_none());
                if how == "cancelled" {
                    drop(first);
                } else {
                    let flag = if how == "err" { &world.fails } else { &world.panics };
                    flag.store(1, SeqCst);
                    world.gates[0].open();
                    let ended = catch_unwind(AssertUnwindSafe(|| block_on(&mut first)));
                    match how {
                        "err" => assert_eq!(ended.unwrap(), Err(0)),
                        _ => assert!(ended.is_err(), "{place}"),
                    }
                }
                assert_eq!(block_on(&mut second), Ok(map(&list)), "{place}, {how}");
                let mut bodies = world.asked.take();
                if place != "memory" {
                    // The leases of the failed body are given back one by one.
                    let rest = bodies.split_off(2).concat();
                    bodies.push([ids[2], ids[0], ids[1]].into_iter().filter(|id| rest.contains(id)).collect());
                    assert_eq!(rest.len(), 3, "{place}, {how}");
                }
                assert_eq!(bodies, [ids.clone(), vec![more], vec![ids[2], ids[0], ids[1]]], "{place}, {how}");
            }
        }
    });
}

#[test]
fn a_call_that_was_cancelled_while_it_waits_leaves_nothing_behind() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            let (mut first, mut second) = (world.begin(&[1, 2]), world.begin(&[2, 3]));
            world.gates[1].open();
            assert!(poll(&mut second).is_none());
            drop(second);
            world.gates[0].open();
            assert_eq!(block_on(&mut first), Ok(map(&[1, 2])), "{place}");
            assert_eq!(block_on(world.call(&[3, 1])), Ok(map(&[3, 1])), "{place}");
            assert_eq!(world.asked.take(), [vec![1, 2], vec![3]], "what is made is kept: {place}");
        }
    });
}

#[test]
fn an_element_that_was_invalidated_meanwhile_is_not_kept() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            let mut call = world.begin(&[1, 2, 3]);
            block_on(scoped_sync(&world.cache, || f_cache(&world, 2)).invalidate()).unwrap();
            world.gates.iter().for_each(Gate::open);
            assert_eq!(block_on(&mut call), Ok(map(&[1, 2, 3])), "{place}");
            assert_eq!(block_on(world.call(&[1, 2, 3])), Ok(map(&[1, 2, 3])), "{place}");
            assert_eq!(world.asked.take(), [vec![1, 2, 3], vec![2]], "{place}");
        }
    });
}

/// The body of a list asks for elements of the same list, and for those of a caller that waits for it.
#[cache_request(skip(world), each(ids))]
async fn inward(world: &World, ids: &[u64]) -> HashMap<u64, u64> {
    world.asked.note(ids);
    if ids.contains(&1) && ids.len() > 1 {
        return Box::pin(inward(world, &[1])).await.into_iter().chain(map(&ids[1..])).collect();
    }
    map(ids)
}

#[test]
fn a_body_waited_for_itself() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            assert_eq!(block_on(scoped(&world.cache, inward(&world, &[1, 2]))), map(&[1, 2]), "{place}");
            assert_eq!(world.asked.take(), [vec![1, 2], vec![1]], "{place}");
        }
    });
}

/// `left` asks for an element of `right` in its body, and the other way round.
#[cache_request(skip(world), each(ids))]
async fn left(world: &World, ids: &[u64], depth: u32) -> HashMap<u64, u64> {
    world.asked.note(ids);
    yield_now().await;
    if depth > 0 {
        Box::pin(right(world, ids, depth - 1)).await;
    }
    map(ids)
}

#[cache_request(skip(world, depth), each(ids))]
async fn right(world: &World, ids: &[u64], depth: u32) -> HashMap<u64, u64> {
    yield_now().await;
    if depth > 0 {
        Box::pin(left(world, ids, depth)).await;
    }
    map(ids)
}

#[test]
fn bodies_waited_for_one_another_in_a_circle() {
    ends(|| {
        for (place, cache, _) in caches() {
            let world = World::new(cache);
            let both = block_on(scoped(&world.cache, zip(left(&world, &[1, 2], 2), right(&world, &[2, 1], 2))));
            assert_eq!(both, (map(&[1, 2]), map(&[1, 2])), "{place}");
        }
    });
}

#[cache_request(skip(bodies), each(ids))]
fn plain(bodies: &Count, ids: &[u64]) -> Vec<u64> {
    for _ in ids {
        bodies.next();
        thread::yield_now();
    }
    ids.iter().map(|id| id * 2).collect()
}

#[test]
fn threads_with_lists_that_overlap_make_each_element_once() {
    ends(|| {
        for (place, cache, _) in caches() {
            let bodies = Count::new();
            thread::scope(|scope| {
                for number in 0..8 {
                    let (cache, bodies) = (&cache, &bodies);
                    scope.spawn(move || {
                        for begin in 0..20 {
                            let mut ids: Vec<u64> = (begin * 3..begin * 3 + 10).collect();
                            ids.rotate_left(number);
                            let expected: Vec<u64> = ids.iter().map(|id| id * 2).collect();
                            assert_eq!(scoped_sync(cache, || plain(bodies, &ids)), expected);
                        }
                    });
                }
            });
            assert_eq!(bodies.get(), 67, "{place}");
        }
    });
}

/// A leader whose future is held and not polled. The clock stands still, so that only the task tells.
#[test]
fn a_call_that_is_not_polled_held_up_another_one() {
    ends(|| {
        let world = World::new(caches().swap_remove(0).1);
        let mut first = world.begin(&[1, 2]);
        world.gates.iter().for_each(Gate::open);
        // It was woken, and its task is this one, which polls only the other call.
        assert_eq!(block_on(world.call(&[2, 1])), Ok(map(&[2, 1])));
        assert_eq!(block_on(&mut first), Ok(map(&[1, 2])));
    });
}

/// The body for 1 asks for 2.
#[cache_request(skip(world), each(ids))]
async fn nesting(world: &World, ids: &[u64]) -> Result<HashMap<u64, u64>, u32> {
    world.asked.note(ids);
    let number = world.began.next() - 1;
    if let Some(gate) = world.gates.get(number as usize) {
        gate.passed().await;
    }
    match ids {
        [1, 2] => return Err(number),
        [1] => _ = world.nest(&[2]).await?,
        _ => {}
    }
    Ok(map(ids))
}

impl World {
    fn nest<'a>(&'a self, ids: &'a [u64]) -> Held<'a, Result<HashMap<u64, u64>, u32>> {
        Box::pin(scoped(&self.cache, nesting(self, ids)))
    }
}

/// Two calls lead in place of one whose body ran for both.
#[test]
fn calls_after_a_failed_body_were_taken_for_one() {
    ends(|| {
        let world = World::new(caches().swap_remove(0).1);
        let (mut failing, mut one, mut two) = (world.nest(&[1, 2]), world.nest(&[1]), world.nest(&[2]));
        assert!(poll(&mut failing).is_none() && poll(&mut one).is_none() && poll(&mut two).is_none());
        world.gates[0].open();
        assert_eq!(poll(&mut failing), Some(Err(0)));
        assert!(poll(&mut two).is_none() && poll(&mut one).is_none());
        assert_eq!(world.asked.take(), [vec![1, 2], vec![2], vec![1]], "the body for 1 waits for that for 2");
        world.gates[1].open();
        assert_eq!(block_on(&mut two), Ok(map(&[2])));
        assert_eq!(block_on(&mut one), Ok(map(&[1])));
        assert!(world.asked.take().is_empty());
    });
}
