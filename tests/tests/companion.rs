//! The companion of a function: the text of its key, and what its methods do; and the conditions and timeouts that decide
//! what is kept.

mod support;

use std::{fmt::Debug, time::Duration};

use cache_request::{
    Cache, Clock, Error, MockClock, backend::MemoryBackend, cache_request, client_scope, client_scope_sync, keys,
    scoped, scoped_sync,
};
use futures_lite::future::block_on;
use serde::{Serialize, de::DeserializeOwned};

use crate::support::Count;

fn memory() -> (Cache, MockClock) {
    let clock = Clock::mock();
    (Cache::builder().clock(clock.clone()).build(), clock)
}

fn bytes() -> (Cache, MockClock) {
    let clock = Clock::mock();
    let backend = MemoryBackend::new(1 << 20, clock.clone());
    (Cache::builder().backend(backend).clock(clock.clone()).build(), clock)
}

/// Runs `test` in a cache of values, and in one of bytes.
fn in_both(test: impl Fn(&MockClock)) {
    for (cache, clock) in [memory(), bytes()] {
        scoped_sync(&cache, || test(&clock));
        assert_eq!(cache.stats().faults(), 0, "{}", cache.stats());
    }
}

static RUNS: Count = Count::new();

mod texts {
    use super::*;

    #[cache_request]
    fn free(id: u32, name: Option<&str>) -> u32 {
        id + name.map_or(0, |name| name.len() as u32)
    }

    #[cache_request]
    fn none() -> u32 {
        0
    }

    #[cache_request]
    async fn later(id: u32) -> u32 {
        id
    }

    #[cache_request]
    fn generic<T: Serialize, const N: usize>(item: T) -> u32 {
        let _ = item;
        N as u32
    }

    #[cache_request(name = "a.name")]
    fn named(id: u32) -> u32 {
        id
    }

    #[cache_request(name = "one")]
    fn named_generic<T: Serialize>(item: T) -> u32 {
        let _ = item;
        0
    }

    #[cache_request(version = 3)]
    fn versioned(id: u32) -> u32 {
        id
    }

    #[cache_request(prefix = "shop")]
    fn prefixed(id: u32) -> u32 {
        id
    }

    #[cache_request(prefix = "shop", name = "all", version = "b")]
    fn all(id: u32) -> u32 {
        id
    }

    #[cache_request(key = "article:{id}:{lang}")]
    fn template(id: u32, lang: &str) -> u32 {
        id + lang.len() as u32
    }

    #[cache_request(key = |id: &u32, _: &str| format!("nr {id}"))]
    fn own(id: u32, lang: &str) -> u32 {
        id + lang.len() as u32
    }

    #[cache_request(prefix = "webtv", name = "api", key = |path: &str, query: &[(&str, &str)]| keys::rest(path, query.iter().copied()))]
    fn rest(path: &str, query: &[(&str, &str)]) -> u32 {
        (path.len() + query.len()) as u32
    }

    #[cache_request(prefix = "myapp", name = "gateway", key = |name: &str, id: &u32| keys::rpc("users", "find", &(name, id)))]
    fn rpc(name: &str, id: u32) -> u32 {
        name.len() as u32 + id
    }

    struct Shop {
        region: &'static str,
    }

    impl Shop {
        #[cache_request(skip(self))]
        fn price(&self, id: u32) -> u32 {
            id + self.region.len() as u32
        }

        #[cache_request(vary(self.region))]
        async fn stock(&self, id: u32) -> u32 {
            id + self.region.len() as u32
        }

        #[cache_request(handle = Self)]
        fn open(id: u32) -> u32 {
            id
        }
    }

    struct Pair<T>(T);

