//! Values of every shape that `serde` knows, and what makes two of them equal.
//!
//! The fuzz target of the keys has this file too: it stands on nothing but `serde`.

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
pub(super) const NAMES: [&str; 6] = ["", "V", "a", "a,b", "a=1", "nan"];

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
