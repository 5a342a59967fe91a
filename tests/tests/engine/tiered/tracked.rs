//! One Redis server that tells of changes: the near cache equals the server, whichever process changes it, and is empty
//! while changes may be missed.
//!
//! Nothing here has a timeout that ends before a test does: what is seen was told.

use std::{
    io::Read,
    net::{Ipv4Addr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, Instant},
};

use cache_request::{Cache, Error, NearCacheStats, backend::Tracking, cache_request, scoped_sync};
use cache_request_tests::{
    certificates::Certificates,
    servers::{
        PATIENCE, free_port,
        redis::{self as servers, Redis},
        wait_until,
    },
};

use super::{BODIES, SOURCE, bodies, source};

#[cache_request(timeout = 86400)]
fn lasting(_question: u32) -> u32 {
    BODIES.set(BODIES.get() + 1);
    SOURCE.get()
}

pub(super) fn ask(cache: &Cache, question: u32) -> u32 {
    scoped_sync(cache, || lasting(question))
}

fn put(cache: &Cache, question: u32, answer: u32) {
    try_put(cache, question, answer).unwrap();
}

pub(super) fn try_put(cache: &Cache, question: u32, answer: u32) -> Result<(), Error> {
    scoped_sync(cache, || lasting_cache(question).put(&answer))
}

pub(super) fn invalidate(cache: &Cache, question: u32) -> Result<bool, Error> {
    scoped_sync(cache, || lasting_cache(question).invalidate())
}

/// The key as it stands on the server.
pub(super) fn stored(cache: &Cache, question: u32) -> String {
    format!("cache-request:{}", scoped_sync(cache, || lasting_cache(question).key()).unwrap())
}

/// The cache at an address, with memory in front of it from which nothing goes by itself.
pub(super) fn tiered(url: &str) -> Cache {
    let sign = if url.contains('?') { '&' } else { '?' };
    Cache::from_url(&format!("tiered+{url}{sign}near_timeout=24h")).unwrap_or_else(|error| panic!("{error:#}"))
}

/// As another process has it.
pub(super) fn other(url: &str) -> Cache {
    let sign = if url.contains('?') { '&' } else { '?' };
    Cache::from_url(&format!("{url}{sign}soft_limit=60s&connect_limit=60s")).unwrap_or_else(|error| panic!("{error:#}"))
}

pub(super) fn front(cache: &Cache) -> NearCacheStats {
    cache.stats().backend.unwrap().near.unwrap()
}

pub(super) fn until(cache: &Cache, tracking: Tracking) {
    wait_until(&format!("{tracking:?}"), || front(cache).tracking == tracking);
}

/// Asks until these are in front.
pub(super) fn have_in_front(cache: &Cache, questions: std::ops::Range<u32>) {
    wait_until("they are in front", || {
        questions.clone().for_each(|question| _ = ask(cache, question));
        cache.stats().entries == u64::from(questions.end - questions.start)
    });
}

/// One that hears, with the answers 1 to the questions 0 to 9 in front. Its calls wait for a server that is slow to answer.
fn filled(url: &str) -> Cache {
    let sign = if url.contains('?') { '&' } else { '?' };
    fill(tiered(&format!("{url}{sign}soft_limit=60s")))
}

fn fill(cache: Cache) -> Cache {
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..10);
    cache
}

/// Runs `test` with a cache that is filled, and again where that was in doubt about its connection more often than so many
/// times, as it is where the machine holds it up for a second.
fn undisturbed(losses: u64, url: impl Fn(&Redis) -> String, test: impl Fn(&Redis, &Cache)) {
    const ATTEMPTS: u32 = 5;

    for attempt in 1..=ATTEMPTS {
        let redis = Redis::start(&[]);
        let cache = filled(&url(&redis));
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&redis, &cache))) else { return };
        if front(&cache).lost <= losses || attempt == ATTEMPTS {
            resume_unwind(panic);
        }
    }
}

/// How often the server was asked for a value.
fn gets(redis: &Redis) -> u64 {
    let stats: String = redis.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

/// The numbers of the connections that hear of changes.
fn trackers(redis: &Redis) -> Vec<String> {
    let all: String = redis.ask(&["CLIENT", "LIST"]);
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)).unwrap()
    };
    all.lines().filter(|line| field(line, "flags").contains('t')).map(|line| field(line, "id")).collect()
}

#[test]
fn what_is_in_front_asks_the_server_nothing() {
    undisturbed(0, Redis::url, |redis, cache| {
        let before = gets(redis);
        let hits = cache.stats().hits();
        for _ in 0..100 {
            (0..10).for_each(|question| assert_eq!(ask(cache, question), 1));
        }
        assert_eq!((gets(redis), cache.stats().hits()), (before, hits + 1000));
        assert_eq!(cache.stats().faults(), 0);
    });
}

