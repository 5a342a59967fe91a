//! One of several processes on one backend: `fleet <url> <directory> cold <keys> | hold | held | read <calls> | invalidate | read-tagged <calls> | invalidate-tag`.
//!
//! Each prints `ready`, and begins when it reads a line.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_request::{Cache, cache_request, tag};
use futures_util::future::{join_all, pending};

/// The callers of each process.
const CALLERS: u64 = 64;

#[cache_request(name = "fleet.cold", skip(bodies))]
async fn cold(key: u64, bodies: &AtomicU32) -> u64 {
    bodies.fetch_add(1, SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    key * 3
}

/// The body of one process never ends.
#[cache_request(name = "fleet.held", skip(bodies, for_ever))]
async fn held(bodies: &AtomicU32, for_ever: bool) -> u64 {
    bodies.fetch_add(1, SeqCst);
    if for_ever {
        say("running");
        pending::<()>().await;
    }
    7
}

#[cache_request(name = "fleet.version", skip(truth, bodies))]
async fn version(truth: &Truth, bodies: &AtomicU32) -> u64 {
    read(truth, bodies).await
}

/// Its tag is known before the body.
#[cache_request(name = "fleet.tagged", skip(truth, bodies), tags("version"))]
async fn tagged(truth: &Truth, bodies: &AtomicU32) -> u64 {
    read(truth, bodies).await
}

/// Its tag is known after the body has read what it returns.
#[cache_request(name = "fleet.naming", skip(truth, bodies))]
async fn naming(truth: &Truth, bodies: &AtomicU32) -> u64 {
    let version = read(truth, bodies).await;
    tag("version");
    version
}

/// It has the tags of what it is made of.
#[cache_request(name = "fleet.made", skip(truth, bodies))]
async fn made(truth: &Truth, bodies: &AtomicU32) -> u64 {
    let (one, other) = (tagged(truth, bodies).await, naming(truth, bodies).await);
    one.min(other)
}

async fn read(truth: &Truth, bodies: &AtomicU32) -> u64 {
    let (version, number) = (truth.version(), bodies.fetch_add(1, SeqCst));
    if number % 4 == 0 {
        tokio::time::sleep(Duration::from_micros(u64::from(number % 64) * 20)).await;
    }
    version
}

/// What the answers are made of, in a file that all processes share: a version, and the last one whose invalidation is complete.
struct Truth(File);

impl Truth {
    fn open(directory: &Path) -> Self {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(directory.join("truth"));
        Self(file.expect("a file"))
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        match self.0.read_at(&mut bytes, at).expect("it can be read") {
            0 => 0,
            count => {
                assert_eq!(count, 8, "a whole number");
                u64::from_le_bytes(bytes)
            }
        }
    }

    fn set(&self, at: u64, number: u64) {
        self.0.write_all_at(&number.to_le_bytes(), at).expect("it can be written");
    }

    fn version(&self) -> u64 {
        self.number(0)
    }

    fn invalidated(&self) -> u64 {
        self.number(8)
    }
}

fn say(word: &str) {
    println!("{word}");
    io::stdout().flush().expect("it is read");
}

pub(crate) fn main(arguments: &[&str]) {
    let &[url, directory, command, count] = arguments else { panic!("four arguments: {arguments:?}") };
    let count: u64 = count.parse().expect("a count");
    cache_request_tests::logs::to_stderr();
    let truth = Truth::open(Path::new(directory));
    let cache = Cache::from_url(url).expect("a cache");
    let handle = cache.clone();
    cache_request::install(cache).expect("no other one is installed");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    say("ready");
    io::stdin().read_line(&mut String::new()).expect("a line");
    let bodies = AtomicU32::new(0);
    runtime.block_on(async {
        match command {
            // Calls each key once.
            "cold" => {
                let calls = |caller| {
                    let bodies = &bodies;
                    async move {
                        for key in (caller..count).step_by(CALLERS as usize) {
                            assert_eq!(cold(key, bodies).await, key * 3);
                        }
                    }
                };
                join_all((0..CALLERS).map(calls)).await;
            }
            "hold" => _ = held(&bodies, true).await,
            "held" => {
                let answers = join_all((0..CALLERS).map(|_| held(&bodies, false))).await;
                assert!(answers.iter().all(|answer| *answer == 7));
            }
            // Checks that no answer is older than the last invalidation that was complete before the call.
            "read" | "read-tagged" => {
                let is_tagged = command == "read-tagged";
                let (truth, bodies, called) =
                    (Arc::new(truth), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
                let calls = |_| {
                    let (truth, bodies, called) = (Arc::clone(&truth), Arc::clone(&bodies), Arc::clone(&called));
                    tokio::spawn(async move {
                        loop {
                            let call = called.fetch_add(1, SeqCst);
                            if call >= count {
                                break;
                            }
                            let before = truth.invalidated();
                            let answer = match call % 4 {
                                _ if !is_tagged => version(&truth, &bodies).await,
                                0 => tagged(&truth, &bodies).await,
                                1 => naming(&truth, &bodies).await,
                                _ => made(&truth, &bodies).await,
                            };
                            assert!(answer >= before, "{answer} was invalidated at {before}");
                        }
                    })
                };
                for task in (0..CALLERS).map(calls).collect::<Vec<_>>() {
                    task.await.expect("no answer is too old");
                }
            }
            // Until its input ends.
            "invalidate" | "invalidate-tag" => {
                let ended = Arc::new(AtomicU32::new(0));
                let end = Arc::clone(&ended);
                std::thread::spawn(move || {
                    io::stdin().read_line(&mut String::new()).expect("the end");
                    end.store(1, SeqCst);
                });
                let mut next = 0;
                while ended.load(SeqCst) == 0 {
                    next += 1;
                    truth.set(0, next);
                    let invalidated = if command == "invalidate" {
                        version_cache(&truth, &bodies).invalidate().await.map(drop)
                    } else {
                        // Another one, which is no business of theirs.
                        handle.invalidate_tag("other").await.expect("it is told");
                        handle.invalidate_tag("version").await
                    };
                    if invalidated.is_ok() {
                        truth.set(8, next);
                    }
                }
                println!("{next}");
            }
            _ => panic!("unknown command {command}"),
        }
    });
    let stats = handle.stats();
    println!("{} {}", bodies.load(SeqCst), stats.faults());
}
