//! A value comes back from its bytes as it went, or is not stored.

use std::{
    any::type_name,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use proptest::{
    collection::{btree_map, btree_set, hash_map, hash_set, vec},
    option,
    prelude::*,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::envelope::{KEY, facts};
use crate::{
    ErrorKind,
    codec::{self, EnvelopeOptions, FOREVER, TypeInfo},
};

/// What comes back; `None`, if the value is refused.
pub(super) fn back<V: Serialize + DeserializeOwned>(value: &V) -> Option<V> {
    let (type_info, options) = (TypeInfo { fingerprint: 1, name: type_name::<V>() }, EnvelopeOptions::default());
    match codec::seal(value, type_info, KEY, &facts(FOREVER), &options) {
        Ok(bytes) => Some(codec::open(&bytes, type_info, KEY, 0, &options).unwrap().unwrap().value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
            None
        }
    }
}

#[track_caller]
fn comes_back<V: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &V) {
    assert_eq!(back(value).as_ref(), Some(value));
}

/// Serde would read another value from the bytes.
#[track_caller]
fn is_refused<V: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &V) {
    assert_eq!(back(value), None, "{value:?}");
}

macro_rules! types {
    ($($type:item)*) => {
        $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $type)*
    };
}

types! {
    struct Unit;
    struct Empty {}
    struct Newtype<T>(T);
    struct Pair(u8, ());
    struct Wraps(Option<Box<Wraps>>);
    struct Inner { ip: IpAddr, map: BTreeMap<u8, Option<()>> }
    enum Plain { Unit, Newtype(Option<()>), Tuple(u8, ()), Struct { a: Option<Option<u8>> }, Empty {} }
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<u8>,
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        b: Vec<u8>,
        c: Option<Option<u8>>,
    }

    #[serde(untagged)]
    enum Host { Ip(Ipv4Addr), Digest(Vec<u8>), Name(String) }
    #[serde(untagged)]
    enum Overlapping { Small { a: u8 }, Full { a: u8, b: u8 } }
    #[serde(untagged)]
    enum Scalar { Int(i64), Float(f64), Unit(()), Truth(bool), Text(Option<String>), Deep(Box<Newtype<Option<Option<u8>>>>) }
    struct Flat { a: u8, #[serde(flatten)] inner: Inner }
    struct Rest { a: Option<Option<u8>>, #[serde(flatten)] rest: BTreeMap<String, Option<Option<u8>>> }
    #[serde(tag = "type")]
    enum Tagged { A { ip: IpAddr, o: Option<Option<u8>> }, B(Inner), C }
    #[serde(tag = "type", content = "content")]
    enum Apart { A { ip: IpAddr, o: Option<Option<u8>> }, B(Option<()>), C, D(u8, Option<Unit>) }
}

#[test]
fn what_is_some_stays_some() {
    comes_back(&None::<Option<u8>>);
    comes_back(&Some(None::<u8>));
    comes_back(&Some(Some(7_u8)));
    comes_back(&vec![None, Some(None), Some(Some(None)), Some(Some(Some(())))]);
    comes_back(&[None, Some(())]);
    comes_back(&[None, Some(Unit)]);
    comes_back(&[None, Some(Empty {})]);
    comes_back(&[None, Some(Newtype(None)), Some(Newtype(Some(Newtype(None::<u8>))))]);
    comes_back(&[None, Some(Box::new(None)), Some(Box::new(Some(Pair(1, ()))))]);
    comes_back(&BTreeMap::from([(None, ()), (Some(None), ()), (Some(Some(())), ())]));
    comes_back(&[Plain::Unit, Plain::Newtype(None), Plain::Newtype(Some(())), Plain::Empty {}]);
    comes_back(&[Plain::Struct { a: None }, Plain::Struct { a: Some(None) }, Plain::Tuple(1, ())]);
    comes_back(&Wraps(Some(Box::new(Wraps(Some(Box::new(Wraps(None))))))));
    comes_back(&[Ok::<Result<Option<()>, ()>, ()>(Ok(None)), Ok(Ok(Some(()))), Ok(Err(())), Err(())]);
    comes_back(&Some(serde_json::Value::Null));
}

#[test]
fn what_is_some_stays_some_where_serde_looks_at_it_first() {
    comes_back(&[Scalar::Deep(Box::new(Newtype(Some(None)))), Scalar::Int(5)]);
    let rest = BTreeMap::from([("b".to_owned(), Some(None)), ("c".to_owned(), Some(Some(1))), ("d".to_owned(), None)]);
    comes_back(&Rest { a: Some(None), rest });
    comes_back(&Tagged::A { ip: Ipv4Addr::LOCALHOST.into(), o: Some(None) });
    comes_back(&Apart::B(Some(())));
}

fn inner() -> Inner {
    Inner { ip: Ipv6Addr::LOCALHOST.into(), map: BTreeMap::from([(1, None), (2, Some(()))]) }
}

/// What serde has looked at first, it reads as of a readable format.
#[test]
fn addresses_come_back_where_serde_looks_at_them_first() {
    comes_back(&[Host::Ip(Ipv4Addr::LOCALHOST), Host::Digest(vec![127, 0, 0, 1]), Host::Name("localhost".into())]);
    comes_back(&Flat { a: 1, inner: inner() });
    comes_back(&[Tagged::B(inner()), Tagged::C]);
    comes_back(&(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, "[::1]:80".parse::<SocketAddr>().unwrap()));
}

#[test]
fn a_variant_that_would_come_back_as_another_is_refused() {
    is_refused(&Overlapping::Full { a: 1, b: 2 });
    is_refused(&vec![Overlapping::Small { a: 1 }, Overlapping::Full { a: 1, b: 2 }]);
    is_refused(&HashMap::from([(1, Some(Overlapping::Full { a: 1, b: 2 }))]));
    comes_back(&[Overlapping::Small { a: 1 }]);
    is_refused(&Host::Name("127.0.0.1".into()));
    is_refused(&Scalar::Text(None));
    comes_back(&[Scalar::Unit(()), Scalar::Float(1.0), Scalar::Int(1), Scalar::Text(Some("1".into()))]);
}

/// Of which a compact format keeps the offset, and a readable one the name.
#[derive(Debug, Clone, PartialEq)]
struct Zone(&'static str);

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.0.serialize(serializer) } else { 1_i8.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|_| Self("CET"))
    }
}

