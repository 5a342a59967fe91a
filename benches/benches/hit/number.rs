//! The contenders for a function of one number, whatever it returns.

/// All contenders for `fn(u64) -> Value`, in a module that has a `Value` and a `fn make(u64) -> Value`.
///
/// What is written by hand (`quick_cache`, moka, `DashMap`) hashes with foldhash, which serves it best; the attributes hash as they
/// come.
macro_rules! contenders_for_a_number {
    () => {
        use std::{hint::black_box, sync::LazyLock, time::Duration};

        use cache_request::cache_request;
        use cache_request_benches::poll::poll_now;
        use cached::macros::{cached, concurrent_cached};
        use foldhash::fast::RandomState;
        use memoize::memoize;

        use crate::contender::{Contender, ROOM, TIMEOUT};

        #[cache_request(timeout = 300)]
        fn ours(number: u64) -> Value {
            make(number)
        }

        #[cached(max_size = 200_000, ttl_secs = 300)]
        fn cached_with_both(number: u64) -> Value {
            make(number)
        }

        #[cached(max_size = 200_000)]
        fn cached_bounded(number: u64) -> Value {
            make(number)
        }

        #[cached]
        fn cached_unbounded(number: u64) -> Value {
            make(number)
        }

        #[concurrent_cached(max_size = 200_000, ttl_secs = 300)]
        fn concurrent_with_both(number: u64) -> Value {
            make(number)
        }

        #[memoize(SharedCache, Capacity: 200_000, TimeToLive: Duration::from_secs(300))]
        fn memoized(number: u64) -> Value {
            make(number)
        }

        fn in_moka(number: u64) -> Value {
            static CACHE: LazyLock<moka::sync::Cache<u64, Value, RandomState>> = LazyLock::new(|| {
                moka::sync::Cache::builder()
                    .max_capacity(ROOM)
                    .time_to_live(TIMEOUT)
                    .build_with_hasher(RandomState::default())
            });
            CACHE.get_with(number, || make(number))
        }

        type Quick = quick_cache::sync::Cache<u64, Value>;

        fn in_quick_cache(number: u64) -> Value {
            static CACHE: LazyLock<Quick> = LazyLock::new(|| Quick::new(ROOM as usize));
            CACHE.get(&number).unwrap_or_else(|| {
                let value = make(number);
                CACHE.insert(number, value.clone());
                value
            })
        }

        fn in_dashmap(number: u64) -> Value {
            static MAP: LazyLock<dashmap::DashMap<u64, Value, RandomState>> = LazyLock::new(dashmap::DashMap::default);
            if let Some(value) = MAP.get(&number) {
                return value.clone();
            }
            let value = make(number);
            MAP.insert(number, value.clone());
            value
        }

        #[cache_request(timeout = 300)]
        async fn ours_async(number: u64) -> Value {
            make(number)
        }

        #[cached(max_size = 200_000, ttl_secs = 300)]
        async fn cached_with_both_async(number: u64) -> Value {
            make(number)
        }

        #[cached]
        async fn cached_unbounded_async(number: u64) -> Value {
            make(number)
        }

        #[concurrent_cached(max_size = 200_000, ttl_secs = 300)]
        async fn concurrent_with_both_async(number: u64) -> Value {
            make(number)
        }

        async fn in_moka_async(number: u64) -> Value {
            static CACHE: LazyLock<moka::future::Cache<u64, Value, RandomState>> = LazyLock::new(|| {
                let builder = moka::future::Cache::builder().max_capacity(ROOM).time_to_live(TIMEOUT);
                builder.build_with_hasher(RandomState::default())
            });
            CACHE.get_with(number, async { make(number) }).await
        }

        async fn in_quick_cache_async(number: u64) -> Value {
            static CACHE: LazyLock<Quick> = LazyLock::new(|| Quick::new(ROOM as usize));
            match CACHE.get(&number) {
                Some(value) => value,
                None => {
                    let value = make(number);
                    CACHE.insert(number, value.clone());
                    value
                }
            }
        }

        /// No cache: a value of each key, cloned. The floor of every contender.
        fn a_clone() -> Contender {
            let values: Vec<Value> = (0..1000).map(make).collect();
            Contender::new("clone alone", move |keys| {
                for key in keys {
                    black_box(values[black_box(*key) as usize % values.len()].clone());
                }
            })
        }

        macro_rules! contender {
            ($name:literal, $call:expr) => {
                Contender::new($name, |keys| {
                    for key in keys {
                        black_box($call(black_box(u64::from(*key))));
                    }
                })
            };
        }

        pub(crate) fn plain() -> Vec<Contender> {
            vec![
                contender!("cache-request", ours),
                contender!("cached, max_size and ttl", cached_with_both),
                contender!("quick_cache, bare", in_quick_cache),
                contender!("cached, max_size", cached_bounded),
                contender!("cached, unbounded", cached_unbounded),
                contender!("concurrent_cached, both", concurrent_with_both),
                contender!("memoize, both", memoized),
                contender!("moka, both", in_moka),
                contender!("DashMap", in_dashmap),
                a_clone(),
            ]
        }

        pub(crate) fn asynchronous() -> Vec<Contender> {
            vec![
                contender!("cache-request", |number| poll_now(ours_async(number))),
                contender!("cached, max_size and ttl", |number| poll_now(cached_with_both_async(number))),
                contender!("quick_cache, bare", |number| poll_now(in_quick_cache_async(number))),
                contender!("cached, unbounded", |number| poll_now(cached_unbounded_async(number))),
                contender!("concurrent_cached, both", |number| poll_now(concurrent_with_both_async(number))),
                contender!("moka, both", |number| poll_now(in_moka_async(number))),
                contender!("the poll alone", |number| poll_now(async move { number })),
                a_clone(),
            ]
        }
    };
}

pub(crate) mod string {
    use cache_request_benches::values;

    type Value = String;

    fn make(number: u64) -> Value {
        values::string(number)
    }

    contenders_for_a_number!();
}

pub(crate) mod shared {
    use std::sync::Arc;

    use cache_request_benches::values;

    type Value = Arc<String>;

    fn make(number: u64) -> Value {
        Arc::new(values::string(number))
    }

    contenders_for_a_number!();
}
