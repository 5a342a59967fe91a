//! Functions and clients as a whole.

use cache_request::{Cache, Clock, ErrorKind, backend::MemoryBackend, cache_request, client_scope_sync, scoped_sync};

use crate::support::Count;

/// A cache in memory, one in front of a backend, and one with a near cache, with tags of functions.
fn caches() -> Vec<(&'static str, Cache)> {
    let with = |name, has_backend: bool, near: bool| {
        let clock = Clock::mock();
        let mut builder = Cache::builder().clock(&clock).function_tags(true);
        if has_backend {
            builder = builder.backend(MemoryBackend::builder().clock(&clock).build().unwrap());
        }
        if near {
            builder = builder.near_timeout(super::seconds(3600));
        }
        (name, builder.build().unwrap())
    };
    vec![with("memory", false, false), with("backend", true, false), with("near", true, true)]
}

#[test]
fn values_of_an_invalidated_function_were_left() {
    static BODIES: Count = Count::new();

    #[cache_request(name = "whole.article")]
    fn article(_id: u32) -> u32 {
        BODIES.next()
    }

    #[cache_request(name = "whole.page")]
    fn page(id: u32) -> (u32, u32) {
        (article(id), BODIES.next())
    }

    #[cache_request(name = "whole.other")]
    fn other() -> u32 {
        BODIES.next()
    }

    for (name, cache) in caches() {
        scoped_sync(&cache, || {
            let all = || {
                let of_client = client_scope_sync("acme", || article(1));
                (article(1), article(2), of_client, page(1), other())
            };
            let first = all();
            assert_eq!(all(), first, "{name}");
            cache.invalidate_function_sync("whole.article").unwrap();
            let second = all();
            assert!(second.0 > first.0 && second.1 > first.1 && second.2 > first.2, "{name}: {first:?} {second:?}");
            assert!(second.3.0 == second.0 && second.3.1 > first.3.1, "{name}: what was made of it goes, too");
            assert_eq!(second.4, first.4, "{name}: another function stays");
            article_cache(7).invalidate_function().unwrap();
            let third = all();
            assert!(third.0 > second.0 && third.4 == first.4, "{name}");
            assert_eq!(all(), third, "{name}");
            assert_eq!(cache.stats().faults(), 0, "{name}");
        });
    }
}

#[test]
fn values_of_an_invalidated_client_were_left() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article() -> u32 {
        BODIES.next()
    }

    #[cache_request]
    fn author() -> u32 {
        BODIES.next()
    }

    for (name, cache) in caches() {
        scoped_sync(&cache, || {
            let all = || {
                let both = || (article(), author());
                [client_scope_sync("acme", both), client_scope_sync("other", both), both()]
            };
            let first = all();
            assert_eq!(all(), first, "{name}");
            cache.invalidate_client_sync("acme").unwrap();
            let second = all();
            assert!(second[0].0 > first[0].0 && second[0].1 > first[0].1, "{name}");
            assert_eq!(second[1..], first[1..], "{name}");
            assert_eq!(all(), second, "{name}");
        });
    }
}

#[test]
fn what_cannot_be_invalidated_as_a_whole_was_said_to_be() {
    #[cache_request(name = "whole.plain")]
    fn plain() -> u32 {
        1
    }

    let memory = Cache::memory();
    memory.invalidate_function_sync("whole.plain").unwrap();
    assert_eq!(memory.invalidate_client_sync("acme").unwrap_err().kind(), ErrorKind::Unsupported);
    let backend = Cache::builder().backend(MemoryBackend::builder().build().unwrap()).build().unwrap();
    scoped_sync(&backend, || {
        plain();
        let error = plain_cache().invalidate_function().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("function_tags=true"), "{error}");
        assert_eq!(backend.invalidate_function_sync("whole.plain").unwrap_err().kind(), ErrorKind::Unsupported);
    });
}
