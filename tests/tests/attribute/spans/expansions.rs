//! Functions with `stale` in all their forms: each has to compile, and to have its body run in the background.

use std::{pin::Pin, sync::Arc};

use axum::extract::{Query, State};
use cache_request::{cache_request, scoped, scoped_sync};

use super::{caches, seconds};
use crate::support::Count;

static BODIES: Count = Count::new();

fn replaces(call: impl Fn() -> u32) {
    let (_, cache, clock) = caches().swap_remove(1);
    scoped_sync(&cache, || {
        let first = call();
        clock.advance(seconds(10));
        assert_eq!(call(), first);
        cache.shutdown_sync();
        assert_ne!(call(), first);
    });
}

async fn replaces_later<F: Future<Output = u32>>(call: impl Fn() -> F) {
    for (name, cache, clock) in &caches() {
        scoped(cache, async {
            let first = call().await;
            clock.advance(seconds(10));
            assert_eq!(call().await, first, "{name}");
            cache.shutdown().await;
            assert_ne!(call().await, first, "{name}");
        })
        .await;
    }
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Point {
    x: u32,
    y: u32,
}

#[cache_request(timeout = 10, stale = 60)]
fn r#match(r#type: String, Point { x, mut y }: Point, mut r#in: Vec<u32>, [first, ..]: [u32; 2]) -> u32 {
    r#in.push(r#type.len() as u32);
    y += x + first;
    drop((r#in, y));
    BODIES.next()
}

#[cache_request(timeout = 10, stale = 60)]
fn generic<'a, T, const N: usize>(of: &'a T, many: &'a [T; N], _: u8) -> u32
where
    T: serde::Serialize + Clone + Send + Sync + 'static,
{
    let _ = (of, many);
    BODIES.next()
}

struct Holder<T>(T);

impl<T: Clone> Clone for Holder<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: serde::Serialize + Clone + Send + Sync + 'static> Holder<T> {
    #[cache_request(timeout = 10, stale = 60, vary(self.0))]
    fn get(mut self, more: &Self) -> u32
    where
        Self: serde::Serialize,
    {
        self.0 = more.0.clone();
        BODIES.next()
    }

    #[cache_request(timeout = 10, stale = 60, vary(self.0))]
    fn boxed(self: Box<Self>) -> u32 {
        BODIES.next()
    }
}

impl<T: serde::Serialize> serde::Serialize for Holder<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cache_request(timeout = 10, early = 0.5, stale = 60)]
fn future(text: &str, owned: String) -> impl Future<Output = u32> + Send {
    let length = text.len() + owned.len();
    async move {
        assert_eq!(length, 2);
        BODIES.next()
    }
}

#[cache_request(timeout = 10, stale = 60)]
fn boxed_future(owned: String, text: &str) -> Pin<Box<dyn Future<Output = u32> + Send + '_>> {
    Box::pin(async move {
        assert_eq!(owned.len(), text.len());
        BODIES.next()
    })
}

#[cache_request(timeout = 10, stale = 60, stale_if_error = 60)]
async fn fallible(mut owned: Vec<u8>, optional: Option<&Point>) -> Result<u32, String> {
    owned.push(1);
    tokio::task::yield_now().await;
    optional.ok_or_else(|| "none".to_owned())?;
    Ok(BODIES.next())
}

#[cache_request(timeout = 10, stale = 60, skip(bodies))]
async fn handler(State(bodies): State<Arc<Count>>, Query(point): Query<Point>) -> String {
    let _ = point;
    bodies.next();
    BODIES.next().to_string()
}

#[async_trait::async_trait]
trait Served {
    async fn served(&self, of: u32) -> u32;
}

#[async_trait::async_trait]
impl Served for u8 {
    #[cache_request(timeout = 10, stale = 60, foreground, skip(self))]
    async fn served(&self, of: u32) -> u32 {
        of + BODIES.next()
    }
}

#[test]
fn every_form_is_replaced() {
    let point = || Point { x: 1, y: 2 };
    replaces(|| r#match("a".into(), point(), vec![], [1, 2]));
    replaces(|| generic(&1_u8, &[1, 2], 3));
    replaces(|| Holder(1).get(&Holder(2)));
    replaces(|| Box::new(Holder(1)).boxed());

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        replaces_later(|| future("a", "b".into())).await;
        replaces_later(|| boxed_future("a".into(), "b")).await;
        replaces_later(|| async { fallible(vec![], Some(&point())).await.unwrap() }).await;
        let bodies = Arc::new(Count::new());
        replaces_later(|| async { handler(State(bodies.clone()), Query(point())).await.parse().unwrap() }).await;
        let (_, cache, clock) = caches().swap_remove(1);
        scoped(&cache, async {
            let first = 1_u8.served(1).await;
            clock.advance(seconds(10));
            assert_ne!(1_u8.served(1).await, first);
        })
        .await;
        let _: axum::Router<Arc<Count>> = axum::Router::new().route("/", axum::routing::get(handler));
    });
}
