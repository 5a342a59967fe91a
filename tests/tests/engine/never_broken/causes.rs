//! What goes wrong is counted by its cause, and by no other.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use cache_request::{
    Cache, Clock, Error, ErrorKind,
    backend::{Backend, MemoryBackend},
    cache_request, scoped_sync,
};
use cache_request_tests::{
    backends::{Bend, Bends, Bent},
    delegate, logs,
};
use futures_lite::future::{block_on, poll_once};
use serde::{Deserialize, Serialize, Serializer, ser};

#[cache_request(timeout = 60)]
fn text(letters: usize) -> String {
    "x".repeat(letters)
}

/// The causes that were counted, of the only function, in the order of the alphabet.
fn counted(cache: &Cache) -> Vec<(String, u64)> {
    let stats = cache.stats();
    let [function] = &stats.functions[..] else { panic!("not one function: {stats}") };
    let faults = serde_json::to_value(&function.faults).unwrap();
    let all = faults.as_object().unwrap().iter().map(|(cause, count)| (cause.clone(), count.as_u64().unwrap()));
    let mut some: Vec<_> = all.filter(|(_, count)| *count > 0).collect();
    // Other crates may ask serde_json to keep the order of fields.
    some.sort_unstable();
    let sum = some.iter().map(|(_, count)| count).sum();
    assert_eq!((function.faults.total(), stats.faults()), (sum, sum));
    some
}

fn assert_counted(cache: &Cache, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect();
    assert_eq!(counted(cache), expected, "{}", cache.stats());
}

/// A cache on a backend that works until it is bent, and in which a call waits for 5 ms.
fn on(backend: &Bent) -> Cache {
    Cache::builder().backend(backend.clone()).soft_limit(Duration::from_millis(5)).breaker_faults(1000).build().unwrap()
}

fn bent() -> Bent {
    Bent::new(&Clock::mock())
}

fn bent_at_get(bend: Bend) -> Bent {
    let backend = bent();
    backend.bend(Bends { get: bend, ..Bends::default() });
    backend
}

fn calls(cache: &Cache, calls: u32) {
    for _ in 0..calls {
        assert_eq!(scoped_sync(cache, || text(20)).len(), 20);
    }
}

/// Says no in one way, whatever it is asked.
struct Says(ErrorKind);

impl Says {
    fn no<T>(&self) -> Result<T, Error> {
        Err(Error::new(self.0, "no"))
    }
}

impl Backend for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        self.no()
    }

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.no()
    }

    async fn add(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        self.no()
    }

    async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> {
        self.no()
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        self.no()
    }

    async fn clear(&self) -> Result<(), Error> {
        self.no()
    }
}

/// A backend may say anything, and nothing of it is lost.
#[test]
fn every_kind_of_error_has_its_cause() {
    for (kind, cause) in [
        (ErrorKind::Timeout, "timeout"),
        (ErrorKind::Unavailable, "unavailable"),
        (ErrorKind::Backend, "backend"),
        (ErrorKind::Unsupported, "backend"),
        (ErrorKind::Config, "backend"),
        (ErrorKind::Installed, "backend"),
        (ErrorKind::Codec, "codec"),
        (ErrorKind::Corrupt, "corrupt"),
        (ErrorKind::Forged, "forged"),
        (ErrorKind::TooLarge, "too_large"),
        (ErrorKind::Panic, "panic"),
        (ErrorKind::Key, "key"),
    ] {
        let cache = Cache::builder().backend(Says(kind)).build().unwrap();
        calls(&cache, 1);
        let [(counted, faults)] = &counted(&cache)[..] else { panic!("{kind:?}: {}", cache.stats()) };
        // Those that concern one key are counted twice: a call that cannot read the key goes on to write it.
        let of_key =
            ["corrupt", "forged", "too_large", "codec", "key"].contains(&cause) || kind == ErrorKind::Unsupported;
        assert_eq!((&**counted, *faults), (cause, if of_key { 2 } else { 1 }), "{kind:?}");
    }
}

#[test]
fn a_backend_that_takes_too_long() {
    let cache = on(&bent_at_get(Bend::Hangs));
    calls(&cache, 2);
    assert_counted(&cache, &[("timeout", 2)]);
}

#[test]
fn a_backend_that_fails_or_panics() {
    for bend in [Bend::Errs, Bend::Panics, Bend::PanicsLater] {
        let cache = on(&bent_at_get(bend));
        calls(&cache, 2);
        assert_counted(&cache, &[("backend", 2)]);
    }
}

