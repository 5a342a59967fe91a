//! Callers on a tokio runtime that has no I/O, or no time: their connections are driven by the library's own.

use std::{cell::Cell, panic, sync::Once};

use cache_request::{Cache, cache_request, scoped, scoped_sync};
use cache_request_tests::servers::{memcached::Memcached, postgres::Postgres, redis::Redis};
use tokio::runtime::{Builder, Runtime};

#[cache_request(timeout = 60)]
fn double(number: u32) -> u32 {
    number * 2
}

#[cache_request(timeout = 60)]
async fn triple(number: u32) -> u32 {
    number * 3
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// How many panics on this thread the program's hook has been told of.
fn panics() -> u32 {
    static COUNTS: Once = Once::new();
    COUNTS.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
    PANICS.get()
}

/// Two calls, of which the second is a hit.
async fn twice(cache: &Cache, number: u32) {
    let before = cache.stats();
    scoped(cache, async {
        assert_eq!([triple(number).await, triple(number).await], [number * 3; 2]);
    })
    .await;
    let after = cache.stats();
    assert_eq!((after.faults() - before.faults(), after.hits() - before.hits()), (0, 1), "{after}");
}

/// Lets callers of every poor kind of runtime call, and says on how many runtimes the hook heard of a panic. It may hear of one
/// on each at most.
fn every_poor_caller(url: &str, options: &str) -> usize {
    let cache = &Cache::from_url(&format!("{url}?soft_limit=60s{options}")).unwrap();
    let kinds: [fn() -> Builder; 2] = [Builder::new_current_thread, Builder::new_multi_thread];
    let poor: [fn(&mut Builder) -> &mut Builder; 3] = [|none| none, Builder::enable_time, Builder::enable_io];
    let runtimes = kinds.into_iter().flat_map(|kind| poor.map(|poor| poor(&mut kind()).build().unwrap()));
    let mut heard = 0;
    for (runtime, number) in runtimes.zip((0..).step_by(10)) {
        let before = panics();
        runtime.block_on(async {
            for more in 0..5 {
                twice(cache, number + more).await;
            }
            // A plain call on one of its threads.
            scoped_sync(cache, || assert_eq!([double(number), double(number)], [number * 2; 2]));
        });
        // And from a task of its own.
        let also = cache.clone();
        runtime.block_on(runtime.spawn(async move { twice(&also, number + 5).await })).unwrap();
        let panicked = panics() - before;
        assert!(panicked <= 1, "{panicked} panics");
        heard += panicked as usize;
    }
    // Runtimes that have everything are used.
    let before = panics();
    Runtime::new().unwrap().block_on(twice(cache, 1000));
    Builder::new_current_thread().enable_all().build().unwrap().block_on(twice(cache, 1010));
    assert_eq!(panics(), before);
    heard
}

#[test]
fn redis() {
    let redis = Redis::start(&[]);
    let heard = every_poor_caller(&redis.url(), "&connect_limit=60s");
    assert_eq!(heard, 6);
    // All of them shared the connection of the library's own runtime. Those of the two with I/O have ended with them.
    cache_request_tests::servers::wait_until("the connections are closed", || {
        redis.ask::<String>(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("lib-name=cache-request")).count()
            <= 1
    });
}

#[test]
fn memcached() {
    assert_eq!(every_poor_caller(&Memcached::start(&[]).url(), "&answer_limit=60s"), 6);
}

/// These use the library's own runtime always.
#[test]
fn sqlite_and_postgres() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("cache.db").display());
    let options = "&connect=now&connect_limit=60s";
    assert_eq!(every_poor_caller(&file, options), 0);
    assert_eq!(every_poor_caller(&Postgres::start(&[]).url(), options), 0);
}
