//! Live bytes an entry: a million entries of a `u64` and a 200-byte `String`, in a process for each contender.

use std::{env, hint::black_box, process::Command, sync::LazyLock, time::Duration};

use cache_request::{Cache, cache_request, install};
use cache_request_benches::{bodies, table::Table, values};
use cached::macros::{cached, concurrent_cached};
use foldhash::fast::RandomState;
use memoize::memoize;

const ENTRIES: u64 = 1_000_000;

/// Some more than there are entries, since what is divided into shards is not filled evenly.
const ROOM: u64 = 1_100_000;

/// The most that this crate is to take for one.
const GOAL: f64 = 280.0;

/// A number, a `String` and its bytes.
const PAYLOAD: usize = size_of::<u64>() + size_of::<String>() + values::STRING;

fn make(number: u64) -> String {
    bodies::ran_here();
    // As `collect` makes it: with no room to spare.
    values::string(number).as_str().into()
}

#[cache_request(timeout = 300)]
fn ours(number: u64) -> String {
    make(number)
}

#[cached(max_size = 1_100_000, ttl_secs = 300)]
fn cached_with_both(number: u64) -> String {
    make(number)
}

#[cached]
fn cached_unbounded(number: u64) -> String {
    make(number)
}

#[concurrent_cached(max_size = 1_100_000, ttl_secs = 300)]
fn concurrent_with_both(number: u64) -> String {
    make(number)
}

#[memoize(SharedCache, Capacity: 1_100_000, TimeToLive: Duration::from_secs(300))]
fn memoized(number: u64) -> String {
    make(number)
}

fn in_quick_cache(number: u64) -> String {
    static CACHE: LazyLock<quick_cache::sync::Cache<u64, String>> =
        LazyLock::new(|| quick_cache::sync::Cache::new(ROOM as usize));
    CACHE.get(&number).unwrap_or_else(|| {
        CACHE.insert(number, make(number));
        String::new()
    })
}

fn in_moka(number: u64) -> String {
    static CACHE: LazyLock<moka::sync::Cache<u64, String, RandomState>> = LazyLock::new(|| {
        let builder = moka::sync::Cache::builder().max_capacity(ROOM).time_to_live(Duration::from_secs(300));
        builder.build_with_hasher(RandomState::default())
    });
    let value = CACHE.get_with(number, || make(number));
    if number + 1 == ENTRIES {
        CACHE.run_pending_tasks();
    }
    value
}

fn in_dashmap(number: u64) -> String {
    static MAP: LazyLock<dashmap::DashMap<u64, String, RandomState>> = LazyLock::new(dashmap::DashMap::default);
    MAP.entry(number).or_insert_with(|| make(number)).clone()
}

type Call = fn(u64) -> String;

const CONTENDERS: [(&str, Call); 8] = [
    ("cache-request", ours),
    ("quick_cache, bare", in_quick_cache),
    ("cached, max_size and ttl", cached_with_both),
    ("cached, unbounded", cached_unbounded),
    ("concurrent_cached, both", concurrent_with_both),
    ("memoize, both", memoized),
    ("moka, both", in_moka),
    ("DashMap", in_dashmap),
];

/// What tells a child process which contender it is.
const CHILD: &str = "CACHE_REQUEST_BENCHES_CONTENDER";

fn main() {
    if let Some(name) = env::var_os(CHILD) {
        let (_, call) = CONTENDERS.into_iter().find(|(known, _)| *known == name).expect("the parent knows the names");
        return child(call);
    }
    println!(
        "{ENTRIES} entries of {PAYLOAD} bytes (key, `String` and its contents); live bytes as requested (goal ≤ {GOAL})\n"
    );
    let measured = CONTENDERS.map(|(name, _)| (name, bytes_in_child(name)));
    let ours = measured[0].1;
    let mut table = Table::new(["", "bytes an entry", "beside the payload", "ours ÷ it"]);
    for (name, bytes) in measured {
        let beside = bytes - PAYLOAD as f64;
        let missed = if name == CONTENDERS[0].0 && bytes > GOAL { " ✗" } else { "" };
        let bytes_shown = format!("{bytes:.1}{missed}");
        table.row([name.to_owned(), bytes_shown, format!("{beside:.1}"), format!("{:.2}", ours / bytes)]);
    }
    print!("{table}");
}

fn bytes_in_child(name: &str) -> f64 {
    let program = env::current_exe().expect("a program knows where it is");
    let output = Command::new(program).env(CHILD, name).output().expect("it can be run once more");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let live: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of bytes");
    live / ENTRIES as f64
}

/// Prints how many bytes are live once all entries are in.
fn child(call: Call) {
    let cache = Cache::builder().max_bytes(4 << 30).build().expect("no option is wrong");
    let used = allocation_counter::measure(|| {
        install(cache).expect("this is the first use");
        (0..ENTRIES).for_each(|number| drop(black_box(call(number))));
    });
    let _ = bodies::take_here();
    (0..ENTRIES).for_each(|number| drop(black_box(call(number))));
    assert_eq!(bodies::take_here(), 0, "all of the entries are still there");
    println!("{}", used.bytes_current);
}
