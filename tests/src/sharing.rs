//! What several processes share, and what they do not.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use cache_request::{Backend, Cache, cache_request, client_scope_sync, scoped_sync};

#[cache_request(timeout = 60, name = "colour", skip(bodies))]
fn colour(name: &str, bodies: &AtomicU32) -> String {
    bodies.fetch_add(1, SeqCst);
    name.to_uppercase()
}

/// What one `cache` keeps of `colour("red")` is found by another one, as if each were a process, and by one that is made later.
///
/// `look` is called when the first value has been kept: it stands under `paint..colour?name=red`, if the prefix is `paint`, for a
/// minute.
///
/// # Panics
///
/// If it is not found, or is when it should not.
pub fn assert_processes_share(cache: impl Fn() -> Cache, look: impl FnOnce()) {
    let bodies = AtomicU32::new(0);
    let assert_red_after = |sum| {
        assert_eq!(colour("red", &bodies), "RED");
        assert_eq!(bodies.load(SeqCst), sum);
    };
    let (here, there) = (cache(), cache());
    scoped_sync(&here, || assert_red_after(1));
    look();
    scoped_sync(&there, || {
        assert_red_after(1);
        // Another client would not find it.
        client_scope_sync("acme", || assert_red_after(2));
        let red = colour_cache("red", &bodies);
        assert_eq!([red.invalidate().unwrap(), red.invalidate().unwrap()], [true, false]);
        client_scope_sync("acme", || assert_red_after(2));
    });
    scoped_sync(&here, || assert_red_after(3));
    assert_eq!(here.stats().faults() + there.stats().faults(), 0);
    drop((here, there));
    scoped_sync(&cache(), || assert_red_after(3));
}

/// Under `key`, each of these has its own number: it is there until that one is cleared, whichever others are.
///
/// # Panics
///
/// If it is not.
pub async fn assert_each_clears_its_own(backends: &[impl Backend]) {
    for cleared in 0..backends.len() {
        backends[cleared].clear().await.expect("it can be cleared");
        for (number, backend) in backends.iter().enumerate() {
            let found = backend.get("key").await.expect("it can be read");
            let expected = (number > cleared).then(|| vec![u8::try_from(number).expect("a small number")]);
            assert_eq!(found, expected, "{number} after {cleared} was cleared");
        }
    }
}
