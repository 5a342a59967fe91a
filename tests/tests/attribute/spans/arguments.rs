//! Arguments of bodies in the background that went wrong.

use std::{borrow::Cow, sync::Arc};

use cache_request::{cache_request, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

/// The expansion keeps a clone of its own key beside those of the arguments.
#[test]
fn an_argument_named_key_is_taken_for_the_key_of_the_call() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60)]
    #[allow(clippy::needless_pass_by_value)]
    fn version(key: String, site: String, this: String, answer: String, is_due: u8, spare_key: u8) -> (String, u32) {
        (format!("{key}{site}{this}{answer}{is_due}{spare_key}"), BODIES.next())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let call = || version("k".into(), "s".into(), "t".into(), "a".into(), 1, 2);
            let (text, first) = call();
            assert_eq!(text, "ksta12", "{name}");
            clock.advance(seconds(10));
            assert_eq!(call(), (text.clone(), first), "{name}");
            cache.shutdown_sync();
            assert_eq!(call(), (text, first + 1), "{name}");
        });
    }
}

#[test]
fn an_argument_that_lives_for_ever_is_lent_for_less() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60)]
    #[allow(clippy::ref_option_ref)]
    fn version(
        text: &'static str,
        numbers: &'static [u32],
        optional: Option<&'static str>,
        cow: Cow<'static, str>,
    ) -> (String, u32) {
        let kept: (&'static str, &'static [u32], Option<&'static str>, Cow<'static, str>) =
            (text, numbers, optional, cow);
        (format!("{kept:?}"), BODIES.next())
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            let call = || version("a", &[1], Some("b"), Cow::Borrowed("c"));
            let (text, first) = call();
            clock.advance(seconds(10));
            assert_eq!(call(), (text.clone(), first), "{name}");
            cache.shutdown_sync();
            assert_eq!(call(), (text, first + 1), "{name}");
        });
    }
}

/// The cache clones arguments for itself, so that its caller must not notice.
#[test]
fn an_argument_whose_clone_panics_breaks_the_call() {
    static BODIES: Count = Count::new();

    #[derive(serde::Serialize)]
    struct Panics;

    impl Clone for Panics {
        fn clone(&self) -> Self {
            panic!("no clone")
        }
    }

    #[cache_request(timeout = 10, stale = 60)]
    #[allow(clippy::needless_pass_by_value)]
    fn by_value(of: Panics) -> u32 {
        let _ = of;
        BODIES.next()
    }

    #[cache_request(timeout = 10, stale = 60)]
    fn by_reference(of: &Panics) -> u32 {
        let _ = of;
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        for call in [|| by_value(Panics), || by_reference(&Panics)] {
            scoped_sync(&cache, || {
                let first = call();
                clock.advance(seconds(10));
                assert_eq!(call(), first, "{name}");
                clock.advance(seconds(60));
                assert_eq!(call(), first + 1, "{name}");
            });
        }
    }
}

/// They are cloned for a body in the background alone.
#[test]
fn a_hit_cloned_its_arguments() {
    static BODIES: Count = Count::new();
    static CLONES: Count = Count::new();

    #[derive(serde::Serialize)]
    struct Cloned(u32);

    impl Clone for Cloned {
        fn clone(&self) -> Self {
            CLONES.next();
            Self(self.0)
        }
    }

    #[cache_request(timeout = 10, stale = 60)]
    #[allow(clippy::needless_pass_by_value)]
    fn plain(value: Cloned, lent: &Cloned, list: &[Cloned], optional: Option<&Cloned>, cow: Cow<'_, [Cloned]>) -> u32 {
        let _ = (value, lent, list, optional, cow);
        BODIES.next()
    }

    #[cache_request(timeout = 10, stale = 60, stale_if_error = 60, stale_after = "1h", early = 0.9, jitter = 0.01)]
    async fn later(value: Cloned, lent: &Cloned, list: &[Cloned], optional: Option<&Cloned>) -> u32 {
        let _ = (value, lent, list, optional);
        BODIES.next()
    }

    #[derive(Clone)]
    struct Shop(Arc<Cloned>, Cloned);

    impl Shop {
        #[cache_request(timeout = 10, stale = 60, skip(self))]
        fn method(&self, lent: &Cloned) -> u32 {
            let _ = (&self.0, &self.1, lent);
            BODIES.next()
        }
    }

    let one = Cloned(1);
    let shop = Shop(Arc::new(Cloned(2)), Cloned(3));
    let calls: [(&str, u32, &dyn Fn() -> u32); 3] = [
        ("plain", 7, &|| {
            plain(Cloned(1), &one, &[Cloned(2), Cloned(3)], Some(&one), Cow::Owned(vec![Cloned(4), Cloned(5)]))
        }),
        ("async", 5, &|| block_on(later(Cloned(1), &one, &[Cloned(2), Cloned(3)], Some(&one)))),
        ("method", 2, &|| shop.method(&one)),
    ];
    for (name, owned, call) in calls {
        let (_, cache, clock) = caches().swap_remove(0);
        scoped_sync(&cache, || {
            let first = call();
            let clones = CLONES.get();
            (0..10).for_each(|_| assert_eq!(call(), first, "{name}"));
            assert_eq!(CLONES.get(), clones, "{name}: a fresh hit");
            clock.advance(seconds(10));
            assert_eq!(call(), first, "{name}");
            assert_eq!(CLONES.get(), clones + owned, "{name}: each once, for the body in the background");
            cache.shutdown_sync();
            assert_eq!(call(), first + 1, "{name}");
            assert_eq!(CLONES.get(), clones + owned, "{name}: another fresh hit");
        });
    }
}
