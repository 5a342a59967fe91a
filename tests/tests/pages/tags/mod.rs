//! Tags of pages: of their fields, of what the service names, and of what it uses.

mod fields;
mod late;
mod older;
mod operations;
mod processes;
mod service;

use std::time::Duration;

use cache_request::{
    Cache, CacheBuilder, Clock, MockClock, backend::MemoryBackend, cache_request, http::CachePage, tag,
};
use http::{Response, request::Parts};
use tower_layer::Layer as _;

use super::support::{Bench, FRESH, Failed, Origin, Plain, Script, ok};

fn layer() -> CachePage {
    CachePage::new().name("tags").purge_by_tag(true)
}

fn memory(clock: &MockClock) -> MemoryBackend {
    MemoryBackend::builder().clock(clock).build().unwrap()
}

fn build(builder: CacheBuilder, clock: &MockClock) -> Cache {
    builder.clock(clock).soft_limit(Duration::MAX).wait_limit(Duration::MAX).build().unwrap()
}

/// What makes a cache in memory, one in front of a backend, one with a near cache, and one whose backend has no fences.
fn builders() -> [(&'static str, CacheBuilder, MockClock); 4] {
    type Make = fn(&MockClock) -> CacheBuilder;
    let make: [(_, Make); 4] = [
        ("memory", |_| Cache::builder()),
        ("backend", |clock| Cache::builder().backend(memory(clock))),
        ("near", |clock| Cache::builder().backend(memory(clock)).near_timeout(Duration::from_secs(3600))),
        ("plain", |_| Cache::builder().backend(Plain::default())),
    ];
    make.map(|(name, make)| {
        let clock = Clock::mock();
        (name, make(&clock), clock)
    })
}

fn caches() -> [(&'static str, Cache, MockClock); 4] {
    builders().map(|(name, builder, clock)| (name, build(builder, &clock), clock))
}

fn around(layer: CachePage, origin: &Origin, cache: &Cache, clock: &MockClock) -> Bench {
    let pages = layer.cache(cache).layer(origin.clone());
    Bench { clock: clock.clone(), cache: cache.clone(), origin: origin.clone(), pages }
}

/// A bench of each kind of cache.
fn benches(layer: impl Fn() -> CachePage, origin: impl Fn() -> Origin) -> [(&'static str, Bench); 4] {
    caches().map(|(name, cache, clock)| (name, around(layer(), &origin(), &cache, &clock)))
}

async fn invalidate(bench: &Bench, tag: &str) {
    bench.cache.invalidate_tag(tag).await.unwrap();
}

/// Numbers its responses, which have what `fields` makes of the path and the field `x` of the request.
fn tagged(fields: impl Fn(&str, &str) -> Vec<(&'static str, String)> + Send + Sync + 'static) -> Origin {
    Origin::new(move |parts, number| {
        let x = parts.headers.get("x").map_or("", |value| value.to_str().unwrap());
        let own = fields(parts.uri.path(), x);
        let fields: Vec<_> = own.iter().map(|(name, value)| (*name, &**value)).chain([FRESH]).collect();
        ok(&fields, format!("response {number}"))
    })
}

#[cache_request]
async fn article(id: u32) -> u32 {
    tokio::task::yield_now().await;
    tag(format!("article:{id}"));
    id
}

/// Numbers pages: that of `/1` and that of `/again/1` use the article 1. It names tags before and after that.
async fn page_of_article(parts: Parts, number: usize) -> Result<Response<Script>, Failed> {
    let path = parts.uri.path();
    tag(format!("before:{path}"));
    let id = article(path.rsplit('/').next().unwrap().parse().unwrap()).await;
    tokio::task::yield_now().await;
    tag(format!("after:{path}"));
    Ok(ok(&[FRESH], format!("{id}, response {number}")))
}
