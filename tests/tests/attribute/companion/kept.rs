//! The conditions and timeouts that decide what is kept.

use super::*;

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
