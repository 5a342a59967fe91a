//! The bytes are those that others write and read, but for a `Some` of nothing.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::codec::message_pack::{self, Fault, MOST_DEPTH, encode};

fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, Fault> {
    message_pack::decode(bytes).map(|(value, _)| value)
}

fn encoded<V: Serialize>(value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

/// As the crate of that name has it.
fn theirs<V: Serialize>(value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable()).unwrap();
    bytes
}

fn read_by_others<V: DeserializeOwned>(bytes: &[u8]) -> V {
    V::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable()).unwrap()
}

#[test]
fn a_some_of_nothing_is_marked() {
    assert_eq!(encoded(&None::<Option<()>>), [0xc0]);
    assert_eq!(encoded(&Some(None::<()>)), [0xc1, 0xc0]);
    assert_eq!(encoded(&Some(Some(()))), [0xc1, 0xc1, 0xc0]);
    assert_eq!(encoded(&Some(Some(7))), [7]);
    assert_eq!(encoded(&Some(vec![(), ()])), [0x92, 0xc0, 0xc0]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(Option<f64>),
    Line(i64, u64),
    Named { name: String, of: Vec<Shape> },
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Point),
        any::<Option<f64>>().prop_map(Shape::Circle),
        (any::<i64>(), any::<u64>()).prop_map(|(from, to)| Shape::Line(from, to)),
        (any::<i8>(), any::<u8>()).prop_map(|(from, to)| Shape::Line(from.into(), to.into())),
        (any::<i16>(), any::<u16>()).prop_map(|(from, to)| Shape::Line(from.into(), to.into())),
        (any::<i32>(), any::<u32>()).prop_map(|(from, to)| Shape::Line(from.into(), to.into())),
    ];
    leaf.prop_recursive(3, 20, 17, |inner| {
        ("[a-zé]{0,40}", vec(inner, 0..18)).prop_map(|(name, of)| Shape::Named { name, of })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn others_write_and_read_the_same(
        shape in shape(),
        more: (f32, bool, char, Vec<u8>, BTreeMap<i16, String>, Option<u8>, std::time::Duration),
    ) {
        let value = (shape, more);
        let bytes = encoded(&value);
        prop_assert_eq!(&bytes, &theirs(&value));
        prop_assert_eq!(&read_by_others::<(Shape, _)>(&bytes), &value);
        prop_assert_eq!(decode::<(Shape, _)>(&bytes).unwrap(), value);
    }

    /// No bytes make it panic, whatever type is read.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..60)) {
        let _ = decode::<Shape>(&bytes);
        let _ = decode::<serde_json::Value>(&bytes);
        let _ = decode::<(u128, i128, Option<Option<()>>)>(&bytes);
        let _ = decode::<serde::de::IgnoredAny>(&bytes);
    }
}

/// Every length at which another header begins.
#[test]
fn headers_are_those_of_others() {
    for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        assert_eq!(encoded(&"x".repeat(len)), theirs(&"x".repeat(len)), "{len}");
        assert_eq!(encoded(&vec![1; len]), theirs(&vec![1; len]), "{len}");
        let map: BTreeMap<usize, ()> = (0..len).map(|key| (key, ())).collect();
        assert_eq!(encoded(&map), theirs(&map), "{len}");
        assert_eq!(decode::<BTreeMap<usize, ()>>(&encoded(&map)).unwrap(), map, "{len}");
        let bytes = Bytes(vec![2; len]);
        assert_eq!(encoded(&bytes), theirs(&bytes), "{len}");
        assert_eq!(decode::<Vec<u8>>(&encoded(&bytes)).unwrap(), bytes.0, "{len}");
    }
}

struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A text that is written while its length is not known.
struct Shown(usize);

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:->1$}", "é", self.0))
    }
}

#[test]
fn a_text_that_is_shown_is_a_text() {
    for len in [1, 30, 31, 254, 255, 65_535] {
        let text = format!("{:->1$}", "é", len);
        assert_eq!(encoded(&(Shown(len), 7)), encoded(&(text, 7)), "{len}");
    }
}

/// Variants go by their names, for numbers change when one is added.
#[test]
fn a_number_is_no_variant() {
    assert_eq!(decode::<Shape>(&encoded(&"Point")).unwrap(), Shape::Point);
    assert_eq!(decode::<Shape>(&[0]).unwrap_err().to_string(), "it is no variant of an enum");
}

#[test]
fn what_comes_after_the_value_is_refused() {
    let error = decode::<u8>(&[1, 2]).unwrap_err().to_string();
    assert_eq!(error, "something comes after the value");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum List {
    Nil,
    Cons(u32, Box<List>),
}

fn list(len: usize) -> List {
    (0..len).fold(List::Nil, |list, _| List::Cons(1, Box::new(list)))
}

#[test]
fn what_is_nested_too_deep_is_neither_written_nor_read() {
    let deepest = list(MOST_DEPTH);
    assert_eq!(decode::<List>(&encoded(&deepest)).unwrap(), deepest);
    let too_deep = encode(&list(MOST_DEPTH + 1), &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(too_deep, format!("it is nested deeper than {MOST_DEPTH} levels"));
    assert_eq!(decode::<List>(&theirs(&list(MOST_DEPTH + 1))).unwrap_err().to_string(), too_deep);
}
