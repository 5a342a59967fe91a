//! What a hit on Redis allocates in all, with the client and the task that drives the connection.

use allocation_counter::measure;
use cache_request::{Cache, cache_request, install_named};
use cache_request_tests::servers::redis::Redis;
use tokio::runtime::Builder;

#[cache_request(cache = "redis")]
async fn text(id: u64) -> String {
    format!("{id:0>200}")
}

const GETS: u64 = 100;

/// The value, the bytes that the server sends, the futures of the look-up and the backend, and the pulse of the flight and its waker.
const MOST: u64 = 6;

/// Once it was nineteen times.
#[test]
fn a_hit_on_redis_allocated_for_each_of_its_steps() {
    let redis = Redis::start(&[]);
    install_named("redis", Cache::from_url(&redis.url()).unwrap()).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let get = |times: u64| {
        runtime.block_on(async {
            for _ in 0..times {
                assert_eq!(text(1).await.len(), 200);
            }
        });
    };
    get(GETS);
    let before: u64 = gets(&redis);
    let allocations = measure(|| get(GETS)).count_total;
    assert_eq!(gets(&redis) - before, GETS, "each of them asks the server");
    // Of a task, a queue or a map, one may grow now and then.
    assert!(allocations < MOST * GETS + GETS / 2, "{allocations} of {GETS} gets");
}

/// How often the server was asked for a value.
fn gets(redis: &Redis) -> u64 {
    let info: String = redis.ask(&["INFO", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).expect("it counts them")
}
