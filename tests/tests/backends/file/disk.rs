//! What happens when the disk does not want it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use cache_request::{
    ErrorKind,
    backend::{Backend, FileBackend},
};
use futures_lite::future::block_on;

use super::{CHILD, files, get, is_lock, is_tally, open, set};

#[test]
fn a_path_that_is_a_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "another program's").unwrap();
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
    fs::write(&file, "another program's").unwrap();
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

/// Puts something in the place of the file of `key`.
fn replace(directory: &Path, key: &str, with: impl FnOnce(&Path)) -> PathBuf {
    set(&FileBackend::new(directory).unwrap(), key, b"older");
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().len() == 64 + ".cache-request".len();
    let file = files(directory).into_iter().find(|file| name(file)).unwrap();
    fs::remove_file(&file).unwrap();
    with(&file);
    file
}

fn is_a_fault_of_the_key(error: &cache_request::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:#}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn what_cannot_be_read_in_the_place_of_an_answer_stayed_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = replace(directory.path(), "key", |file| fs::create_dir(file).unwrap());
    let backend = open(&directory);
    is_a_fault_of_the_key(&block_on(backend.get("key")).unwrap_err(), &file);
    // What cannot be read may be an answer, so `add` and `touch` do not replace it.
    is_a_fault_of_the_key(&block_on(backend.add("key", b"new", None)).unwrap_err(), &file);
    is_a_fault_of_the_key(&block_on(backend.touch("key", None)).unwrap_err(), &file);
    set(&backend, "key", b"new");
    assert_eq!(get(&backend, "key").unwrap(), b"new");
}

/// The files in it belong to another program.
#[test]
fn a_full_directory_in_the_place_of_an_answer_is_a_fault_of_its_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = replace(directory.path(), "key", |file| {
        fs::create_dir(file).unwrap();
        fs::write(file.join("notes"), "foreign").unwrap();
    });
    let backend = open(&directory);
    is_a_fault_of_the_key(&block_on(backend.get("key")).unwrap_err(), &file);
    is_a_fault_of_the_key(&block_on(backend.set("key", b"new", None)).unwrap_err(), &file);
    assert!(!block_on(backend.delete("key")).unwrap());
    block_on(backend.clear()).unwrap();
    assert_eq!(fs::read(file.join("notes")).unwrap(), b"foreign");
}

#[cfg(unix)]
#[test]
fn an_answer_of_another_user_stayed_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("cache");
    let file = replace(&root, "key", |file| fs::write(file, "unreadable").unwrap());
    for path in files(&root) {
        chmod(&path, 0o666);
    }
    chmod(&file, 0o000);
    chmod(file.parent().unwrap(), 0o777);
    chmod(&root, 0o777);
    chmod(directory.path(), 0o755);
    let program = copy_of_the_child(directory.path());
    let (said, status) = as_another_user(&program, &["get", root.to_str().unwrap()]);
    assert!(status.success() && said.starts_with("Corrupt(") && said.contains("denied"), "{said}");
    let (said, _) = as_another_user(&program, &["once", root.to_str().unwrap(), "5"]);
    assert_eq!(said, "ok\n");
    let (said, _) = as_another_user(&program, &["get", root.to_str().unwrap()]);
    assert_eq!(said, "5 bytes\n");
}

#[test]
fn a_file_in_the_place_of_a_sub_directory_is_a_fault_of_its_keys_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = replace(directory.path(), "key", |_| {});
    let shard = file.parent().unwrap();
    fs::remove_dir_all(shard).unwrap();
    fs::write(shard, "foreign").unwrap();
    let backend = open(&directory);
    for error in [
        block_on(backend.get("key")).unwrap_err(),
        block_on(backend.set("key", b"value", None)).unwrap_err(),
        block_on(backend.add("key", b"value", None)).unwrap_err(),
        block_on(backend.touch("key", None)).unwrap_err(),
        block_on(backend.delete("key")).unwrap_err(),
    ] {
        is_a_fault_of_the_key(&error, shard);
    }
    block_on(backend.clear()).unwrap();
    assert_eq!(fs::read(shard).unwrap(), b"foreign");
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
fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// The child's program in a directory that any user may search.
#[cfg(unix)]
fn copy_of_the_child(directory: &Path) -> PathBuf {
    let program = directory.join("child");
    fs::copy(CHILD, &program).unwrap();
    chmod(&program, 0o755);
    chmod(directory, 0o755);
    program
}

/// What the child prints. Root has every permission, so root runs it as another user.
#[cfg(unix)]
fn as_another_user(program: &Path, arguments: &[&str]) -> (String, std::process::ExitStatus) {
    use std::os::unix::{fs::MetadataExt, process::CommandExt};

    let mut child = Command::new(program);
    child.arg("file").args(arguments);
    if fs::metadata(program).unwrap().uid() == 0 {
        child.uid(65534).gid(65534);
    }
    let output = child.output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr), output.status)
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_makes_writing_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("cache");
    set(&FileBackend::new(&root).unwrap(), "key", b"value");
    let program = copy_of_the_child(directory.path());
    let answer = files(&root).into_iter().find(|file| !is_tally(file) && !is_lock(file)).unwrap();
    let shard = answer.parent().unwrap();
    chmod(&answer, 0o644);
    // An answer that can be read and not removed, and one of which not even that much can be known.
    for mode in [0o555, 0o000] {
        for doing in [&["once", root.to_str().unwrap(), "10"][..], &["delete", root.to_str().unwrap()]] {
            chmod(shard, mode);
            chmod(&root, 0o555);
            let (said, status) = as_another_user(&program, doing);
            chmod(&root, 0o755);
            chmod(shard, 0o755);
            assert!(status.success(), "{status:?}");
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
        let output = Command::new("sh")
            .args(["-c", script, CHILD, "file", "once"])
            .arg(directory.path())
            .arg(bytes)
            .output()
            .unwrap();
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

fn is_a_fault_of_the_disk(error: &cache_request::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Backend, "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let source = std::error::Error::source(error).expect("a cause");
    assert!(source.is::<std::io::Error>(), "{source:?}");
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_while_calls_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    cache_request_tests::outages::full_disk(env!("CARGO_BIN_EXE_child"), &url, 500);
}
