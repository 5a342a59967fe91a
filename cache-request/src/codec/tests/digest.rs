//! What the digest tells apart, above all what was stored before a type was changed and a value of the new one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::envelope::{KEY, facts};
use crate::codec::{
    self, EnvelopeOptions, FOREVER, TypeInfo,
    digest::{self, Texts},
};

fn digest<V: Serialize + ?Sized>(value: &V) -> u64 {
    digest::of(value, Texts::Short).unwrap().0
}

/// Whether `old`, of a type as it was, is read as a value of the type as it is now.
fn is_read<Old, New>(old: &Old) -> bool
where
    Old: Serialize + DeserializeOwned,
    New: Serialize + DeserializeOwned,
{
    let options = EnvelopeOptions::default();
    let type_info = TypeInfo { fingerprint: 1, name: "T" };
    let bytes = codec::seal(old, type_info, KEY, &facts(FOREVER), &options).unwrap();
    match codec::open::<New>(&bytes, type_info, KEY, 0, &options) {
        Ok(opened) => opened.is_some(),
        Err(refused) => {
            assert!(refused.is_foreign, "{refused:?}");
            false
        }
    }
}

/// Declares a type as it was, with a value of it, and as it is now, and says whether that value is read.
macro_rules! is_read {
    ({ $($old:item)* } $value:expr => { $($new:item)* }) => {{
        #[allow(unreachable_pub, dead_code, reason = "not all of the type is in the value")]
        mod old {
            use super::*;
            $(#[derive(Serialize, Deserialize)] $old)*
            pub fn value() -> T { $value }
        }
        #[allow(unreachable_pub, dead_code, reason = "not all of the type is in the value")]
        mod new {
            use super::*;
            $(#[derive(Serialize, Deserialize)] $new)*
        }
        is_read::<old::T, new::T>(&old::value())
    }};
}

#[test]
fn a_type_that_is_the_same_is_read() {
    assert!(
        is_read!({ pub struct T { a: u8, b: Option<u8> } } T { a: 1, b: None } => { pub struct T { a: u8, b: Option<u8> } })
    );
    assert!(is_read::<Vec<u8>, Box<[u8]>>(&vec![1]));
    assert!(is_read::<String, std::borrow::Cow<'static, str>>(&"a".into()));
}

#[test]
fn a_field_more_or_less_is_another_type() {
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: u8, b: u8 } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: u8, b: Option<u8> } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: u8, #[serde(default)] b: u8 } }));
    assert!(!is_read!({ pub struct T { a: u8, b: u8 } } T { a: 1, b: 2 } => { pub struct T { a: u8 } }));
    assert!(!is_read!({ pub struct T(u8, u8); } T(1, 2) => { pub struct T(u8, u8, u8); }));
    assert!(!is_read!({ pub struct T(u8, u8); } T(1, 2) => { pub struct T(u8, u8, #[serde(default)] u8); }));
    assert!(!is_read!({ pub struct T((u8, u8)); } T((1, 2)) => { pub struct T((u8, u8, u8)); }));
    assert!(!is_read!(
        { pub enum T { A, B { c: u8 } } } T::B { c: 1 } => { pub enum T { A, B { c: u8, d: Option<u8> } } }
    ));
}

/// A value without it looks like one of which it is skipped.
#[test]
fn a_field_more_that_may_be_skipped_is_another_type() {
    assert!(!is_read!(
        { pub struct T { a: u8 } } T { a: 1 } =>
        { pub struct T { a: u8, #[serde(skip_serializing_if = "Option::is_none")] b: Option<u8> } }
    ));
    assert!(!is_read!(
        { pub enum T { A { a: u8 } } } T::A { a: 1 } =>
        { pub enum T { A { a: u8, #[serde(skip_serializing_if = "Vec::is_empty", default)] b: Vec<u8> } } }
    ));
}

/// Nothing but the value tells that it has changed.
#[test]
fn a_field_more_inside_of_a_flatten_is_another_type() {
    assert!(!is_read!(
        { pub struct T { a: u8, #[serde(flatten)] i: I } pub struct I { b: u8 } } T { a: 1, i: I { b: 1 } } =>
        { pub struct T { a: u8, #[serde(flatten)] i: I } pub struct I { b: u8, c: Option<u8> } }
    ));
}

#[test]
fn another_name_or_type_of_a_field_is_another_type() {
    assert!(!is_read!({ pub struct T { a: Option<u8> } } T { a: None } => { pub struct T { b: Option<u8> } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { #[serde(alias = "a")] b: u8 } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: u16 } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: i8 } }));
    assert!(!is_read!({ pub struct T { a: u8 } } T { a: 1 } => { pub struct T { a: Option<u8> } }));
    assert!(!is_read!({ pub struct T { a: Vec<u8> } } T { a: vec![1] } => { pub struct T { a: Vec<u16> } }));
    assert!(!is_read!({ pub struct T { a: String } } T { a: "1".into() } => { pub struct T { a: char } }));
    assert!(!is_read!(
        { pub struct T { a: BTreeMap<String, u8> } } T { a: BTreeMap::from([("a".into(), 1)]) } =>
        { pub struct T { a: BTreeMap<String, i8> } }
    ));
    assert!(!is_read!(
        { pub struct T { a: BTreeMap<u8, u8> } } T { a: BTreeMap::from([(1, 1)]) } =>
        { pub struct T { a: BTreeMap<u16, u8> } }
    ));
    assert!(!is_read!({ pub struct T { a: u8, b: i8 } } T { a: 1, b: 1 } => { pub struct T { b: i8, a: u8 } }));
    assert!(!is_read!({ pub struct T(I); pub struct I(u8); } T(I(1)) => { pub struct T(J); pub struct J(u8); }));
}

#[test]
fn a_variant_elsewhere_or_of_another_kind_is_another_type() {
    assert!(!is_read!({ pub enum T { A, B } } T::A => { pub enum T { B, A } }));
    assert!(!is_read!({ pub enum T { A, B } } T::B => { pub enum T { A, C } }));
    assert!(!is_read!({ pub enum T { A, B } } T::B => { pub enum T { A, #[serde(alias = "B")] C } }));
    assert!(!is_read!({ pub enum T { A, B } } T::B => { pub enum T { A, #[serde(other)] C } }));
    assert!(!is_read!({ pub enum T { A, B(u8) } } T::B(1) => { pub enum T { A, B(u16) } }));
    assert!(!is_read!({ pub enum T { A, B(u8) } } T::B(1) => { pub enum T { A, B(u8, u8) } }));
    assert!(!is_read!(
        { pub enum T { A(I), B(I) } pub enum I { C, D(u8) } } T::B(I::D(1)) =>
        { pub enum T { A(I), B(I) } pub enum I { C, D(u16) } }
    ));
    assert!(!is_read!(
        { #[serde(tag = "t", content = "c")] pub enum T { A((IpAddr, u8)) } } T::A(([0; 4].into(), 1)) =>
        { #[serde(tag = "t", content = "c")] pub enum T { A((IpAddr, u16)) } }
    ));
}

fn one() -> u8 {
    1
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[test]
fn another_default_of_what_was_skipped_is_another_type() {
    assert!(!is_read!(
        { pub struct T { #[serde(skip_serializing_if = "is_zero", default)] a: u8 } } T { a: 0 } =>
        { pub struct T { #[serde(skip_serializing_if = "is_zero", default = "one")] a: u8 } }
    ));
}

#[test]
fn what_is_inside_counts() {
    assert!(!is_read!(
        { pub struct T { a: Vec<Option<I>> } pub struct I { b: u8 } } T { a: vec![Some(I { b: 1 })] } =>
        { pub struct T { a: Vec<Option<I>> } pub struct I { b: u8, c: Option<u8> } }
    ));
    assert!(!is_read!(
        { pub struct T { a: HashMap<u8, (u8, I)> } pub struct I(bool); } T { a: HashMap::from([(1, (1, I(true)))]) } =>
        { pub struct T { a: HashMap<u8, (u8, I)> } pub struct I(u8); }
    ));
    assert!(!is_read!(
        { pub struct T { next: Option<Box<T>>, last: u8 } } T { next: Some(Box::new(T { next: None, last: 1 })), last: 1 } =>
        { pub struct T { next: Option<Box<T>>, last: u16 } }
    ));
}

/// Though the value is a variant of both.
#[test]
fn every_variant_counts() {
    assert!(!is_read!({ pub enum T { A, B } } T::A => { pub enum T { A } }));
    assert!(!is_read!({ pub enum T { A, B } } T::A => { pub enum T { A, C } }));
    assert!(!is_read!({ pub enum T { A, B, C } } T::A => { pub enum T { A, C, B } }));
    assert!(!is_read!({ pub struct T { i: Vec<I> } pub enum I { A, B } } T { i: vec![I::A] } =>
        { pub struct T { i: Vec<I> } pub enum I { A, B, C } }));
    assert!(
        !is_read!({ pub enum T { A { b: u8 } } } T::A { b: 1 } => { pub enum T { A { #[serde(alias = "c")] b: u8 } } })
    );
    assert!(!is_read!(
        { pub struct T { #[serde(flatten)] i: I } pub struct I { e: E } pub enum E { A, B } } T { i: I { e: E::A } } =>
        { pub struct T { #[serde(flatten)] i: I } pub struct I { e: E } pub enum E { A { b: u8 }, B } }
    ));
}

/// What is empty has nothing of the type that it would hold.
#[test]
fn a_value_without_what_has_changed_is_read() {
    assert!(is_read!(
        { pub struct T(Vec<I>); pub struct I(u8); } T(vec![]) => { pub struct T(Vec<I>); pub struct I(u16); }
    ));
    assert!(is_read!(
        { pub struct T(Option<I>); pub enum I { A } } T(None) => { pub struct T(Option<I>); pub enum I { A, B } }
    ));
}

/// Sums of what is alike are not.
#[test]
fn values_that_are_much_alike_have_digests_of_their_own() {
    let mut seen = HashSet::new();
    let mut differs = |digest: u64| assert!(seen.insert(digest));
    for a in 0..24_u64 {
        differs(digest(&(a,)));
        for b in 0..24 {
            differs(digest(&(a, b)));
            for c in 0..24 {
                differs(digest(&(a, b, c)));
                differs(digest(&(a, (b, c))));
                differs(digest(&((a, b), c)));
                if a <= b && b <= c {
                    differs(digest(&[[a, b, c].as_slice()]));
                    differs(digest(&[a, b, c].as_slice()));
                    differs(digest(&[(a, b), (b, c)].as_slice()));
                    differs(digest(&vec![vec![a, b], vec![c]]));
                    // Else in another order only.
                    if a < c {
                        differs(digest(&vec![vec![a], vec![b, c]]));
                    }
                }
            }
        }
    }
}

/// A writer, which has both values, finds what differs in the middle of a long text.
#[test]
fn long_texts_are_compared_and_stored_as_their_length() {
    let [a, b] = ["a", "b"].map(|letter| ("x".repeat(100) + letter + &"x".repeat(100), 1));
    assert_eq!(digest(&a), digest(&b));
    assert_ne!(digest(&a), digest(&("x".repeat(200), 1)));
    assert_eq!(digest::of_both(&a, &b).unwrap(), None);
    assert_eq!(digest::of_both(&a, &a.clone()).unwrap(), Some(digest(&a)));
    assert_ne!(digest("short"), digest("Short"));
}

/// The same in every process. What changes these, makes all values of such types that were ever stored a miss.
#[test]
fn digests_are_pinned() {
    #[derive(Serialize)]
    struct Delay {
        carrier: String,
        minutes: Option<i16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        gate: Option<u8>,
        cause: Vec<Cause>,
        legs: HashMap<u8, (u32, f64)>,
        ip: IpAddr,
    }
    #[derive(Serialize)]
    struct Newtype(u128);
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Tuple(char, f32, bool);
    #[derive(Serialize)]
    enum Cause {
        Weather,
        Late(u8),
        Both(i8, i64),
        Other { text: String },
    }
    let cause = vec![Cause::Weather, Cause::Late(1), Cause::Both(-1, -2), Cause::Other { text: "fog".into() }];
    let legs = HashMap::from([(1, (2, 0.5)), (2, (3, 1.5))]);
    let delay = Delay { carrier: "AA".into(), minutes: Some(-3), gate: None, cause, legs, ip: [127, 0, 0, 1].into() };
    let digests = [
        digest(&()),
        digest(&(1_u8, 1_u16, 1_u32, 1_u64, -1_i8, -1_i16, -1_i32, -1_i64, -1_i128)),
        digest("text"),
        digest(&(Newtype(u128::MAX), Unit, Tuple('c', 0.1, true))),
        digest(&delay),
    ];
    let pinned = ["0000000000000013", "4e7f111ca2355485", "f955197b2c5625df", "0c25aff040fd14a0", "16bde848aa127557"];
    assert_eq!(digests.map(|digest| format!("{digest:016x}")), pinned);
}
