//! Keys: calls share one exactly if their arguments are equal, in words, in text, in the texts of one's own, and shortened.

#![no_main]

#[path = "keys/make.rs"]
mod make;
/// Of the property tests: any value, and what it means.
#[path = "../../cache-request/src/key/tests/model.rs"]
mod model;
#[path = "keys/read.rs"]
mod read;

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use cache_request::{
    __private::Key,
    Cache, Error,
    backend::Backend,
    cache_request, client_scope_sync,
    keys::{self, KeyText},
    scoped_sync,
};
use cache_request_fuzz::prepare;
use libfuzzer_sys::fuzz_target;

use crate::{make::alike, model::Value};

#[cache_request(prefix = "p", name = "f")]
fn named(a: &Value, b: &Value) -> u8 {
    unreachable!("nothing calls it with {a:?} and {b:?}")
}

#[cache_request(prefix = "p", name = "g", key = "{a}{b}")]
fn adjacent(a: &Value, b: &Value) -> u8 {
    unreachable!("nothing calls it with {a:?} and {b:?}")
}

#[cache_request(prefix = "p", name = "h", key = "a={a}-b{b}:")]
fn apart(a: &Value, b: &Value) -> u8 {
    unreachable!("nothing calls it with {a:?} and {b:?}")
}

#[cache_request(prefix = "p", name = "i", key = own_text)]
fn own(text: &str) -> u8 {
    unreachable!("nothing calls it with {text}")
}

fn own_text(text: &str) -> String {
    text.to_owned()
}

/// One call: its arguments and its client.
#[derive(Debug)]
struct Call {
    client: String,
    arguments: [Value; 2],
}

/// A call, one that is the same in other types, and one that is almost the same.
#[derive(Debug)]
struct Calls {
    one: Call,
    respelt: Call,
    other: Call,
}

impl<'a> Arbitrary<'a> for Calls {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let client = make::text(u)?;
        let arguments = [make::value(u, 0)?, make::value(u, 0)?];
        let respelt = [make::respelt(u, &arguments[0])?, make::respelt(u, &arguments[1])?];
        let [a, b] = &arguments;
        let other = match u.int_in_range(0..=5)? {
            0 => [b.clone(), a.clone()],
            1 => [make::value(u, 0)?, make::value(u, 0)?],
            2 => [Value::Tuple(vec![a.clone(), b.clone()]), Value::None],
            3 => [a.clone(), make::changed(u, b)?],
            _ => [make::changed(u, a)?, b.clone()],
        };
        let other_client = if u.ratio(1, 4)? { make::text(u)? } else { client.clone() };
        Ok(Self {
            respelt: Call { client: client.clone(), arguments: respelt },
            other: Call { client: other_client, arguments: other },
            one: Call { client, arguments },
        })
    }
}

fuzz_target!(init: prepare(), |calls: Calls| run(&calls));

fn run(calls: &Calls) {
    let Calls { one, respelt, other } = calls;
    assert!(alike(one, respelt));
    let texts = [one, respelt, other].map(texts);
    assert_eq!(texts[0], texts[1]);
    let same = alike(one, other);
    let same_values = meaning(&one.arguments) == meaning(&other.arguments);

    let mut texts = texts.into_iter();
    let (Some(a), _, Some(b)) = (texts.next(), texts.next(), texts.next()) else { return };
    assert_eq!(same_values, a.words == b.words, "{:?}", (&a, &b));
    assert_eq!(same_values, a.remote == b.remote, "{:?}", (&a, &b));
    for (a, b) in a.keys.iter().zip(&b.keys) {
        assert_eq!(same, a == b, "{a} {b}");
    }
    for (call, texts) in [(one, &a), (other, &b)] {
        let key = texts.keys.first().map_or("", String::as_str);
        // Nested too deep to be read: then only the words stand there.
        if !key.contains('^') {
            assert_eq!(read::call(key), (call.client.clone(), meaning(&call.arguments)), "{key}");
        }
    }
    let own = |call: &Call| {
        let key = client_scope_sync("", || own_cache(&call.client).key()).expect("a key");
        assert!(is_clean(&key), "{key}");
        (key, KeyText::from(&call.client))
    };
    assert_eq!(one.client == other.client, own(one).0 == own(other).0);
    assert_eq!(one.client == other.client, own(one).1 == own(other).1);
}

fn meaning(values: &[Value; 2]) -> [model::Meaning; 2] {
    [values[0].meaning(), values[1].meaning()]
}

/// All forms of one call's key.
#[derive(Debug, PartialEq)]
struct Texts {
    /// Of the arguments alone.
    words: Vec<u64>,
    /// Likewise.
    remote: KeyText,
    keys: Vec<String>,
}

fn texts(call: &Call) -> Texts {
    let [a, b] = &call.arguments;
    let key = Key::build(|key| {
        key.part(a);
        key.part(b);
    });
    assert_eq!(key.error(), None);
    let mut keys: Vec<String> = client_scope_sync(&*call.client, || {
        scoped_sync(&LIMITED[0].1, || {
            [named_cache(a, b).key(), adjacent_cache(a, b).key(), apart_cache(a, b).key()]
                .map(|key| key.expect("a key"))
        })
    })
    .into();
    for (limit, cache) in &*LIMITED {
        let short = client_scope_sync(&*call.client, || {
            scoped_sync(cache, || {
                named_cache(a, b).peek();
            });
            asked()
        });
        assert!(short.len() <= *limit, "{short}");
        let whole = &keys[0];
        assert_eq!(short == *whole, whole.len() <= *limit, "{short} {whole}");
        assert_eq!(short.contains('~'), whole.len() > *limit, "{short}");
        let head = short.split('~').next().unwrap_or_default();
        assert!(whole.starts_with(head), "{short} {whole}");
        let end = &head.as_bytes()[head.len().saturating_sub(2)..];
        assert!(!end.contains(&b'%'), "half an escape: {short}");
        assert!(short.replacen('~', "", 1).bytes().all(|byte| byte.is_ascii_graphic() && byte != b'~'));
        keys.push(short);
    }
    for key in &keys[..3] {
        assert!(is_clean(key), "{key}");
    }
    Texts { words: key.words().to_vec(), remote: keys::rpc("m", "f", &call.arguments), keys }
}

fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'~')
}

/// Caches whose backends take keys of so many bytes.
static LIMITED: LazyLock<[(usize, Cache); 3]> = LazyLock::new(|| {
    [65, 70, 250].map(|limit| {
        (
            limit,
            Cache::builder().backend(Listener { limit }).soft_limit(Duration::MAX).build().expect("no option is wrong"),
        )
    })
});

/// A backend that holds nothing, and notes what it was asked for.
struct Listener {
    limit: usize,
}

static ASKED: Mutex<String> = Mutex::new(String::new());

fn asked() -> String {
    std::mem::take(&mut ASKED.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Backend for Listener {
    fn name(&self) -> &'static str {
        "listener"
    }

    fn max_key_bytes(&self) -> usize {
        self.limit
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        key.clone_into(&mut ASKED.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(None)
    }

    async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    async fn add(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<bool, Error> {
        Ok(true)
    }

    async fn touch(&self, _: &str, _: Option<Duration>) -> Result<bool, Error> {
        Ok(false)
    }

    async fn delete(&self, _: &str) -> Result<bool, Error> {
        Ok(false)
    }

    async fn clear(&self) -> Result<(), Error> {
        Ok(())
    }
}
