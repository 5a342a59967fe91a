//! What options there are, and what may be their values.

use super::*;

#[test]
fn an_unknown_scheme_is_told_all_there_are() {
    for url in ["redsi://", "redsi://host/0?max_bytes=1"] {
        let error = refused(url);
        let scheme = url.split_once("://").unwrap().0;
        assert!(error.contains(&format!("`{scheme}://`")), "{error}");
        for known in [
            "memory://",
            "null://",
            "file://",
            "memcached://",
            "redis://",
            "redis-cluster://",
            "sqlite://",
            "postgres://",
            "tiered+redis://",
        ] {
            assert!(error.contains(known), "{error}");
        }
    }
}

#[test]
fn an_unknown_option_is_told_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}", directory.path().display());
    for (url, known) in [
        (
            "memory://",
            "function_tags, max_bytes, max_entries, max_leaders, max_refreshes, measure, poll_limit, prefix, wait_limit",
        ),
        ("null://", "function_tags, max_leaders, max_refreshes, measure, poll_limit, prefix, wait_limit"),
        (
            &*file,
            "breaker_faults, breaker_pause, compress_level, compress_over, function_tags, lease, leases, max_bytes, max_concurrent, max_entries, \
             max_leaders, max_refreshes, max_value_bytes, measure, poll_limit, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, wait_limit",
        ),
        (
            "redis://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, db, function_tags, lease, leases, max_concurrent, \
             max_leaders, max_refreshes, max_value_bytes, measure, namespace, poll_limit, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, wait_limit",
        ),
        (
            "redis-cluster://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, function_tags, lease, leases, max_concurrent, \
             max_leaders, max_refreshes, max_value_bytes, measure, namespace, poll_limit, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, tls, tls_ca, \
             wait_limit",
        ),
        (
            "tiered+redis://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, db, function_tags, lease, leases, max_concurrent, \
             max_leaders, max_refreshes, max_value_bytes, measure, namespace, near_bytes, near_entries, near_timeout, poll_limit, prefix, secret, secret_env, \
             secret_old, secret_old_env, soft_limit, wait_limit",
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
            "option `soft_limit` is one of all schemes with a backend, not of `memory://`: there is function_tags, max_bytes, max_entries, max_leaders, max_refreshes, measure, poll_limit, prefix, \
             wait_limit",
        ),
        (
            "null://?max_bytes=1",
            "option `max_bytes` is one of `memory://` and `file://`, not of `null://`: there is function_tags, max_leaders, max_refreshes, measure, poll_limit, prefix, wait_limit",
        ),
        (
            &*format!("file://{}?max_byte=1", unmade.display()),
            "unknown option `max_byte` of `file://`: there is breaker_faults, breaker_pause, compress_level, \
             compress_over, function_tags, lease, leases, max_bytes, max_concurrent, max_entries, max_leaders, max_refreshes, max_value_bytes, measure, poll_limit, prefix, secret, secret_env, \
             secret_old, secret_old_env, soft_limit, wait_limit",
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
        ("wait_limit", "never"),
    ] {
        let error = refused(&format!("memory://?{option}={value}"));
        assert!(error.contains(&format!("option `{option}`: `{value}`")), "{error}");
        let example = match option {
            "max_bytes" => "64MiB",
            "max_entries" => "10000",
            _ => "10s",
        };
        assert!(error.contains(example), "it says what to write: {error}");
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
        "null://?wait_limit=1ns",
    ] {
        Cache::from_url(url).expect(url);
    }
    assert_eq!(entries(&Cache::from_url("memory://").unwrap()), 2);
    assert_eq!(entries(&Cache::from_url("memory://?max_entries=1").unwrap()), 1);
    assert!(Cache::from_url("null://").unwrap().is_disabled());

    let cache = Cache::from_url("memory://?prefix=shop%2E1").unwrap();
    scoped_sync(&cache, || assert_eq!(double_cache(1).key().unwrap(), "shop%2E1..backends.config.double?number=1"));
}
