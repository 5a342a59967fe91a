//! The envelope: stored bytes are the value that was sealed for this key, version and type, or none; and they cost no more than
//! their size.

#![no_main]

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arbitrary::Arbitrary;
use cache_request::{Cache, Clock, Error, ErrorKind, backend::Backend, cache_request, scoped_sync};
use cache_request_fuzz::{prepare, within};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Where the parts of an envelope begin, as the table of `codec` has it.
const CHECKSUM: usize = 4;
const FINGERPRINT: usize = 12;
const DIGEST: usize = 20;
const FACTS: usize = 28;

/// How deep values are stored whatever they are: an enum's variant with fields is three levels of the codec's.
const DEEPEST: usize = 30;

/// What a call takes beside the bytes: the key, the flight, the error.
const CALL: usize = 1 << 14;
/// What a byte may become in a record: three of them are a map with one entry, for which a `BTreeMap` takes a node with room
/// for eleven.
const IN_RECORD: usize = 1 << 9;
/// And in what is found out by looking: serde copies the rest of the data at each level.
const IN_LOOSE: usize = 1 << 14;
const IN_TEXT: usize = 4;
/// Bytes that are refused are not decoded at all. The shelf holds them once, and the backend returns a copy.
const REFUSED: [usize; 3] = [3; 3];

/// The shapes that MessagePack and serde know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Arbitrary)]
struct Record {
    id: u32,
    name: String,
    cents: Option<i64>,
    wide: (i128, u128),
    marks: Vec<Mark>,
    by_name: BTreeMap<String, Result<char, Vec<u8>>>,
    nothing: (),
    perhaps: (Option<()>, Option<Loose>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Arbitrary)]
enum Mark {
    New,
    Rank(i16),
    Pair(bool, Option<Option<u8>>),
    Seen { by: String, before: Option<Box<Mark>> },
}

/// What serde finds out by looking at the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Arbitrary)]
#[serde(untagged)]
enum Loose {
    Nothing,
    Number(u64),
    Text(String),
    Several(Vec<Loose>),
    Named(BTreeMap<String, Loose>),
}

#[cache_request(name = "f", timeout = 300)]
fn record(number: u8) -> Record {
    unreachable!("nothing calls it with {number}")
}

#[cache_request(name = "f", timeout = 300, version = 2)]
fn record_2(number: u8) -> Record {
    unreachable!("nothing calls it with {number}")
}

#[cache_request(name = "f", timeout = 300)]
fn loose(number: u8) -> Loose {
    unreachable!("nothing calls it with {number}")
}

#[cache_request(name = "f", timeout = 300)]
fn text(number: u8) -> Option<String> {
    unreachable!("nothing calls it with {number}")
}

/// A backend that holds one answer, and has it for every key.
#[derive(Clone, Copy)]
struct Shelf;

static SHELF: Mutex<Option<Vec<u8>>> = Mutex::new(None);

fn shelf() -> MutexGuard<'static, Option<Vec<u8>>> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(shelf().clone())
    }

    async fn set(&self, _: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        *shelf() = Some(value.to_vec());
        Ok(())
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        let free = shelf().is_none();
        if free {
            self.set(key, value, timeout).await?;
        }
        Ok(free)
    }

    async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(shelf().is_some())
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        Ok(shelf().take().is_some())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.delete("").await.map(drop)
    }
}

/// Four functions of one name need a cache each.
struct Caches {
    record: Cache,
    record_2: Cache,
    loose: Cache,
    text: Cache,
    /// Where five minutes have passed.
    later: Cache,
    /// Which take nothing but what was authenticated by the same secret.
    secret: Cache,
    other_secret: Cache,
}

static CACHES: LazyLock<Caches> = LazyLock::new(|| {
    let clock = Clock::mock();
    let builder = || Cache::builder().backend(Shelf).soft_limit(Duration::MAX).clock(clock.clone());
    let cache = || builder().build().expect("no option is wrong");
    let late = Clock::mock();
    late.advance(Duration::from_secs(300));
    Caches {
        record: cache(),
        record_2: cache(),
        loose: cache(),
        text: cache(),
        later: Cache::builder()
            .backend(Shelf)
            .soft_limit(Duration::MAX)
            .clock(late)
            .build()
            .expect("no option is wrong"),
        secret: builder().secret("sixteen letters or more").build().expect("no option is wrong"),
        other_secret: builder().secret("sixteen other letters").build().expect("no option is wrong"),
    }
});

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    number: u8,
    value: Value,
    stored: Stored<'a>,
}

#[derive(Debug, Clone, PartialEq, Arbitrary)]
enum Value {
    Record(Record),
    Loose(Loose),
    Text(Option<String>),
}

