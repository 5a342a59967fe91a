//! The bottom layer: what everything else builds on, and what knows nothing of caches.

#[cfg(any(feature = "memcached", all(test, shuttle)))]
pub(crate) mod batcher;
pub(crate) mod block_on;
pub(crate) mod both;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod panic;
pub(crate) mod pool;
pub(crate) mod process;
pub(crate) mod random;
#[cfg(feature = "_connections")]
#[cfg_attr(
    not(any(feature = "memcached", feature = "redis")),
    allow(dead_code, reason = "an SQL pool runs on the library's own runtime only")
)]
pub(crate) mod runtime;
pub(crate) mod sync;
mod thread;
pub(crate) mod timer;
