//! How large values may be, how they are compressed and who vouches for them, by address.

use cache_request::{Cache, Error, cache_request, scoped_sync};
use tempfile::TempDir;

#[cache_request]
fn double(number: u32) -> u32 {
    number * 2
}

/// What is said about `url`, with all causes.
fn refused(url: &str) -> String {
    format!("{:#}", Cache::from_url(url).expect_err(url))
}

/// A cache in `directory`, with more options.
fn in_directory(directory: &TempDir, options: &str) -> Result<Cache, Error> {
    Cache::from_url(&format!("file://{}?soft_limit=1m&{options}", directory.path().display()))
}

/// What `double(1)` finds in `directory`: itself or nothing.
fn finds(directory: &TempDir, options: &str) -> Option<u32> {
    scoped_sync(&in_directory(directory, options).unwrap(), || double_cache(1).peek())
}

fn keeps(directory: &TempDir, options: &str) {
    scoped_sync(&in_directory(directory, options).unwrap(), || double_cache(1).put(&2)).unwrap();
}

#[test]
fn a_secret_is_what_stands_in_the_address_or_in_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    keeps(&directory, "secret=open%20sesame");
    assert_eq!(finds(&directory, "secret=open%20sesame"), Some(2));
    assert_eq!(finds(&directory, "secret=sesame"), None);
    assert_eq!(finds(&directory, ""), None);
    assert_eq!(finds(&directory, "secret=new&secret_old=open%20sesame"), Some(2));
    // Every test has it: cargo sets it.
    let package = env!("CARGO_PKG_NAME");
    keeps(&directory, "secret_env=CARGO_PKG_NAME");
    assert_eq!(finds(&directory, &format!("secret={package}")), Some(2));
    assert_eq!(finds(&directory, "secret=new&secret_old_env=CARGO_PKG_NAME"), Some(2));
    keeps(&directory, "");
    assert_eq!(finds(&directory, ""), Some(2));
    assert_eq!(finds(&directory, "secret=open%20sesame"), None);
}

#[test]
fn a_secret_that_is_none_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let unmade = directory.path().join("unmade");
    for (options, said) in [
        ("secret=", "option `secret`: it is empty"),
        ("secret=a&secret_old=", "option `secret_old`: it is empty"),
        ("secret_env=CACHE_REQUEST_NO_SUCH", "option `secret_env`: that environment variable is not set"),
        ("secret=a&secret_env=PATH", "options `secret` and `secret_env` are both given"),
        ("secret_old=a", "option `secret_old` needs a `secret`"),
    ] {
        assert_eq!(refused(&format!("file://{}?{options}", unmade.display())), said);
    }
    assert!(!unmade.exists(), "what is refused is not made");
}

#[cache_request]
fn long(letters: usize) -> String {
    "x".repeat(letters)
}

#[test]
fn large_values_are_compressed_if_wanted() {
    let stored = |options| {
        let directory = tempfile::tempdir().unwrap();
        let cache = in_directory(&directory, options).unwrap();
        scoped_sync(&cache, || assert_eq!([long(5000), long(5000)], ["x".repeat(5000), "x".repeat(5000)]));
        let stats = cache.stats();
        let function = stats.function("long").unwrap();
        assert_eq!(function.hits, 1, "{options}");
        function.written_bytes
    };
    let plain = stored("");
    // The envelope tells how long the body took, so its length differs by some bytes from call to call.
    assert!((5000..5200).contains(&plain), "{plain}");
    let below = stored("compress_over=8KiB");
    assert!((5000..5200).contains(&below), "{below}");
    for options in
        ["compress_over=4KiB", "compress_over=0&compress_level=19", "compress_over=1&compress_level=-7&secret=a"]
    {
        assert!(stored(options) < plain - 4000, "{options}: {}", stored(options));
    }
    let directory = tempfile::tempdir().unwrap();
    for (option, said) in [
        ("compress_over=much", "option `compress_over`: `much`: expected bytes, such as 1048576, 64MiB or 1GB"),
        ("compress_level=23", "option `compress_level`: `23`: expected a level from -7 to 22"),
        ("compress_level=fast", "option `compress_level`: `fast`: expected a level from -7 to 22"),
    ] {
        assert_eq!(format!("{:#}", in_directory(&directory, option).unwrap_err()), said);
    }
}

#[test]
fn a_value_has_a_most_of_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let cache = in_directory(&directory, "max_value_bytes=1KiB").unwrap();
    scoped_sync(&cache, || {
        assert_eq!([long(500), long(500), long(5000), long(5000)].map(|long| long.len()), [500, 500, 5000, 5000]);
    });
    let stats = cache.stats();
    let function = stats.function("long").unwrap();
    assert_eq!((function.bodies, function.hits, function.faults.too_large), (3, 1, 2));
}
