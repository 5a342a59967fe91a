//! Values of every shape that `serde` knows, and what makes two of them equal.

use proptest::prelude::*;
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

/// Anything that can be serialised.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Bool(bool),
    I8(i8),
    U8(u8),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Str(String),
    Shown(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Value>),
    Unit,
    UnitStruct,
    Newtype(Box<Value>),
    Seq(Vec<Value>),
    Tuple(Vec<Value>),
    TupleStruct(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Fields),
    UnitVariant(&'static str),
    NewtypeVariant(&'static str, Box<Value>),
    TupleVariant(&'static str, Vec<Value>),
    StructVariant(&'static str, Fields),
}

type Fields = Vec<(&'static str, Value)>;

/// What a value means: written down again, without a thought of words or text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Meaning {
    Bool(bool),
    Natural(u128),
    Negative(i128),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    /// Below so many `Some`s.
    None(usize),
    Unit,
    Seq(Vec<Meaning>),
    Map(Vec<(Meaning, Meaning)>),
    Struct(Vec<(&'static str, Meaning)>),
    UnitVariant(&'static str),
    NewtypeVariant(&'static str, Box<Meaning>),
    TupleVariant(&'static str, Vec<Meaning>),
    StructVariant(&'static str, Vec<(&'static str, Meaning)>),
}

impl Value {
    pub(super) fn meaning(&self) -> Meaning {
        let integer = |n: i128| if n < 0 { Meaning::Negative(n) } else { Meaning::Natural(n as u128) };
        let all = |values: &[Value]| values.iter().map(Value::meaning).collect();
        let named = |fields: &Fields| fields.iter().map(|(name, value)| (*name, value.meaning())).collect();
        match self {
            Value::Bool(v) => Meaning::Bool(*v),
            Value::I8(v) => integer((*v).into()),
            Value::U8(v) => integer((*v).into()),
            Value::I64(v) => integer((*v).into()),
            Value::U64(v) => integer((*v).into()),
            Value::I128(v) => integer(*v),
            Value::U128(v) => Meaning::Natural(*v),
            Value::F32(v) if v.is_nan() => {
                let bits = u64::from(v.to_bits());
                Meaning::Float((bits & 0x8000_0000) << 32 | 0x7ff0_0000_0000_0000 | (bits & 0x7f_ffff) << 29)
            }
            Value::F32(v) => Meaning::Float(f64::from(*v).to_bits()),
            Value::F64(v) => Meaning::Float(v.to_bits()),
            Value::Char(v) => Meaning::Text(v.to_string()),
            Value::Str(v) | Value::Shown(v) => Meaning::Text(v.clone()),
            Value::Bytes(v) => Meaning::Bytes(v.clone()),
            Value::None => Meaning::None(0),
            Value::Some(v) => match v.meaning() {
                Meaning::None(n) => Meaning::None(n + 1),
                meaning => meaning,
            },
            Value::Unit | Value::UnitStruct => Meaning::Unit,
            Value::Newtype(v) => v.meaning(),
            Value::Seq(v) | Value::Tuple(v) | Value::TupleStruct(v) => Meaning::Seq(all(v)),
            Value::Map(v) => {
                let mut entries: Vec<_> = v.iter().map(|(k, v)| (k.meaning(), v.meaning())).collect();
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                Meaning::Map(entries)
            }
            Value::Struct(v) => Meaning::Struct(named(v)),
            Value::UnitVariant(name) => Meaning::UnitVariant(name),
            Value::NewtypeVariant(name, v) => Meaning::NewtypeVariant(name, v.meaning().into()),
            Value::TupleVariant(name, v) => Meaning::TupleVariant(name, all(v)),
            Value::StructVariant(name, v) => Meaning::StructVariant(name, named(v)),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        /// Calls a method of a compound serialiser for each of the items.
        macro_rules! each {
            ($compound:expr, $items:expr, $method:ident($($item:pat => $argument:expr),+)) => {{
                let mut compound = $compound?;
                for $($item),+ in $items {
                    compound.$method($($argument),+)?;
                }
                compound.end()
            }};
        }
        match self {
            Value::Bool(v) => s.serialize_bool(*v),
            Value::I8(v) => s.serialize_i8(*v),
            Value::U8(v) => s.serialize_u8(*v),
            Value::I64(v) => s.serialize_i64(*v),
            Value::U64(v) => s.serialize_u64(*v),
            Value::I128(v) => s.serialize_i128(*v),
            Value::U128(v) => s.serialize_u128(*v),
            Value::F32(v) => s.serialize_f32(*v),
            Value::F64(v) => s.serialize_f64(*v),
            Value::Char(v) => s.serialize_char(*v),
            Value::Str(v) => s.serialize_str(v),
            Value::Shown(v) => s.collect_str(v),
            Value::Bytes(v) => s.serialize_bytes(v),
            Value::None => s.serialize_none(),
            Value::Some(v) => s.serialize_some(v),
            Value::Unit => s.serialize_unit(),
            Value::UnitStruct => s.serialize_unit_struct("S"),
            Value::Newtype(v) => s.serialize_newtype_struct("S", v),
            Value::Seq(v) => each!(s.serialize_seq(None), v, serialize_element(item => item)),
            Value::Tuple(v) => each!(s.serialize_tuple(v.len()), v, serialize_element(item => item)),
            Value::TupleStruct(v) => each!(s.serialize_tuple_struct("S", v.len()), v, serialize_field(item => item)),
            Value::Map(v) => {
                let mut map = s.serialize_map(None)?;
                for (key, value) in v {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Value::Struct(v) => {
                let mut fields = s.serialize_struct("S", v.len())?;
                for (name, value) in v {
                    fields.serialize_field(name, value)?;
                }
                fields.end()
            }
            Value::UnitVariant(name) => s.serialize_unit_variant("E", 0, name),
            Value::NewtypeVariant(name, v) => s.serialize_newtype_variant("E", 0, name, v),
            Value::TupleVariant(name, v) => {
                each!(s.serialize_tuple_variant("E", 0, name, v.len()), v, serialize_field(item => item))
            }
            Value::StructVariant(name, v) => {
                let mut fields = s.serialize_struct_variant("E", 0, name, v.len())?;
                for (name, value) in v {
                    fields.serialize_field(name, value)?;
                }
                fields.end()
            }
        }
    }
}

/// Few enough names and leaves that two values are often almost the same.
const NAMES: [&str; 6] = ["", "V", "a", "a,b", "a=1", "nan"];

pub(super) const TEXTS: [&str; 40] = [
    "",
    "a",
    "b",
    "ab",
    "abcdef",
    "abcdefg",
    "a,b",
    "(a",
    "a)",
    "()",
    "a:b",
    "a=b",
    "a&b",
    "a b",
    "a%20b",
    "1",
    "-1",
    "1.0",
    "1e3",
    "+1",
    ".5",
    "inf",
    "-inf",
    "infinity",
    "nan",
    "NaN",
    "nan:7ff8000000000000",
    "true",
    "false",
    "!",
    "!!",
    "'",
    "'1",
    "*",
    "@V",
    "$00",
    "^",
    "~",
    "é",
    "\0",
];

fn leaf() -> impl Strategy<Value = Value> {
    let text =
        || prop_oneof![prop::sample::select(&TEXTS[..]).prop_map(str::to_owned), any::<String>(), "[ab(),:=]{0,9}"];
    let bits =
        prop::sample::select(&[1.0, 0.0, -0.0, 1e300, 0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN][..]);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-2..3_i8).prop_map(Value::I8),
        (0..3_u8).prop_map(Value::U8),
        prop_oneof![
            -3..3_i64,
            any::<i64>(),
            (50..58_u32).prop_map(|n| -(1_i64 << n)),
            (50..58_u32).prop_map(|n| !(1_i64 << n))
        ]
        .prop_map(Value::I64),
        prop_oneof![0..3_u64, any::<u64>(), (50..64_u32).prop_map(|n| 1 << n), (50..64_u32).prop_map(|n| (1 << n) - 1)]
            .prop_map(Value::U64),
        prop_oneof![-3..3_i128, any::<i128>(), any::<i64>().prop_map(i128::from), Just(i128::MIN)]
            .prop_map(Value::I128),
        prop_oneof![0..3_u128, any::<u128>(), any::<u64>().prop_map(u128::from), Just(1 << 64)].prop_map(Value::U128),
        prop_oneof![
            bits.clone().prop_map(|v| v as f32),
            any::<u32>().prop_map(f32::from_bits),
            Just(f32::from_bits(0x7f80_0001))
        ]
        .prop_map(Value::F32),
        prop_oneof![bits, any::<u64>().prop_map(f64::from_bits)].prop_map(Value::F64),
        prop_oneof![any::<char>(), Just('a'), Just('1')].prop_map(Value::Char),
        text().prop_map(Value::Str),
        text().prop_map(Value::Shown),
        prop::collection::vec(0..2_u8, 0..3).prop_map(Value::Bytes),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        Just(Value::None),
        Just(Value::Unit),
        Just(Value::UnitStruct),
        prop::sample::select(&NAMES[..]).prop_map(Value::UnitVariant),
    ]
}

/// Any value; the smaller ones more often.
pub(super) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let name = || prop::sample::select(&NAMES[..]);
        let boxed = inner.clone().prop_map(Box::new);
        let some = prop::collection::vec(inner.clone(), 0..4);
        let fields = prop::collection::vec((name(), inner.clone()), 0..3);
        prop_oneof![
            boxed.clone().prop_map(Value::Some),
            boxed.clone().prop_map(Value::Newtype),
            some.clone().prop_map(Value::Seq),
            some.clone().prop_map(Value::Tuple),
            some.clone().prop_map(Value::TupleStruct),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
            fields.clone().prop_map(Value::Struct),
            (name(), boxed).prop_map(|(name, value)| Value::NewtypeVariant(name, value)),
            (name(), some).prop_map(|(name, values)| Value::TupleVariant(name, values)),
            (name(), fields).prop_map(|(name, fields)| Value::StructVariant(name, fields)),
        ]
    })
}
