//! The companion works on one element.

use std::{collections::HashMap, time::Duration};

use cache_request::{Source, cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{Asked, caches};

#[cache_request(timeout = 60, skip(asked), each(ids as id))]
async fn names(asked: &Asked, ids: &[u64], lang: &str) -> Result<HashMap<u64, String>, String> {
    asked.note(ids);
    if ids.contains(&0) {
        return Err("zero".to_owned());
    }
    Ok(ids.iter().filter(|id| **id < 100).map(|id| (*id, format!("{id} {lang}"))).collect())
}

#[test]
fn one_element_is_looked_at_filled_and_invalidated() {
    for (place, cache, clock) in caches() {
        let asked = Asked::default();
        let handle = |id| scoped_sync(&cache, || names_cache(&asked, id, "de"));
        let call = |ids: &[u64]| block_on(scoped(&cache, names(&asked, ids, "de"))).unwrap();
        let key = handle(1).key().unwrap();
        assert!(key.ends_with("names?id=1&lang=de"), "{key}");
        assert_eq!(block_on(handle(1).peek()), None, "{place}");
        call(&[1, 2, 100]);
        assert_eq!(block_on(handle(1).peek()), Some(Ok(Some("1 de".to_owned()))), "{place}");
        assert_eq!(block_on(handle(100).peek()), Some(Ok(None)), "it is known to be absent: {place}");
        clock.advance(Duration::from_secs(20));
        let looked = block_on(handle(1).lookup()).unwrap();
        assert_eq!(
            (looked.age, looked.left),
            (Some(Duration::from_secs(20)), Some(Duration::from_secs(40))),
            "{place}"
        );
        assert!(block_on(handle(1).invalidate()).unwrap(), "{place}");
        block_on(handle(3).put(&Ok(Some("three".to_owned())))).unwrap();
        block_on(handle(4).put(&Ok(None))).unwrap();
        asked.take();
        let expected = [(1, "1 de"), (2, "2 de"), (3, "three")].map(|(id, name)| (id, name.to_owned()));
        assert_eq!(call(&[1, 2, 3, 4]), HashMap::from(expected), "{place}");
        assert_eq!(asked.take(), [[1]], "{place}");
        assert_eq!(block_on(handle(3).refresh()), Ok(Some("3 de".to_owned())), "{place}");
        assert_eq!(block_on(handle(0).refresh()), Err("zero".to_owned()), "{place}");
        assert_eq!(asked.take(), [[3], [0]], "{place}");
        assert_eq!(call(&[3])[&3], "3 de", "{place}");
        assert_eq!(block_on(handle(5).call_traced()), (Ok(Some("5 de".to_owned())), Source::Body), "{place}");
        assert_eq!(call(&[5]).len(), 1, "{place}");
        assert_eq!(block_on(handle(5).uncached()), Ok(Some("5 de".to_owned())), "{place}");
        assert_eq!(asked.take(), [[5], [5]], "{place}");
    }
}

#[cache_request(skip(asked), each(ids))]
fn squares(asked: &Asked, ids: Vec<u64>) -> Vec<u64> {
    asked.note(&ids);
    ids.iter().filter(|id| **id != 7).map(|id| id * id).collect()
}

/// A body may return no value for it.
#[test]
fn an_element_of_a_vec_is_an_option_to_the_companion() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        let handle = |id| scoped_sync(&cache, || squares_cache(&asked, id));
        assert_eq!(handle(2).refresh(), Some(4), "{place}");
        assert_eq!(scoped_sync(&cache, || squares(&asked, vec![2, 3])), [4, 9], "{place}");
        assert_eq!(handle(3).peek(), Some(Some(9)), "{place}");
        assert_eq!(handle(7).refresh(), None, "{place}");
        handle(7).put(&None).unwrap();
        assert_eq!(handle(7).peek(), None, "nothing was kept: {place}");
        handle(7).put(&Some(49)).unwrap();
        assert_eq!(scoped_sync(&cache, || squares(&asked, vec![7, 2])), [49, 4], "{place}");
        assert_eq!(asked.take(), [[2], [3], [7]], "{place}");
    }
}

#[test]
fn all_elements_are_invalidated_at_once() {
    let (asked, (_, cache, _)) = (Asked::default(), caches().swap_remove(0));
    let call = || scoped_sync(&cache, || squares(&asked, vec![1, 2]));
    call();
    scoped_sync(&cache, || squares_cache(&asked, 0)).invalidate_function().unwrap();
    call();
    assert_eq!(asked.take(), [[1, 2], [1, 2]]);
}