/// By whichever client, and with whichever command.
#[test]
fn changes_by_others_are_seen() {
    undisturbed(0, Redis::url, |redis, cache| {
        each_change_is_seen(redis, cache);
        assert_eq!(front(cache).lost, 0, "nothing was lost meanwhile");
    });
}

fn each_change_is_seen(redis: &Redis, cache: &Cache) {
    let another = other(&redis.url());
    let key = |question| stored(cache, question);
    let changes: [(&str, &dyn Fn()); 10] = [
        ("put", &|| put(&another, 0, 2)),
        ("refresh", &|| assert_eq!(scoped_sync(&another, || lasting_cache(0).refresh()), 2)),
        ("invalidate", &|| assert!(scoped_sync(&another, || lasting_cache(0).invalidate()).unwrap())),
        ("clear", &|| another.clear_sync().unwrap()),
        ("SET", &|| redis.ask(&["SET", &key(0), "garbage"])),
        ("DEL", &|| assert_eq!(redis.ask::<u64>(&["DEL", &key(0)]), 1)),
        ("RENAME", &|| redis.ask(&["RENAME", &key(0), "elsewhere"])),
        ("expiry", &|| assert_eq!(redis.ask::<u64>(&["PEXPIRE", &key(0), "300"]), 1)),
        ("another type", &|| {
            redis.ask::<u64>(&["DEL", &key(0)]);
            assert_eq!(redis.ask::<u64>(&["RPUSH", &key(0), "x"]), 1);
        }),
        ("FLUSHALL", &|| redis.ask(&["FLUSHALL"])),
    ];
    for (what, change) in changes {
        source(1);
        put(&another, 0, 1);
        wait_until("it is in front again", || {
            let before = (ask(cache, 0), gets(redis));
            before == (1, before.1) && ask(cache, 0) == 1 && gets(redis) == before.1
        });
        source(2);
        change();
        wait_until(what, || ask(cache, 0) == 2);
    }
}

/// Another cache with a front of its own: each hears of the other.
#[test]
fn two_fronts_follow_one_another() {
    let redis = Redis::start(&[]);
    let caches = [filled(&redis.url()), filled(&redis.url())];
    for round in 2..12 {
        let (writes, reads) = (&caches[round as usize % 2], &caches[(round as usize + 1) % 2]);
        put(writes, 0, round);
        assert_eq!(ask(writes, 0), round, "its own are seen at once");
        wait_until("the other one sees it", || ask(reads, 0) == round);
    }
    caches[0].clear_sync().unwrap();
    assert_eq!(caches[0].stats().entries, 0);
    wait_until("it hears that all are gone", || caches[1].stats().entries == 0);
}

#[test]
fn what_this_cache_does_is_seen_at_once() {
    let redis = Redis::start(&[]);
    let cache = filled(&redis.url());
    scoped_sync(&cache, || {
        for round in 0..50 {
            let [first, second, third] = [3 * round + 2, 3 * round + 3, 3 * round + 4];
            lasting_cache(0).put(&first).unwrap();
            assert_eq!([lasting(0), lasting(0)], [first; 2]);
            source(second);
            assert_eq!(lasting_cache(0).refresh(), second);
            assert_eq!([lasting(0), lasting(0)], [second; 2]);
            source(third);
            assert!(lasting_cache(0).invalidate().unwrap());
            assert_eq!([lasting(0), lasting(0)], [third; 2]);
        }
    });
    cache.clear_sync().unwrap();
    source(9999);
    assert_eq!(ask(&cache, 0), 9999);
    assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
}

#[test]
fn changes_of_other_namespaces_are_none() {
    let url = |redis: &Redis, namespace: &str| format!("{}?namespace={namespace}", redis.url());
    undisturbed(
        0,
        |redis| url(redis, "mine"),
        |redis, cache| {
            wait_until("it has heard of its own", || front(cache).changed >= 10);
            let before = front(cache).changed;
            for theirs in ["min", "mine2", "yours", "cache-request"] {
                let theirs = other(&url(redis, theirs));
                (0..10).for_each(|question| put(&theirs, question, 2));
                theirs.clear_sync().unwrap();
            }
            redis.ask::<()>(&["SET", "mine", "another program's"]);
            put(&other(&url(redis, "mine")), 9, 2);
            wait_until("it hears of its own", || ask(cache, 9) == 2);
            assert_eq!(front(cache).changed, before + 1);
            let asked = gets(redis);
            (0..9).for_each(|question| assert_eq!(ask(cache, question), 1));
            assert_eq!(gets(redis), asked);
        },
    );
}

