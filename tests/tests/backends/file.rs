//! `file://` beyond the suite that every backend runs: shared directories, processes that die, limits and failing disks.

mod disk;
mod fences;
mod files;
mod kept;
mod limits;
mod processes;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use cache_request::{
    MockClock,
    backend::{Backend, FileBackend},
};
use futures_lite::future::block_on;
use tempfile::TempDir;

const CHILD: &str = env!("CARGO_BIN_EXE_child");
const MIB: u64 = 1 << 20;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A backend whose time moves only when the test moves it.
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

/// All files in a directory and its sub-directories. A file that is removed meanwhile may be listed or not.
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

/// How many bytes the answers take on the disk, in whole blocks.
fn on_disk(directory: &TempDir) -> u64 {
    let length = |file: &PathBuf| fs::metadata(file).map_or(0, |metadata| metadata.len());
    answers(directory).iter().map(length).map(|length| length.div_ceil(4096) * 4096).sum()
}
