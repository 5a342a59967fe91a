//! Redis, with a copy of what was read kept in the client, which the server tells when it changes (client tracking).

use std::sync::OnceLock;

use ::redis::{AsyncConnectionConfig, aio::MultiplexedConnection, caching::CacheConfig};
use cache_request::{Cache, cache_request, install_named};
use cached::{AsyncRedisCache, macros::concurrent_cached, time::Duration};
use tokio::sync::OnceCell;

use crate::{
    contender::Contender,
    load::{TIMEOUT, make},
    redis::get_or_make,
    server::redis_url,
};

/// Where this crate keeps what it keeps here: memory alone, which needs no telling.
fn address() -> String {
    "memory://".to_owned()
}

#[cache_request(timeout = 3600, cache = "local")]
async fn ours(number: u64) -> String {
    make(number)
}

async fn raw(number: u64) -> String {
    static CONNECTION: OnceCell<MultiplexedConnection> = OnceCell::const_new();
    let connect = || async {
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let client = ::redis::Client::open(format!("{}?protocol=resp3", redis_url())).expect("its address");
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    };
    get_or_make(CONNECTION.get_or_init(connect).await.clone(), number).await
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
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        install_named("local", Cache::from_url(&address()).expect("its address")).expect("it is installed once");
    });
    vec![
        Contender::tasks("cache-request", |_, number| ours(number)),
        // A quarter of the time.
        Contender::tasks("redis, GET, CacheConfig", |_, number| raw(number)).goal(4.0),
        Contender::tasks("cached, client_side_caching", |_, number| async move {
            in_cached(number).await.unwrap_or_else(|_| make(number))
        })
        .goal(4.0),
    ]
}
