//! Tags on real servers: what one process invalidates, another one has no more.

use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Backend, Cache, Error,
    backend::{Claim, Claimed, Fence, FileBackend, MemcachedBackend, RedisBackend, SqlBackend},
    cache_request, scoped_sync, tag,
};
use cache_request_tests::{
    delegate,
    servers::{
        PATIENCE,
        memcached::Memcached,
        postgres::Postgres,
        redis::{Cluster, Redis},
        wait_until,
    },
};
use futures_lite::future::block_on;

thread_local! {
    static SOURCE: Cell<u32> = const { Cell::new(0) };
}

#[cache_request(timeout = 86400, tags("article:{id}", "author:{value}"))]
fn article(id: u32) -> u32 {
    SOURCE.get() + id
}

#[cache_request(timeout = 86400)]
fn teaser(id: u32) -> u32 {
    tag("teasers");
    article(id)
}

#[cache_request(timeout = 86400)]
fn page() -> (u32, u32) {
    (teaser(1), teaser(2))
}

fn ask(cache: &Cache, source: u32) -> (u32, u32) {
    SOURCE.set(source);
    scoped_sync(cache, page)
}

/// The cache at an address, as one process has it.
fn open(url: &str, options: &str) -> Cache {
    let sign = if url.contains('?') { '&' } else { '?' };
    Cache::from_url(&format!("{url}{sign}{options}")).unwrap()
}

/// What one process invalidates is made anew by the others, also by one that starts later. What it does not invalidate stays.
fn one_process_invalidates_for_all(url: &str, options: &str) {
    let (one, other) = (open(url, options), open(url, options));
    assert_eq!(ask(&one, 10), (11, 12));
    assert_eq!((ask(&one, 20), ask(&other, 20)), ((11, 12), (11, 12)), "it is stored");
    other.invalidate_tag_sync("article:3").unwrap();
    assert_eq!(ask(&one, 20), (11, 12), "another tag");
    other.invalidate_tag_sync("article:2").unwrap();
    assert_eq!((ask(&one, 20), ask(&other, 30)), ((11, 22), (11, 22)), "the page inherits from the article");
    one.invalidate_tag_sync("author:11").unwrap();
    assert_eq!((ask(&other, 30), ask(&one, 40)), ((31, 22), (31, 22)), "a tag of the value");
    let later = open(url, options);
    assert_eq!(ask(&later, 40), (31, 22));
    later.invalidate_tag_sync("teasers").unwrap();
    SOURCE.set(50);
    assert_eq!(scoped_sync(&one, || article(1)), 31, "the article has no such tag");
    scoped_sync(&one, || article_cache(1).invalidate()).unwrap();
    assert_eq!(ask(&other, 50), (51, 22), "the teasers are made anew, of a new article and of an old one");
    one.clear_sync().unwrap();
    assert_eq!(ask(&one, 60), (61, 62));
    for cache in [&one, &other, &later] {
        assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    }
}

/// A near cache hears of it.
fn a_near_cache_is_told(url: &str, options: &str) {
    let (near, other) = (open(&format!("tiered+{url}"), &format!("{options}&near_timeout=24h")), open(url, options));
    near.clear_sync().unwrap();
    SOURCE.set(10);
    wait_until("it is in front", || {
        assert_eq!(scoped_sync(&near, || article(1)), 11);
        near.stats().entries > 0
    });
    other.invalidate_tag_sync("article:2").unwrap();
    other.invalidate_tag_sync("article:1").unwrap();
    SOURCE.set(20);
    wait_until("it has gone", || scoped_sync(&near, || article(1)) == 21);
}

const PATIENT: &str = "soft_limit=60s&lease=60s";
const CONNECT: &str = "soft_limit=60s&lease=60s&connect_limit=60s";

#[test]
fn a_tag_in_redis_left_values_to_others() {
    let redis = Redis::start(&[]);
    one_process_invalidates_for_all(&redis.url(), CONNECT);
    a_near_cache_is_told(&redis.url(), CONNECT);
}

#[test]
fn a_tag_in_a_cluster_left_values_to_others() {
    let cluster = Cluster::new();
    one_process_invalidates_for_all(&cluster.url(), CONNECT);
    a_near_cache_is_told(&cluster.url(), CONNECT);
}

#[test]
fn a_tag_in_memcached_left_values_to_others() {
    let (_servers, url) = Memcached::fleet(2);
    one_process_invalidates_for_all(&url, "soft_limit=60s&lease=60s&answer_limit=60s");
}

#[test]
fn a_tag_in_postgres_left_values_to_others() {
    let postgres = Postgres::start(&[]);
    one_process_invalidates_for_all(&postgres.url(), CONNECT);
    a_near_cache_is_told(&postgres.url(), CONNECT);
}

