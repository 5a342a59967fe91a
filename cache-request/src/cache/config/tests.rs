//! What an address may say, whichever features are enabled.

use crate::{
    Cache, Error, ErrorKind,
    options::{
        scheme::{Choice, SCHEMES},
        table,
    },
};

/// An address of each scheme, which reaches no server and leaves no directory behind.
const ADDRESSES: [&str; 12] = [
    "memory://",
    "null://",
    "file:///dev/null/cache",
    "redis://127.0.0.1:1",
    "rediss://127.0.0.1:1",
    "redis+unix:///nowhere",
    "redis-cluster://127.0.0.1:1",
    "redis-sentinel://127.0.0.1:1/main",
    "sqlite:///dev/null/cache.db",
    "postgres://127.0.0.1:1/database",
    "postgresql://127.0.0.1:1/database",
    "memcached://127.0.0.1:1",
];

fn told(address: &str) -> Option<String> {
    Cache::from_url(address).err().map(|error| format!("{error:#}"))
}

#[test]
fn every_option_of_every_scheme_is_taken() {
    for (scheme, address) in SCHEMES.iter().zip(ADDRESSES) {
        for is_tiered in [false, true] {
            let choice = Choice { scheme, is_tiered };
            if is_tiered && !scheme.has_backend() {
                continue;
            }
            let address = if is_tiered { format!("tiered+{address}") } else { address.to_owned() };
            for option in table::of(choice) {
                let query = match option.name() {
                    name @ ("tls" | "leases" | "function_tags" | "measure") => format!("{name}=false"),
                    "connect" => "connect=lazy".to_owned(),
                    "sslmode" => "sslmode=prefer".to_owned(),
                    // A variable that is set wherever cargo runs.
                    "secret_env" => "secret_env=PATH".to_owned(),
                    "secret_old_env" => "secret=new&secret_old_env=PATH".to_owned(),
                    "secret_old" => "secret=new&secret_old=old".to_owned(),
                    "sentinel_user" => "sentinel_user=a&sentinel_password=b".to_owned(),
                    name if option.expected().contains("duration") => format!("{name}=1h"),
                    name if option.expected().contains("bytes") => format!("{name}=1MiB"),
                    name if option.expected().contains("text") => format!("{name}=shop"),
                    name => format!("{name}=1"),
                };
                // An option that nothing takes panics.
                let Some(error) = told(&format!("{address}?{query}")) else { continue };
                let is_expected = error.contains("not compiled in") || option.name() == "tls_ca";
                assert!(is_expected, "{address}?{query}: {error}");
            }
        }
    }
}

