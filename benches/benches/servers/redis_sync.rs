//! Redis, asked by threads.

use std::sync::{Mutex, OnceLock};

use ::redis::{Commands, Connection};
use cache_request::cache_request;
use cached::{RedisCache, macros::concurrent_cached, time::Duration};

use crate::{
    contender::Contender,
    load::{TIMEOUT, make},
    redis::{client, install, plain_key},
    server::redis_url,
};

#[cache_request(timeout = 3600, cache = "redis")]
fn ours(number: u64) -> String {
    make(number)
}

/// Each caller has a connection of its own.
fn raw(caller: usize, number: u64) -> String {
    static CONNECTIONS: [OnceLock<Mutex<Connection>>; 512] = [const { OnceLock::new() }; 512];
    let connect = || Mutex::new(client().get_connection().expect("a connection"));
    let mut connection = CONNECTIONS[caller].get_or_init(connect).lock().expect("no thread panics here");
    let key = plain_key(number);
    if let Ok(Some(value)) = connection.get(&key) {
        return value;
    }
    let value = make(number);
    let _ = connection.set_ex::<_, _, ()>(key, &value, TIMEOUT);
    value
}

#[concurrent_cached(
    map_error = r##"|error| error.to_string()"##,
    ty = "RedisCache<u64, String>",
    create = r##" {
        RedisCache::builder("threads")
            .connection_string(&redis_url())
            .ttl(Duration::from_secs(TIMEOUT))
            .build()
            .expect("a connection")
    } "##
)]
fn in_cached(number: u64) -> Result<String, String> {
    Ok(make(number))
}

pub(crate) fn contenders() -> Vec<Contender> {
    install();
    vec![
        Contender::threads("cache-request", |_, number| ours(number)),
        Contender::threads("redis, a connection each, GET", raw).goals(|_| &[0.95; 3]),
        Contender::threads("cached, RedisCache", |_, number| in_cached(number).unwrap_or_else(|_| make(number)))
            .goals(|_| &[1.0; 3]),
    ]
}
