//! What a hit costs: one call that is answered from memory.
//!
//! Every contender is warm and larger than its keys, so that every measured call is a hit.

mod contender;
mod number;
mod report;
mod tags;
mod text;

use std::time::Duration;

use cache_request::{Cache, install};
use cache_request_benches::{quiet::Patience, rounds, samples::Samples, streams::Draw};

use crate::{
    contender::Contender,
    report::{Case, Cell, Report},
};

/// In this order, so that each warms what the next one lacks, and a small one runs on small tables.
const DRAWS: [(&str, Draw); 4] = [
    ("one hot key", Draw::Uniform(1)),
    ("1,000 keys", Draw::Uniform(1000)),
    ("zipf, 10,000 keys", Draw::Zipf(10_000)),
    ("100,000 keys", Draw::Uniform(100_000)),
];

/// Keys drawn for each thread.
const STREAM: usize = 1 << 17;

/// About how many nanoseconds one measurement takes: some contenders slow down a hundredfold on more threads, and are asked
/// for fewer calls then. On one thread it is less than the scheduler's time slice, so that most measurements are undisturbed.
const SPAN: [f64; 3] = [1e6, 4e6, 4e6];

/// The total time to wait for moments at which the machine is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const THREADS: [usize; 3] = [1, 2, 4];

type Contenders = fn() -> Vec<Contender>;

const FUNCTIONS: [(&str, Contenders); 6] = [
    ("fn(u64) -> String", number::string::plain),
    ("fn(&str, u32, &str) -> Vec<u64>", text::plain),
    ("fn(u64) -> Arc<String>", number::shared::plain),
    ("async fn(u64) -> String", number::string::asynchronous),
    ("async fn(&str, u32, &str) -> Vec<u64>", text::asynchronous),
    ("async fn(u64) -> Arc<String>", number::shared::asynchronous),
];

fn main() {
    install(Cache::builder().max_bytes(2 << 30).build().expect("no option is wrong")).expect("this is the first use");
    let rounds = rounds::count(25);
    let mut report = Report::default();
    let mut patience = Patience::new(PATIENCE);
    for (function, contenders) in FUNCTIONS {
        let contenders = contenders();
        for (draw, keys) in DRAWS {
            if rounds::chosen(&format!("{function}; {draw}")) {
                report.add(Case { function, draw, cells: measure(&contenders, keys, rounds, &mut patience) });
            }
        }
    }
    tags::run(rounds, &mut patience);
    report.summary();
}

/// Every contender on every number of threads, in turns.
fn measure(contenders: &[Contender], draw: Draw, rounds: usize, patience: &mut Patience) -> Vec<Cell> {
    let all: Vec<u32> = (0..draw.keys()).collect();
    let streams: Vec<Vec<u32>> = (0..4).map(|thread| draw.stream(thread, STREAM)).collect();
    for contender in contenders {
        (contender.call)(&all);
    }
    let share = |contender: &Contender, column: usize| {
        let probe = timed(contender, &streams, THREADS[column], 1 << 10);
        ((SPAN[column] / probe) as usize).clamp(1 << 10, STREAM)
    };
    let shares: Vec<_> = contenders.iter().map(|contender| [0, 1, 2].map(|column| share(contender, column))).collect();
    let mut cells: Vec<Cell> =
        contenders.iter().map(|contender| Cell { name: contender.name, nanos: <[Samples; 3]>::default() }).collect();
    for round in 0..rounds {
        for (column, threads) in THREADS.into_iter().enumerate() {
            patience.wait();
            for turn in rounds::turns(round, contenders.len()) {
                let calls = shares[turn][column];
                let nanos = timed(&contenders[turn], &streams, threads, calls);
                cells[turn].nanos[column].push(nanos / threads as f64);
            }
        }
    }
    cells
}

/// Nanoseconds of one call, where each of the threads makes so many, after it has made the same ones unmeasured.
fn timed(contender: &Contender, streams: &[Vec<u32>], threads: usize, calls: usize) -> f64 {
    let run = |thread: usize| (contender.call)(&streams[thread][..calls]);
    let time = rounds::on_threads(threads, run, run);
    time.as_secs_f64() * 1e9 / calls as f64
}
