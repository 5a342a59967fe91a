//! Bodies that wait for one another: never in a circle.

use super::*;

/// A call of `outer` whose body calls `inner`.
fn nested(cache: &Cache, outer: u32, inner: u32) -> u32 {
    scoped_sync(cache, || {
        let body = || {
            thread::yield_now();
            plain(inner, policy(), || inner).call() + outer
        };
        plain(outer, policy(), body).call()
    })
}

async fn nested_async(cache: Cache, outer: u32, inner: u32) -> u32 {
    let body = async {
        future::yield_now().await;
        pin!(polled(inner, policy(), async { inner })).call().await + outer
    };
    scoped(&cache, async { pin!(polled(outer, policy(), body)).call().await }).await
}

#[test]
fn bodies_in_a_ring_never_wait_for_one_another() {
    for ring in [2, 3] {
        explore(move || {
            let world = World::in_memory();
            let members: Vec<_> = (0..ring)
                .map(|member| {
                    let cache = world.cache.clone();
                    thread::spawn(move || nested(&cache, member, (member + 1) % ring))
                })
                .collect();
            for member in members {
                member.join().unwrap();
            }
            world.assert_quiet();
        });
        explore(move || {
            let world = World::in_memory();
            let members: Vec<_> = (0..ring)
                .map(|member| future::spawn(nested_async(world.cache.clone(), member, (member + 1) % ring)))
                .collect();
            for member in members {
                future::block_on(member).unwrap();
            }
            world.assert_quiet();
        });
    }
}

/// One body waits for two others at once, and both want it.
#[test]
fn a_body_that_waits_for_several_closes_no_ring_either() {
    explore(|| {
        let world = World::in_memory();
        let cache = world.cache.clone();
        let both = future::spawn(async move {
            let body = async {
                let call = |id| async move { pin!(polled(id, policy(), async { id })).call().await };
                let (one, other) = futures_lite::future::zip(call(1), call(2)).await;
                one + other
            };
            scoped(&cache, async { pin!(polled(0, policy(), body)).call().await }).await
        });
        let one = thread::spawn({
            let cache = world.cache.clone();
            move || nested(&cache, 1, 0)
        });
        let other = future::spawn(nested_async(world.cache.clone(), 2, 0));
        one.join().unwrap();
        future::block_on(other).unwrap();
        future::block_on(both).unwrap();
        world.assert_quiet();
    });
}

#[test]
fn a_body_that_calls_itself_waits_for_nobody() {
    explore(|| {
        let world = World::in_memory();
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let cache = world.cache.clone();
                thread::spawn(move || nested(&cache, 1, 1))
            })
            .collect();
        for call in calls {
            // The inner value may be remembered by then.
            assert!([1, 2].contains(&call.join().unwrap()));
        }
        world.assert_quiet();
    });
}
