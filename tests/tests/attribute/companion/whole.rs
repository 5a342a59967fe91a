//! `invalidate_function` invalidates all calls of one function.

use cache_request::ErrorKind;

use super::*;
use crate::support::{Gate, poll};

#[cache_request]
fn one(id: u32) -> u32 {
    id + RUNS.next()
}

#[cache_request]
fn other(id: u32) -> u32 {
    id + RUNS.next()
}

#[cache_request(local)]
async fn local(id: u32) -> u32 {
    id + RUNS.next()
}

#[cache_request]
fn generic<T: Serialize + Default>(item: T) -> u32 {
    let _ = item;
    RUNS.next()
}

#[test]
fn all_values_of_one_function_could_not_be_removed() {
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        let before = [1, 2].map(|id| (one(id), other(id)));
        let of_a_client = client_scope_sync("acme", || one(1));
        one_cache(99).invalidate_function().unwrap();
        assert_eq!([1, 2].map(|id| one_cache(id).peek()), [None, None]);
        client_scope_sync("acme", || {
            assert_eq!(one_cache(1).peek(), None);
            assert_ne!(one(1), of_a_client);
        });
        assert_eq!([1, 2].map(other), before.map(|(_, other)| other));
    });
}

#[test]
fn each_instance_of_a_generic_function_is_one() {
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        let before = (generic(1_u8), generic(1_u16));
        generic_cache(0_u8).invalidate_function().unwrap();
        assert_ne!(generic(1_u8), before.0);
        assert_eq!(generic(1_u16), before.1);
    });
}

#[test]
fn what_runs_meanwhile_is_not_kept() {
    static BODY: Gate = Gate::new();

    #[cache_request]
    async fn slow(id: u32) -> u32 {
        BODY.passed().await;
        id
    }

    let (cache, _) = memory();
    let mut calls = scoped_sync(&cache, || [1, 2].map(|id| Box::pin(slow_cache(id).call_traced())));
    for call in &mut calls {
        assert!(poll(call).is_none());
    }
    scoped_sync(&cache, || block_on(slow_cache(1).invalidate_function())).unwrap();
    BODY.open();
    for (id, call) in [1, 2].into_iter().zip(&mut calls) {
        assert_eq!(poll(call).map(|(answer, _)| answer), Some(id));
        assert_eq!(scoped_sync(&cache, || block_on(slow_cache(id).peek())), None);
    }
}

#[test]
fn a_backend_refuses_and_goes_on() {
    let (cache, _) = bytes();
    scoped_sync(&cache, || {
        let (kept, here) = (one(1), block_on(local(1)));
        let error = one_cache(1).invalidate_function().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("`version`"), "{error}");
        assert_eq!(one(1), kept);
        // What stays in memory can be removed all the same.
        block_on(local_cache(1).invalidate_function()).unwrap();
        assert_ne!(block_on(local(1)), here);
    });
    scoped_sync(&Cache::null(), || one_cache(1).invalidate_function()).unwrap();
}
