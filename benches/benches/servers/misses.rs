//! A miss on Redis: with fences and leases, beside the same without them, which is a `GET`, the body and a `SET`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use cache_request::{
    Cache, Error,
    backend::{Backend, RedisBackend},
    cache_request, install_named,
};
use cache_request_benches::{quiet::Patience, rounds, samples::Samples};

use crate::{contender::RUNTIME, load::SMALL, redis::install, server::redis_url};

/// At most so many times as long.
const GOAL: f64 = 1.1;

/// Misses in one measurement.
const MISSES: u64 = 2048;

/// Redis, as a backend without fences.
struct Plain(RedisBackend);

impl Backend for Plain {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.0.set(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.0.delete(key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.clear().await
    }
}

#[cache_request(timeout = 3600, cache = "redis")]
async fn fenced(number: u64) -> String {
    format!("{number:0>SMALL$}")
}

#[cache_request(timeout = 3600, cache = "plain")]
async fn plain(number: u64) -> String {
    format!("{number:0>SMALL$}")
}

/// Microseconds for each of `MISSES` calls, by so many tasks at a time.
async fn misses(callers: u64, turn: usize, first: u64) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            tokio::spawn(async move {
                for nth in 0..MISSES / callers {
                    let number = first + caller + nth * callers;
                    let answer = if turn == 0 { fenced(number).await } else { plain(number).await };
                    assert_eq!(black_box(answer).len(), SMALL);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    begun.elapsed().as_secs_f64() * 1e6 / MISSES as f64
}

/// Prints the case, for each number of callers.
pub(crate) fn run(count: usize, patience: &mut Patience) {
    let title = "redis, a miss";
    if !rounds::chosen(title) {
        return;
    }
    install();
    let backend = Plain(RedisBackend::new(&redis_url()).expect("its address"));
    let cache = Cache::builder().backend(backend).build().expect("no option is wrong");
    install_named("plain", cache).expect("it is installed once");
    let mut first = 0;
    for callers in [1, 64] {
        let (mut ours, mut without, mut ratio) = (Samples::default(), Samples::default(), Samples::default());
        for round in 0..count * 2 {
            patience.wait();
            let mut times = [0.0; 2];
            for turn in rounds::turns(round, 2) {
                times[turn] = RUNTIME.block_on(misses(callers, turn, first));
                first += MISSES;
            }
            ours.push(times[0]);
            without.push(times[1]);
            ratio.push(times[0] / times[1]);
        }
        println!(
            "\n{title}; {callers} callers\n\n  without fences, µs: {without:.1}\n  with fences and leases, µs: {ours:.1}"
        );
        let verdict = if ratio.median() > GOAL { " ✗" } else { "" };
        println!("  times as long (goal: at most {GOAL}): {:.2}{verdict}", ratio.median());
    }
}
