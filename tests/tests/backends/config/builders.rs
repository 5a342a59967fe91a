//! Builders: they take the options of addresses, and refuse the same values in the same words.

use std::time::Duration;

use cache_request::{
    CacheBuilder, ErrorKind,
    backend::{
        FileBackend, FileBackendBuilder, MemcachedBackend, MemcachedBackendBuilder, MemoryBackend, RedisBackend,
        RedisBackendBuilder, SqlBackend, SqlBackendBuilder, SslMode,
    },
    defaults,
};

use super::*;

/// Addresses with one option more, and what is said about them.
fn in_address(scheme: &str, option: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = match scheme {
        "file" => format!("file://{}", directory.path().display()),
        "sqlite" => format!("sqlite://{}/cache.db", directory.path().display()),
        "redis-sentinel" => "redis-sentinel://h/main".to_owned(),
        "memory" => "memory://".to_owned(),
        scheme => format!("{scheme}://h"),
    };
    refused(&format!("{at}?{option}"))
}

fn in_code<T>(made: Result<T, Error>) -> String {
    let error = made.err().expect("a fault");
    assert_eq!(error.kind(), ErrorKind::Config);
    told(&error)
}

/// A zero was an error in an address, and switched the cache off in a builder.
#[test]
fn zero_means_the_same_in_an_address_and_in_a_builder() {
    type Set<B> = fn(B) -> B;
    let zero = Duration::ZERO;

    let cache: [(&str, &str, Set<CacheBuilder>); 17] = [
        ("memory", "max_bytes=0", |builder| builder.max_bytes(0)),
        ("memory", "max_entries=0", |builder| builder.max_entries(0)),
        ("memory", "wait_limit=0s", |builder| builder.wait_limit(Duration::ZERO)),
        ("memory", "poll_limit=0s", |builder| builder.poll_limit(Duration::ZERO)),
        ("memory", "max_leaders=0", |builder| builder.max_leaders(0)),
        ("memory", "max_refreshes=0", |builder| builder.max_refreshes(0)),
        ("file", "lease=0s", |builder| builder.lease(Duration::ZERO)),
        ("file", "soft_limit=0s", |builder| builder.soft_limit(Duration::ZERO)),
        ("file", "max_concurrent=0", |builder| builder.max_concurrent(0)),
        ("file", "breaker_faults=0", |builder| builder.breaker_faults(0)),
        ("file", "breaker_pause=0s", |builder| builder.breaker_pause(Duration::ZERO)),
        ("file", "max_value_bytes=0", |builder| builder.max_value_bytes(0)),
        ("file", "secret=", |builder| builder.secret("")),
        ("file", "secret=a&secret_old=", |builder| builder.secret("a").secret_old("")),
        ("tiered+redis", "near_timeout=0s", |builder| builder.near_timeout(Duration::ZERO)),
        ("tiered+redis", "near_bytes=0", |builder| builder.near_bytes(0)),
        ("tiered+redis", "near_entries=0", |builder| builder.near_entries(0)),
    ];
    for (scheme, option, set) in cache {
        let words = in_code(set(Cache::builder().backend(MemoryBackend::new())).build());
        assert_eq!(words, in_address(scheme, option));
        let is_limit = !option.contains("secret");
        assert_eq!(words.contains("a limit is more than 0"), is_limit, "{words}");
    }

    let directory = tempfile::tempdir().unwrap();
    let file: [(&str, Set<FileBackendBuilder>); 3] = [
        ("max_bytes=0", |builder| builder.max_bytes(0)),
        ("max_bytes=4095", |builder| builder.max_bytes(4095)),
        ("max_entries=0", |builder| builder.max_entries(0)),
    ];
    for (option, set) in file {
        assert_eq!(in_code(set(FileBackend::builder(directory.path())).build()), in_address("file", option));
    }

    let redis = RedisBackend::builder("redis://h").connect_limit(zero).build();
    assert_eq!(in_code(redis), in_address("redis", "connect_limit=0s"));

    let sql: [(&str, Set<SqlBackendBuilder>); 3] = [
        ("max_connections=0", |builder| builder.max_connections(0)),
        ("connect_limit=0s", |builder| builder.connect_limit(Duration::ZERO)),
        ("cull_every=0s", |builder| builder.cull_every(Duration::ZERO)),
    ];
    for (option, set) in sql {
        assert_eq!(in_code(set(SqlBackend::builder("sqlite:///nowhere")).build()), in_address("sqlite", option));
        assert_eq!(in_code(set(SqlBackend::builder("postgres://h")).build()), in_address("postgres", option));
    }

    let memcached: [(&str, Set<MemcachedBackendBuilder>); 2] = [
        ("answer_limit=0s", |builder| builder.answer_limit(Duration::ZERO)),
        ("max_connections=0", |builder| builder.max_connections(0)),
    ];
    for (option, set) in memcached {
        assert_eq!(in_code(set(MemcachedBackend::builder("memcached://h")).build()), in_address("memcached", option));
    }

    let memory = [MemoryBackend::builder().max_bytes(0), MemoryBackend::builder().max_entries(0)];
    for builder in memory {
        assert!(in_code(builder.build()).contains("a limit is more than 0"));
    }
}

