//! Values that are returned while a new one is made, or in place of an error.

use cache_request::{Cache, Source, cache_request, scoped_sync};

use super::{Bodies, HOUR, Place, stats};

#[cache_request(timeout = 3600, stale = 3600, skip(world))]
fn stale(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, early = 0.5, skip(world))]
fn early(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, stale = 3600, skip(world))]
fn softened(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, stale_if_error = 3600, skip(world))]
fn stands_in(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, stale_if_error = "3h", stale_after = "1ms", skip(world))]
fn slow(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, stale_if_error = "3h", stale_after = "2h", skip(world))]
fn awaited(world: &Bodies) -> Result<u32, String> {
    world.body()
}

pub(super) fn a_stale_value_is_replaced_by_one_process(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || stale(&world)).unwrap();
    assert_eq!([call(&one), call(&other)], [1, 1]);
    clock.advance(HOUR);
    world.hold(2);
    assert_eq!([call(&one), call(&one)], [1, 1], "it waits for no body");
    world.reaches(2);
    assert_eq!([call(&other), call(&other)], [1, 1], "nor does the other process");
    // Its attempt has ended, while the body runs.
    other.shutdown_sync();
    assert_eq!((world.get(), stats(&other).refreshes), (2, 0), "it is replaced once");
    world.let_go();
    one.shutdown_sync();
    assert_eq!([call(&one), call(&other)], [2, 2]);
    assert_eq!((world.get(), stats(&one).refreshes, stats(&one).stale, stats(&other).stale), (2, 1, 2, 2));

    clock.advance(HOUR);
    assert_eq!(call(&one), 2);
    assert!(scoped_sync(&other, || stale_cache(&world).invalidate()).unwrap());
    assert_eq!([call(&one), call(&other)], [3, 3], "an invalidation ends the stale value");
    clock.advance(HOUR * 2);
    assert_eq!([call(&other), call(&one)], [4, 4], "its stale time is over");
}

pub(super) fn a_value_in_use_is_replaced_early_by_one_process(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || early(&world)).unwrap();
    assert_eq!([call(&one), call(&other)], [1, 1]);
    clock.advance(HOUR * 49 / 100);
    assert_eq!([call(&one), call(&other)], [1, 1]);
    assert_eq!((world.get(), stats(&one).refreshes), (1, 0), "not before its time");
    // From a half on, spread over an eighth.
    clock.advance(HOUR * 14 / 100);
    world.hold(2);
    assert_eq!(call(&one), 1);
    world.reaches(2);
    assert_eq!(call(&other), 1);
    other.shutdown_sync();
    world.let_go();
    one.shutdown_sync();
    assert_eq!([call(&one), call(&other), world.get()], [2; 3]);
    assert_eq!((stats(&one).stale, stats(&one).misses.expired, stats(&other).refreshes), (0, 0, 0), "it was fresh");
}

pub(super) fn a_soft_invalidation_leaves_the_value_to_all(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || softened(&world)).unwrap();
    let soften = |cache: &Cache| scoped_sync(cache, || softened_cache(&world).invalidate_soft()).unwrap();
    let is_stale = |cache: &Cache| scoped_sync(cache, || softened_cache(&world).lookup()).unwrap().is_stale;
    assert!(!soften(&other));
    assert_eq!([call(&one), call(&other)], [1, 1]);
    assert!(soften(&other));
    assert_eq!([is_stale(&one), is_stale(&other)], [true; 2]);
    world.hold(2);
    assert_eq!(call(&one), 1, "the value is left");
    world.reaches(2);
    assert_eq!(call(&other), 1, "also to the other process");
    // Its attempt has ended, while the body runs.
    other.shutdown_sync();
    // A body from before it keeps nothing.
    assert!(soften(&other));
    world.let_go();
    one.shutdown_sync();
    assert_eq!([is_stale(&one), is_stale(&other)], [true; 2]);
    assert_eq!(scoped_sync(&other, || softened_cache(&world).refresh()), Ok(3));
    assert_eq!([is_stale(&one), is_stale(&other)], [false; 2]);
    assert!(soften(&one));
    clock.advance(HOUR);
    assert_eq!([call(&other), call(&one)], [4, 4], "for no longer than its stale time");
}

pub(super) fn a_value_stands_in_for_errors(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || stands_in_cache(&world).call_traced());
    assert_eq!(call(&one), (Ok(1), Source::Body));
    assert_eq!(call(&other), (Ok(1), Source::Backend));
    clock.advance(HOUR);
    world.fail(&[2, 3, 5, 6]);
    for (cache, body) in [(&one, 2), (&other, 3)] {
        assert_eq!(call(cache), (Ok(1), Source::StandIn));
        // No body runs for a second.
        assert_eq!(call(cache), (Ok(1), Source::Backend));
        assert_eq!((world.get(), stats(cache).stale_on_error), (body, 1));
    }
    clock.advance(HOUR / 3600);
    assert_eq!(call(&other), (Ok(4), Source::Body));
    assert_eq!(call(&one), (Ok(4), Source::Backend));
    clock.advance(HOUR * 2);
    for cache in [&one, &other] {
        assert_eq!(call(cache), (Err("down".to_owned()), Source::Body), "not beyond its time");
    }
}

pub(super) fn a_value_stands_in_for_a_slow_body(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || slow(&world)).unwrap();
    assert_eq!([call(&one), call(&other)], [1, 1]);
    clock.advance(HOUR);
    world.hold(2);
    assert_eq!([call(&one), call(&one)], [1, 1], "the body takes too long");
    world.reaches(2);
    assert_eq!(call(&other), 1, "also for the other process");
    other.shutdown_sync();
    world.let_go();
    one.shutdown_sync();
    assert_eq!([call(&one), call(&other), world.get()], [2; 3], "the body went on, and its value is kept");
    assert_eq!((stats(&one).stale, stats(&one).refreshes, stats(&other).refreshes), (2, 1, 0));
}

pub(super) fn callers_get_a_new_value_that_comes_in_time(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache: &Cache| scoped_sync(cache, || awaited(&world)).unwrap();
    assert_eq!([call(&one), call(&other)], [1, 1]);
    clock.advance(HOUR);
    assert_eq!([call(&one), call(&other)], [2, 2], "the body is waited for");
    assert_eq!((stats(&one).refreshes, stats(&one).stale, stats(&other).refreshes), (1, 0, 0));
}
