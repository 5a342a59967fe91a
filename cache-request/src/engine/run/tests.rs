//! What a call does beside its body, in counts.

use crate::{
    Cache, Clock, SyncHandle,
    attribute::private::Site,
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
