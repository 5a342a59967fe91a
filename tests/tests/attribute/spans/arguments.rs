//! Arguments of bodies in the background that went wrong.

use std::borrow::Cow;

use cache_request::{cache_request, scoped_sync};

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
