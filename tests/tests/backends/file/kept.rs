//! How long an answer is kept, and what replaces it.

use std::{fs, future::Future, path::PathBuf, pin::Pin, time::Duration};

use cache_request::{Clock, backend::Backend};
use futures_lite::future::block_on;

use super::{HOUR, answers, files, get, is_lock, is_tally, open, set, timed};

#[test]
fn a_value_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    set(&open(&directory), "key", b"value");
    let backend = open(&directory);
    assert_eq!(get(&backend, "key").unwrap(), b"value");
    assert!(block_on(backend.delete("key")).unwrap());
    assert_eq!(get(&open(&directory), "key"), None);
}

#[test]
fn a_timeout_goes_on_while_no_process_runs() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = timed(&directory, &clock);
    block_on(backend.set("key", b"value", Some(HOUR))).unwrap();
    drop(backend);
    clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(get(&timed(&directory, &clock), "key").unwrap(), b"value");
    clock.advance(Duration::from_millis(1));
    assert_eq!(get(&timed(&directory, &clock), "key"), None);
}

#[test]
fn a_value_of_a_writer_whose_clock_was_ahead_lived_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let (right, ahead) = (Clock::mock(), Clock::mock());
    ahead.advance(HOUR);
    let (reader, writer) = (timed(&directory, &right), timed(&directory, &ahead));
    block_on(writer.set("key", b"too long", Some(HOUR))).unwrap();
    assert_eq!(get(&writer, "key").unwrap(), b"too long");
    assert_eq!(get(&reader, "key"), None);
    assert!(!block_on(reader.touch("key", None)).unwrap());
    assert!(!block_on(reader.delete("key")).unwrap());
    block_on(writer.set("key", b"for ever", None)).unwrap();
    assert_eq!(get(&reader, "key"), None);
    assert!(block_on(reader.add("key", b"new", Some(HOUR))).unwrap());
    assert_eq!(get(&reader, "key").unwrap(), b"new");
    // A touch stores a new time, like a write.
    block_on(reader.set("key", b"new", None)).unwrap();
    assert!(block_on(writer.touch("key", Some(HOUR))).unwrap());
    assert_eq!(get(&reader, "key"), None);
    // A difference of 5 seconds is tolerated.
    right.advance(HOUR - Duration::from_secs(5));
    block_on(writer.set("key", b"value", None)).unwrap();
    assert_eq!(get(&reader, "key").unwrap(), b"value");
    ahead.advance(Duration::from_millis(1));
    block_on(writer.set("key", b"value", None)).unwrap();
    assert_eq!(get(&reader, "key"), None);
}

#[test]
fn an_expired_answer_is_removed_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = timed(&directory, &clock);
    block_on(backend.set("key", b"value", Some(HOUR))).unwrap();
    assert_eq!(answers(&directory).len(), 1);
    clock.advance(HOUR);
    assert_eq!(get(&backend, "key"), None);
    assert_eq!(answers(&directory), [] as [PathBuf; 0]);
}

#[test]
fn a_zero_timeout_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"value");
    for key in ["key", "other"] {
        block_on(backend.set(key, b"value", Some(Duration::ZERO))).unwrap();
    }
    assert_eq!(answers(&directory), [] as [PathBuf; 0]);
}

/// Readers remove an expired answer while a writer replaces it: the new answer stays.
#[test]
fn removing_an_expired_answer_spares_its_replacement() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = &timed(&directory, &clock);
    for round in 0..300 {
        block_on(backend.set("key", b"old", Some(HOUR))).unwrap();
        clock.advance(HOUR);
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| get(backend, "key"));
            }
            threads.spawn(|| block_on(backend.set("key", b"new", Some(HOUR))).unwrap());
        });
        assert_eq!(get(backend, "key").as_deref(), Some(&b"new"[..]), "in round {round}");
    }
}

/// A file that is expired, incomplete, foreign or of a later version is not an answer.
#[test]
fn add_replaces_a_file_that_is_not_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = timed(&directory, &clock);
    block_on(backend.set("key", b"old", Some(HOUR))).unwrap();
    let file = answers(&directory).remove(0);
    let whole = fs::read(&file).unwrap();
    let another_version = [b"cache-request/2\n", &whole[16..]].concat();
    clock.advance(HOUR);
    for left in [&whole[..], &whole[..whole.len() - 1], &whole[..20], b"", b"another program's", &another_version] {
        fs::write(&file, left).unwrap();
        assert!(block_on(backend.add("key", b"new", None)).unwrap(), "{}", left.escape_ascii());
        assert_eq!(get(&backend, "key").unwrap(), b"new");
        assert!(!block_on(backend.add("key", b"newer", None)).unwrap());
        assert_eq!(get(&backend, "key").unwrap(), b"new");
    }
    assert!(block_on(backend.delete("key")).unwrap());
    assert_eq!(files(directory.path()).iter().filter(|file| !is_tally(file) && !is_lock(file)).count(), 0);
}

/// The future of a call is dropped while its thread works. After a later `delete`, the key has no answer.
#[test]
fn a_dropped_call_does_not_undo_a_later_delete() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    let large = vec![b'v'; 200_000];
    for round in 0..300 {
        let key = format!("key{}", round % 8);
        let mut call: Pin<Box<dyn Future<Output = ()>>> = match round % 3 {
            0 => Box::pin(async { backend.set(&key, &large, None).await.unwrap() }),
            1 => Box::pin(async { assert!(backend.add(&key, &large, None).await.unwrap()) }),
            _ => {
                set(&backend, &key, &large);
                Box::pin(async { assert!(backend.touch(&key, Some(HOUR)).await.unwrap()) })
            }
        };
        let _ = block_on(futures_lite::future::poll_once(&mut call));
        (0..round % 7 * 5).for_each(|_| std::thread::yield_now());
        drop(call);
        block_on(backend.delete(&key)).unwrap();
        assert_eq!(get(&backend, &key), None, "in round {round}");
    }
    for number in 0..8 {
        assert_eq!(get(&backend, &format!("key{number}")), None);
    }
}

#[test]
fn any_executor_will_do() {
    fn is_send<T: Send>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        future
    }
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    block_on(is_send(async {
        backend.set("key", b"value", None).await.unwrap();
        assert_eq!(backend.get("key").await.unwrap().unwrap(), b"value");
    }));
}

#[test]
fn name_display_and_debug() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    assert_eq!(backend.name(), "file");
    assert_eq!(backend.to_string(), format!("file://{}", directory.path().display()));
    assert_eq!(format!("{backend:?}"), format!("FileBackend({:?})", directory.path()));
}
