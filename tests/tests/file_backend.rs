//! What a directory of answers must do beyond the suite that every backend runs: hold together when processes share it,
//! die over it, and when the disk does not want it.

use std::{
    fs::{self, File},
    future::Future,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use cache_request::{
    Clock, ErrorKind, MockClock,
    backend::{Backend, FileBackend},
};
use cache_request_tests::file_backend::{KEYS, is_whole, key, value};
use futures_lite::future::block_on;
use tempfile::TempDir;

const CHILD: &str = env!("CARGO_BIN_EXE_file_backend_child");
const MIB: u64 = 1 << 20;
const HOUR: Duration = Duration::from_secs(60 * 60);

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
fn a_timeout_goes_on_while_nobody_runs() {
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
fn what_has_expired_is_removed_when_it_is_asked_for() {
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

/// Readers find values expired while a writer replaces them: what the writer put there stays.
#[test]
fn removing_what_has_expired_spares_what_replaced_it() {
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

/// What is left of an answer is nothing, be it expired, cut short, somebody else's or of a later version.
#[test]
fn add_takes_the_place_of_what_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::mock();
    let backend = timed(&directory, &clock);
    block_on(backend.set("key", b"old", Some(HOUR))).unwrap();
    let file = answers(&directory).remove(0);
    let whole = fs::read(&file).unwrap();
    let another_version = [b"cache-request/2\n", &whole[16..]].concat();
    clock.advance(HOUR);
    for left in [&whole[..], &whole[..whole.len() - 1], &whole[..20], b"", b"somebody else's", &another_version] {
        fs::write(&file, left).unwrap();
        assert!(block_on(backend.add("key", b"new", None)).unwrap(), "{}", left.escape_ascii());
        assert_eq!(get(&backend, "key").unwrap(), b"new");
        assert!(!block_on(backend.add("key", b"newer", None)).unwrap());
        assert_eq!(get(&backend, "key").unwrap(), b"new");
    }
    assert!(block_on(backend.delete("key")).unwrap());
    assert_eq!(files(directory.path()).iter().filter(|file| !is_tally(file) && !is_lock(file)).count(), 0);
}

/// A file that cannot be looked into may be an answer: nobody is told that there was none.
#[test]
fn add_does_not_take_the_place_of_what_it_cannot_look_into() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"value");
    let file = answers(&directory).remove(0);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    for error in
        [block_on(backend.add("key", b"new", None)).unwrap_err(), block_on(backend.touch("key", None)).unwrap_err()]
    {
        is_a_fault_of_the_disk(&error, &file);
    }
}

#[test]
fn add_refuses_what_exceeds_the_limit_and_leaves_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    let large = vec![b'v'; MIB as usize];
    assert_eq!(block_on(backend.add("key", &large, None)).unwrap_err().kind(), ErrorKind::TooLarge);
    set(&backend, "key", b"value");
    assert_eq!(block_on(backend.add("key", &large, None)).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

/// To touch takes no more room, and what was added counts.
#[test]
fn what_is_added_and_touched_stays_within_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    for number in 0..1000 {
        let key = format!("key{number}");
        assert!(block_on(backend.add(&key, &[b'v'; 4_000], None)).unwrap());
        assert!(block_on(backend.touch(&key, Some(HOUR))).unwrap());
        assert!(on_disk(&directory) <= MIB, "{} bytes after {number}", on_disk(&directory));
    }
    assert!(on_disk(&directory) > MIB / 2, "what fits should stay");
}

#[test]
fn a_path_that_is_a_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "somebody's").unwrap();
    let error = FileBackend::new(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    for (wrong, what) in [
        (FileBackend::new("").unwrap_err(), "path"),
        (FileBackend::builder(directory.path()).max_bytes(4095).build().unwrap_err(), "max_bytes"),
        (FileBackend::builder(directory.path()).max_entries(0).build().unwrap_err(), "max_entries"),
    ] {
        assert_eq!(wrong.kind(), ErrorKind::Config);
        assert!(wrong.to_string().contains(what), "{wrong}");
    }
}

/// Root may write anywhere, but not even root makes a directory within a file.
#[test]
fn an_impossible_directory_makes_each_call_an_error_and_nothing_worse() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "somebody's").unwrap();
    let within = file.join("cache");
    let backend = FileBackend::new(&within).expect("a bad disk does not stop a program");
    let errors = [
        block_on(backend.get("key")).unwrap_err(),
        block_on(backend.set("key", b"value", None)).unwrap_err(),
        block_on(backend.add("key", b"value", None)).unwrap_err(),
        block_on(backend.touch("key", None)).unwrap_err(),
        block_on(backend.delete("key")).unwrap_err(),
        block_on(backend.clear()).unwrap_err(),
    ];
    for error in errors {
        is_a_fault_of_the_disk(&error, &within);
    }
    // As soon as the disk is mended, it works.
    fs::remove_file(&file).unwrap();
    set(&backend, "key", b"value");
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

