//! What calls return, and what they ask their bodies for.

use std::collections::{BTreeMap, HashMap};

use cache_request::{cache_request, scoped, scoped_sync};

use super::{Asked, caches};
use futures_lite::future::block_on;

/// Names of odd numbers.
#[cache_request(skip(asked), each(ids))]
async fn names(asked: &Asked, ids: &[u64]) -> HashMap<u64, String> {
    asked.note(ids);
    ids.iter().filter(|id| *id % 2 == 1).map(|id| (*id, id.to_string())).collect()
}

fn odd(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().filter(|id| *id % 2 == 1).map(|id| (*id, id.to_string())).collect()
}

#[test]
fn a_body_is_asked_for_what_is_missing() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64]| block_on(scoped(&cache, names(&asked, ids)));
        assert_eq!(call(&[1, 2, 3]), odd(&[1, 2, 3]), "{place}");
        assert_eq!(asked.take(), [[1, 2, 3]], "{place}");
        assert_eq!(call(&[3, 4, 5, 1]), odd(&[3, 4, 5, 1]), "{place}");
        assert_eq!(asked.take(), [[4, 5]], "{place}");
        // The absence of 2 and 4 is known as well.
        assert_eq!(call(&[4, 2]), HashMap::new(), "{place}");
        assert_eq!(asked.take(), Vec::<Vec<u64>>::new(), "{place}");
    }
}

#[cache_request(skip(asked), each(ids))]
fn squares(asked: &Asked, ids: Vec<u64>) -> Vec<u64> {
    asked.note(&ids);
    ids.iter().map(|id| id * id).collect()
}

#[test]
fn a_vec_is_in_the_order_of_the_list() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64]| scoped_sync(&cache, || squares(&asked, ids.to_vec()));
        assert_eq!(call(&[3, 1]), [9, 1], "{place}");
        assert_eq!(call(&[5, 3, 5, 1, 2, 5]), [25, 9, 25, 1, 4, 25], "{place}");
        assert_eq!(asked.take(), [vec![3, 1], vec![5, 2]], "{place}");
        assert_eq!(call(&[]), Vec::<u64>::new(), "{place}");
        assert!(asked.take().is_empty(), "{place}");
    }
}

#[cache_request(skip(asked), each(ids))]
async fn fallible(asked: &Asked, ids: &[u64], limit: u64) -> Result<BTreeMap<u64, u64>, String> {
    asked.note(ids);
    match ids.iter().find(|id| **id >= limit) {
        Some(id) => Err(format!("{id}")),
        None => Ok(ids.iter().map(|id| (*id, id + limit)).collect()),
    }
}

#[test]
fn an_error_is_returned_and_nothing_is_kept() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64], limit| block_on(scoped(&cache, fallible(&asked, ids, limit)));
        assert_eq!(call(&[1, 2], 9), Ok(BTreeMap::from([(1, 10), (2, 11)])), "{place}");
        assert_eq!(call(&[2, 3, 10], 9), Err("10".to_owned()), "{place}");
        assert_eq!(call(&[2, 3], 9), Ok(BTreeMap::from([(2, 11), (3, 12)])), "{place}");
        // Another limit is another key.
        assert_eq!(call(&[2], 5), Ok(BTreeMap::from([(2, 7)])), "{place}");
        assert_eq!(asked.take(), [vec![1, 2], vec![3, 10], vec![3], vec![2]], "{place}");
    }
}
