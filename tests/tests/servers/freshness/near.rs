//! `stale` behind a near cache that is told of changes.

use cache_request::{Cache, backend::Tracking, cache_request, scoped_sync};
use cache_request_tests::servers::wait_until;

use super::{Bodies, Clock, HOUR, Place, stats};

#[cache_request(timeout = 3600, stale = 3600, skip(world))]
fn in_front(world: &Bodies) -> Result<u32, String> {
    world.body()
}

fn a_stale_value_in_front_is_replaced(place: &Place) {
    let (world, clock) = (Bodies::default(), Clock::mock());
    let near = place.cache_with(&clock, |builder| builder.near_timeout(HOUR * 24));
    let other = place.cache(&clock);
    let call = |cache: &Cache| scoped_sync(cache, || in_front(&world)).unwrap();
    let have_in_front = |answer: u32| {
        wait_until("it is in front", || {
            assert_eq!(call(&near), answer);
            near.stats().entries == 1
        });
    };
    wait_until("it is told", || near.stats().backend.unwrap().near.unwrap().tracking == Tracking::Live);
    have_in_front(1);
    clock.advance(HOUR);
    world.hold(2);
    assert_eq!([call(&near), call(&near)], [1, 1], "it waits for no body");
    world.reaches(2);
    assert_eq!(call(&other), 1);
    // Its attempt has ended, while the body runs.
    other.shutdown_sync();
    assert_eq!((world.get(), stats(&other).refreshes), (2, 0), "it is replaced once");
    world.let_go();
    wait_until("the new one is there", || call(&near) == 2);
    assert_eq!((world.get(), stats(&near).refreshes), (2, 1));
    have_in_front(2);

    // Another process replaces it. What is in front is stale as well, and goes.
    near.shutdown_sync();
    clock.advance(HOUR);
    let other = place.cache(&clock);
    assert_eq!([call(&near), call(&other)], [2, 2]);
    other.shutdown_sync();
    wait_until("it is told of the new one", || call(&near) == 3);
    assert_eq!((world.get(), stats(&other).refreshes, call(&other)), (3, 1, 3));

    have_in_front(3);
    clock.advance(HOUR);
    assert!(scoped_sync(&other, || in_front_cache(&world).invalidate()).unwrap());
    wait_until("an invalidation ends the stale value", || call(&near) == 4);
    have_in_front(4);
    clock.advance(HOUR * 2);
    assert_eq!([call(&near), call(&other)], [5, 5], "its stale time is over");
    assert_eq!((near.stats().faults(), other.stats().faults()), (0, 0));
}

#[test]
fn a_stale_value_in_front_of_redis_was_awaited_or_stayed() {
    a_stale_value_in_front_is_replaced(&Place::redis());
}

#[test]
fn a_stale_value_in_front_of_postgres_was_awaited_or_stayed() {
    a_stale_value_in_front_is_replaced(&Place::postgres());
}

#[test]
fn a_stale_value_in_front_of_sqlite_was_awaited_or_stayed() {
    a_stale_value_in_front_is_replaced(&Place::sqlite());
}