#[test]
fn what_differs_in_the_readable_form_alone_differs() {
    comes_back(&Zone("CET"));
    is_refused(&Zone("MET"));
}

/// What is read as one more field of the outer struct.
#[test]
fn fields_that_run_into_one_another_are_refused() {
    is_refused(&Rest { a: None, rest: BTreeMap::from([("a".to_owned(), Some(None))]) });
}

/// Fields that are written under a wrong number, in one byte and in three.
#[test]
fn a_length_that_its_value_misstates_is_mended() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Misstated(Vec<u16>);
    impl Serialize for Misstated {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(Some(17))?;
            self.0.iter().try_for_each(|element| seq.serialize_element(element))?;
            seq.end()
        }
    }
    for len in [0, 1, 15, 16, 17, 18, 0xffff, 0x1_0000] {
        comes_back(&Misstated((0..len).map(|number| number as u16).collect()));
    }
}

/// The very same elements, which a set gives in another order each time it was read.
#[test]
fn sets_come_back_in_whatever_order() {
    for count in 0..50 {
        comes_back(&(0..count).map(serde_json::Value::from).collect::<HashSet<_>>());
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into())
    ]
}

fn two() -> impl Strategy<Value = Option<Option<u8>>> {
    option::of(option::of(any::<u8>()))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", ".{0,40}", Just("127.0.0.1".to_owned()), Just("type".to_owned())]
}

