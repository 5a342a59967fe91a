//! `file://`: whatever stands in a file of the directory, it is the answer that was stored, or none.

#![no_main]

use std::{
    fs,
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use arbitrary::Arbitrary;
use cache_request::{
    Clock, ErrorKind,
    backend::{Backend, FileBackend},
};
use cache_request_fuzz::{prepare, within};
use futures_lite::future::block_on;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const KEY: &str = "shop..prices?item=5";

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    content: Content<'a>,
    then: Then,
}

/// What is done after it was read.
#[derive(Debug, Arbitrary)]
enum Then {
    Delete,
    Add,
    Touch,
}

#[derive(Debug, Arbitrary)]
enum Content<'a> {
    Raw(&'a [u8]),
    /// What an entry consists of, right or wrong.
    Parts {
        version: Option<[u8; 2]>,
        expiry: Expiry,
        key: Option<&'a str>,
        key_bytes: Option<u64>,
        value_bytes: Option<u64>,
        value: &'a [u8],
    },
    /// What was stored, changed.
    Mangled {
        value: &'a [u8],
        changes: Vec<(u16, u8)>,
        length: Option<u16>,
    },
}

#[derive(Debug, Arbitrary)]
enum Expiry {
    Never,
    Over(u16),
    Later(u16),
    Any(u64),
}

struct Stage {
    backend: FileBackend,
    entry: PathBuf,
    /// What the clock shows, in milliseconds since 1970.
    now: u64,
    _root: TempDir,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a directory");
    let clock = Clock::from(Clock::mock());
    let now = clock.wall().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis() as u64;
    let backend = FileBackend::builder(root.path()).clock(clock).build().expect("a backend");
    block_on(backend.set(KEY, b"", None)).expect("a place to write");
    let name = blake3::hash(KEY.as_bytes()).to_hex();
    let entry = root.path().join(&name[..2]).join(format!("{name}.cache-request"));
    assert!(entry.is_file());
    Stage { backend, entry, now, _root: root }
});

fuzz_target!(init: set_up(), |input: Input<'_>| run(&input));

fn set_up() {
    prepare();
    LazyLock::force(&STAGE);
}

fn run(input: &Input<'_>) {
    let Stage { backend, entry, .. } = &*STAGE;
    let bytes = bytes(&input.content);
    fs::write(entry, &bytes).expect("the entry");

    let expected = expected(&bytes);
    let get = || {
        let found = within((1 << 16) + 2 * bytes.len(), || block_on(backend.get(KEY)));
        match (&expected, found) {
            (Some(expected), Ok(found)) => assert_eq!(*expected, found.as_deref()),
            (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            (expected, found) => panic!("{found:?}, and expected {expected:?}"),
        }
    };
    get();
    // Only what could be got is there.
    let is_there = matches!(expected, Some(Some(_)));
    match input.then {
        Then::Delete => {
            assert_eq!(block_on(backend.delete(KEY)).expect("a file that can be removed"), is_there);
            assert!(!entry.exists());
        }
        Then::Add => {
            let added = block_on(backend.add(KEY, b"new", None)).expect("a file that can be replaced");
            assert_eq!(added, !is_there);
            if added {
                assert_eq!(block_on(backend.get(KEY)).expect("what was added").as_deref(), Some(&b"new"[..]));
            } else {
                get();
            }
        }
        Then::Touch => {
            match block_on(backend.touch(KEY, None)) {
                Ok(touched) => assert_eq!((touched, expected.is_some()), (is_there, true)),
                Err(error) => assert_eq!((error.kind(), expected.is_some()), (ErrorKind::Corrupt, false)),
            }
            get();
        }
    }
}

fn bytes(content: &Content<'_>) -> Vec<u8> {
    match content {
        Content::Raw(bytes) => bytes.to_vec(),
        Content::Parts { version, expiry, key, key_bytes, value_bytes, value } => {
            let expiry = match *expiry {
                Expiry::Never => u64::MAX,
                Expiry::Over(by) => STAGE.now - u64::from(by),
                Expiry::Later(by) => STAGE.now + u64::from(by),
                Expiry::Any(at) => at,
            };
            let key = key.unwrap_or(KEY);
            let mut bytes = b"cache-request/".to_vec();
            bytes.extend_from_slice(version.as_ref().unwrap_or(b"1\n"));
            for number in [expiry, key_bytes.unwrap_or(key.len() as u64), value_bytes.unwrap_or(value.len() as u64)] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend_from_slice(value);
            bytes
        }
        Content::Mangled { value, changes, length } => {
            block_on(STAGE.backend.set(KEY, value, Some(Duration::from_secs(1)))).expect("a place to write");
            let mut bytes = fs::read(&STAGE.entry).expect("what was stored");
            for &(at, by) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= by;
            }
            if let Some(length) = *length {
                bytes.resize(usize::from(length), 0);
            }
            bytes
        }
    }
}

/// What the layout in `backend/file/entry.rs` says: `None` is an error.
fn expected(bytes: &[u8]) -> Option<Option<&[u8]>> {
    let rest = bytes.strip_prefix(b"cache-request/")?;
    let (version, rest) = rest.split_at_checked(2)?;
    if version != b"1\n" {
        return Some(None);
    }
    let (header, rest) = rest.split_at_checked(24)?;
    let number = |at| header[at..at + 8].iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let (expiry, key_bytes, value_bytes) = (number(0), number(8), number(16));
    if key_bytes.checked_add(value_bytes)? != rest.len() as u64 {
        return None;
    }
    let (key, value) = rest.split_at(usize::try_from(key_bytes).ok()?);
    let fresh = expiry == u64::MAX || expiry > STAGE.now;
    Some(Some(value).filter(|_| key == KEY.as_bytes() && fresh))
}
