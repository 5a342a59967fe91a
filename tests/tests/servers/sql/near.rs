//! Near caches in front of a table: they are told of what any program changes in it, and are empty while changes may be missed.
//!
//! Nothing here has a timeout that ends before a test does: what is seen was told.

mod postgres;
mod sqlite;

use std::{cell::Cell, ops::Range, time::Duration};

use cache_request::{Cache, NearCacheStats, backend::Tracking, cache_request, scoped_sync};
use cache_request_tests::servers::wait_until;

use super::processes::process;

thread_local! {
    static SOURCE: Cell<u32> = const { Cell::new(0) };
}

#[cache_request(timeout = 86400)]
fn lasting(_question: u32) -> u32 {
    SOURCE.get()
}

fn ask(cache: &Cache, question: u32) -> u32 {
    scoped_sync(cache, || lasting(question))
}

fn put(cache: &Cache, question: u32, answer: u32) {
    scoped_sync(cache, || lasting_cache(question).put(&answer)).unwrap();
}

/// The key as it stands in the table.
fn stored(cache: &Cache, question: u32) -> String {
    scoped_sync(cache, || lasting_cache(question).key()).unwrap()
}

/// The address with further options.
fn with(url: &str, options: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{options}")
}

/// The cache at an address, with memory in front of it from which nothing goes by itself.
fn tiered(url: &str) -> Cache {
    Cache::from_url(&with(&format!("tiered+{url}"), "soft_limit=60s&connect_limit=60s&near_timeout=24h")).unwrap()
}

/// As another process has it.
fn other(url: &str) -> Cache {
    Cache::from_url(&with(url, "soft_limit=60s&connect_limit=60s")).unwrap()
}

fn front(cache: &Cache) -> NearCacheStats {
    cache.stats().backend.unwrap().near.unwrap()
}

fn until(cache: &Cache, tracking: Tracking) {
    wait_until(&format!("{tracking:?}"), || front(cache).tracking == tracking);
}

/// Asks until these are in front.
fn have_in_front(cache: &Cache, questions: Range<u32>) {
    wait_until("they are in front", || {
        questions.clone().for_each(|question| _ = ask(cache, question));
        cache.stats().entries == u64::from(questions.end - questions.start)
    });
}

/// One that is told, with the answer 1 to the questions 0 to 9 in front.
fn filled(url: &str) -> Cache {
    let cache = tiered(url);
    until(&cache, Tracking::Live);
    SOURCE.set(1);
    have_in_front(&cache, 0..10);
    cache
}

type Change<'a> = (&'a str, &'a dyn Fn(&Cache, &str));

/// By whichever program, and with whichever statement. The changes get another cache, and the key.
fn each_change_is_seen(url: &str, changes: &[Change<'_>]) {
    let (cache, another) = (tiered(url), other(url));
    until(&cache, Tracking::Live);
    let by_caches: [Change<'_>; 5] = [
        ("put", &|another, _| put(another, 0, 2)),
        ("refresh", &|another, _| assert_eq!(scoped_sync(another, || lasting_cache(0).refresh()), 2)),
        ("invalidate", &|another, _| assert!(scoped_sync(another, || lasting_cache(0).invalidate()).unwrap())),
        ("invalidate_for", &|_, _| {
            // By a cache of its own, as it may refuse values for longer than the table does.
            let refuse = Duration::from_millis(1);
            assert!(scoped_sync(&other(url), || lasting_cache(0).invalidate_for(refuse)).unwrap());
        }),
        ("clear", &|another, _| another.clear_sync().unwrap()),
    ];
    let key = stored(&cache, 0);
    for (what, change) in by_caches.iter().chain(changes) {
        SOURCE.set(1);
        put(&another, 0, 1);
        wait_until(&format!("it is in front, before {what}"), || ask(&cache, 0) == 1 && cache.stats().entries == 1);
        SOURCE.set(2);
        change(&another, &key);
        wait_until(what, || ask(&cache, 0) == 2);
    }
    assert_eq!(front(&cache).lost, 0, "nothing was lost meanwhile");
}

/// Changes of many rows at once come as many notices, and none is forgotten.
fn many_changes_at_once_are_all_seen(url: &str, delete_all: impl FnOnce()) {
    const MANY: u32 = 2000;

    let cache = tiered(url);
    until(&cache, Tracking::Live);
    SOURCE.set(1);
    have_in_front(&cache, 0..MANY);
    SOURCE.set(2);
    delete_all();
    wait_until("all are gone", || cache.stats().entries == 0);
    (0..MANY).for_each(|question| assert_eq!(ask(&cache, question), 2));
}

/// Another process writes a key a hundred times.
fn another_process_is_heard(kind: &str, address: &str, url: &str) {
    let cache = tiered(&with(url, "namespace=shared"));
    until(&cache, Tracking::Live);
    let output = process(kind, address, "set", "shared", 100).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("it is told of each", || front(&cache).changed >= 100);
}

/// Each is told of what the other one does.
fn two_fronts_follow_one_another(url: &str) {
    let caches = [filled(url), filled(url)];
    for round in 2..12 {
        let (writes, reads) = (&caches[round as usize % 2], &caches[(round as usize + 1) % 2]);
        put(writes, 0, round);
        assert_eq!(ask(writes, 0), round, "its own are seen at once");
        wait_until("the other one sees it", || ask(reads, 0) == round);
    }
    caches[0].clear_sync().unwrap();
    wait_until("it is told that all are gone", || caches[1].stats().entries == 0);
}

fn changes_of_other_namespaces_are_none(url: &str) {
    let mine = with(url, "namespace=mine");
    let cache = filled(&mine);
    wait_until("its own are told", || front(&cache).changed >= 10);
    let before = front(&cache).changed;
    for theirs in ["min", "mine2", "yours"] {
        let theirs = other(&with(url, &format!("namespace={theirs}")));
        (0..10).for_each(|question| put(&theirs, question, 2));
        theirs.clear_sync().unwrap();
    }
    put(&other(&mine), 9, 2);
    wait_until("its own is told", || ask(&cache, 9) == 2);
    assert_eq!(front(&cache).changed, before + 1);
}
