//! Processes that share a directory, and die over it.

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
    // Each process may have one value of 64 KiB under way.
    assert!(most <= limit + 4 * (MIB / 16 + 4096), "{most} bytes");
    assert!(all_is_whole(&open(&directory)) > 0);
}

#[test]
fn processes_that_write_the_same_keys_leave_whole_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut writers: Vec<Writer> = (0..3).map(|seed| writer(&directory, 1 << 30, seed, Some(200))).collect();
    let backend = open(&directory);
    loop {
        let is_over = !writers.iter_mut().any(Writer::is_running);
        assert!(all_is_whole(&backend) > 0);
        if is_over {
            break;
        }
    }
}

/// Each key's place is empty, or holds what has expired or what a power cut left. The processes start together, and each
/// tries to add all keys, and reads each before, which removes what has expired. Tried again while they run one after the other.
#[test]
fn of_processes_that_add_one_key_one_wins() {
    let run_at_once = (0..20).any(|_| processes_that_add_the_same_keys() > 1);
    assert!(run_at_once, "they did not run at once");
}

/// How many of them have added something.
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
    // They wait for its end.
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

/// Other processes touch what this one replaces and removes: they neither undo it nor tear it.
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
                assert!(get(&backend, &key) == Some(value.clone()), "of what was set, in round {round}");
            }
            assert!(block_on(backend.delete(&key)).unwrap(), "in round {round}");
            assert!(get(&backend, &key).is_none(), "what was deleted came back, in round {round}");
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
        // Some moment within what a write takes: the scheduler makes it another one each time.
        for _ in 0..round * 37 % 16 {
            all_is_whole(&backend);
        }
        // `SIGKILL`, on Unix.
        drop(writer);
        assert!(all_is_whole(&backend) > 0, "in round {round}");
        set(&backend, &key(0), &value(0, 1));
    }
    let left = files(directory.path()).iter().filter(|file| file.to_str().unwrap().ends_with("-tmp")).count();
    assert!(left <= 20, "at most one half-written file for each that was killed");
}

/// A process at work. It does not outlive its test, even one that fails.
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
        // It has ended already, as a rule.
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

/// Reads what the writers write, and says how many values there are.
fn all_is_whole(backend: &FileBackend) -> usize {
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
