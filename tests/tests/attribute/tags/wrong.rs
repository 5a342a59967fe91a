//! Tags that are none.

use std::collections::HashMap;

use cache_request::{ErrorKind, cache_request, scoped_sync, tag};

use super::caches;
use crate::support::Count;

#[test]
fn an_answer_was_kept_that_could_not_be_invalidated_by_its_tag() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article(name: &str) -> u32 {
        tag(name);
        BODIES.next()
    }

    #[cache_request]
    fn page(name: &str) -> u32 {
        article(name)
    }

    let long = "a".repeat(257);
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            for wrong in ["", "two words", "a\nline", &*long] {
                let faults = cache.stats().faults();
                let first = article(wrong);
                assert_eq!(article(wrong), first + 1, "{name}: {wrong:?}");
                assert_eq!(cache.stats().faults() - faults, 2, "{name}: {wrong:?}");
                let first = page(wrong);
                assert_eq!(page(wrong), first + 1, "{name}: {wrong:?}: nor is one that is made of it");
                let error = cache.invalidate_tag_sync(wrong).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Key, "{name}: {wrong:?}");
            }
            let (longest, strange) = (&long[1..], "München/Straße?#%~");
            for right in [longest, strange] {
                assert_eq!(article(right), article(right), "{name}: {right:?}");
                cache.invalidate_tag_sync(right).unwrap();
            }
        });
    }
}

#[test]
fn too_many_tags_were_kept() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn articles(tags: usize) -> u32 {
        for number in 0..tags {
            tag(format!("article:{number}"));
        }
        BODIES.next()
    }

    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            assert_eq!(articles(1000), articles(1000), "{name}");
            let first = articles(10_000);
            assert_eq!(articles(10_000), first + 1, "{name}");
            let stats = cache.stats();
            let faults = &stats.functions[0].faults;
            assert_eq!((faults.key, faults.total()), (2, 2), "{name}: {stats}");
            cache.invalidate_tag_sync("article:999").unwrap();
            assert_eq!(articles(1000), first + 2, "{name}");
        });
    }
}

/// The attribute makes them of an argument, or of the value.
#[test]
fn a_placeholder_made_a_tag_that_is_none() {
    static BODIES: Count = Count::new();

    #[cache_request(tags("article:{name}"))]
    fn of_argument(name: &str) -> (String, u32) {
        (name.to_owned(), BODIES.next())
    }

    #[cache_request(tags("article:{value.0}"))]
    fn of_value(name: &str) -> (String, u32) {
        (name.to_owned(), BODIES.next())
    }

    #[cache_request(tags("article:{names}"), each(names))]
    fn of_elements(names: &[&str]) -> HashMap<String, (String, u32)> {
        names.iter().map(|name| ((*name).to_owned(), ((*name).to_owned(), BODIES.next()))).collect()
    }

    let long = "a".repeat(100_000);
    type Call = fn(&str) -> (String, u32);
    let calls: [(&str, Call); 3] = [
        ("of an argument", of_argument),
        ("of the value", of_value),
        ("of elements", |name| of_elements(&["right", name]).remove(name).unwrap()),
    ];
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            for (from, call) in calls {
                for wrong in ["two words", " ", &*long] {
                    let faults = || cache.stats().functions.iter().map(|function| function.faults.key).sum::<u64>();
                    let before = faults();
                    let (answer, first) = call(wrong);
                    assert_eq!(answer, wrong, "{name}: {from}");
                    assert_eq!(faults(), before + 1, "{name}: {from}: {wrong:.20}");
                    assert!(call(wrong).1 > first, "{name}: {from}: it could not be invalidated");
                    assert_eq!(faults(), before + 2, "{name}: {from}: {wrong:.20}");
                    assert_eq!(call("right"), call("right"), "{name}: {from}");
                }
            }
            assert_eq!(cache.stats().faults(), 18, "{name}: {}", cache.stats());
        });
    }
}
