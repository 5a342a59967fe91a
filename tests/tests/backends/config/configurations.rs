//! Configurations: where options come from but an address.

use super::*;

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
    scoped_sync(&default, || assert_eq!(double_cache(1).key().unwrap(), "shop..backends.config.double?number=1"));
    assert_eq!(entries(&config.caches["sessions"].build().unwrap()), 2);
    assert!(config.caches["none"].build().unwrap().is_disabled());

    let empty = serde_json::from_str::<Config>("{}").unwrap();
    assert_eq!(empty, Config::default());
    assert_eq!(entries(&empty.default.build().unwrap()), 2);
}

#[test]
fn a_configuration_is_made_in_code_with_texts_numbers_and_truths() {
    let mut config = CacheConfig::default();
    config.options.insert("max_bytes".into(), "1MiB".into());
    config.options.insert("prefix".into(), String::from("shop").into());
    config.options.insert("max_entries".into(), 1.into());
    assert_eq!(entries(&config.build().unwrap()), 1);
    assert_eq!(Setting::from(1), "1".into());
    assert_eq!(Setting::from(true), "true".into());
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
fn what_is_no_value_at_all_is_named() {
    for (json, told) in [
        (
            r#"{ "max_bytes": null }"#,
            "option `max_bytes`: expected bytes, such as 1048576, 64MiB or 1GB, found nothing",
        ),
        (r#"{ "breaker_pause": null }"#, "option `breaker_pause`: expected a duration, such as"),
        (r#"{ "prefix": null }"#, "option `prefix`: expected a text, found nothing"),
        (r#"{ "max_entries": [5] }"#, "option `max_entries`: expected a number, such as 10000, found a list"),
        (
            r#"{ "wait_limit": { "s": 5 } }"#,
            "option `wait_limit`: expected a duration, such as 250ms, 10s, 1h 30m or 1day, found a table",
        ),
        (
            r#"{ "url": 5 }"#,
            "option `url`: expected an address, such as memory:// or file:///var/cache/app, found no text",
        ),
        (
            r#"{ "cahces": { "a": {} } }"#,
            "unknown option `cahces`: there is answer_limit, breaker_faults, breaker_pause, caches, ",
        ),
        (
            r#"{ "caches": { "a": { "caches": {} } } }"#,
            "unknown option `caches`: there is answer_limit, breaker_faults, breaker_pause, ",
        ),
        (r#"{ "caches": { "a": "redis://:hush@h" } }"#, "an address is the value of `url`"),
        (r#"{ "caches": [] }"#, "expected named caches in `caches`"),
        (r#"[]"#, "expected the options of a cache"),
    ] {
        let error = unread(json);
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("hush") && !error.contains("RawSetting"), "{error}");
    }
    let error = toml::from_str::<Config>("[cache]\nurl = 'memory://'\n").unwrap_err().to_string();
    assert!(
        error.contains("unknown option `cache`: there is answer_limit, breaker_faults, breaker_pause, caches, "),
        "{error}"
    );
}

#[test]
fn numbers_that_cannot_be_meant_are_named() {
    for (json, told) in [
        (r#"{ "max_bytes": 1.5 }"#, "option `max_bytes`: `1.5`: expected bytes, such as 1048576"),
        (r#"{ "max_bytes": -1 }"#, "option `max_bytes`: `-1`: expected bytes, such as 1048576"),
        (r#"{ "max_entries": 100000000000000000000 }"#, "expected a number, such as 10000"),
        (r#"{ "wait_limit": 10 }"#, "option `wait_limit`: `10`: expected a duration, such as 250ms, 10s"),
    ] {
        let error = told_of(&config(json));
        assert!(error.contains(told), "{error}");
    }
    for text in ["max_bytes = 1.5", "max_bytes = -5"] {
        let error = told_of(&toml::from_str(text).unwrap());
        assert!(error.contains("option `max_bytes`: `"), "{error}");
    }
}

fn told_of(config: &Config) -> String {
    told(&config.default.build().unwrap_err())
}

#[test]
fn what_stands_twice_in_a_configuration_is_named() {
    for (json, told) in [
        (r#"{ "max_bytes": 1, "max_bytes": 2 }"#, "option `max_bytes` is given twice"),
        (r#"{ "url": "memory://", "url": "null://" }"#, "option `url` is given twice"),
        (r#"{ "caches": {}, "caches": {} }"#, "option `caches` is given twice"),
        (r#"{ "caches": { "a": {}, "a": {} } }"#, "cache `a` is given twice"),
        (r#"{ "caches": { "a": { "prefix": "x", "prefix": "x" } } }"#, "option `prefix` is given twice"),
    ] {
        assert!(unread(json).contains(told), "{}", unread(json));
    }
}

#[test]
fn a_configuration_may_be_part_of_another() {
    #[derive(serde::Deserialize)]
    struct Program {
        port: u16,
        cache: Config,
        sessions: CacheConfig,
    }
    let program: Program = toml::from_str(
        "port = 80\n[cache]\nmax_entries = 1\n[cache.caches.a]\n[sessions]\nurl = 'null://'\nprefix = true\n",
    )
    .unwrap();
    assert_eq!(program.port, 80);
    assert_eq!(entries(&program.cache.default.build().unwrap()), 1);
    assert_eq!(program.cache.caches.len(), 1);
    assert!(program.sessions.build().unwrap().is_disabled());
    assert_eq!(config(r#"{ "url": null }"#), Config::default());
}