#[test]
fn a_directory_that_is_taken_away_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("cache");
    let backend = FileBackend::new(&root).unwrap();
    set(&backend, "key", b"value");
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(get(&backend, "key"), None);
    assert!(!block_on(backend.touch("key", None)).unwrap());
    assert!(block_on(backend.add("key", b"value", None)).unwrap());
    fs::remove_dir_all(&root).unwrap();
    set(&backend, "key", b"value");
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

/// It may be a disk that comes back, with all that it held.
#[test]
fn nothing_is_known_to_be_deleted_from_a_directory_that_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let (root, away) = (directory.path().join("cache"), directory.path().join("away"));
    let backend = FileBackend::new(&root).unwrap();
    set(&backend, "key", b"value");
    fs::rename(&root, &away).unwrap();
    for error in [
        block_on(backend.delete("key")).unwrap_err(),
        block_on(backend.set("key", b"value", Some(Duration::ZERO))).unwrap_err(),
        block_on(backend.clear()).unwrap_err(),
    ] {
        is_a_fault_of_the_disk(&error, &root);
    }
    fs::rename(&away, &root).unwrap();
    assert_eq!(get(&backend, "key").unwrap(), b"value");
    assert!(block_on(backend.delete("key")).unwrap());
    // In a directory that is there, absence is no error.
    assert!(!block_on(backend.delete("key")).unwrap());
    block_on(backend.clear()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_makes_writing_an_error() {
    use std::os::unix::{fs::MetadataExt, fs::PermissionsExt, process::CommandExt};

    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("cache");
    set(&FileBackend::new(&root).unwrap(), "key", b"value");
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    // Root has every permission, so that root's test has somebody else write, who must be able to reach the program.
    let program = directory.path().join("child");
    fs::copy(CHILD, &program).unwrap();
    chmod(&program, 0o755);
    chmod(directory.path(), 0o755);
    let answer = files(&root).into_iter().find(|file| !is_tally(file) && !is_lock(file)).unwrap();
    let shard = answer.parent().unwrap();
    chmod(&answer, 0o644);
    // An answer that can be read and not removed, and one of which not even that much can be known.
    for mode in [0o555, 0o000] {
        for doing in [&["once", root.to_str().unwrap(), "10"][..], &["delete", root.to_str().unwrap()]] {
            chmod(shard, mode);
            chmod(&root, 0o555);
            let mut child = Command::new(&program);
            child.args(doing);
            if fs::metadata(&root).unwrap().uid() == 0 {
                child.uid(65534).gid(65534);
            }
            let output = child.output().unwrap();
            chmod(&root, 0o755);
            chmod(shard, 0o755);
            let said = String::from_utf8(output.stdout).unwrap();
            let status = output.status;
            assert!(status.success(), "{status:?}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(said.starts_with("Backend(") && said.contains("denied"), "{doing:?}: {said}");
            assert!(said.contains(root.to_str().unwrap()), "{doing:?}: {said}");
        }
    }
    assert_eq!(fs::read(&answer).map(|bytes| bytes.ends_with(b"value")).ok(), Some(true));
}

/// A limit on the size of a file is what a disk without room looks like, and needs no disk: the system takes the first
/// part of what is written and refuses the rest. (The shell counts in 512 or 1024 bytes.)
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    set(&backend, "key", b"older");
    let limited = |bytes: &str| {
        let script = "trap '' XFSZ; ulimit -f 500; exec \"$0\" \"$@\"";
        let output =
            Command::new("sh").args(["-c", script, CHILD, "once"]).arg(directory.path()).arg(bytes).output().unwrap();
        assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(limited("1000"), "ok\n");
    assert_eq!(get(&backend, "key").unwrap().len(), 1000);
    let said = limited("1000000");
    assert!(said.starts_with("Backend(") && said.contains(directory.path().to_str().unwrap()), "{said}");
    assert_eq!(get(&backend, "key"), None, "the older value must not outlive the one that was to replace it");
    assert_eq!(
        files(directory.path()).iter().filter(|file| !is_tally(file) && !is_lock(file)).count(),
        0,
        "{:?}",
        files(directory.path())
    );
}

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
    assert_eq!(mode(&shared), 0o755, "a directory that is there stays as it is");
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
fn what_dead_writers_left_is_removed_after_an_hour() {
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
    fs::write(&file, "somebody else's text, which is long enough for a header, and then some more").unwrap();
    assert_eq!(block_on(backend.get(key)).unwrap_err().kind(), ErrorKind::Corrupt, "with another content");
    for bit in 0..header * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        match block_on(backend.get(key)) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}"),
            Ok(None) => {}
            // Only the time when it expires can be another one and still mean something; the caller's value has its own.
            Ok(Some(found)) => assert!(found == b"the value" && (16..24).contains(&(bit / 8)), "bit {bit}: {found:?}"),
        }
    }
    // A miss, and no mistaken answer, even where the name is right.
    let mut others = whole.clone();
    others[header - 1] = b'2';
    fs::write(&file, &others).unwrap();
    assert_eq!(get(&backend, key), None);

    assert!(!block_on(backend.delete(key)).unwrap());
    assert!(!file.exists(), "what nobody can use is removed");
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
        &1_000_000_300_001_u64.to_le_bytes(),
        &5_u64.to_le_bytes(),
        &5_u64.to_le_bytes(),
        b"a.keyvalue",
    ]
    .concat();
    assert_eq!(fs::read(&file).unwrap(), expected);
    assert_eq!(file.strip_prefix(directory.path()).unwrap().to_str().unwrap(), name);
    block_on(backend.set("a.key", b"value", None)).unwrap();
    assert_eq!(fs::read(&file).unwrap()[16..24], [0xff; 8]);
    assert!(block_on(backend.touch("a.key", Some(Duration::from_millis(300_001)))).unwrap());
    assert_eq!(fs::read(&file).unwrap(), expected);
}

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
    assert!(most > 3 * MIB, "{most} bytes: what fits should stay");
    assert!(on_disk(&directory) > 5 * MIB / 2, "culling leaves four fifths");
    assert_eq!(get(&backend, "key0"), None, "the oldest go");
    assert!(get(&backend, "key3999").is_some(), "the newest stay");
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

