//! Addresses and configurations: what they mean, and what is said about those that mean nothing.

use std::{error::Error as _, fs};

use cache_request::{Cache, Config, Error, cache_request, scoped_sync};

/// What is said about `url`, with all causes.
fn refused(url: &str) -> String {
    told(&Cache::from_url(url).expect_err(url))
}

fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

#[cache_request]
fn double(number: u32) -> u32 {
    number * 2
}

/// Calls a function three times, twice alike, and says how many entries there are.
fn entries(cache: &Cache) -> u64 {
    scoped_sync(cache, || assert_eq!([double(1), double(2), double(2)], [2, 4, 4]));
    cache.stats().entries
}

#[test]
fn an_unknown_scheme_is_told_all_there_are() {
    for url in ["redsi://", "redsi://host/0?max_bytes=1", "Memory://"] {
        let error = refused(url);
        let scheme = url.split_once("://").unwrap().0;
        assert!(error.contains(&format!("`{scheme}://`")), "{error}");
        for known in ["memory://", "null://", "file://", "redis://", "redis-cluster://", "memcached://"] {
            assert!(error.contains(known), "{error}");
        }
    }
}

#[test]
fn an_unknown_option_is_told_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}", directory.path().display());
    for (url, known) in [
        ("memory://", "max_bytes, max_entries, prefix, wait_limit"),
        ("null://", "prefix, wait_limit"),
        (
            &*file,
            "breaker_faults, breaker_pause, max_bytes, max_concurrent, max_entries, prefix, soft_limit, wait_limit",
        ),
        (
            "redis://h",
            "breaker_faults, breaker_pause, connect, connect_limit, db, max_concurrent, namespace, prefix, soft_limit, wait_limit",
        ),
        (
            "memcached://h",
            "answer_limit, breaker_faults, breaker_pause, connect, max_concurrent, max_connections, namespace, prefix, soft_limit, \
             wait_limit",
        ),
        (
            "redis-cluster://h",
            "breaker_faults, breaker_pause, connect, connect_limit, max_concurrent, namespace, prefix, soft_limit, tls, tls_ca, \
             wait_limit",
        ),
    ] {
        let error = refused(&format!("{url}?max_byte=1"));
        assert!(error.contains("`max_byte`"), "{error}");
        assert!(error.ends_with(&format!("there is {known}")), "{error}");
    }
    assert!(refused("null://?max_bytes=1").contains("`max_bytes`"));
    assert!(refused("memory://?MAX_BYTES=1").contains("`MAX_BYTES`"));
}

/// It may have been right before the address was changed.
#[test]
fn an_option_of_another_scheme_is_told_whose_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let unmade = directory.path().join("unmade");
    for (url, told) in [
        (
            "memory://?soft_limit=1s",
            "option `soft_limit` is one of `file://`, not of `memory://`: there is max_bytes, max_entries, prefix, \
             wait_limit",
        ),
        (
            "null://?max_bytes=1",
            "option `max_bytes` is one of `memory://` and `file://`, not of `null://`: there is prefix, wait_limit",
        ),
        (
            &*format!("file://{}?max_byte=1", unmade.display()),
            "unknown option `max_byte` of `file://`: there is breaker_faults, breaker_pause, max_bytes, max_concurrent, \
             max_entries, prefix, soft_limit, wait_limit",
        ),
    ] {
        assert_eq!(refused(url), told);
    }
    let error = config(r#"{ "url": "null://", "max_entries": 5 }"#).default.build().unwrap_err();
    assert!(told(&error).starts_with("option `max_entries` is one of `memory://` and `file://`"), "{error}");
    assert!(!unmade.exists(), "what is refused is not made");
}

#[test]
fn a_limit_of_nothing_is_told_what_keeps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for address in ["memory://".to_owned(), format!("file://{}", directory.path().display())] {
        for (option, value) in [("max_bytes", "0"), ("max_bytes", "0MiB"), ("max_entries", "0")] {
            let error = refused(&format!("{address}?{option}={value}"));
            assert!(error.contains(&format!("option `{option}`: `{value}`")), "{error}");
            assert!(error.contains("null://"), "{error}");
        }
    }
    assert_eq!(entries(&Cache::from_url("memory://?max_entries=1").unwrap()), 1);
}