#[derive(Debug, Arbitrary)]
enum Stored<'a> {
    /// Anything.
    Raw(&'a [u8]),
    /// The sealed bytes.
    Sealed { number: u8 },
    /// What was sealed, changed.
    Mangled { changes: Vec<(u16, u8)>, length: Option<u16> },
    /// Bytes made with knowledge of the format, with a matching checksum.
    Forged { changes: Vec<(u8, u8)>, facts: Option<&'a [u8]>, sections: &'a [u8], payload: Option<&'a [u8]> },
}

fuzz_target!(init: warm_up(), |input: Input<'_>| run(input));

fn run(input: Input<'_>) {
    let Input { number, value, stored } = input;
    let Some(sealed) = seal(number, &value) else {
        return assert!(depth(&value) > DEEPEST, "{value:?}");
    };
    match stored {
        Stored::Raw(bytes) => refused(number, bytes),
        Stored::Sealed { number: asked } => {
            let [record, loose, text] = open(asked, &sealed, [IN_RECORD, IN_LOOSE, IN_TEXT]);
            let mine =
                [matches!(value, Value::Record(_)), matches!(value, Value::Loose(_)), matches!(value, Value::Text(_))];
            for (found, mine) in [record, loose, text].into_iter().zip(mine) {
                assert_eq!(found, (mine && asked == number).then(|| value.clone()), "{asked}, sealed for {number}");
            }
            let other = || scoped_sync(&CACHES.record_2, || record_2_cache(number).peek());
            assert_eq!(on_shelf(&sealed, other), None, "another version's");
            let late = || scoped_sync(&CACHES.later, || record_cache(number).peek());
            assert_eq!(on_shelf(&sealed, late), None, "too late");
            if let Value::Record(record) = &value {
                authenticated(number, record);
            }
        }
        Stored::Mangled { changes, length } => {
            let mut bytes = sealed.clone();
            for (at, by) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= by;
            }
            if let Some(length) = length {
                bytes.resize(usize::from(length), 0);
            }
            if bytes != sealed {
                refused(number, &bytes);
            }
        }
        Stored::Forged { changes, facts, sections, payload } => {
            let (own_facts, own_payload) = sealed[FACTS..].split_at(facts_len(&sealed[FACTS..]));
            let mut head = sealed[..FACTS].to_vec();
            for (at, by) in changes {
                let at = usize::from(at) % FACTS;
                head[at] ^= by;
            }
            let facts = facts.map_or_else(|| with_sections(own_facts, sections), <[u8]>::to_vec);
            let payload = payload.unwrap_or(own_payload);
            let rest = [&head[FINGERPRINT..], &facts, payload].concat();
            let start = &head[..CHECKSUM];
            let bytes = [start, &checksum(number, start, &rest)[..], &rest].concat();
            let found = open(number, &bytes, [IN_RECORD, IN_LOOSE, IN_TEXT]);
            let mine = found.into_iter().flatten().find(|found| same_type(found, &value));
            let same = |part: std::ops::Range<usize>| head[part.clone()] == sealed[part];
            if !same(0..CHECKSUM) || !same(FINGERPRINT..DIGEST) {
                assert_eq!(mine, None, "of another format, codec or function");
            } else if payload == own_payload
                && (!same(DIGEST..FACTS) || facts[..] != *with_sections(own_facts, sections))
            {
                // Facts that end elsewhere make another payload, which has another digest.
                assert!(mine.is_none() || (same(DIGEST..FACTS) && mine == Some(value)), "{mine:?}");
            } else if payload == own_payload {
                assert_eq!(mine, Some(value), "sections that are not known");
            }
        }
    }
}

/// How many bytes the facts are that `bytes` begin with.
fn facts_len(bytes: &[u8]) -> usize {
    fn number(left: &mut &[u8]) -> usize {
        let len = 1 + left.iter().take_while(|byte| **byte >= 0x80).count();
        let (bytes, rest) = left.split_at(len);
        *left = rest;
        bytes.iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f))
    }
    let mut left = bytes;
    // Times, generation, tags and the process; then the program, its library's version, and the sections.
    (0..8).for_each(|_| _ = number(&mut left));
    for _ in 0..3 {
        let len = number(&mut left);
        left = &left[len..];
    }
    bytes.len() - left.len()
}

/// Facts without sections, and with these.
fn with_sections(facts: &[u8], sections: &[u8]) -> Vec<u8> {
    let mut facts = facts[..facts.len() - 1].to_vec();
    let sections = &sections[..sections.len().min(0x7f)];
    facts.push(sections.len() as u8);
    facts.extend_from_slice(sections);
    facts
}

