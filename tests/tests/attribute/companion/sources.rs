//! `call_traced` says where an answer came from, of plain and `async` calls alike, also where a call waits for another one.

use cache_request::Source;

use super::*;
use crate::support::{Gate, poll};

#[cache_request]
fn plain(id: u32) -> u32 {
    id
}

#[cache_request]
async fn awaited(id: u32) -> Result<u32, String> {
    if id > 0 { Ok(id) } else { Err("none".to_owned()) }
}

fn near(near: bool) -> Cache {
    let clock = Clock::mock();
    let backend = MemoryBackend::builder().clock(clock.clone()).build().unwrap();
    let builder = Cache::builder().backend(backend).clock(clock);
    let builder = if near { builder.near_timeout(Duration::from_secs(60)) } else { builder };
    builder.build().unwrap()
}

#[test]
fn a_caller_could_not_tell_a_hit_from_a_run() {
    for (cache, second) in
        [(Cache::memory(), Source::Memory), (near(false), Source::Backend), (near(true), Source::Memory)]
    {
        scoped_sync(&cache, || {
            let mut sources = [Source::Body, second].into_iter();
            assert_eq!(plain_cache(1).call_traced(), (1, sources.next().unwrap()));
            assert_eq!(plain_cache(1).call_traced(), (1, sources.next().unwrap()));
        });
        block_on(scoped(&cache, async {
            assert_eq!(awaited_cache(1).call_traced().await, (Ok(1), Source::Body));
            assert_eq!(awaited_cache(1).call_traced().await, (Ok(1), second));
            for _ in 0..2 {
                assert_eq!(awaited_cache(0).call_traced().await, (Err("none".to_owned()), Source::Body));
            }
        }));
        // It counts as a call does.
        let stats = cache.stats();
        assert_eq!((stats.hits(), stats.misses(), stats.bodies()), (2, 4, 4), "{stats}");
    }
}

#[test]
fn a_waiting_call_has_another_ones_answer() {
    static BODY: Gate = Gate::new();

    #[cache_request]
    async fn slow(id: u32) -> u32 {
        BODY.passed().await;
        id
    }

    let cache = crate::support::cache();
    let [mut leader, mut waiter] = scoped_sync(&cache, || [(); 2].map(|()| Box::pin(slow_cache(1).call_traced())));
    assert_eq!([poll(&mut leader), poll(&mut waiter)], [None, None]);
    BODY.open();
    assert_eq!(poll(&mut leader), Some((1, Source::Body)));
    assert_eq!(poll(&mut waiter), Some((1, Source::Coalesced)));
}