    impl<T: Copy + 'static> Pair<T> {
        #[cache_request(skip(self))]
        fn len(&self, id: u32) -> u32 {
            let _ = self.0;
            id
        }
    }

    trait Label {
        #[cache_request(skip(self))]
        fn label(&self, id: u32) -> u32 {
            id
        }
    }

    impl Label for Shop {}
    impl Label for Pair<u8> {}

    #[test]
    fn of_free_functions() {
        let (cache, _) = memory();
        scoped_sync(&cache, || {
            assert_eq!(free_cache(1, None).key().unwrap(), "companion..texts.free?id=1&name=!");
            assert_eq!(free_cache(1, Some("a b&c")).key().unwrap(), "companion..texts.free?id=1&name=a%20b%26c");
            assert_eq!(none_cache().key().unwrap(), "companion..texts.none");
            assert_eq!(later_cache(1).key().unwrap(), "companion..texts.later?id=1");
            assert_eq!(generic_cache::<_, 2>(1_u8).key().unwrap(), "companion..texts.generic(u8,2)?item=1");
            assert_eq!(
                generic_cache::<_, 3>(String::new()).key().unwrap(),
                "companion..texts.generic(alloc.string.String,3)?item='"
            );
        });
    }

    #[test]
    fn of_an_inner_function() {
        #[cache_request]
        fn inner(id: u32) -> u32 {
            id
        }
        let (cache, _) = memory();
        scoped_sync(&cache, || {
            assert_eq!(inner(1), 1);
            assert_eq!(inner_cache(1).key().unwrap(), "companion..texts.of_an_inner_function.inner?id=1");
        });
    }

    #[test]
    fn of_methods() {
        let (cache, _) = memory();
        let shop = Shop { region: "eu" };
        scoped_sync(&cache, || {
            assert_eq!(shop.price_cache(1).key().unwrap(), "companion..texts.Shop.price?id=1");
            assert_eq!(shop.stock_cache(1).key().unwrap(), "companion..texts.Shop.stock?id=1&self.region=eu");
            assert_eq!(Shop::open_cache(1).key().unwrap(), "companion..texts.Shop.open?id=1");
            assert_eq!(Pair(1_u8).len_cache(1).key().unwrap(), "companion..texts.Pair(u8).len?id=1");
            assert_eq!(Pair("").len_cache(1).key().unwrap(), "companion..texts.Pair(&str).len?id=1");
            assert_eq!(
                shop.label_cache(1).key().unwrap(),
                "companion..(companion.texts.Shop%20as%20companion.texts.Label).label?id=1"
            );
            assert_eq!(
                Pair(1_u8).label_cache(1).key().unwrap(),
                "companion..(companion.texts.Pair(u8)%20as%20companion.texts.Label).label?id=1"
            );
        });
    }

    mod load_cache {
        use super::*;

        #[cache_request]
        pub(super) fn load(id: u32) -> u32 {
            id
        }
    }

    mod load {
        use super::*;

        #[cache_request]
        pub(super) fn load_cache<T: 'static>(id: u32) -> u32 {
            let _ = size_of::<T>();
            id
        }

        #[cache_request]
        pub(super) fn load_cache_one(id: u32) -> u32 {
            id
        }
    }

    #[test]
    fn of_what_is_named_like_a_companion() {
        struct Load;
        impl Load {
            #[cache_request(skip(self))]
            fn load(&self, id: u32) -> u32 {
                id
            }
        }
        let (cache, _) = bytes();
        scoped_sync(&cache, || {
            assert_eq!(
                [load_cache::load(1), load::load_cache::<u8>(2), load::load_cache_one(3), Load.load(4)],
                [1, 2, 3, 4]
            );
            assert_eq!(load_cache::load_cache(1).key().unwrap(), "companion..texts.load_cache.load?id=1");
            assert_eq!(load::load_cache_cache::<u8>(1).key().unwrap(), "companion..texts.load.load_cache(u8)?id=1");
            assert_eq!(load::load_cache_one_cache(1).key().unwrap(), "companion..texts.load.load_cache_one?id=1");
            assert_eq!(
                Load.load_cache(1).key().unwrap(),
                "companion..texts.of_what_is_named_like_a_companion.Load.load?id=1"
            );
        });
        assert_eq!(cache.stats().functions.iter().map(|function| function.uncached).sum::<u64>(), 0);
    }

    #[test]
    fn as_the_attribute_says() {
        let (cache, _) = memory();
        scoped_sync(&cache, || {
            assert_eq!(named_cache(1).key().unwrap(), "companion..a%2Ename?id=1");
            assert_eq!(named_generic_cache(1_u8).key().unwrap(), "companion..one(texts.named_generic(u8))?item=1");
            assert_eq!(versioned_cache(1).key().unwrap(), "companion..texts.versioned@3?id=1");
            assert_eq!(prefixed_cache(1).key().unwrap(), "shop..companion.texts.prefixed?id=1");
            assert_eq!(all_cache(1).key().unwrap(), "shop..all@b?id=1");
            assert_eq!(template_cache(5, "en").key().unwrap(), "companion..texts.template?article:5:en");
            assert_eq!(own_cache(5, "en").key().unwrap(), "companion..texts.own?nr%205");
            assert_eq!(
                rest_cache("/video/5", &[("lang", "en"), ("hd", "1")]).key().unwrap(),
                "webtv..api?url=/video/5&params=hd=1&lang=en"
            );
            assert_eq!(rpc_cache("Ann", 5).key().unwrap(), "myapp..gateway.users.find?params=Ann,5");
        });
    }

    #[test]
    fn of_a_client() {
        let (cache, _) = memory();
        scoped_sync(&cache, || {
            assert_eq!(
                client_scope_sync("acme", || free_cache(1, None).key().unwrap()),
                "companion.acme.texts.free?id=1&name=!"
            );
            assert_eq!(client_scope_sync("a.b c", || none_cache().key().unwrap()), "companion.a%2Eb%20c.texts.none");
            assert_eq!(client_scope_sync("", || none_cache().key().unwrap()), "companion.'.texts.none");
            let rest = client_scope_sync("acme", || rest_cache("/video/5", &[]).key().unwrap());
            assert_eq!(rest, "webtv.acme.api?url=/video/5&params=");
            let rpc = block_on(client_scope("acme", async { rpc_cache("Ann", 5).key().unwrap() }));
            assert_eq!(rpc, "myapp.acme.gateway.users.find?params=Ann,5");
        });
    }

    #[test]
    fn are_the_same_on_every_cache_but_for_its_prefix() {
        for cache in [memory().0, bytes().0, Cache::null()] {
            scoped_sync(&cache, || assert_eq!(none_cache().key().unwrap(), "companion..texts.none"));
        }
        let cache = Cache::builder().prefix("mine").build();
        scoped_sync(&cache, || {
            assert_eq!(none_cache().key().unwrap(), "mine..companion.texts.none");
            assert_eq!(prefixed_cache(1).key().unwrap(), "shop..companion.texts.prefixed?id=1");
        });
    }

    #[test]
    fn are_those_of_the_calls() {
        // What is called here is what the texts above are about.
        let (cache, _) = bytes();
        let shop = Shop { region: "eu" };
        scoped_sync(&cache, || {
            assert_eq!([free(1, None), none(), block_on(later(1)), generic::<u8, 2>(1)], [1, 0, 1, 2]);
            assert_eq!([named(1), named_generic(1_u8), versioned(1), prefixed(1), all(1)], [1, 0, 1, 1, 1]);
            assert_eq!([template(5, "en"), own(5, "en"), rest("/", &[]), rpc("Ann", 5)], [7, 7, 1, 8]);
            assert_eq!(
                [shop.price(1), block_on(shop.stock(1)), Shop::open(1), Pair("").len(1), shop.label(1)],
                [3, 3, 1, 1, 1]
            );
            assert_eq!(
                [free_cache(1, None).peek(), own_cache(5, "de").peek(), rpc_cache("Ann", 5).peek()],
                [Some(1), Some(7), Some(8)]
            );
            assert_eq!(
                [shop.price_cache(1).peek(), Pair("").len_cache(1).peek(), shop.label_cache(1).peek()],
                [Some(3), Some(1), Some(1)]
            );
        });
    }
}

