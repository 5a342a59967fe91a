//! The backend: runs each operation on the library's threads.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    cancel::{CancelOnDrop, CancelToken},
    directory::Name,
    entry::{self, Contents},
    operations::Operations,
    threads,
};
use crate::{
    Error, ErrorKind,
    backend::{Backend, Claim, Claimed, Fence},
};

/// A directory that holds the answers, one file each.
///
/// It survives restarts, and several processes may share it. A reader sees an answer whole or not at all, even if the writer's
/// process dies. `add` and `touch` are atomic among processes too. They are unsupported on a file system without file locks, such as
/// some network file systems. The directory's size is bounded, see
/// [`max_bytes`](crate::backend::FileBackendBuilder::max_bytes).
///
/// While an answer is being made, a small file beside it says so to the other processes. A look that finds an answer neither writes nor
/// locks. On a file system without file locks, two processes that change one key at the same moment may both make it, or keep an answer that
/// one of them has invalidated.
///
/// Files with other names than the cache's own are never read or removed. The directory is made readable and writable by its
/// owner alone. Keep it so: a user who can write there can change the answers.
///
/// With a disk that is full, missing or forbidden, every call returns an error, and none panics. If an answer cannot be written,
/// the older one is removed. If the directory is removed, the next write makes it again. Until then, `delete` is an error: the
/// disk may be unmounted, and come back with all answers.
///
/// If the clock of the file system differs from that of the machine, timeouts go by the clock of the file system. An answer that
/// was stored more than 5 seconds in the future, by a clock that was wrong, is a miss.
///
/// Files are read and written on threads of this library, so any executor will do, or none. A forked child starts its own.
#[derive(Clone)]
pub struct FileBackend {
    operations: Arc<Operations>,
}

impl FileBackend {
    pub(super) fn of(operations: Operations) -> Self {
        Self { operations: Arc::new(operations) }
    }

    /// Runs an operation that only reads.
    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Operations, SystemTime) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (operations, now) = (Arc::clone(&self.operations), self.operations.clock.wall());
        threads::run_blocking(move || operation(&operations, now)).await?
    }

    /// Runs an operation that changes files, unless the call is cancelled before.
    async fn change<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Arc<Operations>, SystemTime, &CancelToken) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let cancel = CancelOnDrop::default();
        let token = cancel.token();
        let (operations, now) = (Arc::clone(&self.operations), self.operations.clock.wall());
        threads::run_blocking(move || operation(&operations, now, &token)).await?
    }

    fn check_fits(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        if self.operations.sweeper.fits(entry::encoded_len(key, value)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, format!("a value of {} bytes exceeds the limit of {self}", value.len())))
    }
}

impl Backend for FileBackend {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = key.to_owned();
        self.read(move |operations, now| operations.get(&key, now)).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await.map(drop);
        }
        if let Err(too_large) = self.check_fits(key, value) {
            self.delete(key).await?;
            return Err(too_large);
        }
        let (name, mut contents) = (Name::of(key), Contents::new(key, value, timeout));
        self.change(move |operations, now, cancel| operations.set(&name, &mut contents, now, cancel)).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return Ok(false);
        }
        self.check_fits(key, value)?;
        let (key, mut contents) = (key.to_owned(), Contents::new(key, value, timeout));
        self.change(move |operations, now, cancel| operations.add(&key, &mut contents, now, cancel)).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await;
        }
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.touch(&key, timeout, now, cancel)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.delete(&key, now, cancel)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.change(|operations, _, cancel| operations.clear(cancel)).await
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.claim(&key, claim, now, cancel)).await
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        let fits = self.check_fits(key, value);
        let owned_key = key.to_owned();
        if timeout == Some(Duration::ZERO) || fits.is_err() {
            let delete = move |operations: &Arc<Operations>, now, cancel: &CancelToken| {
                operations.delete_fenced(&owned_key, fence, now, cancel)
            };
            return if self.change(delete).await? { fits.map(|()| true) } else { Ok(false) };
        }
        let mut contents = Contents::new(key, value, timeout);
        self.change(move |operations, now, cancel| operations.set_fenced(&owned_key, &mut contents, fence, now, cancel))
            .await
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.renew(&key, fence, lease, now, cancel)).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.release(&key, fence, now, cancel)).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        let key = key.to_owned();
        self.change(move |operations, now, cancel| operations.invalidate(&key, refuse, now, cancel)).await
    }
}