#[test]
fn what_is_not_compiled_in_names_the_features_that_are_enough() {
    let file = cfg!(feature = "file");
    let zstd = cfg!(feature = "zstd");
    let (redis, redis_tls) = (cfg!(feature = "redis"), cfg!(feature = "redis-tls"));
    let (postgres, postgres_tls) = (cfg!(feature = "postgres"), cfg!(feature = "postgres-tls"));
    let compression = if file { "feature `zstd`" } else { "features `file` and `zstd`" };
    for (address, is_there, features) in [
        ("file:///dev/null/cache", file, "feature `file`"),
        ("redis://127.0.0.1:1", redis, "feature `redis`"),
        ("rediss://127.0.0.1:1", redis_tls, "feature `redis-tls`"),
        ("redis+unix:///nowhere", redis, "feature `redis`"),
        ("redis-cluster://127.0.0.1:1", redis, "feature `redis`"),
        ("redis-cluster://127.0.0.1:1?tls=false", redis, "feature `redis`"),
        ("redis-cluster://127.0.0.1:1?tls=true", redis_tls, "feature `redis-tls`"),
        ("redis-sentinel://127.0.0.1:1/main", redis, "feature `redis`"),
        ("redis-sentinel://127.0.0.1:1/main?tls=true", redis_tls, "feature `redis-tls`"),
        ("sqlite:///dev/null/cache.db", cfg!(feature = "sqlite"), "feature `sqlite`"),
        ("postgres://127.0.0.1:1/database", postgres, "feature `postgres`"),
        ("postgres://127.0.0.1:1/database?sslmode=prefer", postgres, "feature `postgres`"),
        ("postgres://127.0.0.1:1/database?sslmode=require", postgres_tls, "feature `postgres-tls`"),
        ("postgresql://127.0.0.1:1/database?sslmode=verify-full", postgres_tls, "feature `postgres-tls`"),
        ("memcached://127.0.0.1:1", cfg!(feature = "memcached"), "feature `memcached`"),
        ("file:///dev/null/cache?compress_over=4KiB", file && zstd, compression),
        ("file:///dev/null/cache?compress_level=3", file && zstd, compression),
    ] {
        // Of two that are missing, the error names both.
        let features = if address.contains("compress") && zstd { "feature `file`" } else { features };
        for address in [address.to_owned(), format!("tiered+{address}")] {
            match Cache::from_url(&address) {
                Ok(_) => assert!(is_there, "{address}"),
                Err(error) => {
                    assert!(!is_there, "{address}: {error}");
                    let why = format!("is not compiled in: enable the {features} of cache-request");
                    assert!(error.to_string().ends_with(&why), "{address}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Config);
                }
            }
        }
    }
}

#[test]
fn an_option_that_is_not_compiled_in_was_blamed_on_its_scheme() {
    for (address, missing) in [
        ("file:///dev/null/cache?compress_over=4KiB", cfg!(all(feature = "file", not(feature = "zstd")))),
        ("redis-cluster://127.0.0.1:1?tls=true", cfg!(all(feature = "redis", not(feature = "redis-tls")))),
        (
            "postgres://127.0.0.1:1/database?sslmode=require",
            cfg!(all(feature = "postgres", not(feature = "postgres-tls"))),
        ),
    ] {
        let error = told(address).unwrap_or_default();
        assert_eq!(missing, error.starts_with("option `"), "{address}: {error}");
    }
}

/// A scheme that is not compiled in knows its options all the same.
#[test]
fn what_is_refused_is_told_before_what_is_not_compiled_in() {
    for (address, why) in [
        (
            "redis://h?max_bytes=1",
            "option `max_bytes` is one of `memory://` and `file://`, not of `redis://`: there is ",
        ),
        (
            "redis-cluster://h?db=1",
            "option `db` is one of `redis://`, `rediss://`, `redis+unix://`, `redis-sentinel://`, not",
        ),
        (
            "sqlite:///f?sslmode=require",
            "option `sslmode` is one of `postgres://`, `postgresql://`, not of `sqlite://`",
        ),
        ("postgres://h/d?sslmode=maybe", "option `sslmode`: `maybe`: expected `disable`, `allow`, `prefer`, "),
        ("memcached://h?namespace=a:b", "option `namespace`: `a:b`: a namespace is 1 to 100 characters of "),
        (
            "file:///dev/null/c?max_bytes=4095",
            "option `max_bytes`: `4095`: a file takes 4096 bytes at least; to keep nothing",
        ),
        ("redis://h?compress_level=23", "option `compress_level`: `23`: expected a level from -7 to 22"),
    ] {
        let error = told(address).expect(address);
        assert!(error.starts_with(why), "{address}: {error}");
    }
}

#[test]
fn measuring_without_reports_was_not_refused() {
    let error = |built: Result<Cache, Error>| built.err().map(|error| error.to_string());
    let refused = "option `measure`: `true` is not compiled in: enable the feature `report` of cache-request";
    let expected = (!cfg!(feature = "report")).then(|| refused.to_owned());
    assert_eq!(error(Cache::from_url("memory://?measure=true")), expected);
    assert_eq!(error(Cache::builder().measure(true).build()), expected);
    assert_eq!(error(Cache::from_url("memory://?measure=false")), None);
}