#[test]
fn every_method_of_a_plain_functions_companion() {
    #[cache_request]
    fn f(id: u32) -> u32 {
        RUNS_OF_F.next() * 100 + id
    }
    static RUNS_OF_F: Count = Count::new();
    let run = || RUNS_OF_F.get();
    in_both(|_| {
        let before = run();
        assert_eq!(f_cache(1).peek(), None);
        assert!(!f_cache(1).invalidate().unwrap());
        assert_eq!(run(), before);

        f_cache(1).put(&7).unwrap();
        assert_eq!((f_cache(1).peek(), f_cache(2).peek(), f(1)), (Some(7), None, 7));
        assert_eq!(run(), before);

        let uncached = f_cache(1).uncached();
        assert_eq!(uncached, (before + 1) * 100 + 1);
        assert_eq!(f(1), 7);

        let refreshed = f_cache(1).refresh();
        assert_eq!(refreshed, (before + 2) * 100 + 1);
        assert_eq!((f_cache(1).peek(), f(1)), (Some(refreshed), refreshed));

        assert!(f_cache(1).invalidate().unwrap());
        assert!(!f_cache(1).invalidate().unwrap());
        assert_eq!(f_cache(1).peek(), None);
        assert_eq!(f(1), (before + 3) * 100 + 1);
        assert_eq!(run(), before + 3);
    });
}

