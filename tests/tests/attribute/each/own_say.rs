//! What a body says of its answer holds for all values in it.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use cache_request::{Reason, cache_request, scoped, scoped_sync, this_call};
use futures_lite::future::block_on;

use super::{Asked, caches};

thread_local! {
    static REASONS: RefCell<Vec<Reason>> = const { RefCell::new(Vec::new()) };
}

#[cache_request(timeout = 60, skip(asked), each(ids))]
fn said(asked: &Asked, ids: &[u64]) -> HashMap<u64, u64> {
    asked.note(ids);
    REASONS.with_borrow_mut(|reasons| reasons.push(this_call().reason()));
    if ids.contains(&1) {
        this_call().timeout(Duration::from_secs(5));
    }
    if ids.contains(&9) {
        this_call().do_not_keep();
    }
    ids.iter().map(|id| (*id, *id)).collect()
}

#[test]
fn a_body_says_how_long_its_values_are_kept() {
    for (place, cache, clock) in caches() {
        let asked = Asked::default();
        let call = |ids: &[u64]| scoped_sync(&cache, || said(&asked, ids).len());
        assert_eq!([call(&[1, 2]), call(&[3]), call(&[8, 9])], [2, 1, 2], "{place}");
        asked.take();
        clock.advance(Duration::from_secs(6));
        assert_eq!(call(&[2, 3, 8]), 3, "{place}");
        assert_eq!(asked.take(), [[2, 8]], "{place}");
        let reasons = REASONS.take();
        assert_eq!((reasons.len(), reasons[0]), (4, Reason::NeverSeen), "{place}");
        assert!([Reason::Expired, Reason::NeverSeen].contains(&reasons[3]), "{place}");
    }
}

/// In a body that is dropped before its end.
#[test]
fn a_destructor_of_a_cancelled_body_had_no_call() {
    struct Asks;

    impl Drop for Asks {
        fn drop(&mut self) {
            REASONS.with_borrow_mut(|reasons| reasons.push(this_call().reason()));
        }
    }

    #[cache_request(timeout = 60, each(ids))]
    async fn cancelled(ids: &[u64]) -> HashMap<u64, u64> {
        let _asks = Asks;
        futures_lite::future::yield_now().await;
        ids.iter().map(|id| (*id, *id)).collect()
    }

    for (place, cache, _) in caches() {
        let call = scoped(&cache, cancelled(&[1, 2]));
        assert_eq!(block_on(futures_lite::future::poll_once(call)), None, "{place}");
        assert_eq!(REASONS.take(), [Reason::NeverSeen], "{place}");
    }
}