/// Other values than limits.
#[test]
fn what_an_address_refuses_a_builder_refuses() {
    type Set<B> = fn(B) -> B;
    let cache: [(&str, Set<CacheBuilder>); 3] = [
        ("compress_level=-8", |builder| builder.compress_level(-8)),
        ("compress_level=23", |builder| builder.compress_level(23)),
        ("secret_old=a", |builder| builder.secret_old("a")),
    ];
    for (option, set) in cache {
        assert_eq!(in_code(set(Cache::builder().backend(MemoryBackend::new())).build()), in_address("file", option));
    }

    let redis: [(&str, &str, Set<RedisBackendBuilder>); 11] = [
        ("redis", "namespace=a:b", |builder| builder.namespace("a:b")),
        ("redis-cluster", "db=1", |builder| builder.db(1)),
        ("redis", "tls=true", |builder| builder.tls(true)),
        ("redis", "tls=false", |builder| builder.tls(false)),
        ("redis", "tls_ca=/nowhere", |builder| builder.tls_ca("/nowhere")),
        ("rediss", "tls_ca=/nowhere", |builder| builder.tls_ca("/nowhere")),
        ("redis-cluster", "tls_ca=/nowhere", |builder| builder.tls_ca("/nowhere")),
        ("redis", "sentinel_user=a", |builder| builder.sentinel_user("a")),
        ("redis-sentinel", "sentinel_user=a", |builder| builder.sentinel_user("a")),
        ("redis", "sentinel_password=a", |builder| builder.sentinel_password("a")),
        ("redis-sentinel", "sentinel_password=", |builder| builder.sentinel_password("")),
    ];
    for (scheme, option, set) in redis {
        let address = format!("{scheme}://h{}", if scheme == "redis-sentinel" { "/main" } else { "" });
        assert_eq!(in_code(set(RedisBackend::builder(&address)).build()), in_address(scheme, option));
    }

    let sqlite: [(&str, Set<SqlBackendBuilder>); 4] = [
        ("namespace=a:b", |builder| builder.namespace("a:b")),
        ("table=1a", |builder| builder.table("1a")),
        ("socket=/run", |builder| builder.socket("/run")),
        ("sslmode=require", |builder| builder.sslmode(SslMode::Require)),
    ];
    for (option, set) in sqlite {
        assert_eq!(in_code(set(SqlBackend::builder("sqlite:///nowhere")).build()), in_address("sqlite", option));
    }

    let words = in_code(MemcachedBackend::builder("memcached://h").namespace("").build());
    assert_eq!(words, in_address("memcached", "namespace="));
}

/// One that is right later does not make up for one that was wrong.
#[test]
fn a_builder_returns_its_first_fault() {
    let error = in_code(Cache::builder().max_bytes(0).max_entries(0).max_bytes(1).build());
    assert!(error.starts_with("option `max_bytes`: `0`"), "{error}");
}

#[test]
fn what_contradicts_in_a_builder_is_an_error() {
    let words = in_code(Cache::builder().near_timeout(Duration::from_secs(1)).build());
    assert!(words.contains("need a backend"), "{words}");
    let words = in_code(Cache::builder().null().near_entries(1).build());
    assert!(words.contains("need a backend"), "{words}");
    for set in [CacheBuilder::max_bytes, CacheBuilder::max_entries] {
        let builder = Cache::builder().backend(MemoryBackend::new()).near_bytes(1 << 20);
        let words = in_code(set(builder, 1 << 20).build());
        assert!(words.contains("limited by `near_bytes` and `near_entries`"), "{words}");
    }
    let words = in_code(RedisBackend::builder("redis://h/1").db(2).build());
    assert_eq!(words, in_code(Cache::from_url("redis://h/1?db=2")));
}

#[test]
fn memory_is_in_front_if_any_of_its_options_is_set() {
    let builder = || Cache::builder().backend(MemoryBackend::new());
    let is_in_front = |builder: CacheBuilder| builder.build().unwrap().stats().backend.unwrap().near.is_some();
    assert!(!is_in_front(builder()));
    assert!(is_in_front(builder().near_timeout(defaults::NEAR_TIMEOUT)));
    assert!(is_in_front(builder().near_bytes(1 << 20)));
    assert!(is_in_front(builder().near_entries(100)));
    assert_eq!(entries(&builder().near_entries(1).build().unwrap()), 1);
    assert_eq!(entries(&builder().build().unwrap()), 0);
}

/// All begin at an address, and take no options in it.
#[test]
fn backends_are_made_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a b?");
    assert!(FileBackend::new(&path).is_ok() && path.is_dir());
    let file = format!("sqlite://{}/a%20b%3F/c.db", directory.path().display());
    assert!(SqlBackend::builder(&file).connect(cache_request::backend::Connect::Now).build().is_ok());
    assert!(path.join("c.db").is_file());
    assert!(SqlBackend::new("postgres://h/d").is_ok() && SqlBackend::new("postgresql://h/d").is_ok());
    assert!(RedisBackend::new("redis://h").is_ok() && RedisBackend::new(" REDIS-CLUSTER://a,b ").is_ok());
    assert!(MemcachedBackend::new("memcached://a,b").is_ok());

    let options = "address of a builder has no options";
    for (made, words) in [
        (RedisBackend::new("redis://hush@h?db=hush").err(), options),
        (SqlBackend::new("sqlite:///f?table=hush").err(), options),
        (MemcachedBackend::new("memcached://h?hush").err(), options),
        (RedisBackend::new("hush@h").err(), "begins with its scheme"),
        (
            RedisBackend::new("memcached://hush").err(),
            "is no scheme of this backend: there is redis://, rediss://, redis+unix://",
        ),
        (
            SqlBackend::new("tiered+sqlite:///hush").err(),
            "is no scheme of this backend: there is sqlite://, postgres://",
        ),
        (MemcachedBackend::new("redsi://hush").err(), "unknown scheme `redsi://`"),
        (SqlBackend::new("postgres://u:hush%FF@h").err(), "percent-encoded wrongly"),
    ] {
        let words_said = told(&made.expect(words));
        assert!(words_said.contains(words) && !words_said.contains("hush"), "{words_said}");
    }
}
