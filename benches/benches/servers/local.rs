//! Redis, with a copy of what was read kept in the client, which the server tells when it changes (client tracking).

use std::{sync::OnceLock, thread};

use ::redis::{AsyncConnectionConfig, aio::MultiplexedConnection, caching::CacheConfig};
use cache_request::{Cache, cache_request, install_named};
use cached::{AsyncRedisCache, macros::concurrent_cached, time::Duration};
use tokio::sync::OnceCell;

use crate::{
    contender::{Contender, RUNTIME},
    load::{KEYS, LARGE, Load, SMALL, TIMEOUT, make},
    redis::get_or_make,
    server::redis_url,
};

/// Memory in front of Redis, for longer than the benchmark takes.
fn address() -> String {
    format!("tiered+{}?near_timeout=1h", redis_url())
}

/// How often every value is asked for, at most, until all of them are in front.
const WARM_UPS: u32 = 50;

/// Installs the cache of this crate's function, with all values in front.
///
/// What is written is told as a change, after which the first to ask reads it back once. Nor is anything put in front before the
/// server is known to tell.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let cache = Cache::from_url(&address()).expect("its address");
        install_named("local", cache.clone()).expect("it is installed once");
        bring_to_front(&cache, 2 * KEYS, || {
            RUNTIME.block_on(async {
                for number in [SMALL, LARGE].into_iter().flat_map(|bytes| Load::all(bytes).keys_of_all()) {
                    ours(number).await;
                }
            });
        });
    });
}

/// Asks for all values until so many are in front.
pub(crate) fn bring_to_front(cache: &Cache, entries: usize, ask: impl Fn()) {
    let all_in_front = || {
        ask();
        thread::sleep(Duration::from_millis(50));
        cache.stats().entries == entries as u64
    };
    assert!((0..WARM_UPS).any(|_| all_in_front()), "not all values came in front: {:?}", cache.stats());
}

#[cache_request(timeout = 3600, cache = "local")]
async fn ours(number: u64) -> String {
    make(number)
}

async fn raw(_: usize) -> MultiplexedConnection {
    static CONNECTION: OnceCell<MultiplexedConnection> = OnceCell::const_new();
    let connect = || async {
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let client = ::redis::Client::open(format!("{}?protocol=resp3", redis_url())).expect("its address");
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    };
    CONNECTION.get_or_init(connect).await.clone()
}

#[concurrent_cached(
    map_error = r##"|error| error.to_string()"##,
    ty = "AsyncRedisCache<u64, String>",
    create = r##" {
        AsyncRedisCache::builder("client-side")
            .connection_string(&redis_url())
            .ttl(Duration::from_secs(TIMEOUT))
            .client_side_caching(true)
            .build()
            .await
            .expect("a connection")
    } "##
)]
async fn in_cached(number: u64) -> Result<String, String> {
    Ok(make(number))
}

pub(crate) fn contenders() -> Vec<Contender> {
    install();
    vec![
        Contender::tasks("cache-request", |_, number| ours(number)),
        // A quarter of the time.
        Contender::tasks_with("redis, GET, CacheConfig", raw, get_or_make).goals(|_| &[4.0; 2]),
        Contender::tasks("cached, client_side_caching", |_, number| async move {
            in_cached(number).await.unwrap_or_else(|_| make(number))
        })
        .goals(|_| &[4.0; 2]),
    ]
}
