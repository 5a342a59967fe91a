//! How long values are fresh, as another process sees it.

use std::{collections::BTreeSet, time::Duration};

use cache_request::{Source, cache_request, scoped_sync};
use cache_request_tests::servers::{postgres::Postgres, redis::Redis};

use super::{Bodies, HOUR, MINUTE, Place, redis_at, sql_at, stats};

#[cache_request(timeout = 3600, stale = 3600, skip(world))]
fn looked_at(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = never, skip(world))]
fn for_ever(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, timeout_err = 60, skip(world))]
fn err(world: &Bodies) -> Result<u32, String> {
    world.body()
}

#[cache_request(timeout = 3600, jitter = 0.5)]
fn jittered(number: u32) -> u32 {
    number
}

pub(super) fn a_look_tells_them(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let look = || scoped_sync(&other, || looked_at_cache(&world).lookup());
    assert_eq!(look(), None);
    scoped_sync(&one, || (looked_at(&world), for_ever(&world)).0.unwrap());
    clock.advance(MINUTE * 10);
    let looked = look().unwrap();
    assert_eq!((looked.answer, looked.is_stale, looked.source), (Ok(1), false, Source::Backend));
    assert_eq!((looked.age, looked.left), (Some(MINUTE * 10), Some(MINUTE * 50)));
    clock.advance(HOUR);
    let looked = look().unwrap();
    assert_eq!((looked.answer, looked.is_stale, looked.source), (Ok(1), true, Source::Backend));
    assert_eq!((looked.age, looked.left), (Some(MINUTE * 70), Some(Duration::ZERO)));
    clock.advance(HOUR);
    assert_eq!(look(), None);
    let looked = scoped_sync(&other, || for_ever_cache(&world).lookup()).unwrap();
    assert_eq!((looked.answer, looked.left, looked.is_stale), (Ok(2), None, false));
    assert_eq!((world.get(), other.stats().hits(), other.stats().faults()), (2, 0, 0), "it neither runs nor counts");
}

pub(super) fn an_err_has_its_own(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    let call = |cache| scoped_sync(cache, || err(&world));
    let down = || Err("down".to_owned());
    world.fail(&[1]);
    assert_eq!([call(&one), call(&other)], [down(), down()]);
    clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!([call(&one), call(&other)], [down(), down()]);
    assert_eq!(world.get(), 1, "it is kept for both");
    clock.advance(Duration::from_millis(1));
    assert_eq!([call(&other), call(&one)], [Ok(2), Ok(2)]);
    clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!([call(&one), call(&other)], [Ok(2), Ok(2)], "a value has another one");
    assert_eq!((stats(&one).bodies, stats(&other).bodies), (1, 1));
}

pub(super) fn jitter_shortens_them(place: &Place) {
    const VALUES: u32 = 16;
    let ([one, other], clock) = place.two();
    scoped_sync(&one, || (0..VALUES).for_each(|number| _ = jittered(number)));
    let lefts: BTreeSet<Duration> = scoped_sync(&other, || {
        (0..VALUES).map(|number| jittered_cache(number).lookup().unwrap().left.unwrap()).collect()
    });
    assert!(lefts.iter().all(|left| (HOUR / 2..=HOUR).contains(left)), "{lefts:?}");
    // In milliseconds, all the same: never, as far as chance goes.
    assert!(lefts.len() > 1, "{lefts:?}");
    clock.advance(HOUR / 2 - Duration::from_millis(1));
    let live = || scoped_sync(&other, || (0..VALUES).filter(|number| jittered_cache(*number).peek().is_some()).count());
    assert_eq!(live(), VALUES as usize);
    clock.advance(HOUR / 2 + Duration::from_millis(1));
    assert_eq!(live(), 0, "never lengthened");
    assert_eq!((one.stats().faults(), other.stats().faults()), (0, 0));
}

#[test]
fn a_server_kept_values_for_longer_than_their_jitter_allows() {
    const VALUES: u32 = 16;
    let fill = |place: &Place| {
        let ([one, _], _) = place.two();
        scoped_sync(&one, || (0..VALUES).for_each(|number| _ = jittered(number)));
    };
    let redis = Redis::start(&[]);
    let url = redis.url();
    fill(&Place::new((), move |builder| builder.backend(redis_at(&url))));
    let keys: Vec<String> = redis.ask(&["KEYS", "*jittered*"]);
    assert_eq!(keys.len(), VALUES as usize);
    // By much more than what lies between the first and the last of them.
    let left = keys.iter().map(|key| redis.ask::<u64>(&["PTTL", key]));
    assert!(left.clone().all(|left| left <= 3_600_000));
    assert!(left.clone().max().unwrap() - left.min().unwrap() > 60_000, "{keys:?}");

    let postgres = Postgres::start(&[]);
    let url = postgres.url();
    fill(&Place::new((), move |builder| builder.backend(sql_at(&url))));
    let kept = "SELECT count(*), min(expires - stored) >= 1800000, max(expires - stored) <= 3600000, \
                count(DISTINCT expires - stored) > 1 FROM cache_request WHERE key LIKE '%jittered%'";
    assert_eq!(postgres.ask(kept), "16|t|t|t");
}
