//! The suite, over the loopback and over a socket.

use cache_request_tests::servers::redis::{Namespaces, Redis};

cache_request::conformance! { name: tcp, harness: Namespaces::new(Redis::shared(), |redis| redis.url()) }
cache_request::conformance! {
    name: socket,
    harness: Namespaces::new(Redis::shared(), |redis| format!("redis+unix://{}", redis.socket().display()))
}
