//! What `Serialize` and `Deserialize` spell differently comes back as it went, or is not kept.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{
    envelope::{KEY, facts},
    round_trip::back,
};
use crate::{
    ErrorKind,
    codec::{self, EnvelopeOptions, FOREVER, TypeInfo},
};

/// Keeps each value of `kept`, and none of `refused`.
#[track_caller]
fn keeps<V>(kept: &[V], refused: &[V])
where
    V: Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    for value in kept {
        assert_eq!(back(value).as_ref(), Some(value));
    }
    for value in refused {
        assert_eq!(back(value), None, "{value:?}");
    }
}

macro_rules! types {
    ($($type:item)*) => {
        $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $type)*
    };
}

#[test]
fn an_option_that_is_read_by_another_name_came_back_as_none() {
    types! {
        #[serde(rename_all(deserialize = "camelCase"))]
        struct Flight { gate_number: Option<u8>, id: u8 }
    }
    keeps(&[Flight { gate_number: None, id: 1 }], &[Flight { gate_number: Some(7), id: 1 }]);
}

/// The first value is the default, and comes back; the next one would come back as the default.
#[test]
fn a_defaulted_field_that_is_read_by_another_name_came_back_as_its_default() {
    types! {
        #[serde(default, rename_all(deserialize = "camelCase"))]
        #[derive(Default)]
        struct Flight { gate_number: u8, id: u8 }
        struct Renamed { #[serde(rename(serialize = "gate"), default)] gate_number: u8 }
        enum Event { Gate { #[serde(rename(serialize = "gate"), default)] number: u8 } }
    }
    keeps(&[Flight { gate_number: 0, id: 1 }], &[Flight { gate_number: 7, id: 1 }]);
    keeps(&[Renamed { gate_number: 0 }], &[Renamed { gate_number: 7 }]);
    keeps(&[Event::Gate { number: 0 }], &[Event::Gate { number: 7 }]);
    keeps(&[vec![Event::Gate { number: 0 }]], &[vec![Event::Gate { number: 0 }, Event::Gate { number: 7 }]]);
}

#[test]
fn a_skipped_field_came_back_as_another_default() {
    fn seven() -> u8 {
        7
    }
    fn is_zero(number: &u8) -> bool {
        *number == 0
    }
    types! {
        struct Seat { #[serde(skip_serializing_if = "is_zero", default = "seven")] row: u8, id: u8 }
        struct Tags { #[serde(skip_serializing_if = "Vec::is_empty", default = "one")] tags: Vec<u8> }
    }
    fn one() -> Vec<u8> {
        vec![1]
    }
    keeps(&[Seat { row: 1, id: 1 }, Seat { row: 7, id: 1 }], &[Seat { row: 0, id: 1 }]);
    keeps(&[Tags { tags: vec![2] }], &[Tags { tags: vec![] }]);
}

#[test]
fn a_variant_came_back_as_the_other_one() {
    types! {
        enum Cause {
            Weather,
            #[serde(rename(serialize = "late"))]
            Late,
            #[serde(skip_deserializing)]
            Strike,
            #[serde(other)]
            Other,
        }
        #[serde(tag = "cause")]
        enum Tagged { Weather { wind: u8 }, #[serde(rename(serialize = "late"))] Late, #[serde(other)] Other }
    }
    keeps(&[Cause::Weather, Cause::Other], &[Cause::Late, Cause::Strike]);
    keeps(&[vec![Cause::Weather], vec![]], &[vec![Cause::Weather, Cause::Late]]);
    keeps(&[Tagged::Weather { wind: 1 }, Tagged::Other], &[Tagged::Late]);
}

#[test]
fn variants_and_fields_that_go_by_one_anothers_names_came_back_exchanged() {
    types! {
        enum Way {
            #[serde(rename(serialize = "In", deserialize = "Out"))]
            Out,
            #[serde(rename(serialize = "Out", deserialize = "In"))]
            In,
        }
        struct Legs {
            #[serde(rename(serialize = "b", deserialize = "a"))]
            a: u8,
            #[serde(rename(serialize = "a", deserialize = "b"))]
            b: u8,
        }
    }
    keeps(&[], &[Way::Out, Way::In]);
    // The first one is the same either way, and says nothing of the next.
    keeps(&[Legs { a: 1, b: 1 }], &[Legs { a: 1, b: 2 }]);
}

fn at_most_100<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    Ok(u8::deserialize(deserializer)?.min(100))
}

fn in_lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.to_lowercase())
}

/// What a `Deserialize` makes of what it reads, it may make of some values only.
#[test]
fn a_value_that_is_changed_while_it_is_read_came_back_changed() {
    types! {
        struct Field { #[serde(deserialize_with = "at_most_100")] percent: u8 }
        struct Newtype(#[serde(deserialize_with = "at_most_100")] u8);
        struct Tuple(u8, #[serde(deserialize_with = "at_most_100")] u8);
        enum Variant { Newtype(#[serde(deserialize_with = "at_most_100")] u8), Unit }
        #[serde(from = "u8")]
        struct From(u8);
        #[serde(transparent)]
        struct Transparent(#[serde(deserialize_with = "at_most_100")] u8);
        struct Deep { inner: Option<Box<(From, u8)>> }
        struct Around(From);
        struct Lower(#[serde(deserialize_with = "in_lower_case")] String);
    }
    impl std::convert::From<u8> for From {
        fn from(number: u8) -> Self {
            Self(number.min(100))
        }
    }
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    struct ByHand(u8);
    impl<'de> Deserialize<'de> for ByHand {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            at_most_100(deserializer).map(Self)
        }
    }
    keeps(&[Field { percent: 50 }], &[Field { percent: 150 }]);
    keeps(&[Newtype(50)], &[Newtype(150)]);
    keeps(&["a".repeat(90), "a".to_owned()].map(Lower), &["a".repeat(90) + "B" + &"a".repeat(90)].map(Lower));
    keeps(&[Tuple(150, 50)], &[Tuple(1, 150)]);
    keeps(&[Variant::Newtype(50), Variant::Unit], &[Variant::Newtype(150)]);
    keeps(&[Transparent(50)], &[Transparent(150)]);
    keeps(&[From(50)], &[From(150)]);
    keeps(&[Some(From(50)), None], &[Some(From(150))]);
    keeps(&[Box::new(From(50))], &[Box::new(From(150))]);
    keeps(&[Around(From(50))], &[Around(From(150))]);
    keeps(&[vec![From(50)]], &[vec![From(50), From(150)]]);
    keeps(&[Deep { inner: Some(Box::new((From(50), 1))) }], &[Deep { inner: Some(Box::new((From(150), 1))) }]);
    keeps(&[ByHand(50)], &[ByHand(150)]);
    keeps(&[(1, Some(ByHand(50)))], &[(1, Some(ByHand(150)))]);
    keeps(&[BTreeMap::from([(ByHand(50), 1)])], &[BTreeMap::from([(ByHand(150), 1)])]);
}

/// Elements are looked at one by one, and two types of one name are two.
#[test]
fn an_element_came_back_as_another_after_a_good_one_of_its_name() {
    mod good {
        use super::*;
        types! { pub(super) struct Leg { pub(super) miles: Option<u8> } }
    }
    mod bad {
        use super::*;
        types! {
            pub(super) struct Leg {
                #[serde(rename(serialize = "miles", deserialize = "m"))]
                pub(super) miles: Option<u8>,
            }
        }
    }
    let good = good::Leg { miles: Some(1) };
    let bad = bad::Leg { miles: Some(1) };
    keeps(&[(vec![good.clone()], vec![])], &[(vec![good], vec![bad])]);
}

/// It was stored, and reported as corrupt whenever it was read.
#[test]
fn a_value_that_cannot_be_read_was_kept() {
    types! {
        #[serde(deny_unknown_fields)]
        struct Strict { #[serde(rename(serialize = "a"))] b: u8 }
        enum Way { #[serde(rename(serialize = "out"))] Out }
    }
    keeps(&[], &[Strict { b: 1 }]);
    keeps(&[], &[Way::Out]);
    let type_info = TypeInfo { fingerprint: 1, name: "shop::Way" };
    let error = codec::seal(&Way::Out, type_info, KEY, &facts(FOREVER), &EnvelopeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    let said = "a value of type `shop::Way` would not be read back: unknown variant `out`, expected `Out`";
    assert_eq!(format!("{error:#}"), said);
}
