//! What is kept of an answer.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use cache_request::{Cache, cache_request, scoped_sync};

use super::{Asked, caches};

fn with_absent(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().filter(|id| *id % 2 == 0).map(|id| (*id, *id)).collect()
}

#[cache_request(skip(asked), each(ids), skip_none)]
fn present(asked: &Asked, ids: &[u64]) -> HashMap<u64, u64> {
    asked.note(ids);
    with_absent(ids)
}

#[test]
fn absent_elements_are_asked_for_again_if_the_attribute_says_so() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        for _ in 0..2 {
            assert_eq!(scoped_sync(&cache, || present(&asked, &[1, 2, 3, 4])), with_absent(&[2, 4]), "{place}");
        }
        // A lease of the first body that is not back yet makes two bodies of the second one.
        let mut of_second = asked.take().split_off(1).concat();
        of_second.sort_unstable();
        assert_eq!(of_second, [1, 3], "{place}");
    }
}

/// Each closure sees the value of one element.
#[cache_request(skip(asked), each(ids), when = |value| *value != Some(4), timeout_with = |value| Duration::from_secs(value.unwrap_or(1)))]
fn by_value(asked: &Asked, ids: &[u64]) -> HashMap<u64, u64> {
    asked.note(ids);
    with_absent(ids)
}

#[test]
fn each_element_is_kept_for_a_time_of_its_own() {
    for (place, cache, clock) in caches() {
        let asked = Asked::default();
        let call = || {
            assert_eq!(
                scoped_sync(&cache, || by_value(&asked, &[1, 4, 10, 100])),
                with_absent(&[4, 10, 100]),
                "{place}"
            );
            asked.take()
        };
        assert_eq!(call(), [[1, 4, 10, 100]], "{place}");
        assert_eq!(call(), [[4]], "{place}");
        clock.advance(Duration::from_secs(5));
        assert_eq!(call(), [[1, 4]], "{place}");
        clock.advance(Duration::from_secs(50));
        assert_eq!(call(), [[1, 4, 10]], "{place}");
        clock.advance(Duration::from_secs(500));
        assert_eq!(call(), [[1, 4, 10, 100]], "{place}");
    }
}

#[cache_request(skip(asked), each(ids), weight = |value| if *value > 5 { usize::MAX } else { 8 })]
fn heavy(asked: &Asked, ids: &[u64]) -> Vec<u64> {
    asked.note(ids);
    ids.to_vec()
}

#[test]
fn each_element_has_a_weight_of_its_own() {
    let (cache, asked) = (Cache::builder().build().unwrap(), Asked::default());
    for _ in 0..2 {
        assert_eq!(scoped_sync(&cache, || heavy(&asked, &[1, 6, 2])), [1, 6, 2]);
    }
    assert_eq!(asked.take(), [vec![1, 6, 2], vec![6]]);
    assert_eq!(cache.stats().functions[0].faults.too_large, 2);
}

/// Returns one more than it is asked for.
#[cache_request(skip(asked), each(ids))]
fn generous(asked: &Asked, ids: &[u64]) -> BTreeMap<u64, u64> {
    asked.note(ids);
    ids.iter().chain(&[99]).map(|id| (*id, *id)).collect()
}

#[test]
fn values_that_were_not_asked_for_are_ignored_and_counted() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64]| scoped_sync(&cache, || generous(&asked, ids));
        assert_eq!(call(&[1, 2]), BTreeMap::from([(1, 1), (2, 2)]), "{place}");
        assert_eq!(cache.stats().functions[0].unasked, 1, "{place}");
        assert_eq!(call(&[99, 1]), BTreeMap::from([(1, 1), (99, 99)]), "{place}");
        assert_eq!(asked.take(), [vec![1, 2], vec![99]], "{place}");
    }
}

/// Leaves out an element.
#[cache_request(skip(asked), each(ids))]
fn short(asked: &Asked, ids: &[u64]) -> Vec<u64> {
    asked.note(ids);
    ids.iter().copied().filter(|id| *id != 7).collect()
}

