//! Redis, asked by tasks: all contenders share one connection between their callers.

use std::sync::{LazyLock, OnceLock};

use ::redis::{AsyncCommands, AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use cache_request::{Cache, cache_request, install_named};
use cached::{AsyncRedisCache, macros::concurrent_cached, time::Duration};
use hitbox::{concurrency::NoopConcurrencyManager, policy::PolicyConfig};
use hitbox_redis::{ConnectionMode, RedisBackend};
use tokio::sync::OnceCell;

use crate::{
    contender::Contender,
    load::{FIRST_LARGE, SMALL, TIMEOUT, bytes_of, make},
    server::redis_url,
};

/// Installs the cache of this crate's functions here and in [`crate::redis_sync`].
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let cache = Cache::from_url(&redis_url()).expect("its address");
        install_named("redis", cache).expect("it is installed once");
    });
}

#[cache_request(timeout = 3600, cache = "redis")]
async fn ours(number: u64) -> String {
    make(number)
}

/// A value's key where it is stored as it is: with twelve digits, as `redis-benchmark` writes them.
pub(crate) fn plain_key(number: u64) -> String {
    format!("plain:{}:{:012}", bytes_of(number), number % FIRST_LARGE)
}

/// A handle of the connection as it comes.
async fn raw(_: usize) -> MultiplexedConnection {
    static CONNECTION: OnceCell<MultiplexedConnection> = OnceCell::const_new();
    let connect = || async { client().get_multiplexed_async_connection().await.expect("a connection") };
    CONNECTION.get_or_init(connect).await.clone()
}

/// A handle of a connection that may wait for ever.
async fn raw_without_limit(_: usize) -> MultiplexedConnection {
    static CONNECTION: OnceCell<MultiplexedConnection> = OnceCell::const_new();
    let connect = || async {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        client().get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    };
    CONNECTION.get_or_init(connect).await.clone()
}

pub(crate) fn client() -> Client {
    Client::open(redis_url()).expect("its address")
}

pub(crate) async fn get_or_make(mut connection: MultiplexedConnection, number: u64) -> (MultiplexedConnection, String) {
    let key = plain_key(number);
    if let Ok(Some(value)) = connection.get(&key).await {
        return (connection, value);
    }
    let value = make(number);
    let _ = connection.set_ex::<_, _, ()>(key, &value, TIMEOUT).await;
    (connection, value)
}

#[concurrent_cached(
    map_error = r##"|error| error.to_string()"##,
    ty = "AsyncRedisCache<u64, String>",
    create = r##" {
        AsyncRedisCache::builder("async")
            .connection_string(&redis_url())
            .ttl(Duration::from_secs(TIMEOUT))
            .build()
            .await
            .expect("a connection")
    } "##
)]
async fn in_cached(number: u64) -> Result<String, String> {
    Ok(make(number))
}

#[hitbox_fn::cached]
async fn for_hitbox(number: u64) -> String {
    make(number)
}

type Hitbox = hitbox_fn::Cache<RedisBackend, NoopConcurrencyManager>;

async fn in_hitbox(number: u64) -> String {
    static CACHE: LazyLock<Hitbox> = LazyLock::new(|| {
        let backend = RedisBackend::builder().connection(ConnectionMode::single(redis_url())).build();
        let policy = PolicyConfig::builder().ttl(Duration::from_secs(TIMEOUT)).build();
        hitbox_fn::Cache::builder().backend(backend.expect("its address")).policy(policy).build()
    });
    for_hitbox(number).cache(&*CACHE).await
}

/// This crate, as the first contender of a case.
pub(crate) fn cache_request() -> Contender {
    install();
    Contender::tasks("cache-request", |_, number| ours(number))
}

/// The client alone. Each task has a handle of its own, as a clone for each get would cost the client more.
pub(crate) fn raw_client() -> Contender {
    Contender::tasks_with("redis, GET", raw, get_or_make)
}

pub(crate) fn contenders() -> Vec<Contender> {
    vec![
        cache_request(),
        raw_client().goals(|bytes| if bytes == SMALL { &[0.95, 0.95, 0.9] } else { &[0.95; 3] }),
        Contender::tasks_with("redis, GET without a time limit", raw_without_limit, get_or_make),
        Contender::tasks("cached, AsyncRedisCache", |_, number| async move {
            in_cached(number).await.unwrap_or_else(|_| make(number))
        })
        .goals(|_| &[1.0; 3]),
        Contender::tasks("hitbox-redis", |_, number| in_hitbox(number)).goals(|_| &[1.0; 3]),
    ]
}
