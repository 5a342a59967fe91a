//! The layout of the files, their permissions, and foreign files beside them.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use cache_request::{
    Clock, ErrorKind,
    backend::{Backend, FileBackend},
};
use futures_lite::future::block_on;

use super::{HOUR, MIB, answers, files, get, is_tally, open, set, timed};

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("made/for/it");
    let backend = FileBackend::new(&root).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for made in [&root, root.parent().unwrap(), root.parent().unwrap().parent().unwrap()] {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
    set(&backend, "key", b"value");
    let files = files(&root);
    assert_eq!(files.len(), 3, "the answer, the lock and the tally: {files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        if !is_tally(file) {
            assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
        }
    }

    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    set(&FileBackend::new(&shared).unwrap(), "key", b"value");
    assert_eq!(mode(&shared), 0o755, "an existing directory keeps its permissions");
}

#[test]
fn foreign_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB / 4).build().unwrap();
    set(&backend, "key", b"value");
    let own = answers(&directory).remove(0);
    let shard = own.parent().unwrap();
    let digits = own.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    let another_shard = if shard.ends_with("00") { "01" } else { "00" };
    fs::create_dir_all(directory.path().join(another_shard)).unwrap();
    fs::create_dir_all(directory.path().join("zz")).unwrap();
    let foreign = [
        directory.path().join("notes.txt"),
        directory.path().join("notes.cache-request"),
        directory.path().join(own.file_name().unwrap()),
        directory.path().join("zz").join(own.file_name().unwrap()),
        directory.path().join(another_shard).join(own.file_name().unwrap()),
        shard.join("notes.txt"),
        shard.join("notes.cache-request"),
        shard.join(".notes.tmp"),
        shard.join(digits),
        shard.join(format!("{digits}.cache-request.bak")),
        shard.join(format!("{}.cache-request", digits.to_uppercase())),
        shard.join(format!("{}.cache-request", &digits[1..])),
    ];
    let long_ago = SystemTime::now() - 1000 * HOUR;
    for file in &foreign {
        fs::write(file, vec![b'x'; 100_000]).unwrap();
        File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    fs::create_dir(shard.join(format!("{:0>64}.cache-request", shard.file_name().unwrap().to_str().unwrap()))).unwrap();
    let unharmed = |after: &str| {
        for file in &foreign {
            let length = fs::metadata(file).map(|metadata| metadata.len()).ok();
            assert_eq!(length, Some(100_000), "{} after {after}", file.display());
        }
    };
    for number in 0..200 {
        set(&backend, &format!("key{number}"), &[b'v'; 10_000]);
    }
    unharmed("culling");
    assert!(answers(&directory).len() > 10, "foreign files do not count");
    block_on(backend.clear()).unwrap();
    unharmed("clear");
    assert_eq!(answers(&directory).iter().filter(|file| file.is_file() && !foreign.contains(file)).count(), 0);
}

#[test]
fn temporary_files_of_dead_writers_are_removed_after_an_hour() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"value");
    let shard = answers(&directory)[0].parent().unwrap().to_owned();
    let left = |name: &str, age| {
        let path = shard.join(name);
        File::create(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        path
    };
    let dead = left(".0123456789abcdef.cache-request-tmp", 61 * HOUR / 60);
    let alive = left(".fedcba9876543210.cache-request-tmp", 59 * HOUR / 60);
    block_on(backend.clear()).unwrap();
    assert!(!dead.exists() && alive.exists());
}

#[test]
fn a_damaged_file_is_an_error_or_a_miss_and_never_another_answer() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    let key = "news.latest?page=1";
    block_on(backend.set(key, b"the value", Some(HOUR))).unwrap();
    let file = answers(&directory).remove(0);
    let whole = fs::read(&file).unwrap();
    let header = whole.len() - "the value".len();

    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(block_on(backend.get(key)).unwrap_err().kind(), ErrorKind::Corrupt, "cut to {length} bytes");
    }
    fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(block_on(backend.get(key)).unwrap_err().kind(), ErrorKind::Corrupt, "with a byte too many");
    fs::write(&file, "another program's text, which is long enough for a header, and then some more").unwrap();
    assert_eq!(block_on(backend.get(key)).unwrap_err().kind(), ErrorKind::Corrupt, "with another content");
    for bit in 0..header * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        match block_on(backend.get(key)) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}"),
            Ok(None) => {}
            // Only the two times can change without being noticed here.
            Ok(Some(found)) => assert!(found == b"the value" && (16..32).contains(&(bit / 8)), "bit {bit}: {found:?}"),
        }
    }
    // A file with the right name and another key is a miss.
    let mut others = whole.clone();
    others[header - 1] = b'2';
    fs::write(&file, &others).unwrap();
    assert_eq!(get(&backend, key), None);

    assert!(!block_on(backend.delete(key)).unwrap());
    assert!(!file.exists(), "a corrupt file is removed");
    fs::write(&file, &whole[..10]).unwrap();
    set(&backend, key, b"new");
    assert_eq!(get(&backend, key).unwrap(), b"new");
}

#[test]
fn another_version_of_the_layout_is_a_miss() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"value");
    let file = answers(&directory).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[14] = b'2';
    fs::write(&file, &bytes).unwrap();
    assert_eq!(get(&backend, "key"), None);
}

/// Files written today must be read by every later version.
#[test]
fn the_layout_of_a_file_is_pinned() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = timed(&directory, &clock);
    block_on(backend.set("a.key", b"value", Some(Duration::from_millis(300_001)))).unwrap();
    let file = answers(&directory).remove(0);
    let name = "e0/e050a68b65d1f0fbe892aeaeb038bfe9a3c1b06855cd5b546715a5ef301f2016.cache-request";
    let expected = [
        &b"cache-request/1\n"[..],
        &1_000_000_000_000_u64.to_le_bytes(),
        &1_000_000_300_001_u64.to_le_bytes(),
        &5_u64.to_le_bytes(),
        &5_u64.to_le_bytes(),
        b"a.keyvalue",
    ]
    .concat();
    assert_eq!(fs::read(&file).unwrap(), expected);
    assert_eq!(file.strip_prefix(directory.path()).unwrap().to_str().unwrap(), name);
    block_on(backend.set("a.key", b"value", None)).unwrap();
    assert_eq!(fs::read(&file).unwrap()[24..32], [0xff; 8]);
    assert!(block_on(backend.touch("a.key", Some(Duration::from_millis(300_001)))).unwrap());
    assert_eq!(fs::read(&file).unwrap(), expected);
}