#[test]
fn every_method_of_an_async_functions_companion() {
    #[cache_request]
    async fn f(id: u32) -> u32 {
        RUNS_OF_F.next() * 100 + id
    }
    static RUNS_OF_F: Count = Count::new();
    for (cache, _) in [memory(), bytes()] {
        block_on(scoped(&cache, async {
            let before = RUNS_OF_F.get();
            assert_eq!(f_cache(1).peek().await, None);
            assert!(!f_cache(1).invalidate().await.unwrap());
            f_cache(1).put(&7).await.unwrap();
            assert_eq!((f_cache(1).peek().await, f_cache(2).peek().await, f(1).await), (Some(7), None, 7));
            assert_eq!(f_cache(1).uncached().await, (before + 1) * 100 + 1);
            assert_eq!(f(1).await, 7);
            let refreshed = f_cache(1).refresh().await;
            assert_eq!(refreshed, (before + 2) * 100 + 1);
            assert_eq!((f_cache(1).peek().await, f(1).await), (Some(refreshed), refreshed));
            assert!(f_cache(1).invalidate().await.unwrap());
            assert!(!f_cache(1).invalidate().await.unwrap());
            assert_eq!(f(1).await, (before + 3) * 100 + 1);
        }));
    }
}

#[test]
fn on_a_disabled_cache_there_is_nothing_to_forget() {
    #[cache_request]
    fn f() -> u32 {
        RUNS.next()
    }
    scoped_sync(&Cache::null(), || {
        f_cache().put(&0).unwrap();
        assert_eq!(f_cache().peek(), None);
        assert!(!f_cache().invalidate().unwrap());
        assert!(f_cache().refresh() < f());
    });
}