/// The log has the count of each cause by itself, and that of the second one is not hidden behind the first.
#[test]
fn a_backend_that_is_left_alone() {
    let backend = bent_at_get(Bend::Errs);
    let cache = Cache::builder().backend(backend).clock(Clock::mock()).breaker_faults(3).build().unwrap();
    let ((), lines) = logs::of(|| calls(&cache, 3 + 4));
    assert_counted(&cache, &[("backend", 3), ("unavailable", 4)]);
    let logged: Vec<_> = lines.iter().filter_map(|line| line.split_once(" kind=")).map(|(_, end)| end).collect();
    let kinds =
        ["Backend count=1", "Backend count=2", "Unavailable count=1", "Unavailable count=2", "Unavailable count=4"];
    assert_eq!(logged, kinds, "{lines:?}");
}

/// Never ends to clear.
struct Clears(Bent);

impl Backend for Clears {
    fn name(&self) -> &'static str {
        "clears"
    }

    delegate!(self => self.0; get set add touch delete);

    async fn clear(&self) -> Result<(), Error> {
        std::future::pending().await
    }
}

#[test]
fn a_backend_that_is_busy() {
    let builder = Cache::builder().backend(Clears(bent()));
    let cache = builder.soft_limit(Duration::MAX).max_concurrent(1).build().unwrap();
    let mut clearing = Box::pin(cache.clear());
    assert!(block_on(poll_once(&mut clearing)).is_none());
    calls(&cache, 2);
    assert_counted(&cache, &[("unavailable", 2)]);
}

#[derive(Clone, Deserialize)]
struct Stubborn {
    panics: bool,
}

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "not to be serialised");
        Err(ser::Error::custom("not to be serialised"))
    }
}

#[test]
fn a_value_that_cannot_be_encoded() {
    #[cache_request]
    fn stubborn() -> Stubborn {
        Stubborn { panics: false }
    }
    let cache = on(&bent());
    scoped_sync(&cache, stubborn);
    assert_counted(&cache, &[("codec", 1)]);
}

#[test]
fn code_of_the_program_that_panics() {
    #[cache_request]
    fn serialised() -> Stubborn {
        Stubborn { panics: true }
    }
    #[cache_request(when = |_| panic!("no opinion"))]
    fn judged() -> u32 {
        1
    }
    for call in [|| _ = serialised(), || _ = judged()] {
        let cache = on(&bent());
        scoped_sync(&cache, call);
        assert_counted(&cache, &[("panic", 1)]);
    }
    // What is kept is cloned once, and once more when it is remembered.
    static CLONES: AtomicU32 = AtomicU32::new(0);
    struct Rare;
    impl Clone for Rare {
        fn clone(&self) -> Self {
            assert!(CLONES.fetch_add(1, SeqCst) != 1, "one is enough");
            Self
        }
    }
    #[cache_request(local)]
    fn rare() -> Rare {
        Rare
    }
    let cache = Cache::memory();
    scoped_sync(&cache, rare);
    assert_counted(&cache, &[]);
    scoped_sync(&cache, rare);
    assert_counted(&cache, &[("panic", 1)]);
}

#[test]
fn stored_bytes_that_are_garbage() {
    let cache = on(&bent_at_get(Bend::Finds(b"garbage".into())));
    calls(&cache, 2);
    assert_counted(&cache, &[("corrupt", 2)]);
}

#[test]
fn stored_bytes_of_a_writer_without_the_secret() {
    let backend = bent();
    calls(&on(&backend), 1);
    let cache = Cache::builder().backend(backend).secret("between us").build().unwrap();
    calls(&cache, 2);
    assert_counted(&cache, &[("forged", 1)]);
    assert_eq!(cache.stats().hits(), 1);
}

#[test]
fn a_value_that_is_too_large() {
    let encoded = Cache::builder().backend(bent()).max_value_bytes(19).build().unwrap();
    let in_memory = Cache::builder().max_bytes(100).build().unwrap();
    let by_the_backend = Cache::builder()
        .backend(MemoryBackend::builder().max_bytes(60).clock(Clock::mock()).build().unwrap())
        .build()
        .unwrap();
    for cache in [encoded, in_memory, by_the_backend] {
        calls(&cache, 2);
        assert_counted(&cache, &[("too_large", 2)]);
    }
}

#[test]
fn arguments_of_which_no_key_can_be_made() {
    #[cache_request]
    fn of(argument: Stubborn) -> bool {
        argument.panics
    }
    for panics in [false, true] {
        let cache = Cache::memory();
        assert_eq!(scoped_sync(&cache, || of(Stubborn { panics })), panics);
        assert_counted(&cache, &[("key", 1)]);
    }
}
