//! What `timeout` may be.

use std::time::Duration;

use cache_request::{Cache, Clock, cache_request, scoped_sync};

const MINUTES: u64 = 2;
const SMALL: u32 = 120;

#[cache_request(timeout = 2 * 60)]
fn product(id: u32) -> u32 {
    id
}

#[cache_request(timeout = MINUTES * 60)]
fn constant(id: u32) -> u32 {
    id
}

#[cache_request(timeout = SMALL)]
fn small(id: u32) -> u32 {
    id
}

#[cache_request(timeout = Duration::from_secs(60) * 2)]
fn duration(id: u32) -> u32 {
    id
}

#[cache_request(timeout = 5 - 10)]
fn negative(id: u32) -> u32 {
    id
}

#[test]
fn an_integer_expression_was_no_timeout() {
    let clock = Clock::mock();
    let cache = Cache::builder().clock(&clock).build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!([product(1), constant(1), small(1), duration(1), negative(1)], [1; 5]);
        let cached =
            || [product_cache(1).peek(), constant_cache(1).peek(), small_cache(1).peek(), duration_cache(1).peek()];
        clock.advance(Duration::from_secs(119));
        assert_eq!(cached(), [Some(1); 4]);
        assert_eq!(negative_cache(1).peek(), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(cached(), [None; 4]);
    });
}

macro_rules! of_integers {
    ($($integer:ident)*) => {
        $(
            mod $integer {
                #[cache_request::cache_request(timeout = $integer::MAX)]
                pub(super) fn most() -> u32 {
                    1
                }

                #[cache_request::cache_request(timeout = $integer::MIN)]
                pub(super) fn least() -> u32 {
                    1
                }
            }
        )*

        /// The functions whose values are still cached, by the type of their timeouts.
        fn of_integers() -> [Vec<&'static str>; 2] {
            let mut kept = [Vec::new(), Vec::new()];
            $(
                assert_eq!([$integer::most(), $integer::least()], [1; 2]);
                kept[0].extend($integer::most_cache().peek().map(|_| stringify!($integer)));
                kept[1].extend($integer::least_cache().peek().map(|_| stringify!($integer)));
            )*
            kept
        }
    };
}

of_integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

#[test]
fn a_constant_of_some_integer_types_was_no_timeout() {
    let [most, least] = scoped_sync(&Cache::memory(), of_integers);
    assert_eq!(most.len(), 12, "{most:?}");
    assert_eq!(least, [""; 0], "a timeout below zero is zero");
}