#[test]
fn in_code_a_limit_of_nothing_keeps_nothing() {
    for builder in [Cache::builder().max_entries(0), Cache::builder().max_bytes(0)] {
        let cache = builder.build();
        assert!(cache.is_disabled());
        assert_eq!(entries(&cache), 0);
        let stats = cache.stats();
        assert_eq!((stats.functions[0].uncached, stats.faults()), (3, 0));
    }
}

#[test]
fn an_option_stands_once() {
    for error in [
        refused("memory://?max_entries=1&max_entries=1"),
        refused("memory://?max_entries=1&prefix=a&max%5Fentries=2"),
        told(&config(r#"{ "url": "memory://?max_entries=1", "max_entries": 1 }"#).default.build().unwrap_err()),
    ] {
        assert!(error.contains("`max_entries`") && error.contains("twice"), "{error}");
    }
}

#[test]
fn values_that_cannot_be_meant() {
    for (option, value) in [
        ("max_bytes", ""),
        ("max_bytes", "much"),
        ("max_bytes", "-1"),
        ("max_bytes", "1.5GiB"),
        ("max_bytes", "1PiB"),
        ("max_bytes", "MiB"),
        ("max_bytes", "18446744073709551615KiB"),
        ("max_bytes", "99999999999999999999"),
        ("max_entries", ""),
        ("max_entries", "-1"),
        ("max_entries", "1k"),
        ("wait_limit", ""),
        ("wait_limit", "10"),
        ("wait_limit", "soon"),
    ] {
        let error = refused(&format!("memory://?{option}={value}"));
        assert!(error.contains(&format!("option `{option}`: `{value}`")), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let error = refused(&format!("file://{}?soft_limit=now", directory.path().display()));
    assert!(error.contains("option `soft_limit`: `now`"), "{error}");
    assert!(refused("memory://?max_entries").contains("option `max_entries`: ``"));
}

#[test]
fn values_that_can() {
    for url in [
        "memory://",
        "memory://?",
        "memory://?&",
        "memory://?max_bytes=1",
        "memory://?max_bytes=1048576",
        "memory://?max_bytes=64MiB",
        "memory://?max_bytes=64mib&max_entries=10",
        "memory://?max_bytes=64%20MiB",
        "memory://?max_bytes=1GB&prefix=a&wait_limit=1h%2030m",
        "null://?wait_limit=0s",
    ] {
        Cache::from_url(url).expect(url);
    }
    assert_eq!(entries(&Cache::from_url("memory://").unwrap()), 2);
    assert_eq!(entries(&Cache::from_url("memory://?max_entries=1").unwrap()), 1);
    assert!(Cache::from_url("null://").unwrap().is_disabled());

    let cache = Cache::from_url("memory://?prefix=shop%2E1").unwrap();
    scoped_sync(&cache, || assert_eq!(double_cache(1).key().unwrap(), "shop%2E1..double?number=1"));
}

#[test]
fn an_address_begins_with_its_scheme() {
    for url in ["", "memory", "memory:", "memory:/", "/var/cache", "://", "user@host://", "no scheme://"] {
        assert!(refused(url).contains("begins with its scheme"), "{url:?}: {}", refused(url));
    }
}

#[test]
fn memory_has_no_path() {
    for (url, scheme) in [("memory://x", "memory://"), ("memory:///", "memory://"), ("null://a/b?prefix=x", "null://")]
    {
        assert!(refused(url).contains(&format!("`{scheme}` takes no path")), "{}", refused(url));
    }
}

#[test]
fn a_file_cache_has_a_directory() {
    for url in ["file://", "file://?max_bytes=1GiB"] {
        assert!(refused(url).contains("needs a directory"), "{}", refused(url));
    }
}

#[test]
fn a_directory_may_be_percent_encoded() {
    let parent = tempfile::tempdir().unwrap();
    let parent = parent.path();
    let url = format!("file://{}/a%20b%3Fc%25/%C3%A4?max_bytes=1MiB", parent.display());
    entries(&Cache::from_url(&url).unwrap());
    let directory = parent.join("a b?c%").join("ä");
    assert!(fs::read_dir(directory).unwrap().count() > 0);
    assert_eq!(fs::read_dir(parent).unwrap().count(), 1);

    let error = refused(&format!("file://{}/%FF", parent.display()));
    assert!(error.contains("percent-encoded wrongly"), "{error}");
}

#[test]
fn a_configuration_is_read_with_its_named_caches() {
    let config = config(
        r#"{
            "url": "memory://?prefix=shop",
            "max_entries": 1,
            "max_bytes": "1MiB",
            "caches": {
                "sessions": { "max_entries": "2" },
                "none": { "url": "null://" }
            }
        }"#,
    );
    assert_eq!(config.caches.keys().collect::<Vec<_>>(), ["none", "sessions"]);
    let default = config.default.build().unwrap();
    assert_eq!(entries(&default), 1);
    scoped_sync(&default, || assert_eq!(double_cache(1).key().unwrap(), "shop..double?number=1"));
    assert_eq!(entries(&config.caches["sessions"].build().unwrap()), 2);
    assert!(config.caches["none"].build().unwrap().is_disabled());

    let empty = serde_json::from_str::<Config>("{}").unwrap();
    assert_eq!(empty, Config::default());
    assert_eq!(entries(&empty.default.build().unwrap()), 2);
}

#[test]
fn what_is_wrong_in_a_configuration_is_named() {
    for (json, parts) in [
        (r#"{ "caches": { "sessions": { "url": "redsi://" } } }"#, ["cache `sessions`", "`redsi://`"]),
        (r#"{ "caches": { "sessions": { "max_byte": 1 } } }"#, ["cache `sessions`", "`max_byte`"]),
        (r#"{ "caches": { "good": {}, "sessions": { "max_bytes": true } } }"#, ["cache `sessions`", "`true`"]),
        (r#"{ "caches": { "sessions": { "url": "memory://?prefix=a", "prefix": "b" } } }"#, ["`sessions`", "twice"]),
        (r#"{ "url": "memory://", "cache": "x" }"#, ["`cache`", "`memory://`"]),
    ] {
        // It fails before anything is installed.
        let error = told(&config(json).install().unwrap_err());
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn no_password_is_shown() {
    for url in [
        "redsi://user:secret@h/",
        "redis://user:secret@h/?password=secret",
        "redis://user:secret@h:port/",
        "redis://user:secret@h/database",
        "redis://user:secret@127.0.0.1:1/?connect=now",
        "rediss://user:secret@h?tls_ca=/nowhere",
        "redis-cluster://user:secret@h/0",
        "redis-sentinel://user:secret@h",
        "redis-sentinel://user:secret@h/main?sentinel_password=secret&x=secret",
        "redis+unix://user:secret@nowhere",
        "memory://secret@x?password=secret",
        "memory://?password=secret",
        "memory://user:secret@h",
        "null://user:secret@h?prefix=secret&prefix=secret",
        "file://?password=secret",
        "redis:user:secret@h",
        "user:secret@redis://h",
        "user:secret@h/?next=http://h",
        "redis://user:secret%FF@h",
        "memory://?max_entries=1&password=secret&password=secret",
    ] {
        let error = Cache::from_url(url).unwrap_err();
        assert!(!told(&error).contains("secret"), "{url}: {error}");
        assert!(!format!("{error:?} {error:#?}").contains("secret"), "{url}: {error:?}");

        let both = config(&format!(
            r#"{{ "url": "{url}", "password": "secret", "caches": {{ "a": {{ "url": "{url}", "password": "secret" }} }} }}"#
        ));
        assert!(!format!("{both:?} {both:#?} {:?}", both.default).contains("secret"), "{url}: {both:?}");
        let error = both.install().unwrap_err();
        assert!(!format!("{} {error:?}", told(&error)).contains("secret"), "{url}: {error:?}");
    }
}
