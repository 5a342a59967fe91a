//! Calls go on while the disk is full for a while: `full_disk <address> <bytes>`, of which no file may have more.
//!
//! `SIGXFSZ` is to be ignored when it starts.

use cache_request::Cache;
use cache_request_tests::outages::cannot_work;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) fn main(arguments: &[&str]) {
    let [address, bytes] = arguments else { panic!("two arguments: {arguments:?}") };
    let cache = Cache::from_url(address).expect("a cache");
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
        setrlimit(Resource::Fsize, limit).expect("a limit within what is allowed");
    };
    cannot_work("full disk", &cache, || limit(bytes.parse().ok()), || true, || limit(None));
}
