//! What has gone wrong in other caches.

use std::{sync::Arc, thread};

use cache_request::{Cache, Clock, backend::MemoryBackend, cache_request, scoped_sync};

use super::{caches, seconds};
use crate::support::{Count, Gate};

const DAY: u64 = 24 * 3600;

#[test]
fn a_tag_that_was_announced_again_took_the_values_of_all_others() {
    static BODIES: Count = Count::new();
    static GATE: Gate = Gate::new();

    #[cache_request(tags("articles"))]
    fn article(id: u32) -> u32 {
        let body = BODIES.next();
        if id == 1 && body == 1 {
            GATE.wait();
        }
        body
    }

    let backend = Arc::new(MemoryBackend::builder().build().unwrap());
    let node = || Cache::builder().backend(Arc::clone(&backend)).leases(false).build().unwrap();
    let (one, other) = (node(), node());
    let ask = |cache: &Cache, id| scoped_sync(cache, || article(id));
    thread::scope(|threads| {
        let late = threads.spawn(|| ask(&one, 1));
        BODIES.reaches(1);
        other.invalidate_tag_sync("articles").unwrap();
        assert_eq!(ask(&other, 2), 2);
        // It knows the tag from before the invalidation, and stores what it has now.
        GATE.open();
        assert_eq!(late.join().unwrap(), 1);
    });
    assert_eq!((ask(&one, 2), ask(&other, 2)), (2, 2), "what was stored after the invalidation is valid");
    assert_eq!((ask(&other, 1), ask(&one, 1)), (3, 3), "and what was computed before it is not");
}

#[test]
fn the_record_of_a_tag_ended_before_the_values_that_have_it() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = "10days", tags("article:{id}"))]
    fn article(id: u32) -> u32 {
        let _ = id;
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let first = article(1);
            clock.advance(seconds(9 * DAY));
            assert_eq!(article(1), first, "{name}");
            cache.invalidate_tag_sync("article:1").unwrap();
            assert_eq!(article(1), first + 1, "{name}");
        });
    }
}

#[test]
fn a_body_that_fails_fell_back_to_what_was_cleared() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale_if_error = 3600, tags("articles"))]
    fn article() -> Result<u32, u32> {
        let body = BODIES.next();
        if body % 2 == 1 { Ok(body) } else { Err(body) }
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let bodies = BODIES.get();
            assert_eq!(article(), Ok(bodies + 1), "{name}");
            clock.advance(seconds(10));
            cache.clear_sync().unwrap();
            assert_eq!(article(), Err(bodies + 2), "{name}");
        });
    }
}

#[test]
fn a_value_that_came_while_its_function_was_invalidated_was_overlooked() {
    static BODIES: Count = Count::new();
    static GATES: [Gate; 2] = [const { Gate::new() }; 2];

    #[cache_request(name = "elsewhere.article")]
    fn article() -> u32 {
        let body = BODIES.next();
        if body % 2 == 1 {
            GATES[body as usize / 2].wait();
        }
        body
    }

    for (place, has_backend) in [false, true].into_iter().enumerate() {
        let builder = Cache::builder().clock(Clock::mock()).function_tags(true);
        let builder = if has_backend { builder.backend(MemoryBackend::builder().build().unwrap()) } else { builder };
        let cache = builder.build().unwrap();
        let bodies = BODIES.get();
        thread::scope(|threads| {
            let meanwhile = threads.spawn(|| scoped_sync(&cache, article));
            BODIES.reaches(bodies + 1);
            cache.invalidate_function_sync("elsewhere.article").unwrap();
            GATES[place].open();
            assert_eq!(meanwhile.join().unwrap(), bodies + 1);
        });
        assert_eq!(scoped_sync(&cache, || [article(), article()]), [bodies + 2; 2]);
    }
}
