//! Names of the user's that the expansion might use, too.

use cache_request::{Cache, Source, cache_request, scoped_sync};

/// Like the columns that diesel makes: unit structs with the names of local variables.
#[expect(non_camel_case_types, dead_code, reason = "as diesel writes them")]
mod columns {
    pub(crate) struct site;
    pub(crate) struct key;
    pub(crate) struct body;
    pub(crate) struct policy;
    pub(crate) struct instance;
    pub(crate) struct answer;
    pub(crate) struct weigh;
    pub(crate) struct element;
}

#[expect(unused_imports, reason = "only their names matter")]
use columns::*;

#[cache_request]
fn plain(n: u32) -> u32 {
    n
}

#[cache_request(local, handle = false)]
async fn polled(n: u32, pair: (u32, [u8; 40])) -> Result<u32, u32> {
    if n == 0 { Err(n) } else { Ok(n + pair.0) }
}

#[test]
fn unit_structs_in_scope_broke_the_expansion() {
    scoped_sync(&Cache::memory(), || {
        assert_eq!(plain_cache(1).call_traced(), (1, Source::Body));
        assert_eq!(plain_cache(1).call_traced(), (1, Source::Memory));
        assert_eq!(futures_lite::future::block_on(polled(1, (2, [0; 40]))), Ok(3));
    });
}