prop_compose! {
    fn inners()(ip in ip(), map in btree_map(any::<u8>(), option::of(Just(())), 0..3)) -> Inner {
        Inner { ip, map }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        name().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Into::into),
            btree_map(name(), inner, 0..5).prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

types! {
    /// A bit of everything that may go wrong.
    enum Any {
        Options(Vec<Option<Option<Option<()>>>>),
        Newtypes(Option<Newtype<Option<Newtype<Option<u8>>>>>),
        Units(Option<Unit>, Option<Empty>, Option<Pair>),
        Integers(u128, i128, Vec<i64>, [i32; 3]),
        Floats { single: f32, double: f64, sign: char },
        Plain(Vec<Plain>),
        Sparse(Sparse),
        Maps(HashMap<String, Option<Option<u8>>>, BTreeMap<Option<u8>, ()>, HashSet<Option<u8>>),
        Addresses(Vec<IpAddr>),
        Host(Vec<Host>),
        Overlapping(Option<Overlapping>),
        Scalars(Vec<Option<Scalar>>),
        Flat(Flat),
        Rest(Rest),
        Tagged(Vec<Tagged>),
        Apart(Vec<Apart>),
        Json(Option<serde_json::Value>),
        More(Box<Any>, Vec<Any>),
        Optional { any: Option<Option<Box<Any>>> },
        #[serde(untagged)]
        Untagged(HashMap<String, Any>),
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![
        Just(Plain::Unit),
        option::of(Just(())).prop_map(Plain::Newtype),
        any::<u8>().prop_map(|number| Plain::Tuple(number, ())),
        two().prop_map(|a| Plain::Struct { a }),
        Just(Plain::Empty {}),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i64>().prop_map(Scalar::Int),
        any::<f64>().prop_map(Scalar::Float),
        Just(Scalar::Unit(())),
        any::<bool>().prop_map(Scalar::Truth),
        option::of(name()).prop_map(Scalar::Text),
        two().prop_map(|two| Scalar::Deep(Box::new(Newtype(two)))),
    ]
}

fn anything() -> impl Strategy<Value = Any> {
    let host = prop_oneof![
        any::<u32>().prop_map(|bits| Host::Ip(bits.into())),
        vec(any::<u8>(), 0..5).prop_map(Host::Digest),
        name().prop_map(Host::Name),
    ];
    let overlapping = prop_oneof![
        any::<u8>().prop_map(|a| Overlapping::Small { a }),
        any::<(u8, u8)>().prop_map(|(a, b)| Overlapping::Full { a, b }),
    ];
    let tagged = prop_oneof![
        (ip(), two()).prop_map(|(ip, o)| Tagged::A { ip, o }),
        inners().prop_map(Tagged::B),
        Just(Tagged::C)
    ];
    let apart = prop_oneof![
        (ip(), two()).prop_map(|(ip, o)| Apart::A { ip, o }),
        option::of(Just(())).prop_map(Apart::B),
        Just(Apart::C),
        (any::<u8>(), option::of(Just(Unit))).prop_map(|(a, b)| Apart::D(a, b)),
    ];
    let options = vec(option::of(option::of(option::of(Just(())))), 0..6).prop_map(Any::Options);
    let newtypes = option::of(option::of(option::of(any::<u8>()).prop_map(Newtype)).prop_map(Newtype));
    let units = (option::of(Just(Unit)), option::of(Just(Empty {})), option::of(any::<u8>().prop_map(|n| Pair(n, ()))));
    let maps = (
        hash_map(name(), two(), 0..20),
        btree_map(any::<Option<u8>>(), Just(()), 0..20),
        hash_set(any::<Option<u8>>(), 0..20),
    );
    let sparse = (any::<Option<u8>>(), vec(any::<u8>(), 0..3), two()).prop_map(|(a, b, c)| Sparse { a, b, c });
    let leaf = prop_oneof![
        options,
        newtypes.prop_map(Any::Newtypes),
        units.prop_map(|(a, b, c)| Any::Units(a, b, c)),
        any::<(u128, i128, Vec<i64>, [i32; 3])>().prop_map(|(a, b, c, d)| Any::Integers(a, b, c, d)),
        any::<(f32, f64, char)>().prop_map(|(single, double, sign)| Any::Floats { single, double, sign }),
        vec(plain(), 0..20).prop_map(Any::Plain),
        sparse.prop_map(Any::Sparse),
        maps.prop_map(|(a, b, c)| Any::Maps(a, b, c)),
        vec(ip(), 0..3).prop_map(Any::Addresses),
        vec(host, 0..3).prop_map(Any::Host),
        option::of(overlapping).prop_map(Any::Overlapping),
        vec(option::of(scalar()), 0..3).prop_map(Any::Scalars),
        (any::<u8>(), inners()).prop_map(|(a, inner)| Any::Flat(Flat { a, inner })),
        (two(), btree_map(name(), two(), 0..20)).prop_map(|(a, rest)| Any::Rest(Rest { a, rest })),
        vec(tagged, 0..3).prop_map(Any::Tagged),
        vec(apart, 0..3).prop_map(Any::Apart),
        option::of(json()).prop_map(Any::Json),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            (inner.clone(), vec(inner.clone(), 0..3)).prop_map(|(one, more)| Any::More(Box::new(one), more)),
            option::of(option::of(inner.clone().prop_map(Box::new))).prop_map(|any| Any::Optional { any }),
            hash_map(name(), inner, 0..3).prop_map(Any::Untagged),
        ]
    })
}

