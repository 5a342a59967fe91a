//! Claims: their files, and processes that share them.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, SystemTime},
};

use cache_request::{
    Clock, ErrorKind,
    backend::{Backend, Claim, ClaimKind, Fence, FileBackend, Right},
};
use cache_request_tests::claims::{KINDS, Sets, assert_no_claim_lasts_by_a_clock_ahead, claim};
use futures_lite::future::block_on;
use tempfile::TempDir;

use super::{HOUR, MIB, answers, files, get, is_lock, is_tally, open, set, timed};

fn claims(directory: &TempDir) -> Vec<PathBuf> {
    let mut files = files(directory.path());
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cache-request-claim"));
    files
}

#[test]
fn a_claim_of_an_answer_that_is_there_wrote_or_locked() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"value");
    // Whatever locks would make it again.
    let lock = files(directory.path()).into_iter().find(|file| is_lock(file)).unwrap();
    fs::remove_file(lock).unwrap();
    let state = || {
        let mut paths = files(directory.path());
        // The sweep that the first write has requested may still change the tally.
        paths.retain(|path| !is_tally(path));
        paths.push(answers(&directory)[0].parent().unwrap().to_owned());
        paths.sort();
        let modified = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        paths.iter().map(|path| (path.clone(), modified(path))).collect::<Vec<(PathBuf, SystemTime)>>()
    };
    let before = state();
    for token in 1..10 {
        assert_eq!(claim(&backend, "key", ClaimKind::Missing, token), (Some(b"value".to_vec()), Right::None));
    }
    assert_eq!(state(), before);
    assert_eq!(claim(&backend, "key", ClaimKind::Any, 1).1, Right::Leased(Fence::new(1)));
    assert_ne!(state(), before);
}

#[test]
fn a_claim_that_has_ended_left_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    let endings: [&dyn Fn(Fence); 6] = [
        &|fence| assert!(block_on(backend.set_fenced("key", b"value", None, fence)).unwrap()),
        &|fence| assert!(block_on(backend.set_fenced("key", b"", Some(Duration::ZERO), fence)).unwrap()),
        &|fence| block_on(backend.release("key", fence)).unwrap(),
        &|_| {
            let _ = block_on(backend.invalidate("key", Duration::ZERO)).unwrap();
        },
        &|_| block_on(backend.clear()).unwrap(),
        &|fence| {
            let error = block_on(limited(&directory).set_fenced("key", &[b'v'; 10_000], None, fence)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert_eq!(get(&backend, "key"), None);
        },
    ];
    for (number, end) in endings.into_iter().enumerate() {
        let (_, right) = claim(&backend, "key", ClaimKind::Any, 1);
        assert_eq!((right, claims(&directory).len()), (Right::Leased(Fence::new(1)), 1));
        end(Fence::new(1));
        assert!(claims(&directory).is_empty(), "ending {number}: {:?}", claims(&directory));
    }
}

fn limited(directory: &TempDir) -> FileBackend {
    FileBackend::builder(directory.path()).max_bytes(4096).build().unwrap()
}

/// Of processes that have ended, and of keys that were invalidated.
#[test]
fn claims_that_were_over_stayed_in_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = FileBackend::builder(directory.path()).clock(&clock).max_bytes(16 * MIB).build().unwrap();
    let lease = Duration::from_secs(60);
    for number in 0..20 {
        let claim = Claim { kind: ClaimKind::Missing, token: 1, lease };
        block_on(backend.claim(&format!("key{number}"), claim)).unwrap();
        block_on(backend.invalidate(&format!("refused{number}"), lease)).unwrap();
    }
    claim(&backend, "longer", ClaimKind::Missing, 1);
    assert_eq!(claims(&directory).len(), 41);
    clock.advance(lease);
    // Two sixteenths of the limit, so that writers have swept themselves.
    for number in 0..600 {
        set(&backend, &format!("value{number}"), b"value");
    }
    assert_eq!(claims(&directory).len(), 1, "{:?}", claims(&directory));
    assert!(matches!(claim(&backend, "longer", ClaimKind::Missing, 2).1, Right::Held(_, _)));
    assert!(get(&backend, "value0").is_some(), "an answer was removed although there is room");
}

/// If it were not recorded, a program that only invalidates could fill the disk.
#[test]
fn refusals_did_not_count_towards_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = FileBackend::builder(directory.path()).clock(&clock).max_bytes(MIB).build().unwrap();
    let mut most = 0;
    for number in 0..1000 {
        block_on(backend.invalidate(&format!("key{number}"), Duration::from_millis(1))).unwrap();
        clock.advance(Duration::from_millis(1));
        most = most.max(claims(&directory).len());
    }
    assert!(most <= 64, "{most} files");
}

