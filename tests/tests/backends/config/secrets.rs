//! What is never shown.

use super::*;

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
