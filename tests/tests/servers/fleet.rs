//! Many processes on one backend, with many callers each.
//!
//! `FLEET_CALLS=12500` makes a hundred thousand calls beside continuous invalidations, where the tests make fewer.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use cache_request_tests::servers::{
    memcached::Memcached,
    postgres::Postgres,
    redis::{Cluster, Redis},
};
use tempfile::TempDir;

const PROCESSES: usize = 8;

/// So patient that no slow machine makes a call go on without its backend, a lease end, or a leader that is not polled pass its lead on.
const PATIENT: &str = "soft_limit=60s&wait_limit=600s&lease=60s&poll_limit=600s";

const CONNECT: &str = "&connect_limit=60s";

/// A backend that processes share.
struct Place {
    url: String,
    /// Those of [`PATIENT`], for this backend.
    options: &'static str,
    directory: TempDir,
    _servers: Box<dyn std::any::Any>,
}

impl Place {
    fn new<S: 'static>(options: &'static str, servers: S, url: impl FnOnce(&S, &str) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&servers, directory.path().to_str().unwrap());
        Self { url, options, directory, _servers: Box::new(servers) }
    }

    fn start(&self, options: &str, command: &str, count: usize) -> Process {
        let mut process = Command::new(env!("CARGO_BIN_EXE_child"));
        let directory = self.directory.path().to_str().unwrap();
        process.args([
            "fleet",
            &format!("{}?{options}{}", self.url, self.options),
            directory,
            command,
            &count.to_string(),
        ]);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut process = Process { child, input, output };
        process.says("ready");
        process
    }
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("{}", self.errors());
        }
        line.trim().to_owned()
    }

    fn says(&mut self, word: &str) {
        assert_eq!(self.line(), word);
    }

    fn tell(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }

    /// Waits for its end. Returns how many bodies it ran. No call went on without its backend.
    fn ends(mut self) -> u32 {
        let line = self.line();
        let (bodies, faults) = line.split_once(' ').unwrap_or_else(|| panic!("{line}: {}", self.errors()));
        let (bodies, faults): (_, u64) = (bodies.parse().unwrap(), faults.parse().unwrap());
        assert!(self.child.wait().unwrap().success(), "{}", self.errors());
        assert_eq!(faults, 0, "{}", self.errors());
        bodies
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For each cold key, one body runs in the whole fleet.
fn one_body_for_each_cold_key(place: &Place) {
    const KEYS: usize = 1000;
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| place.start(PATIENT, "cold", KEYS)).collect();
    processes.iter_mut().for_each(Process::tell);
    let ended: Vec<_> = processes.into_iter().map(Process::ends).collect();
    assert_eq!(ended.iter().map(|bodies| *bodies as usize).sum::<usize>(), KEYS, "bodies of each process: {ended:?}");
}

/// The process that runs the body is killed. When its lease is over, one caller of all other processes takes over.
fn one_takes_over_from_a_process_that_is_killed(place: &Place) {
    let options = "soft_limit=60s&wait_limit=600s&lease=10s&poll_limit=600s";
    let mut holder = place.start(options, "hold", 0);
    let mut others: Vec<_> = (1..PROCESSES).map(|_| place.start(options, "held", 0)).collect();
    holder.tell();
    holder.says("running");
    others.iter_mut().for_each(Process::tell);
    holder.child.kill().unwrap();
    let ended: Vec<_> = others.into_iter().map(Process::ends).collect();
    assert_eq!(ended.iter().sum::<u32>(), 1, "bodies of each process: {ended:?}");
}

/// Beside a process that does nothing but invalidate, no call of any process returns what was computed before an invalidation that was
/// complete when it began.
fn no_answer_is_older_than_an_invalidation(place: &Place, [invalidate, read]: [&str; 2]) {
    // A tagged call makes up to three others.
    let few = if read == "read" { 1000 } else { 300 };
    let calls = env::var("FLEET_CALLS").map_or(few, |calls| calls.parse().unwrap());
    let mut invalidator = place.start(PATIENT, invalidate, 0);
    let mut readers: Vec<_> = (0..PROCESSES).map(|_| place.start(PATIENT, read, calls)).collect();
    invalidator.tell();
    readers.iter_mut().for_each(Process::tell);
    readers.into_iter().for_each(|reader| _ = reader.ends());
    invalidator.tell();
    let invalidations = invalidator.line();
    println!("{invalidations} invalidations beside {} calls", calls * PROCESSES);
    assert_ne!(invalidations, "0");
}

macro_rules! on {
    ($($backend:ident: $place:expr),+ $(,)?) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn more_than_one_body_ran_for_a_cold_key() {
                one_body_for_each_cold_key(&$place);
            }

            #[test]
            fn more_than_one_caller_took_over() {
                one_takes_over_from_a_process_that_is_killed(&$place);
            }

            #[test]
            fn an_answer_was_older_than_an_invalidation() {
                no_answer_is_older_than_an_invalidation(&$place, ["invalidate", "read"]);
            }

            #[test]
            fn an_answer_was_older_than_an_invalidation_of_its_tag() {
                no_answer_is_older_than_an_invalidation(&$place, ["invalidate-tag", "read-tagged"]);
            }
        }
    )+};
}

on! {
    redis: Place::new(CONNECT, Redis::start(&[]), |redis, _| redis.url()),
    cluster: Place::new(CONNECT, Cluster::new(), |cluster, _| cluster.url()),
    memcached: Place::new("&answer_limit=60s", Memcached::fleet(2), |(_, url), _| url.clone()),
    // All processes together need fewer connections than the server has.
    postgres: Place::new("&connect_limit=60s&max_connections=4", Postgres::start(&[]), |postgres, _| postgres.url()),
    sqlite: Place::new(CONNECT, (), |(), directory| format!("sqlite://{directory}/cache.db")),
    file: Place::new("", (), |(), directory| format!("file://{directory}/cache")),
}
