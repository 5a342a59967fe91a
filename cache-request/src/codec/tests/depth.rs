//! The deepest values leave half of the stack to the caller, and deeper ones are refused.

use std::{cell::Cell, collections::HashMap, thread};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::codec::{
    digest::{self, Texts},
    message_pack::{MOST_DEPTH, decode, encode},
};

thread_local! {
    static LOWEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn note() {
    let here = 0_u8;
    let here = std::ptr::from_ref(&here).addr();
    LOWEST.set(LOWEST.get().min(here));
}

/// A leaf that notes how deep in the stack it is.
#[derive(Debug, Clone, PartialEq, Default)]
struct Leaf;

impl Serialize for Leaf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        note();
        serializer.serialize_u8(0)
    }
}

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        note();
        u8::deserialize(deserializer).map(|_| Self)
    }
}

/// Bytes of stack that `work` takes until it meets a leaf.
fn used(work: impl FnOnce()) -> usize {
    let top = 0_u8;
    let top = std::ptr::from_ref(&top).addr();
    LOWEST.set(usize::MAX);
    work();
    top.saturating_sub(LOWEST.get())
}

macro_rules! types {
    ($($type:item)*) => {
        $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $type)*
    };
}

types! {
    enum List { Nil(Leaf), Cons(u32, Box<List>) }
    struct Wraps(Result<Box<Wraps>, Leaf>);
    struct Wide {
        a: Option<String>, b: Vec<u64>, c: [u64; 8], d: HashMap<String, f64>, e: Option<(u8, String)>, f: String, g: String,
        h: [u64; 16], i: String, j: Result<String, u8>, k: u8, l: u16, next: Option<Box<Wide>>, leaf: Leaf,
    }
    #[serde(untagged)]
    enum Untagged { Leaf(Leaf), Many(Vec<Untagged>), Named { inner: Box<Untagged>, more: String } }
    #[serde(tag = "type")]
    enum Tagged { Leaf { leaf: Leaf }, Inner { inner: Box<Tagged>, more: Option<String> } }
    struct Flat { a: u8, inner: Option<Box<Flat>>, #[serde(flatten)] rest: Rest }
    struct Endless(Option<Box<Endless>>);
    struct Rest { leaf: Leaf, more: Option<String> }
}

/// Checks that the deepest value of all is written, compared and read within half of an ordinary thread's stack.
fn fits<V: Serialize + DeserializeOwned>(what: &str, leaf: V, around: impl Fn(V) -> V) {
    let mut value = leaf;
    let mut bytes = Vec::new();
    for depth in 0.. {
        let mut deeper = Vec::new();
        let written = used(|| _ = encode(&value, &mut deeper));
        assert!(written < HALF, "{what}: {written} bytes to write {depth} levels");
        if encode(&value, &mut Vec::new()).is_err() {
            assert!(depth >= MOST_DEPTH / 2, "{what}: no more than {depth} levels");
            break;
        }
        bytes = deeper;
        value = around(value);
    }
    let read = used(|| _ = decode::<V>(&bytes));
    let compared = used(|| assert!(digest::of(&value, Texts::Whole).is_ok()));
    assert!(read < HALF && compared < HALF, "{what}: {read} bytes to read, {compared} to compare");
}

/// The default stack of a thread is two mebibytes.
const HALF: usize = 1 << 20;

fn on_an_ordinary_thread(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(2 * HALF).spawn(work).unwrap().join().unwrap();
}

#[test]
fn the_deepest_values_take_half_a_stack() {
    on_an_ordinary_thread(|| {
        fits("a list", List::Nil(Leaf), |list| List::Cons(1, Box::new(list)));
        fits("newtypes", Wraps(Err(Leaf)), |inner| Wraps(Ok(Box::new(inner))));
        fits("a struct", wide(None), |inner| wide(Some(Box::new(inner))));
        fits("untagged", Untagged::Leaf(Leaf), |inner| Untagged::Named { inner: Box::new(inner), more: String::new() });
        fits("untagged lists", Untagged::Leaf(Leaf), |inner| Untagged::Many(vec![inner]));
        fits("tagged", Tagged::Leaf { leaf: Leaf }, |inner| Tagged::Inner { inner: Box::new(inner), more: None });
        let flat = |inner| Flat { a: 1, inner, rest: Rest { leaf: Leaf, more: None } };
        fits("flat", flat(None), |inner| flat(Some(Box::new(inner))));
    });
}

fn wide(next: Option<Box<Wide>>) -> Wide {
    let (f, g, i) = (String::new(), String::new(), String::new());
    let (b, d) = (Vec::new(), HashMap::new());
    Wide { a: None, b, c: [0; 8], d, e: None, f, g, h: [0; 16], i, j: Err(1), k: 1, l: 1, next, leaf: Leaf }
}

/// Whatever it is taken for: what ends the program here is a stack that overflows.
#[test]
fn bytes_that_go_deeper_are_refused() {
    fn refused<V: DeserializeOwned>(bytes: &[u8]) {
        assert!(decode::<V>(bytes).is_err());
    }
    fn refused_by_all(bytes: &[u8]) {
        refused::<List>(bytes);
        refused::<Wraps>(bytes);
        refused::<Wide>(bytes);
        refused::<Untagged>(bytes);
        refused::<Tagged>(bytes);
        refused::<Flat>(bytes);
        refused::<Endless>(bytes);
        refused::<serde_json::Value>(bytes);
        refused::<IgnoredAny>(bytes);
    }
    on_an_ordinary_thread(|| {
        // Lists, maps, marks of a `Some`, variants, and fields of one element each.
        let levels: [&[u8]; 7] =
            [b"\x91", b"\x81\x01", b"\xc1", b"\x81\xa4Cons\x92\x01", b"\x81\xa4next", b"\x81\xa5inner", b"\x81\xa2Ok"];
        for level in levels {
            refused_by_all(&level.repeat(1_000_000));
        }
        // A type that is its own inside never comes to an end by itself.
        refused::<Endless>(&[1]);
    });
}
