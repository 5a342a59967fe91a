//! Addresses and configurations: what they mean, and what is said about those that mean nothing.

use std::fs;

use cache_request::{Cache, CacheConfig, Config, Error, Setting, cache_request, scoped_sync};

/// What is said about `url`, with all causes.
fn refused(url: &str) -> String {
    told(&Cache::from_url(url).expect_err(url))
}

fn told(error: &Error) -> String {
    format!("{error:#}")
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
        ("memory://", "max_bytes, max_entries, prefix, wait_limit"),
        ("null://", "prefix, wait_limit"),
        (
            &*file,
            "breaker_faults, breaker_pause, compress_level, compress_over, max_bytes, max_concurrent, max_entries, \
             max_value_bytes, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, wait_limit",
        ),
        (
            "redis://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, db, max_concurrent, \
             max_value_bytes, namespace, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, wait_limit",
        ),
        (
            "redis-cluster://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, max_concurrent, \
             max_value_bytes, namespace, prefix, secret, secret_env, secret_old, secret_old_env, soft_limit, tls, tls_ca, \
             wait_limit",
        ),
        (
            "tiered+redis://h",
            "breaker_faults, breaker_pause, compress_level, compress_over, connect, connect_limit, db, front_bytes, \
             front_entries, front_timeout, max_concurrent, max_value_bytes, namespace, prefix, secret, secret_env, \
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
            "option `soft_limit` is one of other schemes, not of `memory://`: there is max_bytes, max_entries, prefix, \
             wait_limit",
        ),
        (
            "null://?max_bytes=1",
            "option `max_bytes` is one of `memory://` and `file://`, not of `null://`: there is prefix, wait_limit",
        ),
        (
            &*format!("file://{}?max_byte=1", unmade.display()),
            "unknown option `max_byte` of `file://`: there is breaker_faults, breaker_pause, compress_level, \
             compress_over, max_bytes, max_concurrent, max_entries, max_value_bytes, prefix, secret, secret_env, \
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
        ("wait_limit", "never"),
    ] {
        let error = refused(&format!("memory://?{option}={value}"));
        assert!(error.contains(&format!("option `{option}`: `{value}`")), "{error}");
        let example = match option {
            "max_bytes" => "64MiB",
            "max_entries" => "10000",
            _ if value == "never" => "1day",
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
        "null://?wait_limit=0s",
    ] {
        Cache::from_url(url).expect(url);
    }
    assert_eq!(entries(&Cache::from_url("memory://").unwrap()), 2);
    assert_eq!(entries(&Cache::from_url("memory://?max_entries=1").unwrap()), 1);
    assert!(Cache::from_url("null://").unwrap().is_disabled());

    let cache = Cache::from_url("memory://?prefix=shop%2E1").unwrap();
    scoped_sync(&cache, || assert_eq!(double_cache(1).key().unwrap(), "shop%2E1..config.double?number=1"));
}

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
            "tiered+redis://h?front_timeout=0s",
            "option `front_timeout`: `0s`: nothing could be kept in front; to have none, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?front_bytes=0",
            "option `front_bytes`: `0`: nothing could be kept in front; to have none, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?front_entries=0",
            "option `front_entries`: `0`: nothing could be kept in front; to have none, leave out `tiered+`",
        ),
        (
            "tiered+redis://h?front_timeout=never",
            "option `front_timeout`: `never`: expected a time that ends, such as 250ms, 10s, 1h 30m or 1day",
        ),
        ("tiered+redis://h?front_timeout=5", "option `front_timeout`: `5`"),
        ("tiered+redis://h?front_bytes=much", "option `front_bytes`: `much`"),
        ("tiered+redis://h?max_entries=5", "option `max_entries` is one of `memory://` and `file://`, not of"),
        ("redis://h?front_timeout=1s", "option `front_timeout` is one of `tiered+…`, not of `redis://`: there is "),
        ("memory://?front_bytes=1MiB", "option `front_bytes` is one of `tiered+…`, not of `memory://`: there is "),
        ("null://?front_entries=1", "option `front_entries` is one of `tiered+…`, not of `null://`: there is "),
    ] {
        let error = refused(url);
        assert!(error.starts_with(told), "{url}: {error}");
    }
}

