//! A list of which most elements are in Redis, beside one `MGET` of as many keys and a body for the missing ones.

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use ::redis::AsyncCommands;
use cache_request::cache_request;
use cache_request_benches::{quiet::Patience, rounds, samples::Samples};

use crate::{
    contender::RUNTIME,
    load::{SMALL, TIMEOUT},
    redis::{client, install},
};

const ELEMENTS: u64 = 1000;
const MISSING: u64 = 10;

/// About what a query for a few rows takes on a database in the same network.
const QUERY: Duration = Duration::from_millis(1);

/// At most so many times one `MGET` and the body.
const GOAL: f64 = 1.3;

#[cache_request(timeout = 3600, cache = "redis", each(ids), skip(takes))]
async fn ours(ids: &[u64], takes: Duration) -> HashMap<u64, String> {
    query(ids, takes).await
}

async fn query(ids: &[u64], takes: Duration) -> HashMap<u64, String> {
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    ids.iter().map(|id| (*id, format!("{id:0>SMALL$}"))).collect()
}

/// Prints the case. Each call has other elements that are missing.
pub(crate) fn run(count: usize, patience: &mut Patience) {
    for (title, takes) in [("body of no time", Duration::ZERO), ("body of 1 ms", QUERY)] {
        let title = format!("redis, {ELEMENTS} elements of which {MISSING} are missing; {title}");
        if rounds::chosen(&title) {
            measure(&title, takes, count, patience);
        }
    }
}

fn measure(title: &str, takes: Duration, count: usize, patience: &mut Patience) {
    install();
    let there: Vec<u64> = (0..ELEMENTS - MISSING).collect();
    let (mut mget, mut each, mut ratio) = (Samples::default(), Samples::default(), Samples::default());
    RUNTIME.block_on(async {
        let mut connection = client().get_multiplexed_async_connection().await.expect("a connection");
        let key = |id: &u64| format!("each:{id:012}");
        for id in &there {
            let value = format!("{id:0>SMALL$}");
            connection.set_ex::<_, _, ()>(key(id), value, TIMEOUT).await.expect("it is stored");
        }
        for _ in 0..3 {
            ours(&there, Duration::ZERO).await;
        }
        let mut first = ELEMENTS * if takes.is_zero() { 1 } else { 1_000_000 };
        for round in 0..count * 20 {
            patience.wait();
            let mut times = [0.0; 2];
            for turn in rounds::turns(round, 2) {
                first += MISSING;
                let ids: Vec<u64> = there.iter().copied().chain(first..first + MISSING).collect();
                let begun = Instant::now();
                let answer = if turn == 0 {
                    ours(&ids, takes).await
                } else {
                    let keys: Vec<String> = ids.iter().map(key).collect();
                    let found: Vec<Option<String>> = connection.mget(&keys).await.expect("an answer");
                    let missing: Vec<u64> =
                        ids.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(id, _)| *id).collect();
                    let found = ids.iter().zip(found).filter_map(|(id, value)| Some((*id, value?)));
                    let found: HashMap<u64, String> = found.collect();
                    found.into_iter().chain(query(&missing, takes).await).collect()
                };
                times[turn] = begun.elapsed().as_secs_f64() * 1e6;
                assert_eq!(black_box(answer).len(), ids.len());
            }
            each.push(times[0]);
            mget.push(times[1]);
            ratio.push(times[0] / times[1]);
        }
    });
    println!("\n{title}\n\n  one MGET and the body, µs: {mget:.0}\n  one call with `each`, µs:  {each:.0}");
    let verdict = if ratio.median() > GOAL { " ✗" } else { "" };
    println!("  times as long (goal: at most {GOAL}): {:.2}{verdict}", ratio.median());
}
