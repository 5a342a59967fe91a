//! `invalidate_for`: no value is kept for a time.

use std::{
    future::Future,
    task::{Context, Waker},
};

use cache_request::{cache_request, scoped, scoped_sync};
use futures_lite::future::{block_on, yield_now};

use crate::{
    caches::{caches, seconds},
    support::Count,
};

/// It reads a replica that lags until the end of that time.
#[test]
fn a_body_that_began_while_values_were_refused_kept_its_value() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 1000)]
    async fn version() -> u32 {
        let body = BODIES.next();
        yield_now().await;
        body
    }

    for (number, (name, cache, clock)) in (0..).zip(caches()) {
        let first = number * 3 + 1;
        let handle = scoped_sync(&cache, version_cache);
        block_on(handle.invalidate_for(seconds(5))).unwrap();
        let mut call = Box::pin(scoped(&cache, version()));
        while BODIES.get() < first {
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{name}");
        }
        clock.advance(seconds(6));
        assert_eq!(block_on(call), first, "{name}");
        assert_eq!(block_on(scoped(&cache, version())), first + 1, "{name}: its value is not kept");
        assert_eq!(block_on(scoped(&cache, version())), first + 1, "{name}: that of a later one is");
        BODIES.next();
    }
}