#[test]
fn a_tag_in_sqlite_left_values_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/cache.db", directory.path().display());
    one_process_invalidates_for_all(&url, CONNECT);
    a_near_cache_is_told(&url, CONNECT);
}

#[test]
fn a_tag_in_files_left_values_to_others() {
    let directory = tempfile::tempdir().unwrap();
    one_process_invalidates_for_all(&format!("file://{}", directory.path().display()), PATIENT);
}

/// A backend that notes which keys it has stored.
struct Noting<B> {
    backend: Arc<B>,
    keys: Mutex<BTreeSet<String>>,
}

impl<B: Backend> Noting<B> {
    fn note(&self, key: &str) {
        self.keys.lock().unwrap().insert(key.to_owned());
    }
}

impl<B: Backend> Backend for Noting<B> {
    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.note(key);
        self.backend.set(key, value, timeout).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.note(key);
        self.backend.add(key, value, timeout).await
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.note(key);
        self.backend.claim(key, claim).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.note(key);
        self.backend.set_fenced(key, value, timeout, fence).await
    }

    delegate!(self => self.backend; get touch delete clear has_fences renew release invalidate);
}

/// A record has gone, as if the server had evicted it, so it is not known whether its tag was invalidated.
fn values_do_not_outlive_the_records_of_their_tags(backend: impl Backend) {
    let backend = Arc::new(backend);
    let noting = Arc::new(Noting { backend: Arc::clone(&backend), keys: Mutex::default() });
    let cache = || {
        let builder = Cache::builder().soft_limit(PATIENCE).lease(PATIENCE);
        builder.backend(Arc::clone(&noting)).build().unwrap()
    };
    let (one, other) = (cache(), cache());
    assert_eq!((ask(&one, 10), ask(&one, 20), ask(&other, 20)), ((11, 12), (11, 12), (11, 12)));
    let keys = std::mem::take(&mut *noting.keys.lock().unwrap());
    let records: Vec<_> = keys.iter().filter(|key| key.contains("~tag.") && !key.ends_with("latest")).collect();
    assert_eq!(records.len(), 5, "{keys:?}");
    for record in records {
        assert!(block_on(backend.delete(record)).unwrap(), "{record}");
    }
    assert_eq!(
        (ask(&other, 20), ask(&one, 30), ask(&other, 40)),
        ((21, 22), (21, 22), (21, 22)),
        "doubt is a miss, once"
    );
    for cache in [one, other] {
        assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    }
}

#[test]
fn values_outlived_the_record_of_their_tag_in_redis_and_in_a_cluster() {
    let redis = |url: &str| RedisBackend::builder(url).connect_limit(PATIENCE).build().unwrap();
    let server = Redis::start(&[]);
    values_do_not_outlive_the_records_of_their_tags(redis(&server.url()));
    let cluster = Cluster::new();
    values_do_not_outlive_the_records_of_their_tags(redis(&cluster.url()));
}

#[test]
fn values_outlived_the_record_of_their_tag_in_memcached() {
    let (_servers, url) = Memcached::fleet(2);
    let backend = MemcachedBackend::builder(&url).answer_limit(PATIENCE).build().unwrap();
    values_do_not_outlive_the_records_of_their_tags(backend);
}

#[test]
fn values_outlived_the_record_of_their_tag_in_a_table() {
    let sql = |url: &str| SqlBackend::builder(url).connect_limit(PATIENCE).build().unwrap();
    let postgres = Postgres::start(&[]);
    values_do_not_outlive_the_records_of_their_tags(sql(&postgres.url()));
    let directory = tempfile::tempdir().unwrap();
    values_do_not_outlive_the_records_of_their_tags(sql(&format!("sqlite://{}/cache.db", directory.path().display())));
}

#[test]
fn values_outlived_the_record_of_their_tag_in_files() {
    let directory = tempfile::tempdir().unwrap();
    values_do_not_outlive_the_records_of_their_tags(FileBackend::new(directory.path().join("cache")).unwrap());
}

/// The server has evicted its record, so it is not known whether it was invalidated.
#[test]
fn values_outlived_the_record_of_their_tag() {
    let redis = Redis::start(&[]);
    let cache = open(&redis.url(), CONNECT);
    assert_eq!((ask(&cache, 10), ask(&cache, 20)), ((11, 12), (11, 12)));
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    let records: Vec<_> = keys.iter().filter(|key| key.contains("~tag.")).collect();
    assert!(records.len() >= 5, "{keys:?}");
    for record in records {
        assert_eq!(redis.ask::<u64>(&["DEL", record]), 1);
    }
    assert_eq!((ask(&cache, 20), ask(&cache, 30)), ((21, 22), (21, 22)), "doubt is a miss, once");
}