#[test]
fn a_vec_of_another_length_gave_elements_the_values_of_others() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64]| scoped_sync(&cache, || short(&asked, ids));
        assert_eq!(call(&[6, 7, 8]), [6, 8], "{place}");
        assert_eq!(asked.take(), [[6, 7, 8]], "the answer is returned as it is: {place}");
        assert_eq!(call(&[6, 8]), [6, 8], "{place}");
        // A lease of the first body that is not back yet makes two bodies of it.
        assert_eq!(asked.take().concat(), [6, 8], "nothing was kept: {place}");
        assert_eq!(call(&[6, 7, 8, 6]), [6, 8, 6], "{place}");
        assert_eq!(asked.take(), [vec![7], vec![6, 7, 8, 6]], "the answer is that for the whole list: {place}");
        assert_eq!(cache.stats().functions[0].faults.codec, 2, "{place}");
    }
}

/// A key that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Odd(u64);

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 13 { Err(serde::ser::Error::custom("thirteen")) } else { serializer.serialize_u64(self.0) }
    }
}

#[cache_request(skip(asked), each(ids))]
fn odd(asked: &Asked, ids: &[Odd]) -> HashMap<Odd, u64> {
    asked.note(&ids.iter().map(|id| id.0).collect::<Vec<_>>());
    ids.iter().map(|id| (id.clone(), id.0)).collect()
}

#[test]
fn an_element_without_a_key_is_asked_for_each_time() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let list = [Odd(1), Odd(13), Odd(2)];
        for _ in 0..2 {
            let answer = scoped_sync(&cache, || odd(&asked, &list));
            assert_eq!(answer, HashMap::from([(Odd(1), 1), (Odd(13), 13), (Odd(2), 2)]), "{place}");
        }
        assert_eq!(asked.take(), [vec![1, 13, 2], vec![13]], "{place}");
        let stats = cache.stats();
        assert_eq!((stats.functions[0].uncached, stats.functions[0].faults.key), (2, 2), "{place}");
    }
}

#[test]
fn a_disabled_cache_runs_the_body_for_the_whole_list() {
    let (cache, asked) = (Cache::from_url("null://").unwrap(), Asked::default());
    for _ in 0..2 {
        assert_eq!(scoped_sync(&cache, || generous(&asked, &[2, 1, 2])).len(), 3);
    }
    assert_eq!(asked.take(), [[2, 1, 2], [2, 1, 2]]);
}

/// A name whose case is no part of what it means, but of how it is written.
#[derive(Clone, Debug, serde::Serialize)]
struct Named(String);

impl Named {
    fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Named {}

impl std::hash::Hash for Named {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

#[cache_request(skip(asked), each(names))]
fn hashed(asked: &Asked, names: &[Named]) -> HashMap<Named, usize> {
    asked.note(&names.iter().map(|name| name.0.len() as u64).collect::<Vec<_>>());
    names.iter().filter(|name| name.0 != "?").map(|name| (name.clone(), name.0.len())).collect()
}

#[cache_request(skip(asked), each(names))]
fn sorted(asked: &Asked, names: &[Named]) -> BTreeMap<Named, usize> {
    hashed(asked, names).into_iter().collect()
}

#[test]
fn an_element_that_equals_another_one_was_kept_as_absent() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let names = ["Ann", "?", "ANN", "Bob", "ann"].map(|name| Named(name.to_owned()));
        scoped_sync(&cache, || {
            assert_eq!((hashed(&asked, &names).len(), sorted(&asked, &names).len()), (2, 2), "{place}");
            asked.take();
            for name in &names {
                let expected = (name.0 != "?").then_some(3);
                assert_eq!(hashed_cache(&asked, name.clone()).peek(), Some(expected), "{place}: {name:?}");
                assert_eq!(sorted_cache(&asked, name.clone()).peek(), Some(expected), "{place}: {name:?}");
            }
        });
        assert!(asked.take().is_empty(), "{place}");
    }
}

#[test]
fn an_empty_list_ran_the_body_where_there_is_no_cache() {
    let asked = Asked::default();
    let caches = caches().into_iter().map(|(place, cache, _)| (place, cache));
    for (place, cache) in caches.chain([("null", Cache::from_url("null://").unwrap())]) {
        scoped_sync(&cache, || {
            assert_eq!((generous(&asked, &[]).len(), short(&asked, &[]).len()), (0, 0), "{place}");
        });
        assert!(asked.take().is_empty(), "{place}");
    }
}
