//! Memory in front of a backend, and its options.

use super::*;

#[test]
fn memory_stands_in_front_of_backends_only() {
    for (url, told) in [
        ("tiered+memory://", "`tiered+memory://`: `memory://` has no backend that memory could be in front of"),
        ("tiered+null://", "`tiered+null://`: `null://` has no backend that memory could be in front of"),
        ("tiered://", "unknown scheme `tiered://`: there is "),
        ("tiered+://", "unknown scheme `tiered+://`: there is "),
        ("tiered+redsi://h", "unknown scheme `tiered+redsi://`: there is "),
        ("tiered+tiered+redis://h", "unknown scheme `tiered+tiered+redis://`: there is "),
        (
            "tiered+redis://h?near_timeout=0s",
            "option `near_timeout`: `0s`: a limit is more than 0; to keep nothing in front of the backend, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?near_bytes=0",
            "option `near_bytes`: `0`: a limit is more than 0; to keep nothing in front of the backend, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?near_entries=0",
            "option `near_entries`: `0`: a limit is more than 0; to keep nothing in front of the backend, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?near_timeout=never",
            "option `near_timeout`: `never`: expected a duration, such as 250ms, 10s, 1h 30m or 1day",
        ),
        ("tiered+redis://h?near_timeout=5", "option `near_timeout`: `5`"),
        ("tiered+redis://h?near_bytes=much", "option `near_bytes`: `much`"),
        ("tiered+redis://h?max_entries=5", "option `max_entries` is one of `memory://` and `file://`, not of"),
        ("redis://h?near_timeout=1s", "option `near_timeout` is one of `tiered+…`, not of `redis://`: there is "),
        ("memory://?near_bytes=1MiB", "option `near_bytes` is one of `tiered+…`, not of `memory://`: there is "),
        ("null://?near_entries=1", "option `near_entries` is one of `tiered+…`, not of `null://`: there is "),
    ] {
        let error = refused(url);
        assert!(error.starts_with(told), "{url}: {error}");
    }
}

#[test]
fn memory_in_front_has_its_own_limits() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}", directory.path().display());
    let in_front = |cache: &Cache| cache.stats().backend.unwrap().near.is_some();
    assert!(!in_front(&Cache::from_url(&file).unwrap()));
    let tiered = format!("tiered+{file}");
    assert_eq!(entries(&Cache::from_url(&file).unwrap()), 0);
    assert_eq!(entries(&Cache::from_url(&tiered).unwrap()), 2);
    assert_eq!(entries(&Cache::from_url(&tiered.replace("tiered+file", " Tiered+FILE")).unwrap()), 2);
    assert_eq!(entries(&Cache::from_url(&format!("{tiered}?near_entries=1&near_timeout=1h")).unwrap()), 1);
    assert_eq!(entries(&Cache::from_url(&format!("{tiered}?near_bytes=1")).unwrap()), 0);

    // Those of the directory are others.
    let both = format!("{tiered}?max_entries=100&max_bytes=1GiB&near_entries=1&near_bytes=1MiB");
    assert_eq!(entries(&Cache::from_url(&both).unwrap()), 1);

    // From a configuration, and of a table's own types.
    let json = format!(r#"{{ "url": "{tiered}", "near_entries": 1, "near_bytes": "1MiB", "near_timeout": "3s" }}"#);
    let cache = config(&json).default.build().unwrap();
    assert!(in_front(&cache));
    assert_eq!(entries(&cache), 1);
    for (option, expected) in [
        ("near_timeout", "expected a duration, such as"),
        ("near_bytes", "expected bytes, such as"),
        ("near_entries", "expected a number, such as"),
    ] {
        let error = unread(&format!(r#"{{ "{option}": null }}"#));
        assert!(error.contains(&format!("option `{option}`: {expected}")), "{error}");
        assert!(unread(r#"{ "cahces": null }"#).contains(option));
    }
}
