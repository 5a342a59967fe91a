//! Functions that share no answers, however alike they look.

use super::*;

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

    // Bytes would not show which function stored them.
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