#[test]
fn memory_in_front_has_its_own_limits() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}", directory.path().display());
    let in_front = |cache: &Cache| cache.stats().backend.unwrap().front.is_some();
    assert!(!in_front(&Cache::from_url(&file).unwrap()));
    let tiered = format!("tiered+{file}");
    assert_eq!(entries(&Cache::from_url(&file).unwrap()), 0);
    assert_eq!(entries(&Cache::from_url(&tiered).unwrap()), 2);
    assert_eq!(entries(&Cache::from_url(&tiered.replace("tiered+file", " Tiered+FILE")).unwrap()), 2);
    assert_eq!(entries(&Cache::from_url(&format!("{tiered}?front_entries=1&front_timeout=1h")).unwrap()), 1);
    assert_eq!(entries(&Cache::from_url(&format!("{tiered}?front_bytes=1")).unwrap()), 0);

    // Those of the directory are others.
    let both = format!("{tiered}?max_entries=100&max_bytes=1GiB&front_entries=1&front_bytes=1MiB");
    assert_eq!(entries(&Cache::from_url(&both).unwrap()), 1);

    // From a configuration, and of a table's own types.
    let json = format!(r#"{{ "url": "{tiered}", "front_entries": 1, "front_bytes": "1MiB", "front_timeout": "3s" }}"#);
    let cache = config(&json).default.build().unwrap();
    assert!(in_front(&cache));
    assert_eq!(entries(&cache), 1);
    for (option, expected) in [
        ("front_timeout", "expected a time, such as"),
        ("front_bytes", "expected bytes, such as"),
        ("front_entries", "expected a number, such as"),
    ] {
        let error = unread(&format!(r#"{{ "{option}": null }}"#));
        assert!(error.contains(&format!("option `{option}`: {expected}")), "{error}");
        assert!(unread(r#"{ "cahces": null }"#).contains(option));
    }
}

#[test]
fn an_address_begins_with_its_scheme() {
    for url in ["", "memory", "memory:", "memory:/", "/var/cache", "://", "user@host://", "no scheme://"] {
        assert!(refused(url).contains("begins with its scheme"), "{url:?}: {}", refused(url));
    }
}

#[test]
fn an_address_may_stand_in_blanks_and_shout() {
    for url in
        ["MEMORY://", "Memory://?max_entries=1", " memory://", "memory:// ", "\tmemory://\n", "memory://?prefix=a\r\n"]
    {
        assert!(!Cache::from_url(url).expect(url).is_disabled(), "{url:?}");
    }
    assert!(Cache::from_url(" NULL:// ").unwrap().is_disabled());
    assert!(refused("REDSI://").contains("`redsi://`"));
    let config = config(r#"{ "url": " Memory://hush " }"#).default;
    assert!(format!("{config:?}").contains("Memory"), "{config:?}");
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
    for url in ["file://", "file://?max_bytes=1GiB", "file://localhost"] {
        assert!(refused(url).contains("needs a directory"), "{}", refused(url));
    }
}

#[test]
fn a_directory_is_absolute_and_on_this_machine() {
    for (url, wrong) in [
        ("file://relative/path", "an absolute path"),
        ("file://./relative", "an absolute path"),
        ("file://hush@host/path", "an absolute path"),
        ("file://localhosts/path", "an absolute path"),
        ("file://~/cache", "knows no `~`"),
        ("file:///", "the root of all directories"),
        ("file:////", "the root of all directories"),
        ("file://localhost/", "the root of all directories"),
        ("file:///./../", "the root of all directories"),
        ("file:///var/cache%00/app", "a NUL"),
    ] {
        let error = refused(url);
        assert!(error.contains(wrong) && error.ends_with("such as file:///var/cache/app"), "{url}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    for (machine, name) in [("localhost", "a"), ("LOCALHOST", "b"), ("", "c")] {
        let directory = directory.path().join(name);
        Cache::from_url(&format!("file://{machine}{}", directory.display())).unwrap();
        assert!(directory.is_dir(), "{}", directory.display());
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

    for wrong in ["%FF", "%zz", "100%", "%2", "%+1"] {
        let error = refused(&format!("file://{}/{wrong}", parent.display()));
        assert!(error.contains("percent-encoded wrongly") && error.contains("`%25`"), "{wrong}: {error}");
    }
    assert!(refused("memory://?prefix=100%").contains("percent-encoded wrongly"));
    assert_eq!(fs::read_dir(parent).unwrap().count(), 1);
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
    scoped_sync(&default, || assert_eq!(double_cache(1).key().unwrap(), "shop..config.double?number=1"));
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

/// What is said about a configuration that cannot be read.
fn unread(json: &str) -> String {
    serde_json::from_str::<Config>(json).expect_err(json).to_string()
}

#[test]
fn what_is_no_value_at_all_is_named() {
    for (json, told) in [
        (
            r#"{ "max_bytes": null }"#,
            "option `max_bytes`: expected bytes, such as 1048576, 64MiB or 1GB, found nothing",
        ),
        (r#"{ "breaker_pause": null }"#, "option `breaker_pause`: expected a time, such as"),
        (r#"{ "prefix": null }"#, "option `prefix`: expected a text or a number, found nothing"),
        (r#"{ "max_entries": [5] }"#, "option `max_entries`: expected a number, such as 10000, found a list"),
        (
            r#"{ "wait_limit": { "s": 5 } }"#,
            "option `wait_limit`: expected a time, such as 250ms, 10s or 1h 30m, found a table",
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
        (r#"{ "wait_limit": 10 }"#, "option `wait_limit`: `10`: expected a time, such as 250ms, 10s"),
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

/// An `@` behind the `?` is the end of a password in which a `?` was not encoded, or may be.
#[test]
fn no_end_of_a_password_is_taken_for_an_option_to_show() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}", directory.path().display());
    for scheme in ["memory://", "null://", &file] {
        for rest in [
            "?hush@host",
            "?a:hush@host/x?y=z",
            "?hush=x@host",
            "?a=b&hush@host",
            "?hush&hush&@host",
            "?max_bytes=hush@host",
            "?wait_limit=1hush@host",
        ] {
            let error = refused(&format!("{scheme}{rest}"));
            assert!(!error.contains("hush"), "{rest}: {error}");
        }
        assert!(refused(&format!("{scheme}?max_byte=@")).contains("wait_limit"), "what there is, is told all the same");
    }
    Cache::from_url("memory://?prefix=a@b").unwrap();
}

#[test]
fn no_password_is_shown() {
    for url in [
        "redsi://user:hush@h/",
        "redis://user:hush@h/?password=hush",
        "redis://user:hush@h:port/",
        "redis://user:hush@h/database",
        "redis://user:hush@127.0.0.1:1/?connect=now",
        "rediss://user:hush@h?tls_ca=/nowhere",
        "redis-cluster://user:hush@h/0",
        "redis-sentinel://user:hush@h",
        "redis-sentinel://user:hush@h/main?sentinel_password=hush&x=hush",
        "redis+unix://user:hush@nowhere",
        "memory://hush@x?password=hush",
        "memory://?password=hush",
        "memory://user:hush@h",
        "null://user:hush@h?prefix=hush&prefix=hush",
        "file://?password=hush",
        "redis:user:hush@h",
        "user:hush@redis://h",
        "user:hush@h/?next=http://h",
        "redis://user:hush%FF@h",
        "memory://?max_entries=1&password=hush&password=hush",
    ] {
        let error = Cache::from_url(url).unwrap_err();
        assert!(!told(&error).contains("hush"), "{url}: {error}");
        assert!(!format!("{error:?} {error:#?}").contains("hush"), "{url}: {error:?}");

        let both = config(&format!(
            r#"{{ "url": "{url}", "password": "hush", "caches": {{ "a": {{ "url": "{url}", "password": "hush" }} }} }}"#
        ));
        assert!(!format!("{both:?} {both:#?} {:?}", both.default).contains("hush"), "{url}: {both:?}");
        let options = &both.default.options;
        assert!(!format!("{options:?} {options:#?}").contains("hush"), "{options:?}");
        let error = both.install().unwrap_err();
        assert!(!format!("{} {error:?}", told(&error)).contains("hush"), "{url}: {error:?}");
    }
}
