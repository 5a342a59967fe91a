//! Functions whose body runs in the background: how it owns its arguments.

use std::{borrow::Cow, sync::Arc};

use cache_request::{cache_request, scoped, scoped_sync};
use futures_lite::future::block_on;

use super::{caches, seconds};
use crate::support::Count;

#[derive(Clone, serde::Serialize)]
struct Article {
    number: u32,
}

#[cache_request(timeout = 10, stale = 60)]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value, clippy::ref_option_ref)]
fn plain<'a, const N: usize, T: serde::Serialize + Clone + Send + Sync + 'static>(
    text: &'a str,
    slice: &[u32],
    reference: &Article,
    optional: Option<&str>,
    cow: Cow<'_, str>,
    mut owned: String,
    shared: Arc<Article>,
    (left, right): (u8, &'static str),
    array: [u8; N],
    generic: T,
    #[cfg(any())] gone: u32,
) -> (u32, String) {
    drop(generic);
    owned.push_str(&cow);
    owned.push_str(text);
    owned.push_str(optional.unwrap_or("none"));
    owned.push_str(right);
    let sum = slice.iter().sum::<u32>() + reference.number + shared.number + u32::from(left) + u32::from(array[0]);
    (PLAIN.next(), format!("{owned}{sum}"))
}

static PLAIN: Count = Count::new();

#[test]
fn every_kind_of_argument_is_owned() {
    for (name, cache, clock) in caches() {
        let article = Article { number: 1 };
        let call = || {
            let cow = Cow::Borrowed("cow");
            let shared = Arc::new(article.clone());
            plain("text", &[1, 2], &article, Some("some"), cow, "own".to_owned(), shared, (3, "right"), [4_u8], 5_u64)
        };
        scoped_sync(&cache, || {
            let (first, text) = call();
            assert_eq!(text, "owncowtextsomeright12", "{name}");
            clock.advance(seconds(10));
            assert_eq!(call().0, first, "{name}");
            cache.shutdown_sync();
            assert_eq!(call(), (first + 1, text), "{name}");
        });
    }
}

#[derive(Clone)]
struct Shop {
    region: String,
    bodies: Arc<Count>,
}

impl Shop {
    #[cache_request(timeout = 10, stale = 60, vary(self.region))]
    fn by_reference(&self, article: &str) -> String {
        format!("{}{article}{}", self.region, self.bodies.next())
    }

    #[cache_request(timeout = 10, stale = 60, vary(self.region))]
    async fn later(&self, article: &str) -> String {
        format!("{}{article}{}", self.region, self.bodies.next())
    }

    #[cache_request(timeout = 10, stale = 60, vary(self.region))]
    fn by_value(self, article: u32) -> String {
        format!("{}{article}{}", self.region, self.bodies.next())
    }

    #[cache_request(timeout = 10, stale = 60, vary(self.region))]
    async fn by_arc(self: Arc<Self>, article: u32) -> String {
        format!("{}{article}{}", self.region, self.bodies.next())
    }

    #[cache_request(timeout = 10, stale = 60, vary(self.region))]
    fn by_arc_reference(self: &Arc<Self>, article: u32) -> String {
        format!("{}{article}{}", self.region, self.bodies.next())
    }

    #[cache_request(timeout = 10, stale = 60, handle = Self)]
    fn associated(article: u32, bodies: Arc<Count>) -> String
    where
        Self: Sized,
    {
        format!("{article}{}", bodies.next())
    }
}

impl serde::Serialize for Count {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[test]
fn methods_own_their_receivers() {
    let calls: [fn(&Arc<Shop>) -> String; 6] = [
        |shop| shop.by_reference("a"),
        |shop| block_on(shop.later("a")),
        |shop| Shop::clone(shop).by_value(1),
        |shop| block_on(Arc::clone(shop).by_arc(1)),
        |shop| shop.by_arc_reference(1),
        |shop| Shop::associated(1, Arc::clone(&shop.bodies)),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        for (name, cache, clock) in caches() {
            let shop = Arc::new(Shop { region: "north".into(), bodies: Arc::new(Count::new()) });
            scoped_sync(&cache, || {
                let first = call(&shop);
                clock.advance(seconds(10));
                assert_eq!(call(&shop), first, "{name}, {number}");
                cache.shutdown_sync();
                assert_ne!(call(&shop), first, "{name}, {number}");
                assert_eq!(shop.bodies.get(), 2, "{name}, {number}");
            });
        }
    }
}

/// The parts of the key may depend on where the call is made.
#[test]
fn a_body_in_the_background_keeps_the_key_of_its_call() {
    use std::cell::Cell;

    thread_local!(static LANGUAGE: Cell<u32> = const { Cell::new(0) });
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, vary(language = LANGUAGE.get()))]
    fn greeting() -> u32 {
        BODIES.next()
    }

    for (name, cache, clock) in caches() {
        scoped_sync(&cache, || {
            LANGUAGE.set(7);
            let first = greeting();
            clock.advance(seconds(10));
            greeting();
            cache.shutdown_sync();
            assert_eq!(greeting(), first + 1, "{name}");
            LANGUAGE.set(0);
            assert_eq!(greeting_cache().peek(), None, "{name}");
        });
    }
}

#[test]
fn a_detached_body_may_have_stale_values() {
    static BODIES: Count = Count::new();

    #[cache_request(timeout = 10, stale = 60, stale_if_error = 120, detach)]
    async fn version(of: String) -> Result<u32, String> {
        match BODIES.next() % 3 {
            0 => Err(of),
            _ => Ok(BODIES.get()),
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for (name, cache, clock) in caches() {
        runtime.block_on(scoped(&cache, async {
            let first = version("a".into()).await.unwrap();
            clock.advance(seconds(10));
            assert_eq!(version("a".into()).await, Ok(first), "{name}");
            cache.shutdown().await;
            assert_eq!(version("a".into()).await, Ok(first + 1), "{name}");
            clock.advance(seconds(100));
            assert_eq!(version("a".into()).await, Ok(first + 1), "{name}: in place of an error");
            assert_eq!(BODIES.get(), first + 2, "{name}");
        }));
    }
}
