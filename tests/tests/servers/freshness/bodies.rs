//! What a body builds on that another process has made.

use std::{collections::HashMap, sync::Mutex};

use cache_request::{cache_request, scoped_sync, this_call};

use super::{Bodies, HOUR, Place, stats};

/// How many bodies there were before it.
#[cache_request(timeout = 3600, stale_if_error = 3600, skip(world))]
fn counted(world: &Bodies) -> Result<u32, String> {
    world.body()?;
    Ok(this_call().stale_value::<u32>().map_or(0, |older| older + 1))
}

#[cache_request(timeout = 3600, stale_if_error = 3600, skip(world))]
fn unchanged(world: &Bodies) -> Result<u32, String> {
    let body = world.body();
    if this_call().keep_stale() { Err("nothing new".to_owned()) } else { body }
}

#[cache_request(timeout = 3600, skip(asked), each(ids))]
fn names(asked: &Mutex<Vec<Vec<u32>>>, ids: &[u32]) -> HashMap<u32, String> {
    asked.lock().unwrap().push(ids.to_vec());
    ids.iter().filter(|id| **id != 13).map(|id| (*id, format!("name {id}"))).collect()
}

pub(super) fn it_has_the_older_value(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    assert_eq!(scoped_sync(&one, || counted(&world)), Ok(0));
    assert_eq!(scoped_sync(&other, || counted_cache(&world).refresh()), Ok(1), "a refresh");
    clock.advance(HOUR);
    assert_eq!(scoped_sync(&one, || counted(&world)), Ok(2), "an expired one, which could stand in");
    assert!(scoped_sync(&other, || counted_cache(&world).invalidate()).unwrap());
    assert_eq!(scoped_sync(&one, || counted(&world)), Ok(0), "none that is invalid");
    clock.advance(HOUR * 2);
    assert_eq!(scoped_sync(&other, || counted(&world)), Ok(0), "nor one whose time is over");
    assert_eq!((stats(&one).bodies, stats(&other).bodies), (3, 2));
}

pub(super) fn it_keeps_the_older_value(place: &Place) {
    let (world, ([one, other], clock)) = (Bodies::default(), place.two());
    assert_eq!(scoped_sync(&one, || unchanged(&world)), Ok(1));
    clock.advance(HOUR);
    assert_eq!(scoped_sync(&other, || unchanged(&world)), Ok(1));
    let looked = scoped_sync(&one, || unchanged_cache(&world).lookup()).unwrap();
    assert_eq!((looked.answer, looked.left), (Ok(1), Some(HOUR)), "for another timeout, for all");
    assert_eq!((world.get(), stats(&one).bodies, stats(&other).bodies), (2, 1, 1));
}

pub(super) fn it_runs_for_the_missing_elements(place: &Place) {
    let (asked, ([one, other], clock)) = (Mutex::default(), place.two());
    let call = |cache, ids: &[u32]| scoped_sync(cache, || names(&asked, ids));
    let take = || std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(call(&one, &[1, 2, 13]).len(), 2);
    assert_eq!(call(&other, &[2, 3, 13]).len(), 2);
    assert_eq!(take(), [vec![1, 2, 13], vec![3]], "an absent one is remembered as well");
    assert_eq!(call(&one, &[3, 2, 1]), (1..=3).map(|id| (id, format!("name {id}"))).collect());
    assert_eq!(take(), Vec::<Vec<u32>>::new());
    assert!(scoped_sync(&one, || names_cache(&asked, 2).invalidate()).unwrap());
    call(&other, &[1, 2, 3]);
    assert_eq!(take(), [[2]]);
    clock.advance(HOUR);
    call(&one, &[1, 2]);
    assert_eq!(take(), [[1, 2]]);
    assert_eq!((one.stats().faults(), other.stats().faults()), (0, 0));
}