#[test]
fn other_databases_and_sockets_tell_as_well() {
    let redis = Redis::start(&[]);
    let socket = format!("redis+unix://{}", redis.socket().display());
    for url in [format!("{}/3", redis.url()), socket] {
        let cache = filled(&url);
        put(&other(&url), 0, 2);
        wait_until("the change is seen", || ask(&cache, 0) == 2);
    }
}

#[test]
fn encrypted_connections_tell_as_well() {
    let certificates = Certificates::new();
    let port = free_port();
    let encrypted = servers::encrypted(&certificates, port);
    let _redis = Redis::start(&encrypted.iter().map(String::as_str).collect::<Vec<_>>());
    let url = format!("rediss://127.0.0.1:{port}?tls_ca={}", certificates.authority().display());
    let cache = filled(&url);
    put(&other(&url), 0, 2);
    wait_until("the change is seen", || ask(&cache, 0) == 2);
}

/// The server tells nothing of what happens between two connections.
#[test]
fn a_lost_connection_drops_what_is_in_front() {
    undisturbed(5, Redis::url, |redis, cache| {
        let another = other(&redis.url());
        for round in 1..6 {
            let [tracker] = &trackers(redis)[..] else { panic!("one connection hears: {:?}", trackers(redis)) };
            assert_eq!(redis.ask::<u64>(&["CLIENT", "KILL", "ID", tracker]), 1);
            put(&another, 0, round + 1);
            wait_until("it is noticed", || front(cache).lost >= u64::from(round));
            wait_until("the change is seen", || ask(cache, 0) == round + 1);
            until(cache, Tracking::Live);
            have_in_front(cache, 0..10);
            assert_eq!(front(cache).lost, u64::from(round), "a new one is made at once");
        }
        assert_eq!(cache.stats().faults(), 0, "calls go over other connections");
    });
}

#[test]
fn a_server_that_is_killed_leaves_nothing_in_front() {
    let mut redis = Redis::start(&[]);
    let cache = filled(&redis.url());
    for says in 2..5 {
        redis.server.kill();
        until(&cache, Tracking::Suspended);
        assert_eq!(cache.stats().entries, 0);
        source(says);
        let calls = bodies(|| (0..30).for_each(|_| assert_eq!(ask(&cache, 0), says)));
        assert_eq!((calls, cache.stats().entries), (30, 0), "nothing is put there meanwhile");
        redis.server.restart();
        until(&cache, Tracking::Live);
        have_in_front(&cache, 0..10);
        assert_eq!(ask(&cache, 0), says);
        put(&other(&redis.url()), 0, 100);
        wait_until("changes are heard of again", || ask(&cache, 0) == 100);
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_relied_on() {
    let redis = Redis::start(&[]);
    // Its calls do not wait for long.
    let cache = fill(tiered(&redis.url()));
    redis.server.stop();
    source(2);
    until(&cache, Tracking::Suspended);
    assert_eq!(cache.stats().entries, 0);
    assert_eq!(ask(&cache, 0), 2);
    assert_eq!(cache.stats().entries, 0);
    redis.server.go_on();
    until(&cache, Tracking::Live);
    source(3);
    have_in_front(&cache, 20..25);
    assert_eq!(ask(&cache, 20), 3);
    put(&other(&redis.url()), 20, 4);
    wait_until("changes are heard of again", || ask(&cache, 20) == 4);
}

#[test]
fn a_server_that_is_absent_and_comes_is_heard() {
    let mut redis = Redis::start(&[]);
    redis.server.kill();
    let cache = tiered(&redis.url());
    source(1);
    let calls = bodies(|| (0..20).for_each(|_| assert_eq!(ask(&cache, 0), 1)));
    assert_eq!((calls, cache.stats().entries, front(&cache).tracking), (20, 0, Tracking::Suspended));
    redis.server.restart();
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
}

/// Servers that tell nothing: an older protocol, or a user who may not ask for it. They are used without a front.
#[test]
fn a_server_that_does_not_tell_has_no_front() {
    let older = Redis::start(&["--rename-command", "HELLO", ""]);
    let strict = Redis::start(&[]);
    let rights = ["~*", "-@all", "+get", "+set", "+unlink", "+scan", "+exists", "+evalsha", "+eval", "+pttl"];
    let user = [&["ACL", "SETUSER", "cache", "on", ">secret"][..], &rights].concat();
    strict.ask::<()>(&user);
    let strict_url = format!("redis://cache:secret@127.0.0.1:{}", strict.server.port);
    for url in [older.url(), strict_url.clone()] {
        let begun = Instant::now();
        let cache = tiered(&format!("{url}?soft_limit=60s"));
        wait_until("it was tried", || front(&cache).lost >= 2);
        source(1);
        let calls = bodies(|| (0..30).for_each(|question| assert_eq!(ask(&cache, question % 10), 1)));
        assert_eq!(calls, 10, "{}", cache.stats());
        let stats = cache.stats();
        assert_eq!((stats.hits(), stats.faults(), stats.entries), (20, 0, 0), "{stats}");
        assert_eq!(front(&cache).tracking, Tracking::Suspended);
        // After 0, 50, 150, 350, 750, 1550 ms at the soonest, and then once a second.
        let most = 7 + begun.elapsed().as_secs();
        assert!(front(&cache).lost <= most, "it is not asked again and again: {:?}", front(&cache));
    }

    // These two rights are what it takes.
    let cache = tiered(&strict_url);
    strict.ask::<()>(&["ACL", "SETUSER", "cache", "+client|tracking", "+ping"]);
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..10);
    redis_changes(&strict, &cache);
}

/// As one that has clients enough.
#[test]
fn a_server_that_refuses_for_a_while_is_heard_after_that() {
    let redis = Redis::start(&[]);
    let cache = filled(&redis.url());
    let mut admin = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut tell = |command: &str| {
        let words: Vec<_> = command.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut admin).unwrap();
    };
    let mut tracker = String::new();
    wait_until("one connection hears", || {
        let mut trackers = trackers(&redis);
        tracker = trackers.pop().unwrap_or_default();
        !tracker.is_empty() && trackers.is_empty()
    });
    tell("CONFIG SET maxclients 1");
    tell(&format!("CLIENT KILL ID {tracker}"));
    wait_until("it was refused", || front(&cache).lost >= 4);
    assert_eq!((front(&cache).tracking, cache.stats().entries), (Tracking::Suspended, 0));
    tell("CONFIG SET maxclients 1000");
    until(&cache, Tracking::Live);
    have_in_front(&cache, 0..10);
    redis_changes(&redis, &cache);
}

