//! What its methods do.

use super::*;

#[test]
fn every_method_of_a_plain_functions_companion() {
    #[cache_request]
    fn f(id: u32) -> u32 {
        RUNS_OF_F.next() * 100 + id
    }
    static RUNS_OF_F: Count = Count::new();
    let run = || RUNS_OF_F.get();
    in_both(|_| {
        let before = run();
        assert_eq!(f_cache(1).peek(), None);
        assert!(!f_cache(1).invalidate().unwrap());
        assert_eq!(run(), before);

        f_cache(1).put(&7).unwrap();
        assert_eq!((f_cache(1).peek(), f_cache(2).peek(), f(1)), (Some(7), None, 7));
        assert_eq!(run(), before);

        let uncached = f_cache(1).uncached();
        assert_eq!(uncached, (before + 1) * 100 + 1);
        assert_eq!(f(1), 7);

        let refreshed = f_cache(1).refresh();
        assert_eq!(refreshed, (before + 2) * 100 + 1);
        assert_eq!((f_cache(1).peek(), f(1)), (Some(refreshed), refreshed));

        assert!(f_cache(1).invalidate().unwrap());
        assert!(!f_cache(1).invalidate().unwrap());
        assert_eq!(f_cache(1).peek(), None);
        assert_eq!(f(1), (before + 3) * 100 + 1);
        assert_eq!(run(), before + 3);
    });
}

#[test]
fn every_method_of_an_async_functions_companion() {
    #[cache_request]
    async fn f(id: u32) -> u32 {
        RUNS_OF_F.next() * 100 + id
    }
    static RUNS_OF_F: Count = Count::new();
    for (cache, _) in [memory(), bytes()] {
        block_on(scoped(&cache, async {
            let before = RUNS_OF_F.get();
            assert_eq!(f_cache(1).peek().await, None);
            assert!(!f_cache(1).invalidate().await.unwrap());
            f_cache(1).put(&7).await.unwrap();
            assert_eq!((f_cache(1).peek().await, f_cache(2).peek().await, f(1).await), (Some(7), None, 7));
            assert_eq!(f_cache(1).uncached().await, (before + 1) * 100 + 1);
            assert_eq!(f(1).await, 7);
            let refreshed = f_cache(1).refresh().await;
            assert_eq!(refreshed, (before + 2) * 100 + 1);
            assert_eq!((f_cache(1).peek().await, f(1).await), (Some(refreshed), refreshed));
            assert!(f_cache(1).invalidate().await.unwrap());
            assert!(!f_cache(1).invalidate().await.unwrap());
            assert_eq!(f(1).await, (before + 3) * 100 + 1);
        }));
    }
}

#[test]
fn on_a_disabled_cache_there_is_nothing_to_forget() {
    #[cache_request]
    fn f() -> u32 {
        RUNS.next()
    }
    scoped_sync(&Cache::null(), || {
        f_cache().put(&0).unwrap();
        assert_eq!(f_cache().peek(), None);
        assert!(!f_cache().invalidate().unwrap());
        assert!(f_cache().refresh() < f());
    });
}

/// Not where its methods are called, nor where these are awaited.
#[test]
fn a_companion_is_of_the_scope_that_it_was_asked_for_in() {
    #[cache_request]
    async fn f(id: u32) -> u32 {
        id
    }
    let [(own, _), (other, _)] = [memory(), bytes()];
    let handle = scoped_sync(&own, || client_scope_sync("acme", || f_cache(1)));
    block_on(scoped(&other, client_scope("elsewhere", handle.put(&7)))).unwrap();
    assert_eq!([own.stats().entries, other.stats().functions.len() as u64], [1, 0]);
    let peek = |client| block_on(scoped(&own, client_scope(client, async { f_cache(1).peek().await })));
    assert_eq!([peek("acme"), peek("elsewhere")], [Some(7), None]);
}
