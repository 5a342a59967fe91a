//! What a call does beside its body, in counts.

use std::time::Duration;

use crate::{
    Cache, Clock, SyncHandle,
    attribute::private::Site,
    backend::MemoryBackend,
    base::sync::locks_taken,
    engine::{description::Instance, policy::Policy},
    key::Key,
    scoped_sync,
};

static SITE: Site = Site::new("run", "run", &["id"], file!(), line!());

fn call(cache: &Cache, id: u64, keep: bool) {
    let policy = if keep { Policy::whole() } else { Policy::whole().when(|_| false) };
    let handle = || SyncHandle::new(&SITE, Instance::of(&call), policy, Key::build(|key| key.part(&id)), || id);
    assert_eq!(scoped_sync(cache, || handle().call()), id);
}

#[test]
fn a_miss_takes_more_locks_than_one_to_join_and_one_to_land() {
    let cache = Cache::builder().clock(Clock::mock()).build().unwrap();
    call(&cache, 0, true);
    for id in 1..100 {
        assert_eq!(locks_taken(|| call(&cache, id, true)), 2);
        assert_eq!(locks_taken(|| call(&cache, id, true)), 0, "a hit");
        assert_eq!(locks_taken(|| call(&cache, 1000 + id, false)), 2, "what is not kept");
    }
}

/// Clients choose keys, and `retry` may be long.
#[test]
fn a_body_that_fails_is_remembered_without_a_value_that_may_stand_in() {
    let clock = Clock::mock();
    let backend = MemoryBackend::builder().clock(&clock).build().unwrap();
    let cache = Cache::builder().clock(&clock).backend(backend).build().unwrap();
    let policy = || Policy::<Result<u64, ()>, u64>::of_result().serialised().stale_if_error(Duration::from_secs(60));
    let handle = |id: u64, answer| {
        SyncHandle::new(&SITE, Instance::of(&call), policy(), Key::build(|key| key.part(&id)), move || answer)
    };
    scoped_sync(&cache, || {
        assert_eq!(handle(1, Err(())).call(), Err(()));
        assert!(cache.engine().attempts.is_empty());
        assert_eq!(handle(2, Ok(2)).call(), Ok(2));
        clock.advance(Duration::from_secs(300));
        assert_eq!(handle(2, Err(())).call(), Ok(2));
        assert!(!cache.engine().attempts.is_empty());
    });
}
