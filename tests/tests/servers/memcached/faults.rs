//! Faults of servers under load. Each test prints its figures, which `--nocapture` shows.

use std::{
    cell::Cell,
    thread,
    time::{Duration, Instant},
};

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, MemcachedBackend},
};
use cache_request_tests::{
    load::{during, until_it_works},
    outages,
    servers::memcached::Memcached,
};
use futures_lite::future::block_on;
use memcache::exp::{Delete, Set};

#[test]
fn a_server_that_is_absent_and_comes() {
    let mut memcached = Memcached::start(&[]);
    outages::is_absent_and_comes(&memcached.url(), &mut memcached.server, "cannot be reached");
}

#[test]
fn a_server_that_cannot_be_reached_costs_the_soft_limit_once() {
    outages::never_answers(|address| format!("memcached://{address}"));
}

#[test]
fn a_server_that_is_killed_under_load_and_restarted() {
    let mut memcached = Memcached::start(&[]);
    outages::is_killed_and_restarted(&memcached.url(), &mut memcached.server);
}

#[test]
fn a_server_that_is_stopped_and_goes_on() {
    let memcached = Memcached::start(&[]);
    outages::is_stopped_and_goes_on(&memcached.url(), &memcached.server);
}

/// The server refuses new values instead of evicting old ones.
#[test]
fn a_server_that_has_no_memory_left() {
    let memcached = Memcached::start(&["-m", "2", "-M"]);
    let cache = Cache::from_url(&memcached.url()).unwrap();
    let client = memcached.client();
    let filled = Cell::new(0);
    outages::cannot_work(
        "out of memory",
        &cache,
        || {
            let other = || Set::new(format!("other{}", filled.get()), "x".repeat(1000));
            while client.run(other()).is_ok_and(|set| set.applied()) {
                filled.set(filled.get() + 1);
            }
        },
        || true,
        || {
            for number in 0..filled.get() {
                client.run(Delete::new(format!("other{number}"))).unwrap();
            }
        },
    );
}

/// The answer limit for servers that answer, longer than the slowest machine takes.
const LIMIT: Duration = Duration::from_secs(5);

/// Keys of the first server and of others.
fn keys_of(fleet: &[Memcached], backend: &MemcachedBackend) -> (Vec<String>, Vec<String>) {
    let keys = (0..100).map(|number| format!("key{number}"));
    keys.partition(|key| {
        block_on(backend.set(key, key.as_bytes(), None)).unwrap();
        fleet[0].look(&format!("cache-request:{:016x}:{key}", fleet[0].generation("cache-request"))).hit()
    })
}

/// Takes the first of three servers away under load, and brings it back.
fn loses_one(how: &str, lose: impl FnOnce(&mut Memcached), bring_back: impl FnOnce(&mut Memcached)) {
    let (mut fleet, url) = Memcached::fleet(3);
    let backend = MemcachedBackend::builder(&url).answer_limit(LIMIT).build().unwrap();
    let (lost, others) = keys_of(&fleet, &backend);
    assert!(lost.len() > 15 && others.len() > 30, "{} and {}", lost.len(), others.len());
    // The answer limit ends each wait, and not the soft limit.
    let cache = Cache::from_url(&format!("{url}?soft_limit=60s&answer_limit={}s", LIMIT.as_secs())).unwrap();
    let mut recovered = Duration::ZERO;
    let (mut asked, mut rounds, mut slowest) = (0, 0, Duration::ZERO);
    let figures = during(&cache, || {
        until_it_works(&cache);
        thread::sleep(Duration::from_millis(300));
        lose(&mut fleet[0]);
        let begun = Instant::now();
        // Beside the load, without the guard: a get of a key of the lost server fails, and soon fails at once.
        while begun.elapsed() < Duration::from_secs(2) || rounds < 10 {
            rounds += 1;
            for key in lost.iter().take(5) {
                let begun = Instant::now();
                let error = block_on(backend.get(key)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                slowest = slowest.max(begun.elapsed());
            }
            for key in &others {
                asked += 1;
                assert_eq!(block_on(backend.get(key)).unwrap().as_deref(), Some(key.as_bytes()));
            }
            let both = [lost[0].as_str(), others[0].as_str()];
            let outcomes = block_on(backend.get_many(&both));
            assert!(outcomes[0].is_err() && outcomes[1].as_ref().is_ok_and(Option::is_some), "{outcomes:?}");
        }
        bring_back(&mut fleet[0]);
        recovered = until_it_works(&cache);
    });
    println!(
        "one of three {how}: {figures}; of its own keys the slowest error {slowest:.0?}; {asked} keys of others hit; works \
         {recovered:.0?} after"
    );
    figures.are_good();
    let backend_stats = cache.stats().backend.unwrap();
    assert_eq!((backend_stats.reads.opened, backend_stats.writes.opened), (0, 0), "{backend_stats:?}");
    // Its keys are where they were.
    let found = block_on(backend.get(&others[0])).unwrap();
    assert_eq!(found.as_deref(), Some(others[0].as_bytes()));
    cache_request_tests::servers::wait_until("its keys are asked for again", || {
        block_on(backend.get(&lost[0])).is_ok()
    });
}

#[test]
fn a_fleet_loses_one_of_three() {
    loses_one("killed", |memcached| memcached.server.kill(), |memcached| memcached.server.restart());
}

#[test]
fn a_fleet_has_one_that_stands_still() {
    loses_one("stopped", |memcached| memcached.server.stop(), |memcached| memcached.server.go_on());
}

#[test]
fn a_fleet_is_cleared_while_one_is_away() {
    let (mut fleet, url) = Memcached::fleet(3);
    let backend = MemcachedBackend::builder(&url).answer_limit(LIMIT).build().unwrap();
    let (away, others) = keys_of(&fleet, &backend);
    fleet[0].server.stop();
    let error = block_on(backend.clear()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    for key in &others {
        assert_eq!(block_on(backend.get(key)).unwrap(), None);
    }
    fleet[0].server.go_on();
    // It has kept its values and their generation.
    cache_request_tests::servers::wait_until("it is asked again", || block_on(backend.get(&away[0])).is_ok());
    for key in &away {
        assert_eq!(block_on(backend.get(key)).unwrap(), None);
    }
    let another = MemcachedBackend::builder(&url).answer_limit(LIMIT).build().unwrap();
    for key in away.iter().chain(&others) {
        assert_eq!(block_on(another.get(key)).unwrap(), None);
    }
    fleet[0].server.kill();
}

#[test]
fn what_an_address_says_wrongly_is_not_shown() {
    for url in [
        "memcached://user:secret@h",
        "memcached://h/secret",
        "memcached://h,secret@i",
        "memcached://",
        "memcached://h?namespace=a:b",
        "memcached://h?max_connections=0",
        "memcached://h?answer_limit=0s",
    ] {
        let error = Cache::from_url(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
