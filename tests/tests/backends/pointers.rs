//! A pointer to a backend is that backend, in all that it does otherwise than the trait would.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Cache, Error,
    backend::{Backend, Item, MemoryBackend},
    cache_request, scoped_sync,
};
use futures_lite::future::block_on;

/// Notes what it is asked to do.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    async fn note<T>(&self, what: String, outcome: T) -> T {
        self.0.lock().unwrap().push(what);
        outcome
    }
}

impl Backend for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn max_key_bytes(&self) -> usize {
        77
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.note(format!("get {key}"), Ok(Some(vec![1]))).await
    }

    fn get_blocking(&self, key: &str, limit: Duration) -> Option<Result<Option<Vec<u8>>, Error>> {
        Some(block_on(self.note(format!("get_blocking {key} {limit:?}"), Ok(Some(vec![2])))))
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.note(format!("set {key} {value:?} {timeout:?}"), Ok(())).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.note(format!("add {key} {value:?} {timeout:?}"), Ok(true)).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.note(format!("touch {key} {timeout:?}"), Ok(true)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.note(format!("delete {key}"), Ok(true)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.note("clear".to_owned(), Ok(())).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        self.note(format!("get_many {keys:?}"), vec![Ok(None), Err(Error::backend("gone"))]).await
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        self.note(format!("set_many {}", items.len()), vec![Ok(())]).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        self.note(format!("delete_many {keys:?}"), vec![Ok(true)]).await
    }
}

/// What came of everything that a backend can be asked.
async fn all(backend: &impl Backend) -> String {
    let second = Some(Duration::from_secs(1));
    let one = (
        (backend.name(), backend.max_key_bytes()),
        (backend.get("a").await, backend.get_blocking("a", Duration::from_secs(2))),
        backend.set("b", b"1", second).await,
        backend.add("c", b"2", second).await,
        backend.touch("d", second).await,
        backend.delete("e").await,
        backend.clear().await,
    );
    let items = [Item { key: "f", value: b"3", timeout: None }; 2];
    let many = (backend.get_many(&["g"]).await, backend.set_many(&items).await, backend.delete_many(&["h", "i"]).await);
    format!("{one:?} {many:?}")
}

#[test]
fn each_method_is_that_of_the_backend() {
    let (itself, shared, boxed) = (Notes::default(), Arc::new(Notes::default()), Box::new(Notes::default()));
    let outcome = block_on(all(&itself));
    assert_eq!(block_on(all(&shared)), outcome);
    assert_eq!(block_on(all(&boxed)), outcome);
    let noted = |notes: &Notes| notes.0.lock().unwrap().clone();
    assert_eq!(noted(&itself).len(), 10);
    assert_eq!(noted(&shared), noted(&itself));
    assert_eq!(noted(&boxed), noted(&itself));
}

#[cache_request]
fn double(number: u32) -> u32 {
    number * 2
}

#[test]
fn two_caches_share_a_backend() {
    let backend = Arc::new(MemoryBackend::new());
    let [one, other] = [(); 2].map(|()| Cache::builder().backend(Arc::clone(&backend)).build().unwrap());
    assert_eq!(scoped_sync(&one, || double(4)), 8);
    assert_eq!(scoped_sync(&other, || double_cache(4).peek()), Some(8));
    block_on(backend.clear()).unwrap();
    assert_eq!(scoped_sync(&other, || double_cache(4).peek()), None);
}
