//! memcached, asked by tasks.

use std::{sync::OnceLock, time::Duration};

use ::memcache::exp::AsyncMemcache;
use async_memcached::{AsciiProtocol, Client};
use cache_request::{Cache, cache_request, install_named};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    contender::Contender,
    load::{FIRST_LARGE, TIMEOUT, bytes_of, make},
    server::memcached_address,
};

/// As many connections as this crate has, unless told otherwise.
const CONNECTIONS: usize = 32;

fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let cache = Cache::from_url(&format!("memcached://{}", memcached_address())).expect("its address");
        install_named("memcached", cache).expect("it is installed once");
    });
}

#[cache_request(timeout = 3600, cache = "memcached")]
async fn ours(number: u64) -> String {
    make(number)
}

/// A value's key where it is stored as it is.
pub(crate) fn plain_key(number: u64) -> String {
    format!("plain:{}:{:012}", bytes_of(number), number % FIRST_LARGE)
}

async fn raw(number: u64) -> String {
    static CLIENT: OnceCell<AsyncMemcache> = OnceCell::const_new();
    let connect = || async {
        let builder = AsyncMemcache::builder().max_connections(CONNECTIONS).max_idle(CONNECTIONS);
        builder.connect_async([memcached_address()]).await.expect("a connection")
    };
    let client = CLIENT.get_or_init(connect).await;
    let key = plain_key(number);
    if let Ok(Some(value)) = client.get(&key).await {
        return value;
    }
    let value = make(number);
    let _ = client.set(key, value.as_str(), Duration::from_secs(TIMEOUT)).await;
    value
}

/// A client is one connection, so each caller has its own.
async fn async_memcached(caller: usize, number: u64) -> String {
    static CLIENTS: [OnceCell<Mutex<Client>>; 512] = [const { OnceCell::const_new() }; 512];
    let connect =
        || async { Mutex::new(Client::new(format!("tcp://{}", memcached_address())).await.expect("a connection")) };
    let mut client = CLIENTS[caller].get_or_init(connect).await.lock().await;
    let key = plain_key(number);
    if let Ok(Some(value)) = client.get(&key).await {
        return String::from_utf8(value.data.unwrap_or_default()).expect("a text");
    }
    let value = make(number);
    let _ = client.set(key, value.as_str(), Some(TIMEOUT as i64), None).await;
    value
}

/// This crate, as the first contender of a case.
pub(crate) fn cache_request() -> Contender {
    install();
    Contender::tasks("cache-request", |_, number| ours(number))
}

/// The client alone.
pub(crate) fn raw_client() -> Contender {
    Contender::tasks("memcache, get", |_, number| raw(number))
}

pub(crate) fn contenders() -> Vec<Contender> {
    vec![
        cache_request(),
        raw_client().goals(|_| &[0.95; 3]),
        Contender::tasks("async-memcached, a client each", async_memcached),
    ]
}
