//! Any sequence of calls gives what the bodies would give.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use cache_request::{cache_request, scoped_sync};
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use super::{Asked, caches};

/// Elements beyond are absent.
const ABSENT: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// The list, and whether the body fails.
    Call(Vec<u64>, bool),
    OfVec(Vec<u64>),
    Invalidate(u64),
    Put(u64, u64),
    Refresh(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let list = || vec(0..9_u64, 0..6);
    prop_oneof![
        4 => (list(), any::<bool>()).prop_map(|(ids, fails)| Step::Call(ids, fails)),
        4 => list().prop_map(Step::OfVec),
        2 => (0..9_u64).prop_map(Step::Invalidate),
        1 => (0..9_u64, 100..200_u64).prop_map(|(id, value)| Step::Put(id, value)),
        1 => (0..9_u64).prop_map(Step::Refresh),
        1 => (0..8_u64).prop_map(Step::Wait),
    ]
}

thread_local! {
    /// What bodies return for all elements, besides their number.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
    static FAILS: Cell<bool> = const { Cell::new(false) };
}

#[cache_request(timeout = 10, skip(asked), each(ids))]
fn of_map(asked: &Asked, ids: &[u64]) -> Result<HashMap<u64, u64>, ()> {
    asked.note(ids);
    if FAILS.get() {
        return Err(());
    }
    Ok(ids.iter().filter(|id| **id < ABSENT).map(|id| (*id, value(*id))).collect())
}

#[cache_request(timeout = 10, skip(asked), each(ids))]
fn of_vec(asked: &Asked, ids: Vec<u64>) -> Vec<u64> {
    asked.note(&ids);
    ids.into_iter().map(value).collect()
}

fn value(id: u64) -> u64 {
    GENERATION.get() * 1000 + id
}

/// What a cache has to hold: the value of each element, and when it ends.
#[derive(Default)]
struct Model {
    map: HashMap<u64, (Option<u64>, u64)>,
    vec: HashMap<u64, (u64, u64)>,
    now: u64,
    in_memory: bool,
}

/// The elements without a value, in the order of the list, each once.
fn missing<V>(ids: &[u64], known: &HashMap<u64, (V, u64)>, now: u64) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().filter(|id| known.get(id).is_none_or(|(_, end)| now >= *end) && seen.insert(*id)).collect()
}

impl Model {
    /// One body ran for what was missing. With a backend there may be more of them, after one that has failed: its leases are given back one by
    /// one.
    fn assert_asked(&self, missing: &[u64], asked: &Asked) {
        let bodies = asked.take();
        if self.in_memory || bodies.len() < 2 {
            let expected = if missing.is_empty() { vec![] } else { vec![missing.to_vec()] };
            return assert_eq!(bodies, expected);
        }
        let sorted = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!((bodies.concat().len(), sorted(&bodies.concat())), (missing.len(), sorted(missing)));
    }

    fn take(&mut self, step: &Step, asked: &Asked) {
        let end = self.now + 10;
        GENERATION.set(GENERATION.get() + 1);
        match step {
            Step::Call(ids, fails) => {
                FAILS.set(*fails);
                let answer = of_map(asked, ids);
                FAILS.set(false);
                let missing = missing(ids, &self.map, self.now);
                if *fails && !missing.is_empty() {
                    assert_eq!(asked.take().len(), 1);
                    return assert_eq!(answer, Err(()));
                }
                self.assert_asked(&missing, asked);
                self.map.extend(missing.into_iter().map(|id| (id, ((id < ABSENT).then(|| value(id)), end))));
                let expected = ids.iter().filter_map(|id| Some((*id, self.map[id].0?))).collect();
                assert_eq!(answer, Ok(expected));
            }
            Step::OfVec(ids) => {
                let answer = of_vec(asked, ids.clone());
                let missing = missing(ids, &self.vec, self.now);
                self.assert_asked(&missing, asked);
                self.vec.extend(missing.into_iter().map(|id| (id, (value(id), end))));
                assert_eq!(answer, ids.iter().map(|id| self.vec[id].0).collect::<Vec<_>>());
            }
            Step::Invalidate(id) => {
                let was_there = self.map.remove(id).is_some_and(|(_, end)| self.now < end);
                assert_eq!(of_map_cache(asked, *id).invalidate().unwrap(), was_there);
                self.vec.remove(id);
                of_vec_cache(asked, *id).invalidate().unwrap();
            }
            Step::Put(id, value) => {
                of_map_cache(asked, *id).put(&Ok(Some(*value))).unwrap();
                self.map.insert(*id, (Some(*value), end));
                of_vec_cache(asked, *id).put(&Some(*value)).unwrap();
                self.vec.insert(*id, (*value, end));
            }
            Step::Refresh(id) => {
                let absent = (*id >= ABSENT).then_some(None);
                assert_eq!(of_map_cache(asked, *id).refresh(), Ok(absent.unwrap_or(Some(value(*id)))));
                self.map.insert(*id, (absent.unwrap_or(Some(value(*id))), end));
                assert_eq!(asked.take(), [[*id]]);
            }
            Step::Wait(_) => {}
        }
    }
}

#[test]
fn any_sequence_gives_what_the_bodies_would_give() {
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let steps = vec(step(), 1..40);
    let outcome = runner.run(&steps, |steps| {
        for (place, cache, clock) in caches() {
            let (mut model, asked) = (Model { in_memory: place == "memory", ..Model::default() }, Asked::default());
            GENERATION.set(0);
            for step in &steps {
                if let Step::Wait(seconds) = step {
                    clock.advance(Duration::from_secs(*seconds));
                    model.now += seconds;
                }
                scoped_sync(&cache, || model.take(step, &asked));
            }
            assert_eq!(cache.stats().faults(), 0);
        }
        Ok(())
    });
    outcome.unwrap();
}
