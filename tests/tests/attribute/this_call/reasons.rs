//! Why a body runs.

use std::time::Duration;

use cache_request::{Cache, Error, Reason, backend::Backend, cache_request, scoped_sync, this_call};

use super::{Reasons, caches, seconds};

#[test]
fn a_body_knows_what_became_of_the_value_in_memory() {
    static REASONS: Reasons = Reasons::new();

    #[cache_request(timeout = 10)]
    fn value() -> u32 {
        REASONS.note();
        1
    }

    let (_, cache, clock) = caches().remove(0);
    scoped_sync(&cache, || {
        value();
        clock.advance(seconds(10));
        value();
        value_cache().invalidate().unwrap();
        value();
        value_cache().refresh();
        value();
        value_cache().uncached();
    });
    let expected = [Reason::NeverSeen, Reason::Expired, Reason::Invalidated, Reason::Refresh, Reason::Uncached];
    assert_eq!(REASONS.take(), expected);
}

#[test]
fn a_body_knows_whether_its_value_was_evicted() {
    static REASONS: Reasons = Reasons::new();

    #[cache_request(timeout = 10, max_entries = 1)]
    fn value(id: u32) -> u32 {
        if id == 1 {
            REASONS.note();
        }
        id
    }

    let (_, cache, _) = caches().remove(0);
    scoped_sync(&cache, || {
        value(1);
        value(2);
        value(1);
    });
    assert_eq!(REASONS.take(), [Reason::NeverSeen, Reason::Evicted]);
}

#[test]
fn a_body_that_replaces_a_value_knows_whether_that_is_stale() {
    static REASONS: Reasons = Reasons::new();

    #[cache_request(timeout = 100, stale = 100, early = 0.5)]
    fn in_the_background() -> u32 {
        REASONS.note();
        1
    }

    #[cache_request(timeout = 100, stale = 100, early = 0.5, foreground)]
    fn in_the_foreground() -> u32 {
        REASONS.note();
        1
    }

    for (name, cache, clock) in caches() {
        for wait in [99, 150] {
            scoped_sync(&cache, || {
                in_the_foreground_cache().refresh();
                clock.advance(seconds(wait));
                in_the_foreground();
            });
            let reason = if wait < 100 { Reason::Early } else { Reason::Stale };
            assert_eq!(REASONS.take(), [Reason::Refresh, reason], "{name}");
        }
        scoped_sync(&cache, || {
            in_the_background();
            clock.advance(seconds(99));
            in_the_background();
            cache.shutdown_sync();
        });
        assert_eq!(REASONS.take(), [Reason::NeverSeen, Reason::Early], "{name}");
    }
}

#[test]
fn a_body_without_a_cache_knows_it() {
    static REASONS: Reasons = Reasons::new();

    #[cache_request(cache = "a cache that this_call has not installed")]
    fn value() -> u32 {
        let call = this_call();
        REASONS.note();
        assert!(!call.is_cached());
        assert!(!call.timeout(Duration::ZERO) && !call.do_not_keep() && !call.keep_stale());
        assert_eq!(call.stale_value::<u32>(), None);
        1
    }

    value();
    assert_eq!(REASONS.take(), [Reason::Uncached]);
}

/// What it says of stored bytes: nothing, an error, or what is no envelope.
struct Bytes(Result<Option<Vec<u8>>, ()>);

impl Backend for Bytes {
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.clone().map_err(|()| Error::backend("down, on purpose"))
    }

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn clear(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_body_knows_that_the_backend_did_not_help() {
    static REASONS: Reasons = Reasons::new();

    #[cache_request]
    fn value() -> u32 {
        REASONS.note();
        1
    }

    for (bytes, reason) in [
        (Ok(None), Reason::NeverSeen),
        (Ok(Some(b"no envelope".to_vec())), Reason::Undecodable),
        (Err(()), Reason::BackendFault),
    ] {
        let cache = Cache::builder().backend(Bytes(bytes)).build().unwrap();
        scoped_sync(&cache, value);
        assert_eq!(REASONS.take(), [reason]);
    }
}
