//! The fingerprint tells types apart that decode into one another.
//!
//! Most types here are called `T`, each in a module of its own, so that nothing but the shape tells them apart.

#![allow(dead_code, reason = "only the types matter")]

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    num::NonZeroU8,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};

use crate::codec;

/// The shape alone, without the type's name.
fn shape<V: DeserializeOwned>() -> u64 {
    let mut hasher = blake3::Hasher::new();
    codec::shape::trace::<V>(&mut hasher);
    codec::number(hasher.finalize().as_bytes(), 0)
}

/// Declares two types that may have one name, and says whether their shapes are equal.
macro_rules! alike {
    ({ $($one:item)* } and { $($other:item)* }) => {{
        #[allow(unreachable_pub)]
        mod one {
            use super::*;
            $(#[derive(Deserialize)] $one)*
        }
        #[allow(unreachable_pub)]
        mod other {
            use super::*;
            $(#[derive(Deserialize)] $other)*
        }
        shape::<one::T>() == shape::<other::T>()
    }};
}

#[test]
fn what_is_written_alike_has_one_shape() {
    assert!(alike!({ pub struct T { a: u8, b: Option<String> } } and { pub struct T { a: u8, b: Option<String> } }));
    assert_eq!(shape::<Vec<u8>>(), shape::<Box<[u8]>>());
    assert_eq!(shape::<String>(), shape::<Cow<'static, str>>());
}

#[test]
fn a_field_more_or_less_is_another_shape() {
    assert!(!alike!({ pub struct T { a: u8 } } and { pub struct T { a: u8, b: u8 } }));
    assert!(!alike!({ pub struct T { a: u8 } } and { pub struct T { a: u8, b: Option<u8> } }));
    assert!(!alike!({ pub struct T { a: u8 } } and { pub struct T { a: u8, #[serde(default)] b: u8 } }));
    assert!(!alike!({ pub struct T(u8, u8); } and { pub struct T(u8, u8, u8); }));
    assert!(!alike!({ pub struct T((u8, u8)); } and { pub struct T((u8, u8, u8)); }));
}

#[test]
fn another_name_or_type_of_a_field_is_another_shape() {
    assert!(!alike!({ pub struct T { a: Option<u8> } } and { pub struct T { b: Option<u8> } }));
    assert!(!alike!({ pub struct T { a: u8 } } and { pub struct T { a: u16 } }));
    assert!(!alike!({ pub struct T { a: u8 } } and { pub struct T { a: Option<u8> } }));
    assert!(!alike!({ pub struct T { a: Vec<u8> } } and { pub struct T { a: Vec<u16> } }));
    assert!(!alike!({ pub struct T { a: String } } and { pub struct T { a: char } }));
    assert!(!alike!({ pub struct T { a: BTreeMap<String, u8> } } and { pub struct T { a: BTreeMap<String, i8> } }));
    assert!(!alike!({ pub struct T { a: BTreeMap<u8, u8> } } and { pub struct T { a: BTreeMap<u16, u8> } }));
    assert!(!alike!({ pub struct T { a: u8, b: i8 } } and { pub struct T { b: i8, a: u8 } }));
}

#[test]
fn every_variant_counts() {
    assert!(!alike!({ pub enum T { A, B } } and { pub enum T { A } }));
    assert!(!alike!({ pub enum T { A, B } } and { pub enum T { A, C } }));
    assert!(!alike!({ pub enum T { A, B(u8) } } and { pub enum T { A, B(u16) } }));
    assert!(!alike!({ pub enum T { A, B(u8) } } and { pub enum T { A, B(u8, u8) } }));
    assert!(!alike!({ pub enum T { A, B { c: u8 } } } and { pub enum T { A, B { c: u8, d: Option<u8> } } }));
    assert!(!alike!(
        { pub enum T { A(I), B(I) } pub enum I { C, D(u8) } } and
        { pub enum T { A(I), B(I) } pub enum I { C, D(u16) } }
    ));
}

#[test]
fn nested_types_count() {
    assert!(!alike!(
        { pub struct T { a: Vec<Option<I>> } pub struct I { b: u8 } } and
        { pub struct T { a: Vec<Option<I>> } pub struct I { b: u8, c: Option<u8> } }
    ));
    assert!(!alike!(
        { pub struct T { a: HashMap<u8, (u8, I)> } pub struct I(bool); } and
        { pub struct T { a: HashMap<u8, (u8, I)> } pub struct I(u8); }
    ));
    // One generic type within itself is two types.
    assert!(!alike!(
        { pub struct T { a: W<W<u8>> } pub struct W<I> { inner: I } } and
        { pub struct T { a: W<W<u16>> } pub struct W<I> { inner: I } }
    ));
}

/// What comes after the place where a type contains itself is seen all the same.
#[test]
fn types_that_contain_themselves_are_seen_to_their_ends() {
    assert!(!alike!(
        { pub struct T { next: Option<Box<T>>, last: u8 } } and { pub struct T { next: Option<Box<T>>, last: u16 } }
    ));
    assert!(!alike!(
        { pub struct T { all: Vec<T>, last: u8 } } and { pub struct T { all: Vec<T>, last: u16 } }
    ));
    assert!(!alike!(
        { pub struct T { all: BTreeMap<String, T>, last: u8 } } and
        { pub struct T { all: BTreeMap<String, T>, last: u16 } }
    ));
    assert!(!alike!(
        { pub enum T { Cons(Box<T>, I), Nil } pub struct I(u8, u8); } and
        { pub enum T { Cons(Box<T>, I), Nil } pub struct I(u8, u16); }
    ));
    assert!(!alike!(
        { pub enum T { Add { left: Box<T>, note: Option<u8> }, Nil } } and
        { pub enum T { Add { left: Box<T>, note: Option<u16> }, Nil } }
    ));
    assert!(!alike!(
        { pub struct T { a: Option<Box<U>>, b: u8 } pub struct U { a: Option<Box<T>>, b: u8 } } and
        { pub struct T { a: Option<Box<U>>, b: u8 } pub struct U { a: Option<Box<T>>, b: u16 } }
    ));
    assert!(!alike!(
        { pub struct T(Option<Box<T>>, u8); } and { pub struct T(Option<Box<T>>, u16); }
    ));
}

/// A type that has to do without itself inside is seen outside all the same.
#[test]
fn a_list_of_what_holds_such_a_list_is_seen() {
    assert!(!alike!(
        { pub struct T(Vec<N>); pub struct N { all: Vec<N>, last: u8 } } and
        { pub struct T(Vec<N>); pub struct N { all: Vec<N>, last: u16 } }
    ));
    assert!(!alike!(
        { pub struct T(Option<Box<N>>); pub struct N { next: Option<Box<N>>, last: u8 } } and
        { pub struct T(Option<Box<N>>); pub struct N { next: Option<Box<N>>, last: u16 } }
    ));
}

/// Each variant's contents stand beside it, and are seen even if they refuse the first answers.
#[test]
fn contents_beside_their_variant_count() {
    assert!(!alike!(
        { #[serde(tag = "t", content = "c")] pub enum T { A((IpAddr, u8)), B(u8) } } and
        { #[serde(tag = "t", content = "c")] pub enum T { A((IpAddr, u16)), B(u8) } }
    ));
}

/// Accepts nothing at all.
pub(super) struct Refuses;

impl<'de> Deserialize<'de> for Refuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(de::Error::custom(format!("`{text}` at {:p}", &text)))
    }
}

/// Accepts dates only, as the types of a date do.
pub(super) struct Date;

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Date;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a date")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                if text.starts_with("2000-01-01T") { Ok(Date) } else { Err(E::custom("no date")) }
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[test]
fn what_comes_after_a_field_that_refuses_is_seen() {
    assert!(!alike!(
        { pub struct T { a: Refuses, b: Option<Refuses>, c: Vec<Refuses>, last: u8 } } and
        { pub struct T { a: Refuses, b: Option<Refuses>, c: Vec<Refuses>, last: u16 } }
    ));
    assert!(!alike!(
        { pub struct T { #[serde(alias = "b")] a: u8, last: u8 } } and
        { pub struct T { #[serde(alias = "b")] a: u8, last: u16 } }
    ));
    assert!(!alike!({ pub struct T(Vec<(Date, u8)>); } and { pub struct T(Vec<(Date, u16)>); }));
    assert!(!alike!({ pub struct T(NonZeroU8, IpAddr, u8); } and { pub struct T(NonZeroU8, IpAddr, u16); }));
    assert!(!alike!({ pub struct T(Duration, SystemTime, u8); } and { pub struct T(Duration, SystemTime, u16); }));
}

struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        // Without the noise of a panic that is reported.
        std::panic::resume_unwind(Box::new("no"))
    }
}

/// Asks for itself without end, and is known by no name.
struct Endless;

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <(Box<Endless>, Box<Endless>)>::deserialize(deserializer).map(|_| Self)
    }
}

/// Has some 3^23 places to look at.
macro_rules! doubled {
    ($($name:ident: $inner:ty),*) => { $(#[derive(Deserialize)] struct $name { a: Box<$inner>, b: Box<$inner>, c: Box<$inner> })* };
}

doubled!(D0: u8, D1: D0, D2: D1, D3: D2, D4: D3, D5: D4, D6: D5, D7: D6, D8: D7, D9: D8, D10: D9, D11: D10, D12: D11,
    D13: D12, D14: D13, D15: D14, D16: D15, D17: D16, D18: D17, D19: D18, D20: D19, D21: D20, D22: D21, D23: D22);

#[test]
fn whatever_a_deserialize_does_comes_to_an_end() {
    assert_eq!(shape::<Panics>(), shape::<Panics>());
    assert_eq!(shape::<(u8, Panics)>(), shape::<(u8, Panics)>());
    assert_ne!(shape::<Panics>(), shape::<(u8, Panics)>());
    assert_eq!(shape::<Endless>(), shape::<Endless>());
    assert_eq!(shape::<D23>(), shape::<D23>());
    assert_eq!(shape::<Refuses>(), shape::<Refuses>());
}

/// Everything that goes into it: what this changes, makes all values of these types that were ever stored a miss.
#[test]
fn fingerprints_are_the_same_in_every_process() {
    #[derive(Deserialize)]
    struct Delay {
        carrier: String,
        minutes: Option<i16>,
        cause: Cause,
        legs: Vec<(u32, f64)>,
        more: HashMap<String, Delay>,
    }
    #[derive(Deserialize)]
    enum Cause {
        Weather,
        Late(u8),
        Other { text: String },
    }
    let shapes = [shape::<()>(), shape::<u64>(), shape::<String>(), shape::<Option<Vec<u8>>>(), shape::<Delay>()];
    let pinned = ["80e85da1622b3e75", "19e9362baff1528e", "fa9255444635548e", "d7c112a4ad0a4193", "9aca4ada7fa10aee"];
    assert_eq!(shapes.map(|shape| format!("{shape:016x}")), pinned);
    assert_eq!(format!("{:016x}", codec::Kind::of::<Option<u64>>().fingerprint), "e37c95167cd8b5a3");
}