/// What is made once for each function is not any entry's cost.
fn warm_up() {
    prepare();
    authenticated(0, &blank());
    for value in [Value::Record(blank()), Value::Loose(Loose::Number(0)), Value::Text(None)] {
        let sealed = seal(0, &value).expect("a value that can be stored");
        open(0, &sealed, [1 << 20; 3]);
    }
}

fn blank() -> Record {
    let (wide, marks, by_name) = ((0, 0), Vec::new(), BTreeMap::new());
    Record { id: 0, name: String::new(), cents: None, wide, marks, by_name, nothing: (), perhaps: (None, None) }
}

fn same_type(a: &Value, b: &Value) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What is stored of `value`, as the answer of its function for `number`; `None` if it cannot be.
fn seal(number: u8, value: &Value) -> Option<Vec<u8>> {
    shelf().take();
    let put = match value {
        Value::Record(value) => scoped_sync(&CACHES.record, || record_cache(number).put(value)),
        Value::Loose(value) => scoped_sync(&CACHES.loose, || loose_cache(number).put(value)),
        Value::Text(value) => scoped_sync(&CACHES.text, || text_cache(number).put(value)),
    };
    match put {
        Ok(()) => Some(shelf().take().expect("it was stored")),
        Err(error) => {
            assert_eq!((error.kind(), &*shelf()), (ErrorKind::Codec, &None));
            None
        }
    }
}

/// How deep a value is nested.
fn depth(value: &Value) -> usize {
    fn of_mark(mark: &Mark) -> usize {
        match mark {
            Mark::New | Mark::Rank(_) | Mark::Pair(..) => 1,
            Mark::Seen { before, .. } => 1 + before.as_deref().map_or(0, of_mark),
        }
    }
    fn of_loose(loose: &Loose) -> usize {
        match loose {
            Loose::Nothing | Loose::Number(_) | Loose::Text(_) => 1,
            Loose::Several(all) => 1 + all.iter().map(of_loose).max().unwrap_or(0),
            Loose::Named(all) => 1 + all.values().map(of_loose).max().unwrap_or(0),
        }
    }
    match value {
        Value::Record(record) => {
            let marks = record.marks.iter().map(of_mark).max().unwrap_or(0);
            marks.max(record.perhaps.1.as_ref().map_or(0, of_loose))
        }
        Value::Loose(loose) => of_loose(loose),
        Value::Text(_) => 1,
    }
}

/// The checksum, as `codec` has it.
fn checksum(number: u8, start: &[u8], rest: &[u8]) -> [u8; 8] {
    let key = scoped_sync(&CACHES.record, || record_cache(number).key()).expect("a key");
    xxh3_64(&[rest, start, key.as_bytes(), &(key.len() as u64).to_le_bytes()].concat()).to_le_bytes()
}

/// What is stored with a secret, and who takes it.
fn authenticated(number: u8, record: &Record) {
    let put = scoped_sync(&CACHES.secret, || record_cache(number).put(record));
    put.expect("what can be stored without a secret can be stored with one");
    let sealed = shelf().take().expect("it was stored");
    let found_in = |cache| on_shelf(&sealed, || scoped_sync(cache, || record_cache(number).peek()));
    assert_eq!(found_in(&CACHES.secret).as_ref(), Some(record));
    assert_eq!(found_in(&CACHES.other_secret), None);
    assert_eq!(found_in(&CACHES.record), None);
}

/// What the three functions find, holding so many bytes for each that is stored.
fn open(number: u8, bytes: &[u8], limits: [usize; 3]) -> [Option<Value>; 3] {
    let [record, loose, text] = limits.map(|each| CALL + each * bytes.len());
    let in_record = || on_shelf(bytes, || scoped_sync(&CACHES.record, || record_cache(number).peek()));
    let in_loose = || on_shelf(bytes, || scoped_sync(&CACHES.loose, || loose_cache(number).peek()));
    // Without the secret, an attacker has stored nothing.
    let in_secret = || on_shelf(bytes, || scoped_sync(&CACHES.secret, || record_cache(number).peek()));
    assert_eq!(within(CALL + 3 * bytes.len(), in_secret), None);
    let in_text = || on_shelf(bytes, || scoped_sync(&CACHES.text, || text_cache(number).peek()));
    [
        within(record, in_record).map(Value::Record),
        within(loose, in_loose).map(Value::Loose),
        within(text, in_text).map(Value::Text),
    ]
}

fn on_shelf<T>(bytes: &[u8], look: impl FnOnce() -> T) -> T {
    *shelf() = Some(bytes.to_vec());
    look()
}

/// Bytes that were not sealed are refused before they are decoded. Without a secret that is a matter of a checksum,
/// which a fuzzer that sees comparisons gets right one day: then they are a value.
fn refused(number: u8, bytes: &[u8]) {
    open(number, bytes, REFUSED);
}
