//! Addresses: any text is a cache or an error, the cache works, and the error keeps what is secret.

#![no_main]

use std::{collections::BTreeMap, error::Error as _, fmt::Write};

use arbitrary::Arbitrary;
use cache_request::{Cache, CacheConfig, Error, cache_request, scoped_sync};
use cache_request_fuzz::{prepare, within};
use libfuzzer_sys::fuzz_target;

/// Whatever an address says, the cache is there before anything is kept.
const BYTES: usize = 1 << 20;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Text(&'a str),
    /// Options beside the address.
    Options(&'a str, BTreeMap<&'a str, Option<&'a str>>),
    /// An address with a password in it.
    Secret {
        scheme: Scheme,
        user: &'a str,
        password: &'a [u8],
        place: Place,
        rest: &'a str,
    },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Scheme {
    Memory,
    Null,
    File,
    Redis,
    RedisUnix,
    RedisCluster,
    RedisSentinel,
    Unknown,
}

#[derive(Debug, Arbitrary)]
enum Place {
    /// `user:password@rest`
    User,
    /// `rest?password=…`
    Option,
    /// `rest?password=…&password=…`
    Twice,
    /// `rest?sentinel_password=…`
    Sentinel,
    /// `user:password@rest` where the scheme should stand.
    NoScheme,
}

#[cache_request]
fn doubled(number: u32) -> u32 {
    number * 2
}

fuzz_target!(init: prepare(), |input: Input<'_>| run(input));

fn run(input: Input<'_>) {
    match input {
        Input::Text(text) => check(text, Cache::from_url),
        Input::Options(_, options) if options.keys().any(|name| reaches_out(name)) => {}
        Input::Options(text, options) => check(text, |url| {
            let mut config = CacheConfig::default();
            config.url = Some(url.to_owned());
            config.options = options
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.map_or(1.into(), Into::into)))
                .collect();
            config.build()
        }),
        Input::Secret { scheme, user, password, place, rest } => {
            let scheme = match scheme {
                Scheme::Memory => "memory",
                Scheme::Null => "null",
                Scheme::File => "file",
                Scheme::Redis => "redis",
                Scheme::RedisUnix => "redis+unix",
                Scheme::RedisCluster => "redis-cluster",
                Scheme::RedisSentinel => "redis-sentinel",
                Scheme::Unknown => "redsi",
            };
            // Behind its beginning anything, encoded as an address has it or not.
            let tail: String = password.iter().map(|byte| char::from(byte & 0x7f)).collect();
            // Elsewhere in the address it is no secret. The fuzzer sees what it is compared with, and tries.
            let is_told =
                |text: &str| urlencoding::decode_binary(text.as_bytes()).windows(6).any(|six| six == b"s3cr3t");
            if [user, &tail, rest].into_iter().any(is_told) {
                return;
            }
            let secret = format!("s3cr3t{tail}");
            let and = if rest.contains('?') { '&' } else { '?' };
            let url = match place {
                Place::User => format!("{scheme}://{user}:{secret}@{rest}"),
                Place::Option => format!("{scheme}://{rest}{and}password={secret}"),
                Place::Twice => format!("{scheme}://{rest}{and}password={secret}&password={secret}"),
                Place::Sentinel => format!("{scheme}://{rest}{and}sentinel_password={secret}"),
                Place::NoScheme => format!("{user}:{secret}@{scheme}://{rest}"),
            };
            check(&url, |url| {
                let made = Cache::from_url(url);
                if let Err(error) = &made {
                    let told = told(error);
                    assert!(!told.contains("s3cr3t"), "{url:?}: {told}");
                }
                let mut config = CacheConfig::default();
                config.url = Some(url.to_owned());
                assert!(!format!("{config:?} {config:#?}").contains("s3cr3t"), "{config:?}");
                made
            });
        }
    }
}

/// Whether a text may hold an option that connects to a server at once, or reads a file; or a path that leads out of where it
/// begins.
fn reaches_out(text: &str) -> bool {
    let decoded = String::from_utf8_lossy(&urlencoding::decode_binary(text.as_bytes())).into_owned();
    ["connect", "tls_ca", ".."].iter().any(|option| decoded.contains(option))
}

/// The address, but that a directory which it may name is below a device, where nothing can be made. However the scheme is
/// read, trimmed or in capitals, it stands before the first `://`.
fn harmless(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.to_ascii_lowercase().contains("file") => {
            format!("{scheme}:///dev/null/{rest}")
        }
        _ => url.to_owned(),
    }
}

/// Makes the cache of an address, and uses it, where that reaches no disk and no server.
fn check(url: &str, make: impl FnOnce(&str) -> Result<Cache, Error>) {
    if reaches_out(url) {
        return;
    }
    let url = harmless(url);
    within(BYTES + 64 * url.len(), || match make(&url) {
        Ok(cache) if is_in_process(&cache) => scoped_sync(&cache, || {
            assert_eq!([doubled(1), doubled(2), doubled(2)], [2, 4, 4]);
            let key = doubled_cache(1).key().expect("a key");
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
        }),
        Ok(_) => {}
        Err(error) => assert!(!told(&error).is_empty()),
    });
}

/// By what the cache is, and not by what its address looks like.
fn is_in_process(cache: &Cache) -> bool {
    let shown = format!("{cache:?}");
    shown.contains("\"memory\"") || shown.contains("\"null\"")
}

/// All that an error can be made to say.
fn told(error: &Error) -> String {
    let mut told = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(told, " {error} {error:?}");
        cause = error.source();
    }
    told
}