/// Overwriting takes no more room, so it must not drive out the rest.
#[test]
fn overwriting_one_key_drives_out_no_other() {
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
fn what_has_expired_goes_first() {
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
    assert_eq!((old, new), (60, 60), "what is good stays while there is something expired to remove");
}

#[test]
fn a_value_larger_than_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(directory.path()).max_bytes(MIB).build().unwrap();
    set(&backend, "other", b"value");
    set(&backend, "key", b"older");
    let error = block_on(backend.set("key", &vec![0; MIB as usize], None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(get(&backend, "key"), None, "the older value must not outlive the one that was to replace it");
    assert_eq!(get(&backend, "other").unwrap(), b"value", "what is refused drives out nothing");
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
    let mut found = 0;
    while writers.iter_mut().any(Writer::is_running) {
        found += all_is_whole(&backend);
    }
    assert!(found > 0 && all_is_whole(&backend) > 0);
}

/// Each key's place is empty, or holds what has expired or what a power cut left. The processes start together, and each
/// tries to add all keys, and reads each before, which removes what has expired.
#[test]
fn of_processes_that_add_one_key_one_wins() {
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
            command.arg("add").arg(directory.path()).args([salt.to_string(), ADDED.to_string()]);
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
    assert!((1..=6).filter(|salt| each(*salt) > 0).count() > 1, "they did not run at once");
}

/// Other processes touch what this one replaces and removes: they neither undo it nor tear it.
#[test]
fn processes_that_touch_do_not_bring_back_older_values() {
    let directory = tempfile::tempdir().unwrap();
    let touching: Vec<Writer> = (0..3)
        .map(|_| {
            let mut command = Command::new(CHILD);
            begun(command.arg("touch").arg(directory.path()))
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

/// The future of a call is dropped while its thread works. A `delete` that returns after that is the last word.
#[test]
fn what_is_dropped_does_not_outlive_a_later_delete() {
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
fn it_says_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let backend = open(&directory);
    assert_eq!(backend.name(), "file");
    assert_eq!(backend.to_string(), format!("file://{}", directory.path().display()));
    assert_eq!(format!("{backend:?}"), format!("FileBackend({:?})", directory.path()));
}

/// A backend whose time stands still.
fn timed(directory: &TempDir, clock: &MockClock) -> FileBackend {
    FileBackend::builder(directory.path()).clock(clock).build().unwrap()
}

fn open(directory: &TempDir) -> FileBackend {
    FileBackend::new(directory.path()).unwrap()
}

fn get(backend: &FileBackend, key: &str) -> Option<Vec<u8>> {
    block_on(backend.get(key)).unwrap_or_else(|error| panic!("get of {key}: {error}"))
}

fn set(backend: &FileBackend, key: &str, value: &[u8]) {
    block_on(backend.set(key, value, None)).unwrap_or_else(|error| panic!("set of {key}: {error}"));
}

fn is_a_fault_of_the_disk(error: &cache_request::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Backend, "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let source = std::error::Error::source(error).expect("a cause");
    assert!(source.is::<std::io::Error>(), "{source:?}");
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
    command.arg("write").arg(directory.path()).args([max_bytes.to_string(), seed.to_string()]);
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

/// All files in a directory and below. What goes while it is listed may be in the list or not.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
    found
}

fn answers(directory: &TempDir) -> Vec<PathBuf> {
    let mut files = files(directory.path());
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cache-request"));
    files
}

fn is_tally(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "cache-request.tally")
}

fn is_lock(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == ".cache-request-lock")
}

/// What the answers take on the disk, in whole blocks.
fn on_disk(directory: &TempDir) -> u64 {
    let length = |file: &PathBuf| fs::metadata(file).map_or(0, |metadata| metadata.len());
    answers(directory).iter().map(length).map(|length| length.div_ceil(4096) * 4096).sum()
}
