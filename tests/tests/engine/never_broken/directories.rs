//! A directory that cannot be written, that is full, or whose files were mangled.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use cache_request::{Cache, ErrorKind, cache_request, scoped_sync};
use cache_request_tests::logs;

use super::{bodies, body_runs};

#[cache_request(name = "filed")]
fn repeated(text: &str, times: usize) -> String {
    body_runs();
    text.repeat(times)
}

fn at(path: &Path) -> Cache {
    Cache::from_url(&format!("file://{}?soft_limit=1h", path.display())).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn values_survive_in_files() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(scoped_sync(&at(directory.path()), || bodies(|| repeated("ab", 2))), ("abab".to_owned(), 1));
    assert_eq!(scoped_sync(&at(directory.path()), || bodies(|| repeated("ab", 2))), ("abab".to_owned(), 0));
}

/// Not even root makes a directory below a regular file.
#[test]
fn a_directory_that_cannot_be_written_costs_nothing_but_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "another program's").unwrap();
    let cache = at(&file.join("cache"));
    let (outcome, lines) = logs::of(|| scoped_sync(&cache, || bodies(|| [repeated("ab", 2), repeated("ab", 2)])));
    assert_eq!(outcome, (["abab".to_owned(), "abab".to_owned()], 2));
    let stats = cache.stats();
    let function = stats.function("filed").unwrap();
    assert_eq!((function.misses.backend_fault, function.faults.total(), function.bodies), (2, 2, 2));
    let place = file.display().to_string();
    // Down to what the system said.
    let told = |line: &String| ["could not be read", &place, "(os error"].iter().all(|part| line.contains(part));
    assert!(lines.iter().any(told), "{lines:?}");
    let put = scoped_sync(&cache, || repeated_cache("ab", 2).put(&String::new())).unwrap_err();
    assert!(put.to_string().contains(&place), "{put}");
    scoped_sync(&cache, || {
        for error in [
            repeated_cache("ab", 2).put(&String::new()).unwrap_err(),
            repeated_cache("ab", 2).invalidate().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Backend);
            assert!(error.to_string().contains(&place), "{error}");
        }
    });
}

/// A limit on the size of files is a disk without room; it holds for a process, so the test starts itself once more.
#[cfg(unix)]
#[test]
fn a_full_disk_costs_nothing_but_the_cache() {
    const DIRECTORY: &str = "NEVER_BROKEN_FULL_DISK";
    if let Some(directory) = env::var_os(DIRECTORY) {
        let cache = at(Path::new(&directory));
        let (outcome, lines) = logs::of(|| scoped_sync(&cache, || bodies(|| repeated("ab", 1 << 20).len())));
        assert_eq!(outcome, (2 << 20, 1));
        assert!(lines.iter().any(|line| line.contains("a value could not be kept")), "{lines:?}");
        assert_eq!(scoped_sync(&cache, || bodies(|| [repeated("ab", 2), repeated("ab", 2)])).1, 1);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 500; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "never_broken::directories::a_full_disk_costs_nothing_but_the_cache"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn mangled_files_are_a_miss() {
    let mangle: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.extend_from_slice(b"more"),
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes.reverse(),
        |bytes| bytes.fill(0),
    ];
    for (nth, mangle) in mangle.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let cache = at(directory.path());
        assert_eq!(scoped_sync(&cache, || bodies(|| repeated("ab", 2))), ("abab".to_owned(), 1), "{nth}");
        for file in files(directory.path()) {
            let mut bytes = fs::read(&file).unwrap();
            if bytes.is_empty() {
                continue;
            }
            mangle(&mut bytes);
            fs::write(&file, bytes).unwrap();
        }
        assert_eq!(scoped_sync(&cache, || bodies(|| repeated("ab", 2))), ("abab".to_owned(), 1), "{nth}");
        assert_eq!(scoped_sync(&cache, || bodies(|| repeated("ab", 2))), ("abab".to_owned(), 0), "{nth}");
        assert!(cache.stats().faults() >= 1, "{nth}: {:?}", cache.stats());
    }
}
