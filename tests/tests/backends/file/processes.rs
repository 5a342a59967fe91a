//! Processes that share a directory, and that are killed while they write.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use cache_request::{
    Clock,
    backend::{Backend, FileBackend},
};
use cache_request_tests::file_backend::{KEYS, is_whole, key, value};
use futures_lite::future::block_on;
use tempfile::TempDir;

use super::{CHILD, HOUR, MIB, answers, files, get, on_disk, open, set, timed};

#[test]
fn processes_that_share_a_directory_stay_within_its_limit_together() {
    let directory = tempfile::tempdir().unwrap();
    let limit = MIB / 2;
    // 4 processes, of which each writes 16 times the limit, to keys that would together hold three times as much as it.
    let mut writers: Vec<Writer> = (0..4).map(|seed| writer(&directory, limit, seed, Some(250))).collect();
    let mut most = 0;
    while writers.iter_mut().any(Writer::is_running) {
        most = most.max(on_disk(&directory));
    }
    // Each process may be writing one value of 64 KiB.
    assert!(most <= limit + 4 * (MIB / 16 + 4096), "{most} bytes");
    assert!(count_whole_values(&open(&directory)) > 0);
}

#[test]
fn processes_that_write_the_same_keys_leave_whole_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut writers: Vec<Writer> = (0..3).map(|seed| writer(&directory, 1 << 30, seed, Some(200))).collect();
    let backend = open(&directory);
    loop {
        let is_over = !writers.iter_mut().any(Writer::is_running);
        assert!(count_whole_values(&backend) > 0);
        if is_over {
            break;
        }
    }
}

/// A key has no file, an expired one, or one that a power cut left incomplete. The processes start together. Each reads every
/// key, which removes expired files, and then adds it. The test repeats until they have run at the same time.
#[test]
fn of_processes_that_add_one_key_one_wins() {
    let run_at_once = (0..20).any(|_| processes_that_add_the_same_keys() > 1);
    assert!(run_at_once, "they did not run at once");
}

/// How many of the processes have added a key.
fn processes_that_add_the_same_keys() -> usize {
    const ADDED: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let long_ago = Clock::mock();
    let backend = timed(&directory, &long_ago);
    for number in (0..ADDED).filter(|number| number % 4 != 0) {
        let before = answers(&directory);
        block_on(backend.set(&key(number), &value(number, 0), Some(HOUR))).unwrap();
        if number % 20 == 1 {
            let file = answers(&directory).into_iter().find(|file| !before.contains(file)).unwrap();
            File::options().write(true).open(file).unwrap().set_len(60).unwrap();
        }
    }
    let mut processes: Vec<(u64, Writer)> = (1..=6)
        .map(|salt| {
            let mut command = Command::new(CHILD);
            command.args(["file", "add"]).arg(directory.path()).args([salt.to_string(), ADDED.to_string()]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            (salt, Writer(command.spawn().unwrap()))
        })
        .collect();
    for (_, process) in &mut processes {
        let mut begun = [0; 6];
        process.0.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"begun\n");
    }
    // They wait for the end of their input.
    processes.iter_mut().for_each(|(_, process)| drop(process.0.stdin.take()));
    let mut winners: Vec<Vec<u64>> = vec![Vec::new(); ADDED as usize];
    for (salt, process) in &mut processes {
        for won in BufReader::new(process.0.stdout.take().unwrap()).lines() {
            winners[won.unwrap().parse::<usize>().unwrap()].push(*salt);
        }
        assert!(process.0.wait().unwrap().success());
    }
    let backend = open(&directory);
    for (number, winners) in (0..).zip(&winners) {
        let &[winner] = &winners[..] else { panic!("key {number} was added by {winners:?}") };
        assert_eq!(get(&backend, &key(number)), Some(value(number, winner)), "key {number}");
    }
    let each = |salt| winners.iter().flatten().filter(|winner| **winner == salt).count();
    (1..=6).filter(|salt| each(*salt) > 0).count()
}

/// Other processes touch the keys that this one replaces and removes. They must not undo its changes.
#[test]
fn processes_that_touch_do_not_bring_back_older_values() {
    let directory = tempfile::tempdir().unwrap();
    let touching: Vec<Writer> = (0..3)
        .map(|_| {
            let mut command = Command::new(CHILD);
            begun(command.args(["file", "touch"]).arg(directory.path()))
        })
        .collect();
    let backend = open(&directory);
    for round in 0..100 {
        for number in 0..4 {
            let (key, value) = (key(number), value(number, round));
            set(&backend, &key, &value);
            for _ in 0..3 {
                assert!(
                    get(&backend, &key) == Some(value.clone()),
                    "the value that was set is missing, in round {round}"
                );
            }
            assert!(block_on(backend.delete(&key)).unwrap(), "in round {round}");
            assert!(get(&backend, &key).is_none(), "a deleted value came back, in round {round}");
        }
    }
    drop(touching);
}

#[test]
fn a_writer_killed_at_any_moment_leaves_whole_values() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    for round in 0..20_u32 {
        let writer = writer(&directory, 1 << 30, u64::from(round) * 1_000_003, None);
        // It is killed at another moment of a write in each round.
        for _ in 0..round * 37 % 16 {
            count_whole_values(&backend);
        }
        // `SIGKILL`, on Unix.
        drop(writer);
        assert!(count_whole_values(&backend) > 0, "in round {round}");
        set(&backend, &key(0), &value(0, 1));
    }
    let left = files(directory.path()).iter().filter(|file| file.to_str().unwrap().ends_with("-tmp")).count();
    assert!(left <= 20, "each killed process leaves at most one temporary file");
}

/// A process that writes. It is killed when its test ends.
struct Writer(Child);

impl Writer {
    fn is_running(&mut self) -> bool {
        match self.0.try_wait().unwrap() {
            None => true,
            Some(status) => {
                assert!(status.success(), "a writer failed: {status}");
                false
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process that writes, and waits until it has begun.
fn writer(directory: &TempDir, max_bytes: u64, seed: u64, rounds: Option<u64>) -> Writer {
    let mut command = Command::new(CHILD);
    command.args(["file", "write"]).arg(directory.path()).args([max_bytes.to_string(), seed.to_string()]);
    begun(command.args(rounds.map(|rounds| rounds.to_string())))
}

/// Starts a process, and waits until it has begun.
fn begun(command: &mut Command) -> Writer {
    let mut writer = Writer(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(writer.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    writer
}

/// Checks that each value is complete, and returns how many there are.
fn count_whole_values(backend: &FileBackend) -> usize {
    let whole = |number: &u64| {
        let found = get(backend, &key(*number));
        assert!(
            found.as_deref().is_none_or(|found| is_whole(*number, found)),
            "key {number} holds no value of its own"
        );
        found.is_some()
    };
    (0..KEYS).filter(whole).count()
}
