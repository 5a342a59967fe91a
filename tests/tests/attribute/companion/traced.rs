//! Where an answer came from, a bound of one function's entries, and the end of all of them.

use cache_request::{Cache, Clock, Source, backend::MemoryBackend, cache_request, scoped_sync};

#[cache_request]
fn square(number: u64) -> u64 {
    number * number
}

#[cache_request(max_entries = 10)]
fn bounded(number: u64) -> u64 {
    number
}

#[test]
fn a_call_did_not_tell_whether_it_was_cached() {
    scoped_sync(&Cache::memory(), || {
        assert_eq!(square_cache(3).call_traced(), (9, Source::Body));
        assert_eq!(square_cache(3).call_traced(), (9, Source::Memory));
    });
    let backend = MemoryBackend::builder().clock(Clock::mock()).build().unwrap();
    let cache = Cache::builder().backend(backend).build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!(square_cache(3).call_traced(), (9, Source::Body));
        assert_eq!(square_cache(3).call_traced(), (9, Source::Backend));
    });
    scoped_sync(&Cache::null(), || assert_eq!(square_cache(3).call_traced(), (9, Source::Uncached)));
}

#[test]
fn a_function_filled_the_cache_of_all_others() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        (0..5).for_each(|number| _ = square(number));
        for number in 0..1000 {
            assert_eq!(bounded(number), number);
            assert_eq!(bounded_cache(number).peek(), Some(number), "the newest value stays");
        }
        let stats = cache.stats();
        assert_eq!(stats.function("bounded").unwrap().entries, 10);
        assert_eq!(stats.function("square").unwrap().entries, 5);
        assert_eq!(stats.entries, 15);
        let cached = (0..1000).filter(|number| bounded_cache(*number).peek().is_some()).count();
        assert_eq!(cached, 10);
    });
}

#[test]
fn the_values_of_one_function_could_not_be_removed() {
    let cache = Cache::memory();
    scoped_sync(&cache, || {
        for number in 0..100 {
            square(number);
            bounded(number);
        }
        square_cache(0).invalidate_function().unwrap();
        assert!((0..100).all(|number| square_cache(number).peek().is_none()));
        let stats = cache.stats();
        assert_eq!(stats.function("square").unwrap().entries, 0);
        assert_eq!((stats.entries, stats.held_bytes), (10, stats.function("bounded").unwrap().held_bytes));
        assert_eq!(square_cache(3).call_traced(), (9, Source::Body));
    });
    let cache = Cache::builder().backend(MemoryBackend::builder().build().unwrap()).build().unwrap();
    scoped_sync(&cache, || {
        square(3);
        let error = square_cache(0).invalidate_function().unwrap_err();
        assert!(error.to_string().contains("`version`"), "{error}");
        assert_eq!(square_cache(3).peek(), Some(9));
    });
}
