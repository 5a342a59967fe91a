//! The limits of a directory.

use cache_request::{
    Clock, ErrorKind,
    backend::{Backend, FileBackend},
};
use futures_lite::future::block_on;

use super::{HOUR, MIB, answers, get, on_disk, set};

#[test]
fn the_directory_stays_within_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(4 * MIB).build().unwrap();
    let mut most = 0;
    for number in 0..4000 {
        // 10 times the limit, in blocks.
        set(&backend, &format!("key{number}"), &[b'v'; 9_000]);
        if number % 50 == 0 {
            most = most.max(on_disk(&directory));
        }
    }
    assert!(most <= 4 * MIB, "{most} bytes");
    assert!(most > 3 * MIB, "{most} bytes: too much was removed");
    assert!(on_disk(&directory) > 5 * MIB / 2, "a sweep leaves four fifths");
    assert_eq!(get(&backend, "key0"), None, "the oldest was kept");
    assert!(get(&backend, "key3999").is_some(), "the newest was removed");
}

#[test]
fn the_directory_stays_within_its_number_of_answers() {
    for limit in [1, 5, 100] {
        let directory = tempfile::tempdir().unwrap();
        let backend = FileBackend::builder(directory.path()).max_entries(limit).build().unwrap();
        let mut most = 0;
        for number in 0..limit * 3 {
            set(&backend, &format!("key{number}"), b"value");
            most = most.max(answers(&directory).len() as u64);
            assert!(get(&backend, &format!("key{number}")).is_some(), "what was set last, of {limit}");
        }
        assert!(most <= limit && most > limit * 4 / 5, "{most} of {limit}");
    }
}

/// Overwriting takes no more room, so it must not evict other answers.
#[test]
fn overwriting_one_key_evicts_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    for number in 0..100 {
        set(&backend, &format!("key{number}"), &[b'v'; 4_000]);
    }
    for _ in 0..1000 {
        set(&backend, "again", &[b'v'; 4_000]);
    }
    for number in 0..100 {
        assert!(get(&backend, &format!("key{number}")).is_some(), "key{number}");
    }
}

#[test]
fn expired_answers_are_evicted_first() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = FileBackend::builder(directory.path()).clock(&clock).max_bytes(MIB).build().unwrap();
    for number in 0..60 {
        set(&backend, &format!("old{number}"), &[b'v'; 4_000]);
    }
    for number in 0..60 {
        block_on(backend.set(&format!("short{number}"), &[b'v'; 4_000], Some(HOUR))).unwrap();
    }
    clock.advance(HOUR);
    for number in 0..60 {
        set(&backend, &format!("new{number}"), &[b'v'; 8_000]);
    }
    let (mut old, mut new) = (0, 0);
    for number in 0..60 {
        old += usize::from(get(&backend, &format!("old{number}")).is_some());
        new += usize::from(get(&backend, &format!("new{number}")).is_some());
    }
    assert_eq!((old, new), (60, 60), "an answer was evicted while there were expired ones");
}

#[test]
fn a_value_larger_than_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    set(&backend, "other", b"value");
    set(&backend, "key", b"older");
    let error = block_on(backend.set("key", &vec![0; MIB as usize], None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(get(&backend, "key"), None, "the older value outlived the failed write of a newer one");
    assert_eq!(get(&backend, "other").unwrap(), b"value", "a refused value evicted another");
}

#[test]
fn add_refuses_a_value_larger_than_the_limit_and_keeps_the_stored_one() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    let large = vec![b'v'; MIB as usize];
    assert_eq!(block_on(backend.add("key", &large, None)).unwrap_err().kind(), ErrorKind::TooLarge);
    set(&backend, "key", b"value");
    assert_eq!(block_on(backend.add("key", &large, None)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

/// A touch takes no more room, and an added value counts.
#[test]
fn adding_and_touching_stay_within_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    for number in 0..1000 {
        let key = format!("key{number}");
        assert!(block_on(backend.add(&key, &[b'v'; 4_000], None)).unwrap());
        assert!(block_on(backend.touch(&key, Some(HOUR))).unwrap());
        assert!(on_disk(&directory) <= MIB, "{} bytes after {number}", on_disk(&directory));
    }
    assert!(on_disk(&directory) > MIB / 2, "too much was removed");
}

#[test]
fn values_nearly_as_large_as_the_limit_do_not_exceed_it() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    for number in 0..10 {
        set(&backend, &format!("large{number}"), &vec![b'v'; 1_000_000]);
        assert!(on_disk(&directory) <= MIB);
        for small in 0..40 {
            set(&backend, &format!("small{number}.{small}"), b"value");
            assert!(on_disk(&directory) <= MIB, "{} bytes", on_disk(&directory));
        }
    }
}

/// Programs that write a little and end, again and again.
#[test]
fn short_lived_writers_are_bounded_too() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..600 {
        let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
        set(&backend, &format!("key{number}"), &[b'v'; 4_000]);
        assert!(on_disk(&directory) <= MIB, "{} bytes after {number}", on_disk(&directory));
    }
}
