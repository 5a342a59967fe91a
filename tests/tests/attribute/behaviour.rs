//! What is remembered, seen by how often bodies run.
//!
//! Each test has functions of its own, so that none sees what another one left behind.

use std::{
    collections::{BTreeSet, HashSet},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use cache_request::{Cache, cache_request, scoped_sync};
use futures_lite::future::block_on;
use serde::Serialize;

/// Counts the runs of a body.
struct Runs(AtomicU32);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Counts one, and answers with the count: a remembered answer is an old one.
    fn next(&self) -> u32 {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

#[test]
fn every_argument_is_part_of_the_key() {
    #[cache_request]
    fn f(text: &str, option: Option<&str>, list: &[u32]) -> u32 {
        static RUNS: Runs = Runs::new();
        let _ = (text, option, list);
        RUNS.next()
    }
    assert_eq!([f("a", None, &[1]), f("a", None, &[1])], [1, 1]);
    assert_eq!([f("b", None, &[1]), f("a", Some(""), &[1]), f("a", None, &[1, 1])], [2, 3, 4]);
    assert_eq!([f("b", None, &[1]), f("a", Some(""), &[1]), f("a", None, &[1, 1])], [2, 3, 4]);
}

#[test]
fn async_functions_remember() {
    #[cache_request]
    async fn f(id: u32) -> u32 {
        static RUNS: Runs = Runs::new();
        let _ = id;
        RUNS.next()
    }
    #[cache_request]
    fn returned(id: u32) -> impl Future<Output = u32> {
        static RUNS: Runs = Runs::new();
        let run = RUNS.next();
        async move { run + id }
    }
    #[cache_request]
    fn boxed(id: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        static RUNS: Runs = Runs::new();
        Box::pin(async move { RUNS.next() + id })
    }
    block_on(async {
        assert_eq!([f(1).await, f(1).await, f(2).await], [1, 1, 2]);
        assert_eq!([returned(0).await, returned(0).await], [1, 1]);
        assert_eq!([boxed(0).await, boxed(0).await], [1, 1]);
    });
}

#[test]
fn each_binding_of_a_pattern_is_part_of_the_key() {
    #[derive(Serialize)]
    struct Point {
        x: i32,
        y: i32,
    }
    struct Db;
    #[cache_request(skip(y))]
    fn f((a, _): (u32, Db), Point { x, y }: Point, _: Db) -> u32 {
        static RUNS: Runs = Runs::new();
        let _ = (a, x, y);
        RUNS.next()
    }
    let call = |a, x, y| f((a, Db), Point { x, y }, Db);
    assert_eq!([call(1, 1, 1), call(1, 1, 2), call(2, 1, 1), call(1, 2, 1)], [1, 1, 2, 3]);
}

#[test]
fn instances_and_namesakes_share_nothing() {
    static RUNS: Runs = Runs::new();
    #[cache_request]
    fn generic<T: Serialize, const N: usize>(item: T) -> u32 {
        let _ = item;
        RUNS.next()
    }
    assert_eq!([generic::<u8, 1>(1), generic::<u16, 1>(1), generic::<u8, 2>(1), generic::<u8, 1>(1)], [1, 2, 3, 1]);

    fn one() -> u32 {
        #[cache_request]
        fn inner() -> u32 {
            RUNS.next()
        }
        inner()
    }
    fn other() -> u32 {
        #[cache_request]
        fn inner() -> u32 {
            RUNS.next()
        }
        inner()
    }
    assert_eq!([one(), other(), one(), other()], [4, 5, 4, 5]);
}

struct Shop {
    region: &'static str,
    visits: u32,
}

static VISITS: Runs = Runs::new();

impl Shop {
    #[cache_request(vary(self.region))]
    fn varied(&self, id: u32) -> u32 {
        VISITS.next() + self.visits + id
    }
}

#[test]
fn self_is_what_it_is_varied_on() {
    let shop = |region, visits| Shop { region, visits };
    assert_eq!(shop("eu", 0).varied(0), 1);
    assert_eq!(shop("eu", 9).varied(0), 1);
    assert_eq!(shop("us", 0).varied(0), 2);
}

static METHODS: Runs = Runs::new();

#[async_trait::async_trait]
trait Load {
    async fn load(&self, id: u32) -> Result<u32, std::fmt::Error>;
}

#[async_trait::async_trait]
impl Load for Shop {
    #[cache_request(skip(self))]
    async fn load(&self, id: u32) -> Result<u32, std::fmt::Error> {
        Ok(METHODS.next() + id)
    }
}

#[test]
fn methods_under_async_trait_remember() {
    let shop = Shop { region: "eu", visits: 0 };
    assert_eq!([block_on(shop.load(0)), block_on(shop.load(0))], [Ok(1), Ok(1)]);
}

#[test]
fn own_keys() {
    struct User {
        id: u32,
        visits: u32,
    }
    static TEMPLATE: Runs = Runs::new();
    #[cache_request(key = "user:{user.id}:{lang}")]
    fn template(user: &User, lang: &str, unused: u32) -> u32 {
        let _ = lang;
        TEMPLATE.next() + user.visits + unused
    }
    let user = |id, visits| User { id, visits };
    assert_eq!(template(&user(1, 0), "en", 0), 1);
    assert_eq!(template(&user(1, 9), "en", 9), 1);
    assert_eq!(template(&user(2, 0), "en", 0), 2);
    assert_eq!(template(&user(1, 0), "de", 0), 3);

    static FUNCTION: Runs = Runs::new();
    #[cache_request(key = |user: &User| user.id.to_string(), skip(unused))]
    fn function(user: User, unused: u32) -> u32 {
        FUNCTION.next() + user.visits + unused
    }
    assert_eq!([function(user(1, 0), 0), function(user(1, 9), 9), function(user(2, 0), 0)], [1, 1, 2]);
}

#[test]
fn what_is_not_stored() {
    #[cache_request(timeout = 0)]
    fn zero() -> u32 {
        static RUNS: Runs = Runs::new();
        RUNS.next()
    }
    #[cache_request(timeout_with = |run| Duration::from_secs(if *run < 2 { 0 } else { 60 }))]
    fn per_value() -> u32 {
        static RUNS: Runs = Runs::new();
        RUNS.next()
    }
    #[cache_request(when = |run| *run > 1)]
    fn when() -> u32 {
        static RUNS: Runs = Runs::new();
        RUNS.next()
    }
    #[cache_request(skip_none)]
    fn skip_none() -> Option<u32> {
        static RUNS: Runs = Runs::new();
        Some(RUNS.next()).filter(|run| *run > 1)
    }
    #[cache_request]
    fn none() -> Option<u32> {
        static RUNS: Runs = Runs::new();
        Some(RUNS.next()).filter(|run| *run > 1)
    }
    assert_eq!([zero(), zero()], [1, 2]);
    assert_eq!([per_value(), per_value(), per_value()], [1, 2, 2]);
    assert_eq!([when(), when(), when()], [1, 2, 2]);
    assert_eq!([skip_none(), skip_none(), skip_none()], [None, Some(2), Some(2)]);
    assert_eq!([none(), none()], [None, None]);
}

type Answer = Result<u32, u32>;

#[test]
fn errors_are_not_stored_unless_told() {
    #[cache_request]
    fn forgotten() -> Answer {
        static RUNS: Runs = Runs::new();
        Err(RUNS.next())
    }
    #[cache_request(cache_err)]
    fn kept() -> Answer {
        static RUNS: Runs = Runs::new();
        Err(RUNS.next())
    }
    assert_eq!([forgotten(), forgotten()], [Err(1), Err(2)]);
    assert_eq!([kept(), kept()], [Err(1), Err(1)]);
}

#[test]
fn vary_adds_a_part() {
    static LANG: AtomicU32 = AtomicU32::new(0);
    #[cache_request(vary(lang = LANG.load(SeqCst)))]
    fn f() -> u32 {
        static RUNS: Runs = Runs::new();
        RUNS.next()
    }
    assert_eq!([f(), f()], [1, 1]);
    LANG.store(1, SeqCst);
    assert_eq!([f(), f()], [2, 2]);
}

#[test]
fn local_values_need_no_serde() {
    #[derive(Clone)]
    struct Opaque(u32);
    #[cache_request(local)]
    fn named() -> Opaque {
        static RUNS: Runs = Runs::new();
        Opaque(RUNS.next())
    }
    #[cache_request(local, handle = false, when = |range| range.start > 1)]
    fn opaque() -> impl Iterator<Item = u32> {
        static RUNS: Runs = Runs::new();
        RUNS.next()..10
    }
    assert_eq!([named().0, named().0], [1, 1]);
    assert_eq!([opaque().next(), opaque().next(), opaque().next()], [Some(1), Some(2), Some(2)]);
}

#[test]
fn the_companion_is_the_same_call() {
    #[cache_request(name = "companion", version = 2, prefix = "tests")]
    fn f(id: u32) -> u32 {
        static RUNS: Runs = Runs::new();
        RUNS.next() + id
    }
    assert_eq!(f_cache(0).peek(), None);
    assert_eq!([f(0), f(0)], [1, 1]);
    assert_eq!(f_cache(0).peek(), Some(1));
    assert_eq!(f_cache(0).key().unwrap(), "tests..companion@2?id=0");
    assert!(f_cache(0).invalidate().unwrap());
    assert_eq!([f(0), f(0)], [2, 2]);
}

#[test]
fn the_names_in_a_key_are_those_of_the_source() {
    #[cache_request(prefix = "tests", name = "names", vary(lang = "en"))]
    fn f(r#type: u32, (one, other): (u32, &str)) -> u32 {
        let _ = other;
        r#type + one
    }
    assert_eq!(f(1, (2, "b")), 3);
    assert_eq!(f_cache(1, (2, "b")).key().unwrap(), "tests..names?type=1&one=2&other=b&lang=en");
}

#[test]
fn closures_of_one_type_share_answers() {
    #[cache_request(skip(f))]
    fn generic(f: impl Fn() -> u32) -> u32 {
        f()
    }
    #[cache_request(skip(f))]
    fn named<F: Fn() -> u32>(f: F) -> u32 {
        f()
    }
    #[cache_request(skip(f))]
    fn pointer(f: fn() -> u32) -> u32 {
        f()
    }
    #[cache_request(skip(f))]
    fn object(f: &dyn Fn() -> u32) -> u32 {
        f()
    }
    let again = || 1;
    assert_eq!([generic(again), generic(again), generic(|| 2)], [1, 1, 2]);
    assert_eq!([named(again), named(again), named(|| 2)], [1, 1, 2]);
    assert_eq!([pointer(|| 1), pointer(|| 2)], [1, 1]);
    assert_eq!([object(&|| 1), object(&|| 2)], [1, 1]);
}

#[test]
fn a_set_is_sorted_by_its_type_or_by_what_the_key_varies_on() {
    fn sorted(set: &HashSet<u32>) -> Vec<u32> {
        let mut all: Vec<_> = set.iter().copied().collect();
        all.sort_unstable();
        all
    }
    #[cache_request]
    fn f(set: &BTreeSet<u32>) -> usize {
        static RUNS: Runs = Runs::new();
        set.len() + RUNS.next() as usize
    }
    #[cache_request(skip(set), vary(set = sorted(set)))]
    fn g(set: &HashSet<u32>) -> usize {
        static RUNS: Runs = Runs::new();
        set.len() + RUNS.next() as usize
    }
    assert_eq!([f(&(0..9).collect()), f(&(0..9).rev().collect())], [10, 10]);
    // Each has an order of its own.
    assert_eq!([0; 9].map(|_| g(&(0..9).collect())), [10; 9]);
}

/// What a `local` value holds was not counted, be it ever so much.
#[test]
fn a_local_value_weighs_what_serde_finds_in_it() {
    const LENGTH: usize = 100_000;
    #[cache_request(local)]
    fn known() -> Vec<u8> {
        vec![0; LENGTH]
    }
    #[cache_request(local, handle = false)]
    fn opaque() -> impl Clone + Send + Sync + 'static {
        "x".repeat(LENGTH)
    }
    #[cache_request(local)]
    fn generic<T: From<u8> + Clone + Send + Sync + 'static>() -> Result<Vec<T>, ()> {
        Ok(vec![T::from(0); LENGTH])
    }
    #[cache_request(local)]
    fn serialised<T: From<u8> + Serialize + Clone + Send + Sync + 'static>() -> Result<Vec<T>, ()> {
        Ok(vec![T::from(0); LENGTH])
    }
    #[derive(Clone)]
    struct Unknown(Vec<u8>);
    #[cache_request(local)]
    fn unknown() -> Unknown {
        Unknown(vec![0; LENGTH])
    }
    #[cache_request(local, weight = |value| 2 * value.len())]
    fn told() -> Vec<u8> {
        vec![0; LENGTH]
    }
    let held = |call: &dyn Fn()| {
        let cache = Cache::memory();
        scoped_sync(&cache, call);
        assert_eq!(cache.stats().entries, 1);
        usize::try_from(cache.stats().held_bytes).unwrap()
    };
    assert!((LENGTH..2 * LENGTH).contains(&held(&|| _ = known())));
    assert!((LENGTH..2 * LENGTH).contains(&held(&|| _ = opaque().clone())));
    assert!((LENGTH..2 * LENGTH).contains(&held(&|| _ = serialised::<u8>())));
    assert!(held(&|| _ = generic::<u8>()) < 1000, "a type argument is what its bounds say");
    assert!(held(&|| assert_eq!(unknown().0.len(), LENGTH)) < 1000);
    assert!(held(&|| _ = told()) >= 2 * LENGTH);
}