#[test]
fn timeouts() {
    #[cache_request]
    fn default() -> u32 {
        RUNS.next()
    }
    #[cache_request(timeout = 60)]
    fn seconds() -> u32 {
        RUNS.next()
    }
    #[cache_request(timeout = "5m")]
    fn text() -> u32 {
        RUNS.next()
    }
    #[cache_request(timeout = Duration::from_millis(1500))]
    fn expression() -> u32 {
        RUNS.next()
    }
    #[cache_request(timeout = 0)]
    fn zero() -> u32 {
        RUNS.next()
    }
    #[cache_request(timeout = never)]
    fn never() -> u32 {
        RUNS.next()
    }
    let lasts = |clock: &MockClock, f: fn() -> u32, timeout: Duration| {
        let first = f();
        assert_eq!(f(), first);
        clock.advance(timeout.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(f(), first);
        clock.advance(Duration::from_millis(1));
        let second = f();
        assert_ne!(second, first, "{timeout:?}");
        assert_eq!(f(), second);
    };
    in_both(|clock| {
        lasts(clock, default, Duration::from_secs(300));
        lasts(clock, seconds, Duration::from_secs(60));
        lasts(clock, text, Duration::from_secs(300));
        lasts(clock, expression, Duration::from_millis(1500));
        assert_ne!(zero(), zero());
        assert_eq!(zero_cache().peek(), None);
        let first = never();
        clock.advance(Duration::from_secs(100 * 365 * 24 * 3600));
        assert_eq!(never(), first);
    });
}

#[test]
fn a_timeout_of_each_value() {
    #[cache_request(timeout_with = |value| Duration::from_secs(u64::from(*value)))]
    fn f(id: u32) -> u32 {
        let _ = RUNS_OF_F.next();
        id
    }
    static RUNS_OF_F: Count = Count::new();
    in_both(|clock| {
        let calls = || {
            let before = RUNS_OF_F.get();
            assert_eq!([0, 10, 20].map(f), [0, 10, 20]);
            RUNS_OF_F.get() - before
        };
        assert_eq!([calls(), calls()], [3, 1]);
        clock.advance(Duration::from_secs(10));
        assert_eq!([calls(), calls()], [2, 1]);
        clock.advance(Duration::from_secs(10));
        assert_eq!([calls(), calls()], [3, 1]);
        // What is put has the same timeouts; one of zero takes away what was there.
        f_cache(1).put(&5).unwrap();
        clock.advance(Duration::from_secs(4));
        assert_eq!(f_cache(1).peek(), Some(5));
        f_cache(1).put(&0).unwrap();
        assert_eq!(f_cache(1).peek(), None);
    });
}

#[test]
fn what_is_not_kept() {
    #[cache_request(when = |value| value % 2 == 0)]
    fn even(id: u32) -> u32 {
        let _ = RUNS_OF_EVEN.next();
        id
    }
    static RUNS_OF_EVEN: Count = Count::new();
    #[cache_request(skip_none)]
    fn some(id: u32) -> Option<u32> {
        (id > 0).then_some(id)
    }
    #[cache_request]
    fn ok(id: u32) -> Result<u32, String> {
        if id > 0 { Ok(id) } else { Err("none".to_owned()) }
    }
    #[cache_request(cache_err)]
    fn either(id: u32) -> Result<u32, String> {
        if id > 0 { Ok(id) } else { Err("none".to_owned()) }
    }
    fn kept<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned>(called: &T, peeked: Option<T>) -> bool {
        peeked.inspect(|peeked| assert_eq!(peeked, called)).is_some()
    }
    in_both(|_| {
        let before = RUNS_OF_EVEN.get();
        assert_eq!([even(1), even(1), even(2), even(2)], [1, 1, 2, 2]);
        assert_eq!(RUNS_OF_EVEN.get() - before, 3);
        assert_eq!([even_cache(1).peek(), even_cache(2).peek()], [None, Some(2)]);
        even_cache(1).put(&4).unwrap();
        assert_eq!(even_cache(1).peek(), Some(4));
        even_cache(1).put(&5).unwrap();
        assert_eq!(even_cache(1).peek(), None);

        assert!(!kept(&some(0), some_cache(0).peek()) && kept(&some(1), some_cache(1).peek()));
        assert!(!kept(&ok(0), ok_cache(0).peek()) && kept(&ok(1), ok_cache(1).peek()));
        assert!(kept(&either(0), either_cache(0).peek()) && kept(&either(1), either_cache(1).peek()));

        // An error takes nothing away.
        ok_cache(0).put(&Ok(5)).unwrap();
        assert_eq!(ok_cache(0).refresh(), Err("none".to_owned()));
        ok_cache(0).put(&Err(String::new())).unwrap();
        assert_eq!(ok(0), Ok(5));
    });
}

#[test]
fn local_values_stay_in_memory() {
    #[derive(Clone)]
    struct Opaque(u32);
    #[cache_request(local, timeout = 60)]
    fn local() -> Opaque {
        Opaque(RUNS.next())
    }
    for (cache, clock) in [memory(), bytes()] {
        scoped_sync(&cache, || {
            let first = local().0;
            assert_eq!((local().0, local_cache().peek().unwrap().0), (first, first));
            clock.advance(Duration::from_secs(60));
            assert_ne!(local().0, first);
        });
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.functions[0].written_bytes, stats.faults()), (1, 0, 0));
    }
}

