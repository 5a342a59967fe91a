//! Where an address begins, and what is its path.

use super::*;

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