types! {
    /// The same, of which all comes back.
    struct Certain {
        options: Vec<Option<Option<Option<()>>>>,
        newtypes: Option<Newtype<Option<Newtype<Option<u8>>>>>,
        units: (Option<Unit>, Option<Empty>, Option<Pair>),
        integers: (u128, i128, Vec<i64>, Vec<u32>, [i8; 3], u16),
        floats: (f32, f64, char),
        plain: Vec<Plain>,
        sparse: Sparse,
        sets: (BTreeSet<String>, HashSet<Option<u8>>),
        map: HashMap<Option<Option<u8>>, String>,
        addresses: BTreeMap<IpAddr, Result<Duration, ()>>,
        bytes: Vec<u8>,
    }
}

prop_compose! {
    fn certain()(
        options in vec(option::of(option::of(option::of(Just(())))), 0..6),
        newtypes in option::of(option::of(option::of(any::<u8>()).prop_map(Newtype)).prop_map(Newtype)),
        units in (option::of(Just(Unit)), option::of(Just(Empty {})), option::of(any::<u8>().prop_map(|n| Pair(n, ())))),
        integers: (u128, i128, Vec<i64>, Vec<u32>, [i8; 3], u16),
        floats: (f32, f64, char),
        plain in vec(plain(), 0..20),
        sparse in (any::<Option<u8>>(), vec(any::<u8>(), 0..3), two()).prop_map(|(a, b, c)| Sparse { a, b, c }),
        sets in (btree_set(name(), 0..20), hash_set(any::<Option<u8>>(), 0..20)),
        map in hash_map(two(), name(), 0..20),
        addresses in btree_map(ip(), any::<Result<Duration, ()>>(), 0..20),
        bytes: Vec<u8>,
    ) -> Certain {
        Certain { options, newtypes, units, integers, floats, plain, sparse, sets, map, addresses, bytes }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_value_comes_back_or_is_refused(value in anything()) {
        if let Some(back) = back(&value) {
            prop_assert_eq!(back, value);
        }
    }

    #[test]
    fn any_value_of_a_plain_type_comes_back(value in certain()) {
        prop_assert_eq!(back(&value), Some(value));
    }

    #[test]
    fn json_comes_back(value in json()) {
        prop_assert_eq!(back(&Some(value.clone())), Some(Some(value)));
    }
}