/// Another client's change is seen.
fn redis_changes(redis: &Redis, cache: &Cache) {
    source(7);
    assert_eq!(redis.ask::<u64>(&["DEL", &stored(cache, 0)]), 1);
    wait_until("the change is seen", || ask(cache, 0) == 7);
}

/// Its connection ends with it.
#[test]
fn a_cache_that_is_gone_hears_no_more() {
    let redis = Redis::start(&[]);
    let caches = [filled(&redis.url()), filled(&redis.url())];
    wait_until("both hear", || trackers(&redis).len() == 2);
    drop(caches);
    wait_until("no near cache is told", || trackers(&redis).is_empty());
    // A cache without a front needs none.
    let plain = other(&redis.url());
    ask(&plain, 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(trackers(&redis).len(), 0);
}

/// Also one that is still being made, to a server that has yet to say something.
#[test]
fn a_cache_that_is_gone_connects_no_more() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let limit = "connect_limit=1h";
    let caches: [&dyn Fn() -> Cache; 3] = [
        &|| tiered(&format!("redis://127.0.0.1:{port}?{limit}")),
        &|| tiered(&format!("redis-sentinel://127.0.0.1:{port}/main?{limit}")),
        &|| {
            let cache = Cache::from_url(&format!("redis://127.0.0.1:{port}?{limit}")).unwrap();
            ask(&cache, 0);
            cache
        },
    ];
    for cache in caches {
        let cache = cache();
        let (mut connection, _) = silent.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.read_exact(&mut [0]).expect("a question");
        drop(cache);
        connection.read_to_end(&mut Vec::new()).expect("its end");
    }
}

/// Changes of many keys at once come as one message or as many, and none is forgotten.
#[test]
fn many_changes_at_once_are_all_seen() {
    const MANY: u32 = 2000;

    let redis = Redis::start(&[]);
    let cache = tiered(&format!("{}?soft_limit=60s", redis.url()));
    until(&cache, Tracking::Live);
    source(1);
    have_in_front(&cache, 0..MANY);
    let keys: Vec<_> = (0..MANY).map(|question| stored(&cache, question)).collect();
    let command: Vec<_> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    source(2);
    assert_eq!(redis.ask::<u32>(&command), MANY);
    wait_until("all are gone", || cache.stats().entries == 0);
    (0..MANY).for_each(|question| assert_eq!(ask(&cache, question), 2));
    assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
}