impl fmt::Display for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.operations.directory.root().display())
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileBackend").field(&self.operations.directory.root()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Instant};

    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::backend::file::directory::{Directory, Kind, WriteTime};

    type Operation<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

    /// Drops a call at the worst moment: its thread has done all but the last step, and waits for the key's lock, which this
    /// function holds while it does `meanwhile`.
    fn drop_midway<'a, T>(
        backend: &'a FileBackend,
        begin: impl FnOnce() -> Operation<'a, T>,
        is_midway: impl Fn() -> bool,
        meanwhile: impl FnOnce(&Directory),
    ) {
        let operations = Arc::clone(&backend.operations);
        let guard = operations.locks.lock(&operations.directory, &Name::of("key"));
        let mut call = begin();
        assert!(block_on(poll_once(&mut call)).is_none());
        let begun = Instant::now();
        while !is_midway() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the call does not get that far");
            thread::yield_now();
        }
        drop(call);
        meanwhile(&operations.directory);
        drop(guard);
        drop(operations);
        wait_for_threads(backend);
    }

    /// Waits until no thread works for the backend: each holds a reference to it.
    fn wait_for_threads(backend: &FileBackend) {
        while Arc::strong_count(&backend.operations) > 1 {
            thread::yield_now();
        }
    }

    /// How many files the key's sub-directory holds, complete or temporary, without the lock file.
    fn files(backend: &FileBackend) -> usize {
        let (directory, name) = (&backend.operations.directory, Name::of("key"));
        let files = fs::read_dir(directory.path(&name, Kind::Answer).parent().unwrap()).into_iter().flatten();
        files.filter(|file| file.as_ref().unwrap().path() != directory.lock_path(name.shard())).count()
    }

    #[test]
    fn a_dropped_set_or_add_does_not_land_after_its_key_was_removed() {
        let operations: [fn(&FileBackend) -> Operation<'_, ()>; 2] = [
            |backend| Box::pin(backend.set("key", b"value", None)),
            |backend| Box::pin(async { backend.add("key", b"value", None).await.map(drop) }),
        ];
        for begin in operations {
            let root = tempfile::tempdir().unwrap();
            let backend = FileBackend::new(root.path()).unwrap();
            drop_midway(
                &backend,
                || begin(&backend),
                || files(&backend) > 0,
                |directory| assert!(!directory.remove(&Name::of("key"), Kind::Answer).unwrap()),
            );
            assert_eq!(files(&backend), 0);
        }
    }

    #[test]
    fn a_dropped_touch_leaves_what_was_set_after_it() {
        let root = tempfile::tempdir().unwrap();
        let backend = FileBackend::new(root.path()).unwrap();
        block_on(backend.set("key", b"older", None)).unwrap();
        wait_for_threads(&backend);
        let tally = || fs::metadata(root.path().join("cache-request.tally")).map_or(0, |tally| tally.len());
        let (name, before) = (Name::of("key"), tally());
        let now = WriteTime { now: SystemTime::now(), is_mock: true };
        let mut newer = Contents::new("key", b"newer", Some(Duration::from_secs(60)));
        drop_midway(
            &backend,
            || Box::pin(backend.touch("key", None)),
            || tally() > before,
            |directory| {
                directory.put(&name, Kind::Answer, directory.write_temporary(&name, &mut newer, now).unwrap()).unwrap();
            },
        );
        assert_eq!(fs::read(backend.operations.directory.path(&name, Kind::Answer)).unwrap(), newer.stored_at(now.now));
        assert_eq!(files(&backend), 1);
    }
}