#[test]
fn two_types_never_share() {
    #[cache_request]
    fn f<T: Serialize + Default + 'static>(id: u32) -> u32 {
        let _ = (T::default(), id);
        RUNS.next()
    }
    #[cache_request(name = "named")]
    fn named<T: Serialize + Default + 'static>(id: u32) -> u32 {
        let _ = (T::default(), id);
        RUNS.next()
    }
    in_both(|_| {
        let (a, b) = (f::<u8>(1), f::<u16>(1));
        assert_ne!(a, b);
        assert_eq!([f::<u8>(1), f::<u16>(1)], [a, b]);
        assert!(f_cache::<u8>(1).invalidate().unwrap());
        assert_eq!(f_cache::<u16>(1).peek(), Some(b));

        let (a, b) = (named::<u8>(1), named::<u16>(1));
        assert_ne!(a, b);
        assert_eq!([named::<u8>(1), named::<u16>(1)], [a, b]);
    });
}

#[test]
fn two_impls_never_share() {
    trait Load {
        fn load(&self, id: u32) -> u32;
    }
    struct One;
    struct Other;
    impl One {
        #[cache_request(skip(self))]
        fn find(&self, id: u32) -> u32 {
            let _ = id;
            RUNS.next()
        }
    }
    impl Other {
        #[cache_request(skip(self))]
        fn find(&self, id: u32) -> u32 {
            let _ = id;
            RUNS.next()
        }
    }
    impl Load for One {
        #[cache_request(skip(self), handle = false)]
        fn load(&self, id: u32) -> u32 {
            let _ = id;
            RUNS.next()
        }
    }
    impl Load for Other {
        #[cache_request(skip(self), handle = false)]
        fn load(&self, id: u32) -> u32 {
            let _ = id;
            RUNS.next()
        }
    }
    in_both(|_| {
        let calls = || [One.find(1), Other.find(1), One.load(1), Other.load(1)];
        let first = calls();
        assert!(first.is_sorted_by(|a, b| a < b), "{first:?}");
        assert_eq!(calls(), first);
        assert_ne!(One.find_cache(1).key().unwrap(), Other.find_cache(1).key().unwrap());
    });
}

#[test]
fn a_name_taken_twice() -> Result<(), Error> {
    #[cache_request(name = "taken")]
    fn one(id: u32) -> u32 {
        let _ = id;
        RUNS.next()
    }
    #[cache_request(name = "taken")]
    fn other(id: u32) -> u32 {
        let _ = id;
        RUNS.next()
    }
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        let (a, b) = (one(1), other(1));
        assert_ne!(a, b);
        assert_eq!([one(1), other(1)], [a, b]);
        assert_eq!(one_cache(1).key().unwrap(), other_cache(1).key().unwrap());
    });

    // Of bytes, nobody could tell whose they are.
    let (cache, _) = bytes();
    scoped_sync(&cache, || {
        let first = one(1);
        let uncached = [other(1), other(1)];
        assert!(uncached[0] != first && uncached[0] != uncached[1]);
        assert_eq!([one(1), one(1)], [first, first]);
        assert_eq!(other_cache(1).peek(), None);
        assert!(other_cache(1).put(&0).is_err());
        one_cache(1).put(&0)?;
        assert_eq!(one(1), 0);
        Ok::<_, Error>(())
    })?;
    assert_eq!(cache.stats().functions.iter().map(|function| function.uncached).sum::<u64>(), 2);
    Ok(())
}
