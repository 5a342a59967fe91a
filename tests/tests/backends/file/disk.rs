//! Disks that are full, missing or forbidden, and foreign files in the way.

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
        assert_disk_fault(&error, &within);
    }
    // When the path is free, it works.
    fs::remove_file(&file).unwrap();
    set(&backend, "key", b"value");
    assert_eq!(get(&backend, "key").unwrap(), b"value");
}

/// Replaces the file of `key` by what `with` makes at its path.
fn replace(directory: &Path, key: &str, with: impl FnOnce(&Path)) -> PathBuf {
    set(&FileBackend::new(directory).unwrap(), key, b"older");
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().len() == 64 + ".cache-request".len();
    let file = files(directory).into_iter().find(|file| name(file)).unwrap();
    fs::remove_file(&file).unwrap();
    with(&file);
    file
}

fn assert_key_fault(error: &cache_request::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:#}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_directory_at_the_path_of_an_answer_stayed_there() {
    let directory = tempfile::tempdir().unwrap();
    let file = replace(directory.path(), "key", |file| fs::create_dir(file).unwrap());
    let backend = open(&directory);
    assert_key_fault(&block_on(backend.get("key")).unwrap_err(), &file);
    // What cannot be read may be an answer, so `add` and `touch` do not replace it.
    assert_key_fault(&block_on(backend.add("key", b"new", None)).unwrap_err(), &file);
    assert_key_fault(&block_on(backend.touch("key", None)).unwrap_err(), &file);
    set(&backend, "key", b"new");
    assert_eq!(get(&backend, "key").unwrap(), b"new");
}

/// Its content is not the cache's to remove.
#[test]
fn a_full_directory_at_the_path_of_an_answer_fails_its_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = replace(directory.path(), "key", |file| {
        fs::create_dir(file).unwrap();
        fs::write(file.join("notes"), "foreign").unwrap();
    });
    let backend = open(&directory);
    assert_key_fault(&block_on(backend.get("key")).unwrap_err(), &file);
    assert_key_fault(&block_on(backend.set("key", b"new", None)).unwrap_err(), &file);
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
fn a_file_at_the_path_of_a_sub_directory_fails_its_keys_alone() {
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
        assert_key_fault(&error, shard);
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

/// The disk may be unmounted, and come back with all its files.
#[test]
fn deleting_from_a_directory_that_does_not_exist_is_an_error() {
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
        assert_disk_fault(&error, &root);
    }
    fs::rename(&away, &root).unwrap();
    assert_eq!(get(&backend, "key").unwrap(), b"value");
    assert!(block_on(backend.delete("key")).unwrap());
    // In a directory that exists, a missing key is not an error.
    assert!(!block_on(backend.delete("key")).unwrap());
    block_on(backend.clear()).unwrap();
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// A copy of the child's program that any user may run.
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
    // A directory that can be read but not written, and one that cannot even be read.
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

/// A limit on the size of a file acts like a full disk: the system accepts the first part of a write and refuses the rest. The
/// shell counts in blocks of 512 or 1024 bytes.
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
    assert_eq!(get(&backend, "key"), None, "the older value outlived the failed write of a newer one");
    assert_eq!(
        files(directory.path()).iter().filter(|file| !is_tally(file) && !is_lock(file)).count(),
        0,
        "{:?}",
        files(directory.path())
    );
}

fn assert_disk_fault(error: &cache_request::Error, path: &Path) {
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