/// A file lock belongs to an open file, so two backends exclude each other as two processes do.
#[test]
fn of_processes_that_claim_one_key_two_got_the_lease() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let (key, together) = (&format!("key{round}"), &Barrier::new(4));
        let leased = thread::scope(|threads| {
            let claiming: Vec<_> = (0..4)
                .map(|token| {
                    let backend = open(&directory);
                    threads.spawn(move || {
                        together.wait();
                        claim(&backend, key, ClaimKind::Missing, token).1
                    })
                })
                .collect();
            let rights = claiming.into_iter().map(|thread| thread.join().unwrap());
            rights.filter(|right| matches!(right, Right::Leased(_))).count()
        });
        assert_eq!(leased, 1, "{key}");
    }
}

#[test]
fn an_answer_of_another_process_outlived_an_invalidation() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    let (counter, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|threads| {
        for process in 0..2_u64 {
            let backend = open(&directory);
            let (counter, done) = (&counter, &done);
            threads.spawn(move || {
                // No fence is used again, whichever process has claimed.
                for token in process << 32.. {
                    if done.load(SeqCst) {
                        break;
                    }
                    let (_, right) = claim(&backend, "key", ClaimKind::Any, token);
                    let (Right::Leased(fence) | Right::Held(fence, _)) = right else { continue };
                    let made = counter.load(SeqCst).to_le_bytes();
                    block_on(backend.set_fenced("key", &made, None, fence)).unwrap();
                }
            });
        }
        let _ended = Sets(&done);
        for round in 0..60 {
            let now = counter.fetch_add(1, SeqCst) + 1;
            if round % 10 == 9 {
                block_on(backend.clear()).unwrap();
            } else {
                block_on(backend.invalidate("key", Duration::ZERO)).unwrap();
            }
            if let Some(value) = get(&backend, "key") {
                let made = u64::from_le_bytes(value.try_into().unwrap());
                assert!(made >= now, "a value made at {made} is there after the invalidation at {now}");
            }
        }
    });
}

#[test]
fn a_damaged_claim_kept_its_key_from_being_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    claim(&backend, "key", ClaimKind::Missing, 1);
    let file = claims(&directory).remove(0);
    let whole = fs::read(&file).unwrap();
    let longer = [&whole[..], b"x"].concat();
    for damaged in [&whole[..10], &whole[..whole.len() - 1], &longer, b"another program's", b""] {
        fs::write(&file, damaged).unwrap();
        assert!(!block_on(backend.set_fenced("key", b"value", None, Fence::new(1))).unwrap());
        for (token, kind) in (2..).zip(KINDS) {
            fs::write(&file, damaged).unwrap();
            assert_eq!(claim(&backend, "key", kind, token), (None, Right::Leased(Fence::new(token))));
        }
    }
    assert!(block_on(backend.set_fenced("key", b"value", None, Fence::new(4))).unwrap());
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

#[test]
fn a_damaged_answer_kept_its_key_from_being_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    for kind in KINDS {
        set(&backend, "key", b"value");
        fs::write(&answers(&directory)[0], "another program's text, which is long enough for a header").unwrap();
        if kind != ClaimKind::Anew {
            let error = block_on(backend.claim("key", Claim { kind, token: 1, lease: HOUR })).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{kind:?}: {error:#}");
        }
        assert_eq!(claim(&backend, "key", kind, 2), (None, Right::Leased(Fence::new(2))), "{kind:?}");
        assert!(block_on(backend.set_fenced("key", b"new", None, Fence::new(2))).unwrap(), "{kind:?}");
        assert_eq!(get(&backend, "key").unwrap(), b"new", "{kind:?}");
    }
}

#[test]
fn a_claim_of_a_process_whose_clock_was_ahead_lasted_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let (right, ahead) = (Clock::mock(), Clock::mock());
    ahead.advance(HOUR);
    let (reader, writer) = (timed(&directory, &right), timed(&directory, &ahead));
    assert_no_claim_lasts_by_a_clock_ahead(&reader, &writer);
}

/// The disk may be unmounted, and come back with all answers.
#[test]
fn an_invalidation_in_a_directory_that_does_not_exist_succeeded() {
    let directory = tempfile::tempdir().unwrap();
    let (root, away) = (directory.path().join("cache"), directory.path().join("away"));
    let backend = FileBackend::new(&root).unwrap();
    set(&backend, "key", b"value");
    fs::rename(&root, &away).unwrap();
    assert_eq!(block_on(backend.invalidate("key", Duration::ZERO)).unwrap_err().kind(), ErrorKind::Backend);
    fs::rename(&away, &root).unwrap();
    assert!(block_on(backend.invalidate("key", Duration::ZERO)).unwrap());
    assert_eq!(get(&backend, "key"), None);
}
